-- log.lua - trail log: print events.
-- Level: cli; requires the terminal, the store and the shared flags.
-- SPDX-License-Identifier: MIT

local explain = require("trail.cli.explain")
local follow = require("trail.cli.follow")
local options = require("trail.cli.options")
local store = require("trail.cli.store")
local terminal = require("trail.cli.terminal")

-- What a terminal shows if nobody asked for a number.
local SHOWN_ON_TERMINAL = 50

local log_command = {
  usage = "Usage: trail log DIR [filters] [-n N] [-r] [--after SEQ] [-o FORMAT] [--fields A,B]\n"
    .. "       trail log DIR -f [filters] [-n N | --after SEQ] [-o FORMAT]\n"
    .. "       trail log DIR --explain [filters] [-n N] [-o FORMAT]",
  description = "Print events, the newest last.",
  epilog = options.FILTER_HELP .. [[


On a terminal the newest 50 are shown as a table that fits its width; -n N shows N. Piped, all
events are printed as JSON Lines, oldest first. -n N without --after means the newest N; with
--after SEQ the N that follow event SEQ in the order asked for, so that pages can be read.

-f prints the newest 10 (-n N: N; --after SEQ: all behind event SEQ), and then every new event as it
is stored, by whatever process, until Ctrl-C, or until nobody reads the output any more.

--explain prints no event, but how they were found: what was looked up in the index, how many
entries were read, in which time.

Exit code: 1 if no event matches; 0 with -f, also after Ctrl-C, and with --explain.

Examples:
  trail log audit.trail --user alice --since "7 days ago"
  trail log audit.trail --type auth_attempt --result failure -n 20 -r
  trail log audit.trail --where 'details.gold and details.gold > 100' -o csv > trades.csv
  trail log audit.trail -f --result failure --details region="eu-*"
  trail log audit.trail --not-result success --fields timestamp,user_id,result_error]],
}

function log_command.define(command)
  command:argument("DIR"):target("dir"):description("the trail")
  options.add_filters(command)
  command:option("--number"):hidden_name("-n"):argname("N"):description("at most N events (-n)")
  command:flag("-r --reverse"):description("newest first")
  command:flag("-f --follow"):description("go on with new events as they come")
  explain.add_flag(command)
  command:option("--after"):argname("SEQ"):description("go on behind this event")
  options.add_output(command, { "table", "jsonl", "json", "csv", "line" })
  options.add_fields(command)
  command:flag("--csv-raw"):description("csv: do not disarm cells that look like formulas")
  options.add_color(command)
end

-- Set limit and order of the filter. Returns whether the result must be turned around, and
-- whether one event more was asked for, to know if there are more than shown.
local function plan(args, filter)
  local number = args.number and options.number("--number", args.number, 0)
  local peek = false
  if args.after then filter.after = options.number("--after", args.after, 1) end
  if not number and terminal.is_terminal(1) and not args.output and not args.after then
    number, peek = SHOWN_ON_TERMINAL + 1, true
  end
  filter.limit = number
  local newest_first = args.reverse or (number ~= nil and not args.after)
  filter.order = newest_first and "newest" or "oldest"
  return newest_first and not args.reverse, peek
end

local function print_turned(found, writer, peek)
  local list = found:all()
  local more = peek and #list > SHOWN_ON_TERMINAL
  for index = more and SHOWN_ON_TERMINAL or #list, 1, -1 do writer:write(list[index]) end
  return #list, more
end

local function print_stream(found, writer, peek)
  local count = 0
  for record in found do
    count = count + 1
    if peek and count > SHOWN_ON_TERMINAL then return count, true end
    writer:write(record)
  end
  return count, false
end

local function refuse_together(args, flag, other)
  if args[other] then
    terminal.fail(terminal.USAGE, "%s and --%s exclude each other", flag, other)
  end
end

local function run_follow(args, filter, condition)
  for _, other in ipairs({ "reverse", "explain" }) do refuse_together(args, "--follow", other) end
  if args.number then refuse_together(args, "--number with --follow", "after") end
  if args.output == "json" then
    terminal.fail(terminal.USAGE, "--follow has no end, as json needs; use jsonl")
  end
  filter.limit = args.number and options.number("--number", args.number, 0)
  filter.after = args.after and options.number("--after", args.after, 1)
  local log = store.open(args.dir)
  local code = follow.run(log, filter, options.writer(args, "table"))
  log:close()
  if condition then condition.report() end
  return code
end

function log_command.run(args)
  local filter, condition = options.filter(args)
  if args.follow then return run_follow(args, filter, condition) end
  local turned, peek = plan(args, filter)
  if args.explain then
    local log = store.open(args.dir)
    local code = explain.query(log, filter, args)
    log:close()
    if condition then condition.report() end
    return code
  end
  local writer = options.writer(args, "table")
  local log = store.open(args.dir)
  local found = store.query(log, filter, { details = "text" })
  local count, more
  store.guarded(function()
    count, more = (turned and print_turned or print_stream)(found, writer, peek)
  end)
  writer:finish()
  log:close()
  terminal.flush()
  if condition then condition.report() end
  if more then
    terminal.say(("the newest %d are shown; -n N shows more"):format(SHOWN_ON_TERMINAL))
  end
  return count > 0 and terminal.OK or terminal.NOTHING
end

return log_command
