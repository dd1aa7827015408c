-- filter.lua - what to look for: checks a filter and brings it into the form the core takes.
-- Level: pure; requires trail.time. Also the builder behind trail.filter().
-- SPDX-License-Identifier: MIT

local time = require "trail.time"

local filter = {}

local FIELDS = {
  "id", "event_type", "user_id", "action", "resource_type", "resource_id", "result", "request_id",
  "ip_address",
}
local IS_FIELD = {}
for _, field in ipairs(FIELDS) do IS_FIELD[field] = true end

local RESULTS = { success = true, failure = true, partial_success = true }
local ORDERS = { newest = true, oldest = true }

local tointeger = rawget(math, "tointeger") or function(number) return number end

-- Two kinds of fault: what only a program can get wrong (a key, a type) is raised as this table
-- and becomes an error; what comes from outside (a word, a time) becomes nil, message, "invalid".
local Fault = {}

local function mistake(...)
  error(setmetatable({ message = string.format(...), throw = true }, Fault), 0)
end

local function refuse(...)
  error(setmetatable({ message = string.format(...), throw = false }, Fault), 0)
end

---- one key after the other -------------------------------------------------------------------

local function check_value(key, value)
  if type(value) ~= "string" then
    mistake("filter '%s' must be a string, a list of strings or { [\"not\"] = ... }, not a %s",
      key, type(value))
  end
  if key == "result" and not RESULTS[value] then
    -- To find nothing would look like good news.
    refuse("result is '%s', must be success, failure or partial_success", value:sub(1, 100))
  end
  return value
end

-- A string as it is, or the list part of a table as a list of its own.
local function values(key, given)
  if type(given) ~= "table" then return check_value(key, given) end
  local count, list = 0, {}
  for other in pairs(given) do
    if other ~= "not" then count = count + 1 end
  end
  for i = 1, count do list[i] = check_value(key, given[i]) end
  return list
end

-- any of, none of, or both: { "a", "b", ["not"] = "c" }
local function match(key, given)
  local matched = values(key, given)
  if type(given) ~= "table" then return matched end
  local excluded = given["not"]
  if excluded == nil then
    if #matched == 0 then refuse("%s is an empty list, which nothing can match", key) end
    return matched
  end
  if type(excluded) == "table" and excluded["not"] ~= nil then
    mistake("filter '%s' has a \"not\" inside a \"not\"", key)
  end
  excluded = values(key, excluded)
  if excluded[1] == nil and type(excluded) == "table" then
    excluded = nil -- none of nothing
    if #matched == 0 then return nil end
  end
  matched["not"] = excluded
  return matched
end

local function whole(key, given, least)
  local number = given
  if type(given) == "number" and given == given and given % 1 == 0
    and given > -9e15 and given < 9e15 then
    number = tointeger(given)
  elseif type(given) == "number" then
    refuse("%s is %s, must be a whole number", key, tostring(given))
  else
    mistake("filter '%s' must be a number, not a %s", key, type(given))
  end
  if number < least then refuse("%s is %d, must be at least %d", key, number, least) end
  return number
end

local function instant(key, given, now_us)
  if type(given) ~= "number" and type(given) ~= "string" then
    mistake("filter '%s' must be a time in words or in microseconds, not a %s", key, type(given))
  end
  local us, message = time.parse(given, now_us)
  if not us then refuse("%s: %s", key, message) end
  return us
end

local function seq_range(plain, given)
  if type(given) ~= "table" then
    plain.seq_first = whole("seq", given, 1)
    plain.seq_last = plain.seq_first
    return
  end
  for key in pairs(given) do
    if key ~= 1 and key ~= 2 then mistake("filter 'seq' is a number or { first, last }") end
  end
  if given[1] ~= nil then plain.seq_first = whole("seq", given[1], 1) end
  if given[2] ~= nil then plain.seq_last = whole("seq", given[2], 1) end
end

local READERS = {
  seq = seq_range,
  seq_first = function(plain, given) plain.seq_first = whole("seq_first", given, 1) end,
  seq_last = function(plain, given) plain.seq_last = whole("seq_last", given, 1) end,
  limit = function(plain, given) plain.limit = whole("limit", given, 0) end,
  after = function(plain, given) plain.after = whole("after", given, 1) end,
  since = function(plain, given, now_us) plain.since = instant("since", given, now_us) end,
  ["until"] = function(plain, given, now_us) plain["until"] = instant("until", given, now_us) end,
  order = function(plain, given)
    if not ORDERS[given] then
      mistake("filter 'order' is '%s', must be newest or oldest", tostring(given))
    end
    plain.order = given
  end,
  unreadable = function(plain, given)
    if type(given) ~= "boolean" then mistake("filter 'unreadable' must be true or false") end
    plain.unreadable = given
  end,
}

local function read_all(given, now_us)
  local plain, where = {}, nil
  for key, value in pairs(given) do
    if IS_FIELD[key] then
      plain[key] = match(key, value)
    elseif key == "where" then
      if type(value) ~= "function" then
        mistake("filter 'where' must be a function, not a %s", type(value))
      end
      where = value
    elseif READERS[key] then
      READERS[key](plain, value, now_us)
    else
      mistake("unknown filter key '%s'", tostring(key))
    end
  end
  return plain, where
end

---- the builder -------------------------------------------------------------------------------

local Builder = {}
Builder.__index = Builder

local function put(key)
  return function(self, value)
    if value == nil then error("filter '" .. key .. "': a value is missing", 2) end
    if self.filter[key] ~= nil then error("filter '" .. key .. "' is given twice", 2) end
    self.filter[key] = value
    return self
  end
end

-- The conditions of a field: :user{...} sets the list, :not_user{...} its "not".
local function put_match(key, negate)
  return function(self, value)
    if value == nil then error("filter '" .. key .. "': a value is missing", 2) end
    local slot = negate and "excluded" or "matched"
    if self[slot][key] ~= nil then error("filter '" .. key .. "' is given twice", 2) end
    self[slot][key] = value
    return self
  end
end

local function built(builder)
  local given = {}
  for key, value in pairs(builder.filter) do given[key] = value end
  for key, value in pairs(builder.matched) do given[key] = value end
  for key, value in pairs(builder.excluded) do
    local matched = given[key]
    local both = { ["not"] = value }
    if type(matched) == "table" then
      for k, v in pairs(matched) do both[k] = v end
    elseif matched ~= nil then
      both[1] = matched
    end
    given[key] = both
  end
  return given
end

for method, key in pairs({
  user = "user_id", type = "event_type", action = "action", resource_type = "resource_type",
  resource_id = "resource_id", result = "result", request_id = "request_id", ip = "ip_address",
  id = "id",
}) do
  Builder[method] = put_match(key, false)
  Builder["not_" .. method] = put_match(key, true)
end
for _, key in ipairs({ "since", "limit", "order", "after" }) do Builder[key] = put(key) end
Builder.until_ = put("until")

-- :seq(5), :seq(5, 9), :seq(nil, 9)
function Builder:seq(first, last)
  if first == nil and last == nil then error("filter 'seq': a value is missing", 2) end
  if self.filter.seq ~= nil then error("filter 'seq' is given twice", 2) end
  self.filter.seq = (last == nil and first) or { first, last }
  return self
end

-- Several conditions must all hold; the first one that says no ends it.
function Builder:where(condition)
  if type(condition) ~= "function" then
    error("filter 'where' must be a function, not a " .. type(condition), 2)
  end
  local before = self.filter.where
  self.filter.where = before and function(e) return before(e) and condition(e) end or condition
  return self
end

-- An empty builder; every method returns it, and it goes wherever a filter table goes.
function filter.builder()
  return setmetatable({ filter = {}, matched = {}, excluded = {} }, Builder)
end

---- the door ----------------------------------------------------------------------------------

-- A filter (table, builder or nil) in the form the core takes, and the 'where' function if there
-- is one. 'given' is not changed. Relative times count from 'now_us' (default: the present).
-- Throws, 'level' calls up, for an unknown key or a wrong type; nil, message, "invalid" for a
-- value that makes no sense.
function filter.normalise(given, now_us, level)
  level = level and level + 1 or 2
  if given == nil then return {} end
  if type(given) ~= "table" then error("a filter is a table, not a " .. type(given), level) end
  if getmetatable(given) == Builder then given = built(given) end
  local good, plain, where = pcall(read_all, given, now_us)
  if good then return plain, where end
  local fault = plain
  if getmetatable(fault) ~= Fault then error(fault, 0) end
  if fault.throw then error(fault.message, level) end
  return nil, fault.message, "invalid"
end

return filter
