-- reindex.lua - trail reindex: bring the index up to the last event, or build it anew.
-- Level: cli; requires trail, trail.host, trail.format, the terminal, the store and the facts.
-- SPDX-License-Identifier: MIT

local facts = require("trail.cli.facts")
local format = require("trail.format")
local host = require("trail.host")
local store = require("trail.cli.store")
local terminal = require("trail.cli.terminal")
local trail = require("trail")

local reindex = {
  usage = "Usage: trail reindex DIR [--anew] [-q] [-o FORMAT]",
  description = "Bring the index up to the last event.",
  epilog = [[
Programs that append do that by themselves in the background. Nothing of it is needed for right
answers: what the index has not reached is read one by one. --anew throws the index away and builds
it from the log, also one that is damaged, or that trail verify found to disagree with the log.

Exit code: 4 if another process is at it and does not let go, or the trail cannot be written or
read; 5 if the disk is full; 130 after Ctrl-C: what was done stays done.

Examples:
  trail reindex audit.trail
  trail reindex audit.trail --anew]],
}

function reindex.define(command)
  command:argument("DIR"):target("dir"):description("the trail")
  command:flag("--anew"):description("throw the index away first")
  command:flag("-q --quiet"):description("print nothing if all went well")
  command:option("--output"):hidden_name("-o"):argname("FORMAT"):choices({ "line", "json" })
    :description("line or json (default: line) (-o)")
end

-- Shows how far it is, and stops it after Ctrl-C.
local function show_progress()
  local began, first = trail.now(), nil
  return function(done, total)
    if host.interrupted() then return false end
    first = first or done
    local seconds = (trail.now() - began) / 1e6
    if done == first or seconds < 0.5 then return true end
    terminal.progress(("indexing %3d%%  %s of %s, %s left"):format(
      math.floor(100 * done / math.max(total, 1)), format.grouped(done), format.grouped(total),
      terminal.duration((total - done) * seconds / (done - first))))
    return true
  end
end

local function print_index(index, args)
  if args.output == "json" then
    facts.print({ { "index_seq", index.index_seq }, { "head_seq", index.head_seq },
      { "segments", index.segments }, { "file_bytes", index.file_len },
      { "used_bytes", index.used_len } }, "json")
    return
  end
  terminal.out(("ok: %s of %s events are indexed, in %s segments\n"):format(
    format.grouped(index.index_seq), format.grouped(index.head_seq),
    format.grouped(index.segments)))
end

function reindex.run(args)
  local log = store.open(args.dir, true, "manual")
  host.catch_interrupt()
  local done, message, status = log:maintain({ anew = args.anew, progress = show_progress() })
  terminal.clear_progress()
  if status == "stopped" then
    terminal.fail(terminal.INTERRUPTED, "interrupted; the index is complete up to where it came")
  end
  if not done then terminal.fail_status(status, message) end
  local index
  index, message, status = log:index()
  if not index then terminal.fail_status(status, message) end
  log:close()
  if not args.quiet then print_index(index, args) end
  return terminal.OK
end

return reindex
