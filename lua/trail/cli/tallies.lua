-- tallies.lua - events counted by value and by time, as trail top and trail count --by print them.
-- Level: cli; requires trail, trail.tally, trail.time, the chart, the store and the terminal.
-- SPDX-License-Identifier: MIT

local chart = require("trail.cli.chart")
local core = require("trail.core")
local escape = require("trail.escape")
local format = require("trail.format")
local store = require("trail.cli.store")
local tally = require("trail.tally")
local terminal = require("trail.cli.terminal")
local time = require("trail.time")
local trail = require("trail")
local options = require("trail.cli.options")

local tallies = {}

-- ---- counting -----------------------------------------------------------------------------

local function decoded_details(record)
  return record.details ~= nil and trail.decode(record.details) or nil
end

-- A condition of --where wants details as text, which only a query hands out.
local function tallied(log, filter, condition, counter, row_max)
  local found = store.query(log, filter, { details = "text" })
  store.guarded(function()
    for record in found do counter:add(record) end
  end)
  condition.report()
  return counter:result(row_max)
end

local function checked(result, message, status)
  if result then return result end
  if status == "invalid" then terminal.fail(terminal.USAGE, "%s", options.in_flags(message)) end
  terminal.fail_status(status, message)
end

-- What log:top returns.
function tallies.top(log, field, filter, condition, row_max)
  local found = checked(log:top(field, condition and { seq = 1 } or filter,
    condition and 1 or row_max))
  if not condition then return found end
  return tallied(log, filter, condition, tally.top(field, core.encode, decoded_details), row_max)
end

-- What log:histogram returns.
function tallies.histogram(log, interval, filter, condition)
  if not condition then return checked(log:histogram(interval, filter)) end
  return tallied(log, filter, condition, tally.histogram(tally.interval(interval)))
end

-- ---- by value -----------------------------------------------------------------------------

-- A value of details for people: text without quotes, unless it could be taken for another value.
local function detail_label(value)
  if type(value) ~= "string" then return escape.json_text(core.encode(value)) end
  if value == "" or trail.decode(value) ~= nil then return escape.json(value) end
  return escape.text(value)
end

local function value_row(value, count, in_details)
  local row = { count = count }
  if in_details then
    row.json = type(value) == "string" and escape.json(value)
      or escape.json_text(core.encode(value))
    row.label = detail_label(value)
  else
    row.json, row.label = escape.json(value), escape.text(value)
  end
  row.raw = type(value) == "string" and value or row.label
  row.cell = type(value) == "string" and escape.text(value) or row.label
  -- A number is no formula, even if it is negative.
  if type(value) == "number" then row.raw = "0" end
  return row
end

-- Print what top() found. 'more' is what to say if there are more values than rows.
function tallies.print_top(field, found, args, more)
  local rows, in_details = {}, field:match("^details%.") ~= nil
  for index, row in ipairs(found) do rows[index] = value_row(row.value, row.count, in_details) end
  local as_table = chart.print({
    name = "value", rows = rows, head = escape.text(field), total = found.events,
    summary = { { "field", field }, { "events", found.events }, { "absent", found.absent },
      { "distinct", found.distinct } },
    table_rows = function() return rows end,
  }, args)
  terminal.flush()
  if as_table then
    local hidden = found.distinct > #rows and more
    terminal.say(("%s events, %s values, %s events without one%s"):format(
      format.grouped(found.events), format.grouped(found.distinct), format.grouped(found.absent),
      hidden and "; " .. more or ""))
  end
end

-- ---- by time ------------------------------------------------------------------------------

local LABEL_LEN = { day = 10, hour = 16, minute = 16 }

-- More empty rows than that in one place become one line that says how many they are.
local EMPTY_ROWS_MAX = 24

-- The rows of a table: also those intervals between others in which nothing happened.
local function time_rows(found, interval)
  local step, rows = tally.interval(interval), {}
  local function add(at, count)
    local label = time.format(at):sub(1, LABEL_LEN[interval]):gsub("T", " ")
    rows[#rows + 1] = { label = label, count = count }
  end
  for index, bucket in ipairs(found) do
    local empty = index > 1 and (bucket.time - found[index - 1].time) // step - 1 or 0
    if empty > EMPTY_ROWS_MAX then
      rows[#rows + 1] = { gap = ("... %s %ss without events"):format(format.grouped(empty),
        interval) }
    else
      for back = empty, 1, -1 do add(bucket.time - back * step, 0) end
    end
    add(bucket.time, bucket.count)
  end
  return rows
end

-- Print what histogram() found.
function tallies.print_histogram(interval, found, args)
  local rows = {}
  for index, bucket in ipairs(found) do
    local text = time.format(bucket.time)
    rows[index] = { json = '"' .. text .. '"', cell = text, raw = text, count = bucket.count }
  end
  chart.print({
    name = "time", rows = rows, head = interval .. " (UTC)", total = found.events,
    summary = { { "interval", interval }, { "events", found.events } },
    table_rows = function() return time_rows(found, interval) end,
  }, args)
end

-- ---- the word that says by what -----------------------------------------------------------

local IS_FIELD = {}
for _, field in ipairs(core.fields) do IS_FIELD[field] = true end

-- The field of an event that a word on the command line means; ends the command if there is none.
function tallies.field(flag, word, more)
  if IS_FIELD[word] and word ~= "id" or word:match("^details%..") then return word end
  if word == "id" then
    terminal.fail(terminal.USAGE, "%s: every event has an id of its own", flag)
  end
  terminal.fail(terminal.USAGE, "%s: there is no field '%s'; %sfields are %s, details.PATH", flag,
    word, more or "", table.concat(core.fields, ", ", 2))
end

function tallies.is_interval(word)
  return LABEL_LEN[word] ~= nil
end

return tallies
