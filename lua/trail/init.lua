-- init.lua - `require "trail"`: the face of the engine in Lua; docs/lua.md says what it promises.
-- Level: over trail.core (C) and the pure modules time, event, filter, query.
-- SPDX-License-Identifier: MIT

local core = require "trail.core"
local event = require "trail.event"
local filter = require "trail.filter"
local query = require "trail.query"
local time = require "trail.time"

event.array = core.array

local trail = {
  _VERSION = core.version,
  open = core.open,
  verify = core.verify_path,
  null = core.null,
  array = core.array,
  encode = core.encode,
  decode = core.decode,
  now = core.now,
  uuid5 = core.uuid5,
  filter = filter.builder,
}

local methods = core.log_methods
local core_append, core_count = methods.append, methods.count

---- append: a timestamp may be words ----------------------------------------------------------

-- The event with its timestamp as microseconds; itself if it has no words to translate.
local function with_time(one)
  local words = type(one) == "table" and rawget(one, "timestamp")
  if type(words) ~= "string" then return one end
  local us, message = time.parse(words, core.now())
  if not us then return nil, "field 'timestamp': " .. message end
  local changed = {}
  for key, value in pairs(one) do changed[key] = value end
  changed.timestamp = us
  return changed
end

-- The same for a list; the list is copied only if one of its events was.
local function list_with_times(list)
  local changed
  for i = 1, #list do
    local one, message = with_time(list[i])
    if message then return nil, "event " .. i .. ": " .. message end
    if one ~= list[i] and not changed then
      changed = {}
      for key, value in pairs(list) do changed[key] = value end
    end
    if changed then changed[i] = one end
  end
  return changed or list
end

local function append(log, events)
  local message
  if type(events) == "table" then
    if rawget(events, 1) ~= nil then
      events, message = list_with_times(events)
    else
      events, message = with_time(events)
    end
    if message then return nil, message, "invalid" end
  end
  return core_append(log, events)
end

methods.append = append

---- query and count ---------------------------------------------------------------------------

function methods.query(log, given, options)
  local found = query.new(log, given, options, 2)
  return found
end

function methods.count(log, given)
  local plain, where, code = filter.normalise(given, nil, 2)
  if not plain then return nil, where, code end
  if where then return query.count(log, plain, where) end
  return core_count(log, plain)
end

---- events with a name ------------------------------------------------------------------------

local function add_method(name)
  methods[name] = function(log, args)
    local filled, message, code = event.build(name, args, 2)
    if not filled then return nil, message, code end
    return append(log, filled)
  end
end

for _, name in ipairs(event.names) do add_method(name) end

-- A method for a type of your own, on every log of this Lua state.
function trail.define(name, spec)
  event.define(name, spec, methods, 2)
  add_method(name)
end

-- The event that log:name(args) would store.
function trail.event(name, args)
  local filled, message, code = event.build(name, args, 2)
  if not filled then return nil, message, code end
  return filled
end

---- time --------------------------------------------------------------------------------------

-- Words to microseconds: us, or nil, message, "invalid".
function trail.time(words, now_us)
  if type(words) ~= "string" and type(words) ~= "number" then
    error("a time is a string or a number, not a " .. type(words), 2)
  end
  local us, message = time.parse(words, now_us)
  if not us then return nil, message, "invalid" end
  return us
end

trail.format_time = time.format

return trail
