-- top.lua - trail top: which values of a field occur most.
-- Level: cli; requires the terminal, the store, the tallies and the shared flags.
-- SPDX-License-Identifier: MIT

local chart = require("trail.cli.chart")
local options = require("trail.cli.options")
local store = require("trail.cli.store")
local tallies = require("trail.cli.tallies")
local terminal = require("trail.cli.terminal")

local ROWS = 10

local top = {
  usage = "Usage: trail top DIR FIELD [filters] [-n N] [-o FORMAT]",
  description = "Show the values of a field that occur most, and how often.",
  epilog = options.FILTER_HELP .. [[


FIELD is event_type, user_id, action, resource_type, resource_id, result, request_id, ip_address, or
details.PATH if the trail indexes that path (trail init --index). Of an array in details each value
counts. On a terminal bars show the counts; elsewhere they are drawn if COLUMNS says how wide.

Exit code: 1 if no event matches.

Examples:
  trail top audit.trail user_id --type auth_attempt --result failure --since "1 day ago"
  trail top audit.trail details.region -n 3 -o csv]],
}

function top.define(command)
  command:argument("DIR"):target("dir"):description("the trail")
  command:argument("FIELD"):target("field"):description("the field whose values are counted")
  options.add_filters(command)
  command:option("--number"):hidden_name("-n"):argname("N")
    :description(("at most N values (default: %d) (-n)"):format(ROWS))
  options.add_output(command, chart.FORMATS)
  command:flag("--csv-raw"):description("csv: do not disarm cells that look like formulas")
  options.add_color(command)
end

function top.run(args)
  local filter, condition = options.filter(args)
  local field = tallies.field("top", args.field)
  local number = args.number and options.number("--number", args.number, 1) or ROWS
  local log = store.open(args.dir)
  local found = tallies.top(log, field, filter, condition, number)
  log:close()
  tallies.print_top(field, found, args, "-n N shows more")
  return found.events > 0 and terminal.OK or terminal.NOTHING
end

return top
