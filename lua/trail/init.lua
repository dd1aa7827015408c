-- init.lua - `require "trail"`: the face of the engine in Lua; docs/lua.md says what it promises.
-- Level: over trail.core (C) and the pure modules time, escape, event, filter, query, tally.
-- SPDX-License-Identifier: MIT

local core = require "trail.core"
local escape = require "trail.escape"
local event = require "trail.event"
local filter = require "trail.filter"
local query = require "trail.query"
local tally = require "trail.tally"
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
  is_address = core.is_address,
  check = core.check,
  filter = filter.builder,
}

local methods = core.log_methods
local core_append, core_count = methods.append, methods.count
local core_top, core_histogram = methods.top, methods.histogram

-- A timestamp of an event, for append and check, may be words.
core.set_time_parser(time.parse)

-- Call a function of the core. What it throws is a mistake of whoever called the method 'name':
-- it is thrown on from there, 'level' calls up.
local function call_core(name, level, method, log, ...)
  local good, value, more, code = pcall(method, log, ...)
  if good then return value, more, code end
  if type(value) ~= "string" or value == "not enough memory" then error(value, 0) end
  error((value:gsub("to '%?'", "to '" .. name .. "'", 1)), level + 1)
end

---- query and count ---------------------------------------------------------------------------

function methods.query(log, given, options)
  local found = query.new(log, given, options, 2)
  return found
end

function methods.count(log, given)
  local plain, where, code = filter.normalise(given, nil, 2)
  if not plain then return nil, where, code end
  local count, message
  if where then
    count, message, code = query.count(log, plain, where)
    if not count then return nil, message, code end
    return count
  end
  count, message, code = call_core("count", 2, core_count, log, plain)
  if not count then return nil, message, code end
  return count
end

-- Count with a tally what 'where' keeps: its result, or nil, message, code.
local function tallied(log, plain, where, counter, row_max)
  plain.limit, plain.after, plain.order = nil, nil, nil
  local done, message, code = query.each(log, plain, where,
    function(record) counter:add(record) end)
  if not done then return nil, message, code end
  return counter:result(row_max)
end

local TOP_ROWS = 10

-- The values of a field that occur most: { events, absent, distinct, { value, count }, ... }.
function methods.top(log, field, given, row_max)
  row_max = row_max or TOP_ROWS
  if type(field) ~= "string" then
    error("top wants the name of a field, not a " .. type(field), 2)
  end
  local plain, where, code = filter.normalise(given, nil, 2)
  if not plain then return nil, where, code end
  local result, message
  -- With 'where' the core is only asked whether it would count that at all.
  local asked = where and { seq_last = 1 } or plain
  result, message, code = call_core("top", 2, core_top, log, field, asked, row_max)
  if not result then return nil, message, code end
  if where then
    result, message, code = tallied(log, plain, where, tally.top(field, core.encode), row_max)
    if not result then return nil, message, code end
  end
  return result
end

-- How many events in each interval of time: { events, { time, count }, ... }.
function methods.histogram(log, interval, given)
  local us = tally.interval(interval)
  if not us then
    local shown = type(interval) == "string" and '"' .. escape.text(interval) .. '"'
    error("an interval is \"second\", \"minute\", \"hour\", \"day\" or microseconds, not "
      .. (shown or type(interval)), 2)
  end
  local plain, where, code = filter.normalise(given, nil, 2)
  if not plain then return nil, where, code end
  local result, message
  local asked = where and { seq_last = 1 } or plain
  result, message, code = call_core("histogram", 2, core_histogram, log, us, asked)
  if not result then return nil, message, code end
  if where then
    result, message, code = tallied(log, plain, where, tally.histogram(us))
    if not result then return nil, message, code end
  end
  return result
end

---- explain -----------------------------------------------------------------------------------

local function explain_count(log, plain, where)
  local count, how, code
  if where then
    count, how, code = query.count(log, plain, where)
    if count then how = how:explain() end
  else
    count, how, code = core.count_explained(log, plain)
  end
  if not count then return nil, how, code end
  how.found = count
  return how
end

-- Run the query, or with { count = true } the count, and tell how the answer was found.
function methods.explain(log, given, options)
  local plain, where, code = filter.normalise(given, nil, 2)
  if not plain then return nil, where, code end
  local how, message
  if options and options.count then
    how, message, code = explain_count(log, plain, where)
    if not how then return nil, message, code end
    return how
  end
  local count = 0
  how, message, code = query.each(log, plain, where, function() count = count + 1 end, plain.limit)
  if not how then return nil, message, code end
  local explained = how:explain()
  explained.found = count
  how:close()
  return explained
end

---- events with a name ------------------------------------------------------------------------

local function add_method(name)
  methods[name] = function(log, args)
    local filled, message, code = event.build(name, args, 2)
    if not filled then return nil, message, code end
    local seq, receipt
    seq, receipt, code = call_core(name, 2, core_append, log, filled)
    if not seq then return nil, receipt, code end
    return seq, receipt
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

---- one line for print ------------------------------------------------------------------------

-- A caller may have changed the table, so nothing is certain about its values.
local function word(value)
  if value == nil then return "-" end
  return escape.text(tostring(value))
end

local function hash_of(head)
  return word(head.seq) .. ":" .. word(head.event_hash)
end

-- As trail verify --expect-head takes it.
core.head_meta.__tostring = hash_of

function core.receipt_meta.__tostring(receipt)
  return string.format("seq %s, id %s, event_hash %s%s", word(receipt.seq), word(receipt.id),
    word(receipt.event_hash), receipt.duplicate and ", was there already" or "")
end

function core.record_meta.__tostring(record)
  if record.readable == false then return "seq " .. word(record.seq) .. ": unreadable" end
  local good, happened = pcall(time.format, record.timestamp)
  return string.format("seq %s: %s %s %s %s %s %s %s%s", word(record.seq),
    good and happened or word(record.timestamp), word(record.event_type), word(record.user_id),
    word(record.action), word(record.resource_type), word(record.resource_id),
    word(record.result), record.result_error and " (" .. word(record.result_error) .. ")" or "")
end

return trail
