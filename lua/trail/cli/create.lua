-- create.lua - trail init: make a new trail.
-- Level: cli; requires the terminal, the store and the shared flags.
-- SPDX-License-Identifier: MIT

local facts = require("trail.cli.facts")
local options = require("trail.cli.options")
local store = require("trail.cli.store")
local terminal = require("trail.cli.terminal")

local create = {
  usage = "Usage: trail init DIR [--origin NAME] [--size-max SIZE] [--map-size SIZE] [-o FORMAT]",
  description = "Make a new trail, the directory DIR, which must not exist yet.",
  epilog = [[
Prints the id of the new log and its head: the sequence number and hash of its last event. Event 1
is the trail's creation. Note the head down somewhere else: trail verify --expect-head compares.

Examples:
  trail init audit.trail
  trail init audit.trail --origin billing.example.com --size-max 10G]],
}

function create.define(command)
  command:argument("DIR"):target("dir"):description("the directory to make")
  command:option("--origin"):argname("NAME")
    :description("name of this log, part of its first hash (default: trail)")
  command:option("--size-max"):argname("SIZE")
    :description("the most bytes the file may take: 500M, 10G (default: no limit)")
  command:option("--map-size"):argname("SIZE")
    :description("address space to reserve; grows by itself (default: 64G)")
  options.add_output(command, { "line", "json" })
end

function create.run(args)
  local log = store.create(args.dir, {
    origin = args.origin,
    size_max = args.size_max and options.size("--size-max", args.size_max),
    map_size = args.map_size and options.size("--map-size", args.map_size),
  })
  local info, message, status = log:info()
  if not info then terminal.fail_status(status, message) end
  facts.print({
    { "path", args.dir }, { "log_id", info.log_id }, { "origin", info.origin },
    { "head", info.head },
  }, args.output)
  log:close()
  return terminal.OK
end

return create
