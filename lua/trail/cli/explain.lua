-- explain.lua - how an answer was found, for log --explain and count --explain.
-- Level: cli; requires the facts, the store and the terminal.
-- SPDX-License-Identifier: MIT

local facts = require("trail.cli.facts")
local store = require("trail.cli.store")
local terminal = require("trail.cli.terminal")

local explain = {}

function explain.add_flag(command)
  command:flag("--explain")
    :description("instead of the answer, print how it was found; it is found all the same")
end

local KINDS = { table = "line", line = "line", json = "json", jsonl = "jsonl" }

-- Which form --output asks for (nil: as facts decide); there is no CSV of it.
local function kind_of(args)
  if args.output and not KINDS[args.output] then
    terminal.fail(terminal.USAGE, "--explain has no form '%s'; use table or json", args.output)
  end
  return KINDS[args.output]
end

local function print_explained(how, count, args)
  facts.print({
    { "plan", how.plan }, { "found", count },
    { "index_seq", how.index_seq }, { "head_seq", how.head_seq },
    { "segments", how.segments }, { "segments_skipped", how.segments_skipped },
    { "lookups", how.lookups }, { "candidates", how.candidates },
    { "records_read", how.records_read }, { "records_tail", how.records_tail },
    { "time_us", how.time_us },
  }, kind_of(args))
  return terminal.OK
end

-- Run the query, keep nothing of it, and print how it was found.
function explain.query(log, filter, args)
  kind_of(args)
  local found, count = store.query(log, filter, { details = "text" }), 0
  store.guarded(function()
    for _ in found do count = count + 1 end
  end)
  return print_explained(found:explain(), count, args)
end

-- The same for a count.
function explain.count(log, filter, condition, args)
  if condition then return explain.query(log, filter, args) end
  kind_of(args)
  local how, message, status = log:explain(filter, { count = true })
  if not how then terminal.fail_status(status, message) end
  return print_explained(how, how.found, args)
end

return explain
