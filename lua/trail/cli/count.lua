-- count.lua - trail count: how many events match. Just the number.
-- Level: cli; requires the terminal, the store and the shared flags.
-- SPDX-License-Identifier: MIT

local options = require("trail.cli.options")
local store = require("trail.cli.store")
local terminal = require("trail.cli.terminal")

local count = {
  usage = "Usage: trail count DIR [filters]",
  description = "Count events. Prints the number and nothing else.",
  epilog = options.FILTER_HELP .. [[


Exit code: 0 if there are any, 1 if the number is 0.

Examples:
  trail count audit.trail
  trail count audit.trail --type auth_attempt --result failure --since "1 hour ago"]],
}

function count.define(command)
  command:argument("DIR"):target("dir"):description("the trail")
  options.add_filters(command)
end

function count.run(args)
  local filter, condition = options.filter(args)
  local log = store.open(args.dir)
  store.query(log, filter, { details = "text" }):close()
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
  log:close()
  terminal.out(("%d\n"):format(number))
  return number > 0 and terminal.OK or terminal.NOTHING
end

return count
