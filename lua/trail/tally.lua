-- tally.lua - counts by value and by time of what a query hands out, for the conditions that only
-- Lua can ask ('where'); everything else the core counts. Level: pure, requires nothing.
-- SPDX-License-Identifier: MIT

local tally = {}

local floor = math.floor

-- ---- what stands at a path in details -----------------------------------------------------

-- "actor.name" → { "actor", "name" }
local function keys_of(path)
  local keys = {}
  for key in (path .. "."):gmatch("([^.]*)%.") do keys[#keys + 1] = key end
  return keys
end

local KINDS = { string = true, number = true, boolean = true }

-- Call visit(value) for each string, number and boolean at the path, or in an array there.
local function each_value(value, keys, at, visit)
  if KINDS[type(value)] then
    if at > #keys then visit(value) end
  elseif type(value) == "table" then
    for _, item in ipairs(value) do each_value(item, keys, at, visit) end
    if at <= #keys then each_value(value[keys[at]], keys, at + 1, visit) end
  end
end

-- ---- by value -----------------------------------------------------------------------------

local Top = {}
Top.__index = Top

-- The largest count first, equal ones in the order of their bytes; of details booleans come before
-- numbers, and those before strings. It is the core's order.
local function by_count(a, b)
  if a.count ~= b.count then return a.count > b.count end
  local kind, other = type(a.value), type(b.value)
  if kind ~= other then return kind < other end
  if kind == "string" then return a.value < b.value end
  return a.key < b.key
end

-- Counts the values of a field, or of "details.PATH". 'encode' makes a JSON text of a value, by
-- which "5" and 5 differ; 'details_of' gives the details of a record (default: its field).
function tally.top(field, encode, details_of)
  local path = field:match("^details%.(.+)$")
  return setmetatable({ field = field, keys = path and keys_of(path), encode = encode,
    details_of = details_of or function(record) return record.details end,
    rows = {}, row_of = {}, events = 0, absent = 0 }, Top)
end

function Top:count(value, key)
  local row = self.row_of[key]
  if not row then
    row = { value = value, count = 0, key = key, seen = 0 }
    self.row_of[key], self.rows[#self.rows + 1] = row, row
  end
  if row.seen == self.events then return false end
  -- Twice in one event is once.
  row.seen, row.count = self.events, row.count + 1
  return true
end

function Top:add(record)
  self.events = self.events + 1
  local found = false
  if self.keys then
    each_value(self.details_of(record), self.keys, 1, function(value)
      found = true
      self:count(value, self.encode(value))
    end)
  elseif record[self.field] ~= nil then
    found = true
    self:count(record[self.field], record[self.field])
  end
  if not found then self.absent = self.absent + 1 end
end

-- As log:top returns it.
function Top:result(row_max)
  table.sort(self.rows, by_count)
  local result = { events = self.events, absent = self.absent, distinct = #self.rows }
  for index = 1, math.min(#self.rows, row_max) do
    local row = self.rows[index]
    result[index] = { value = row.value, count = row.count }
  end
  return result
end

-- ---- by time ------------------------------------------------------------------------------

local Histogram = {}
Histogram.__index = Histogram

function tally.histogram(interval_us)
  return setmetatable({ interval = interval_us, counts = {}, events = 0 }, Histogram)
end

function Histogram:add(record)
  local begin = floor(record.timestamp / self.interval) * self.interval
  self.events = self.events + 1
  self.counts[begin] = (self.counts[begin] or 0) + 1
end

-- As log:histogram returns it.
function Histogram:result()
  local result = { events = self.events }
  for time, count in pairs(self.counts) do
    result[#result + 1] = { time = time, count = count }
  end
  table.sort(result, function(a, b) return a.time < b.time end)
  return result
end

-- ---- intervals ----------------------------------------------------------------------------

local INTERVALS = { second = 1000000, minute = 60000000, hour = 3600000000, day = 86400000000 }

-- "hour" or a number of microseconds → microseconds; nil for any other word.
function tally.interval(given)
  return type(given) == "number" and given or INTERVALS[given]
end

return tally
