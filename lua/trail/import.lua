-- import.lua - foreign input into a trail: reads inputs, makes events of them, stores batches.
-- Level: over a log and the module trail, which are handed in; prints nothing, ends nothing.
-- SPDX-License-Identifier: MIT
--
-- docs/import.md says what a map is and what is counted how.

local import = {}

local find, sub = string.find, string.sub

local BLOCK_LEN = 65536
local LINE_LEN_MAX = 16 * 1024 * 1024

-- Fields that an event may have, and those that only the engine sets: they stand in what it
-- printed, and an import drops them.
local EVENT_FIELDS, ENGINE_FIELDS = {}, {}
for name in ([[id timestamp event_type user_id action resource_type resource_id result
    result_error details ip_address user_agent request_id]]):gmatch("%S+") do
  EVENT_FIELDS[name] = true
end
for name in ("seq recorded_at previous_hash event_hash entry who details_part"):gmatch("%S+") do
  ENGINE_FIELDS[name] = true
end

-- ---- words for what went wrong -------------------------------------------------------------

-- What was raised, or given as a reason, as a text. A script may raise anything.
local function error_text(raised)
  local kind = type(raised)
  if kind == "string" then return raised end
  if kind == "number" then return tostring(raised) end
  local meta = debug.getmetatable(raised)
  if meta and rawget(meta, "__tostring") then
    local good, text = pcall(tostring, raised)
    if good and type(text) == "string" then return text end
  end
  return ("an error that is no text (%s)"):format(kind == "nil" and "nil" or "a " .. kind)
end

-- The value of a JSON text; nil, a message, and whether it was too deep. Only details may be
-- deep, and what the decoder bears is more than what they may be.
function import.decode(trail, text)
  local value, message = trail.decode(text)
  if value ~= nil then return value end
  if find(message, "^nested deeper than") then return nil, "nested more than 32 deep", true end
  return nil, message, false
end

-- ---- lines --------------------------------------------------------------------------------

-- A function that gives one line after the other, without its end: line, or nil at the end of
-- the file, or nil and a message. A line that is too long is given as false.
-- 'count' (may be nil) is called with the number of bytes of each block.
function import.line_reader(handle, count)
  local block, at = "", 1
  local parts, parts_len = {}, 0
  local ended, first = false, true

  local function take(last)
    local line
    if parts_len + #last <= LINE_LEN_MAX then
      parts[#parts + 1] = last
      line = table.concat(parts):gsub("\r$", "")
    end
    parts, parts_len = {}, 0
    if first and line then line = line:gsub("^\239\187\191", "") end
    first = false
    return line or false
  end

  return function()
    while true do
      local stop = find(block, "\n", at, true)
      if stop then
        local last = sub(block, at, stop - 1)
        at = stop + 1
        return take(last)
      end
      local rest = sub(block, at)
      parts_len = parts_len + #rest
      if parts_len <= LINE_LEN_MAX then parts[#parts + 1] = rest else parts = {} end
      if ended then return nil end
      local message
      block, message = handle:read(BLOCK_LEN)
      at = 1
      if message then return nil, message end
      if not block then
        block, ended = "", true
        if parts_len > 0 then return take("") end
        return nil
      end
      if count then count(#block) end
    end
  end
end

-- ---- JSON Lines ---------------------------------------------------------------------------

local function shown_key(key)
  local kind = type(key)
  return (kind == "string" or kind == "number") and tostring(key) or kind
end

-- What a key that must not be there makes of an event: a message, or nil.
local function unknown_field(event)
  for key in next, event do
    if not EVENT_FIELDS[key] then
      return ("unknown field '%s'"):format(shown_key(key))
    end
  end
  return nil
end

import.unknown_field = unknown_field

-- The details text inside of a details part (docs/format.md: [salt, text or null, error]); nil
-- if there is none.
local function details_text(part)
  if sub(part, 1, 2) ~= "\131\80" then return nil end
  local kind, len, at = part:byte(19), nil, 20
  if kind and kind >= 0x60 and kind <= 0x77 then
    len = kind - 0x60
  elseif kind and kind >= 0x78 and kind <= 0x7A then
    local digits = 2 ^ (kind - 0x78)
    len = 0
    for i = at, at + digits - 1 do len = len * 256 + (part:byte(i) or 0) end
    at = at + digits
  end
  return len and sub(part, at, at + len - 1)
end

-- A line of an export has the stored text of details, byte for byte, in details_part: an event
-- that was stored as {"b":1,"a":2} must come back so, or it would not be the same event.
-- Returns nil, or what is wrong.
local function restore_details(event, exact, trail, unbase64)
  local part = unbase64(exact)
  local text = part and details_text(part)
  if not text or event.details == nil then return nil end
  local value, message = trail.decode(text)
  if value == nil and message or trail.encode(value) ~= trail.encode(event.details) then
    return "details and details_part disagree"
  end
  event.details, event.details_json = nil, text
  return nil
end

-- A function that makes an event of one line of JSON: the event; or nil, what became of it
-- ("skipped", "own": an event that the engine made itself, "bad") and for "bad" the reason.
-- 'unbase64' (may be nil) is needed to take details exactly as an export has them.
function import.json_lines(trail, unbase64)
  local null = trail.null
  return function(line)
    if not find(line, "%S") then return nil, "skipped" end
    if not find(line, "^[ \t]*{") then return nil, "bad", "not a JSON object" end
    local event, message = import.decode(trail, line)
    if event == nil then return nil, "bad", message end
    if event.trail_export ~= nil then return nil, "skipped" end
    if event.unreadable == true and event.stored ~= nil then
      return nil, "bad", "an entry that was damaged when it was exported"
    end
    if event.seq ~= nil and find(tostring(event.event_type), "^trail%.") then
      return nil, "own"
    end
    local exact = unbase64 and type(event.details_part) == "string" and event.details_part
    for key, value in pairs(event) do
      -- Clearing a field that exists is allowed during a traversal.
      if ENGINE_FIELDS[key] or (value == null and not (exact and key == "details")) then
        event[key] = nil
      end
    end
    message = unknown_field(event)
    if exact and not message then
      message = restore_details(event, exact, trail, unbase64)
    end
    if message then return nil, "bad", message end
    return event
  end
end

-- ---- maps ---------------------------------------------------------------------------------

local MAP_KEYS = { map = "function", files = "boolean", lines = "boolean", options = "table",
  start = "function" }

local function check_map(map)
  if type(map) ~= "table" then return "it returns no table" end
  for key, value in next, map do
    if not MAP_KEYS[key] then return ("unknown key '%s'"):format(shown_key(key)) end
    if type(value) ~= MAP_KEYS[key] then
      return ("'%s' must be a %s"):format(key, MAP_KEYS[key])
    end
  end
  if not map.map then return "the function 'map' is missing" end
  if map.files and map.lines then return "'files' and 'lines' exclude each other" end
  for key, help in next, map.options or {} do
    if type(key) ~= "string" or type(help) ~= "string" then
      return "'options' must be a table of name = \"help\""
    end
  end
  return nil
end

-- Run a map script and check what it returns: the map, or nil and a message. The script is
-- trusted: it has all of Lua. Bytecode is not, because Lua does not check it.
function import.load_map(path)
  local handle, message = io.open(path, "rb")
  if not handle then return nil, message end
  local text
  text, message = handle:read("*a")
  handle:close()
  if not text then return nil, path .. ": " .. tostring(message) end
  if sub(text, 1, 1) == "\27" then return nil, path .. ": bytecode is not accepted" end
  text = text:gsub("^#[^\n]*", "")
  local chunk
  chunk, message = (rawget(_G, "loadstring") or load)(text, "@" .. path)
  if not chunk then return nil, message end
  local good, map = pcall(chunk)
  if not good then return nil, error_text(map) end
  message = check_map(map)
  if message then return nil, path .. ": " .. message end
  return map
end

-- The options of a map, for a message: sorted lines "  name  help".
function import.option_lines(map)
  local names, width = {}, 0
  for name in next, map.options or {} do
    names[#names + 1] = name
    width = math.max(width, #name)
  end
  table.sort(names)
  for index, name in ipairs(names) do
    names[index] = "  " .. name .. (" "):rep(width - #name) .. "  " .. map.options[name]
  end
  return names
end

-- ---- the job ------------------------------------------------------------------------------

local Job = {}
Job.__index = Job

-- A job: options
--   append(list) → seqs, receipts | nil, message, code    stores a list, all or none (required)
--   trail          the module (required)
--   unbase64(text) → bytes or nil   to take details exactly as an export has them
--   map, set       a checked map and what --set gave
--   batch          events a batch, default 1000
--   stop           end at the first bad input
--   on_bad(file, line, message)   called for each bad input, in order; line may be nil
--   on_batch(job)  called after each batch
--   interrupted()  asked before each input; true ends the job after the batch
-- Counts: read, stored, duplicate, refused, skipped (own of them the engine's), bytes.
function import.new(options)
  local job = setmetatable({
    append = options.append, trail = options.trail, map = options.map,
    batch = options.batch or 1000, stop = options.stop,
    on_bad = options.on_bad or function() end,
    on_batch = options.on_batch or function() end,
    interrupted = options.interrupted or function() return false end,
    context = { set = options.set or {}, trail = options.trail }, at_file = nil, at_line = nil,
    read = 0, stored = 0, duplicate = 0, refused = 0, skipped = 0, own = 0, bytes = 0,
    events = {}, places = {}, bad = {}, seen = {}, count = 0,
  }, Job)
  job.from_json = import.json_lines(options.trail, options.unbase64)
  return job
end

-- Ask the map whether it can begin: nil, or what is wrong.
function Job:start()
  if not self.map or not self.map.start then return nil end
  local good, message = pcall(self.map.start, self.context)
  if good and (message == nil or type(message) == "string") then return message end
  return good and "the map's 'start' must return a text or nothing" or error_text(message)
end

-- A message of the batch, kept until the batch is stored, so that they come in order.
function Job:note(order, place, message)
  self.refused = self.refused + 1
  self.bad[#self.bad + 1] = { order = order, index = #self.bad, file = place.file,
    line = place.line, message = (place.prefix or "") .. message }
end

function Job:report()
  local bad = self.bad
  if #bad == 0 then return end
  table.sort(bad, function(a, b)
    if a.order ~= b.order then return a.order < b.order end
    return a.index < b.index
  end)
  self.bad = {}
  -- With 'stop' only the first one counts: nothing behind it was looked at.
  local last = self.stopped and 1 or #bad
  self.refused = self.refused - (#bad - last)
  for i = 1, last do
    self.on_bad(bad[i].file, bad[i].line, bad[i].message)
  end
end

function Job:count_stored(receipts, count)
  for i = 1, count do
    if receipts and receipts[i] and receipts[i].duplicate then
      self.duplicate = self.duplicate + 1
    else
      self.stored = self.stored + 1
    end
  end
end

-- What a program does wrong is thrown; here the program is the input.
local function try_append(job, list)
  local good, seqs, receipts, code = pcall(job.append, list)
  if good then return seqs, receipts, code end
  return nil, (error_text(seqs):gsub("^[^\n]-%.lua:%d+: ", "")), "invalid"
end

local function part_of(list, first, last)
  local part = {}
  for i = first, last do part[#part + 1] = list[i] end
  return part
end

-- Store the batch. If it is refused, what stands before the bad event is stored, the bad event
-- is reported, and the rest is tried again in growing pieces: many bad events cost little.
-- Returns true, or nil, message, code if the trail itself fails.
function Job:store()
  local events, places, total = self.events, self.places, self.count
  self.events, self.places, self.seen, self.count = {}, {}, {}, 0
  local at, size = 1, total
  while at <= total and not self.stopped do
    local last = math.min(total, at + size - 1)
    local seqs, receipts, code = try_append(self,
      (at == 1 and last == total) and events or part_of(events, at, last))
    if seqs then
      self:count_stored(receipts, last - at + 1)
      at, size = last + 1, size * 2
    elseif code ~= "invalid" and code ~= "exists" then
      return nil, receipts, code
    else
      local number, message = tostring(receipts):match("^event (%d+): (.*)$")
      number = tonumber(number) or (last == at and 1 or nil)
      if number == 1 then
        self:note(at, places[at], message or receipts)
        at, size = at + 1, math.max(1, size)
        self.stopped = self.stop
      else
        size = number and number - 1 or 1
      end
    end
  end
  return true
end

-- End the batch: store it, report what was bad in it.
function Job:flush()
  local done, message, code = true, nil, nil
  if self.count > 0 then done, message, code = self:store() end
  self:report()
  self.on_batch(self)
  if not done then return nil, message, code end
  return true
end

function Job:place(prefix)
  return { file = self.at_file, line = self.at_line, prefix = prefix }
end

-- An input that cannot become an event.
function Job:refuse(message, prefix)
  self:note(self.count + 1, self:place(prefix), message)
  if self.stop then
    local done, text, code = self:flush()
    self.stopped = true
    return done, text, code
  end
  -- So that a file of nothing but bad lines is reported as it is read.
  if #self.bad >= self.batch then return self:flush() end
  return true
end

-- What is wrong with one event of a map, or nil.
function Job:fault_of(event)
  if type(event) ~= "table" then
    return "the map returned a " .. type(event) .. ", not an event"
  end
  if self.seen[event] then
    return "the map returned the same table twice; each event needs its own"
  end
  return unknown_field(event)
end

function Job:add(event, prefix)
  local count = self.count + 1
  self.count = count
  self.events[count], self.places[count] = event, self:place(prefix)
  if count >= self.batch then return self:flush() end
  return true
end

function Job:take_one(event, prefix)
  local message = self:fault_of(event)
  if message then return self:refuse(message, prefix) end
  self.seen[event] = true
  return self:add(event, prefix)
end

-- What the map made of an input.
function Job:take(result, reason)
  if result == nil and reason ~= nil then return self:refuse(error_text(reason)) end
  if result == nil or (type(result) == "table" and next(result) == nil) then
    self.skipped = self.skipped + 1
    return true
  end
  if type(result) ~= "table" or rawget(result, 1) == nil then return self:take_one(result) end
  for index = 1, rawlen(result) do
    local done, message, code = self:take_one(rawget(result, index), ("event %d: "):format(index))
    if not done then return nil, message, code end
    if self.stopped then break end
  end
  return true
end

-- The map may do what it likes with its context; where we are is kept elsewhere.
function Job:tell_place()
  rawset(self.context, "file", self.at_file)
  rawset(self.context, "line", self.at_line)
end

function Job:input(text)
  self.read = self.read + 1
  if text == false then
    return self:refuse(("the line is longer than %d bytes"):format(LINE_LEN_MAX))
  end
  if self.map then
    self:tell_place()
    local good, result, reason = pcall(self.map.map, text, self.context)
    if not good then return self:refuse(error_text(result)) end
    return self:take(result, reason)
  end
  local event, fate, reason = self.from_json(text)
  if event then return self:add(event) end
  if fate == "bad" then return self:refuse(reason) end
  self.skipped = self.skipped + 1
  if fate == "own" then self.own = self.own + 1 end
  return true
end

local function read_failed(job, name, message)
  local done, text, code = job:flush()
  if not done then return nil, text, code end
  if job.interrupted() then return true end
  return nil, ("cannot read %s: %s"):format(name, message), "io"
end

function Job:whole_file(name, handle)
  local text, message = handle:read("*a")
  if not text then return read_failed(self, name, message) end
  self.bytes = self.bytes + #text
  return self:input(text)
end

function Job:file_lines(name, handle)
  local next_line = import.line_reader(handle, function(len) self.bytes = self.bytes + len end)
  local interrupted = self.interrupted
  local number = 0
  while not self.stopped and not interrupted() do
    local line, message = next_line()
    if line == nil then
      if message then return read_failed(self, name, message) end
      return true
    end
    number = number + 1
    self.at_line = number
    local done, code
    done, message, code = self:input(line)
    if not done then return nil, message, code end
  end
  return true
end

-- Read one file. Returns true, or nil, message, code if reading or storing failed; then the
-- job is over. A job that was stopped or interrupted reads nothing more.
function Job:file(name, handle)
  if self.stopped or self.interrupted() then return true end
  self.at_file, self.at_line = name, nil
  if self.map and self.map.files then return self:whole_file(name, handle) end
  return self:file_lines(name, handle)
end

-- Store what is left. Returns true, or nil, message, code.
function Job:finish()
  return self:flush()
end

return import
