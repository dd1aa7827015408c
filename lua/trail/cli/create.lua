-- create.lua - trail init: make a new trail.
-- Level: cli; requires the terminal, the store and the shared flags.
-- SPDX-License-Identifier: MIT

local facts = require("trail.cli.facts")
local options = require("trail.cli.options")
local store = require("trail.cli.store")
local terminal = require("trail.cli.terminal")

local create = {
  usage = "Usage: trail init DIR [--origin NAME] [--index PATH] [--size-max SIZE]"
    .. " [--map-size SIZE] [-o FORMAT]",
  description = "Make a new trail, the directory DIR, which must not exist yet.",
  epilog = [[
Prints the id of the new log and its head: the sequence number and hash of its last event. Event 1
is the trail's creation. Note the head down somewhere else: trail verify --expect-head compares.

Every field of an event is indexed but for texts that only explain it. --index details.region also
indexes what stands at that path in details, for good: filters on it are fast, trail top can count
it. Other paths can be looked for too; then the details of all events in question are read.

Examples:
  trail init audit.trail
  trail init audit.trail --index details.region --index details.actor.name
  trail init audit.trail --origin billing.example.com --size-max 10G]],
}

function create.define(command)
  command:argument("DIR"):target("dir"):description("the directory to make")
  command:option("--origin"):argname("NAME")
    :description("name of this log, part of its first hash (default: trail)")
  command:option("--index"):count("*"):argname("PATH")
    :description("index this path in details too: details.region; up to 16 of them")
  command:option("--size-max"):argname("SIZE")
    :description("the most bytes the file may take: 500M, 10G (default: no limit)")
  command:option("--map-size"):argname("SIZE")
    :description("address space to reserve; grows by itself (default: 64G)")
  options.add_output(command, { "line", "json" })
end

-- The paths of --index, each once.
local function paths_of(args)
  local paths, seen = {}, {}
  if #args.index > 16 then
    terminal.fail(terminal.USAGE, "--index is given %d times, the limit is 16", #args.index)
  end
  for _, path in ipairs(args.index) do
    path = path:match("^details%.(.*)$") or path
    if path == "" then
      terminal.fail(terminal.USAGE, "--index wants a path in details, such as details.region")
    end
    if seen[path] then terminal.fail(terminal.USAGE, "--index names 'details.%s' twice", path) end
    seen[path] = true
    paths[#paths + 1] = path
  end
  return paths
end

function create.run(args)
  local log = store.create(args.dir, {
    origin = args.origin,
    index = paths_of(args),
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
