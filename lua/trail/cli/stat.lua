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
  description = "Show id, origin, head, number of events, sizes, readers and index of a trail.",
  epilog = [[
events is the head's sequence number. file_bytes is what log.mdb takes on disk, used_bytes what
of it holds the trail. foreign_ids counts events whose id came from the caller.
index_seq is how far the index has come, index_lag how many events it is behind: those are read one
by one. index_levels are its segments, and how many events one of them covers; index_paths the
paths in details that it finds (trail init --index). trail reindex brings it up to the end.
Nothing is checked: that is what trail verify does.]],
}

function stat.define(command)
  command:argument("DIR"):target("dir"):description("the trail")
  options.add_output(command, { "line", "json" })
end

-- What there is to say of the index.
local function index_facts(log)
  local index, message, status = log:index()
  if not index then terminal.fail_status(status, message) end
  local levels, paths = {}, {}
  for _, level in ipairs(index.levels) do
    if level.segments > 0 then
      levels[#levels + 1] = { text = ("%d of %d events"):format(level.segments, level.span),
        json = ('{"segments":%d,"span":%d}'):format(level.segments, level.span) }
    end
  end
  for at, path in ipairs(index.paths) do paths[at] = "details." .. path end
  local list = {
    { "index", index.present and "present" or "absent" },
    { "index_why", not index.present and index.why or nil },
    { "index_seq", index.index_seq },
    { "index_lag", index.head_seq - index.index_seq },
  }
  if index.present then
    list[#list + 1] = { "index_file_bytes", index.file_len }
    list[#list + 1] = { "index_used_bytes", index.used_len }
    list[#list + 1] = { "index_bytes_per_event", index.index_seq > 0
      and math.floor(index.used_len / index.index_seq * 10 + 0.5) / 10 or nil }
    list[#list + 1] = { "index_segments", index.segments }
    list[#list + 1] = { "index_levels", { list = levels } }
  end
  list[#list + 1] = { "index_paths", { list = paths } }
  return list
end

function stat.run(args)
  local log = store.open(args.dir)
  local info, message, status = log:info()
  if not info then terminal.fail_status(status, message) end
  local list = {
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
  }
  table.move(index_facts(log), 1, 20, #list + 1, list)
  facts.print(list, args.output)
  log:close()
  return terminal.OK
end

return stat
