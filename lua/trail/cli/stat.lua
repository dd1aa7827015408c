-- stat.lua - trail stat: what a trail says of itself.
-- Level: cli; requires the terminal, the store and the shared flags.
-- SPDX-License-Identifier: MIT

local facts = require("trail.cli.facts")
local options = require("trail.cli.options")
local store = require("trail.cli.store")
local terminal = require("trail.cli.terminal")
local time = require("trail.time")

local stat = {
  usage = "Usage: trail stat DIR [-o FORMAT]",
  description = "Show id, origin, head, number of events, sizes and readers of a trail.",
  epilog = [[
events is the head's sequence number. file_bytes is what log.mdb takes on disk, used_bytes what
of it holds the trail. foreign_ids counts events whose id came from the caller.
Nothing is checked: that is what trail verify does.]],
}

function stat.define(command)
  command:argument("DIR"):target("dir"):description("the trail")
  options.add_output(command, { "line", "json" })
end

function stat.run(args)
  local log = store.open(args.dir)
  local info, message, status = log:info()
  if not info then terminal.fail_status(status, message) end
  facts.print({
    { "path", args.dir },
    { "log_id", info.log_id },
    { "origin", info.origin },
    { "format", info.format },
    { "events", info.head.seq },
    { "head", info.head },
    { "created_at", time.format(info.created_at) },
    { "last_recorded_at", time.format(info.head.recorded_at) },
    { "file_bytes", info.file_len },
    { "used_bytes", info.used_len },
    { "size_max", info.size_max > 0 and info.size_max or nil },
    { "map_size", info.map_size },
    { "foreign_ids", info.foreign_ids },
    { "readers", info.readers },
    { "readers_max", info.readers_max },
  }, args.output)
  log:close()
  return terminal.OK
end

return stat
