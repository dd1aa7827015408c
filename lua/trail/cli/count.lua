-- count.lua - trail count: how many events match, in all, by time or by value.
-- Level: cli; requires the terminal, the store, the tallies, explain and the shared flags.
-- SPDX-License-Identifier: MIT

local chart = require("trail.cli.chart")
local explain = require("trail.cli.explain")
local options = require("trail.cli.options")
local store = require("trail.cli.store")
local tallies = require("trail.cli.tallies")
local terminal = require("trail.cli.terminal")

local count = {
  usage = "Usage: trail count DIR [filters] [--by hour|day|minute|FIELD] [-o FORMAT]\n"
    .. "       trail count DIR --explain [filters]",
  description = "Count events. Without --by it prints the number and nothing else.",
  epilog = options.FILTER_HELP .. [[


--by hour, day or minute counts by when the events happened (UTC), --by FIELD by the values of a
field, all of them (trail top shows the first ones). On a terminal bars show the counts; elsewhere
they are drawn if COLUMNS says how wide. A table also has the intervals without events in between.

--explain prints, instead of the number, how it was found.

Exit code: 0 if there are any, 1 if the number is 0.

Examples:
  trail count audit.trail
  trail count audit.trail --type auth_attempt --result failure --since "1 hour ago"
  trail count audit.trail --by hour --since today
  trail count audit.trail --by result -o csv]],
}

function count.define(command)
  command:argument("DIR"):target("dir"):description("the trail")
  options.add_filters(command)
  command:option("--by"):argname("WHAT")
    :description("hour, day, minute, or a field: one number for each")
  explain.add_flag(command)
  options.add_output(command, chart.FORMATS)
  command:flag("--csv-raw"):description("csv: do not disarm cells that look like formulas")
  options.add_color(command)
end

-- Events that the filter finds.
local function number_of(log, filter, condition)
  local number, message, status
  if condition then
    -- The condition wants details as text, which only a query hands out.
    number = 0
    local found = store.query(log, filter, { details = "text" })
    store.guarded(function()
      for _ in found do number = number + 1 end
    end)
    condition.report()
  else
    number, message, status = log:count(filter)
    if not number then terminal.fail_status(status, message) end
  end
  return number
end

local WITHOUT_BY = {
  json = '{"count":%d}\n', jsonl = '{"count":%d}\n', csv = "count\n%d\n", table = "%d\n",
}

local function print_number(log, filter, condition, args)
  store.query(log, filter, { details = "text" }):close()
  local number = number_of(log, filter, condition)
  log:close()
  terminal.out(WITHOUT_BY[args.output or "table"]:format(number))
  return number
end

-- More values than any trail has.
local ALL = 10000000

local function print_by(log, filter, condition, args)
  local found
  if tallies.is_interval(args.by) then
    found = tallies.histogram(log, args.by, filter, condition)
    log:close()
    tallies.print_histogram(args.by, found, args)
  else
    found = tallies.top(log, args.by, filter, condition, ALL)
    log:close()
    tallies.print_top(args.by, found, args)
  end
  return found.events
end

function count.run(args)
  local filter, condition = options.filter(args)
  if args.by and args.explain then
    terminal.fail(terminal.USAGE, "--explain and --by exclude each other")
  end
  if args.by and not tallies.is_interval(args.by) then
    tallies.field("--by", args.by, "intervals are hour, day, minute, ")
  end
  local log = store.open(args.dir)
  if args.explain then
    local code = explain.count(log, filter, condition, args)
    log:close()
    if condition then condition.report() end
    return code
  end
  local number = (args.by and print_by or print_number)(log, filter, condition, args)
  return number > 0 and terminal.OK or terminal.NOTHING
end

return count
