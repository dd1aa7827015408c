-- export.lua - trail export: events with the bytes that prove them, to a file or stdout.
-- Level: cli; requires trail.host, trail.format, the terminal, store, target and shared flags.
-- SPDX-License-Identifier: MIT

local escape = require("trail.escape")
local format = require("trail.format")
local host = require("trail.host")
local options = require("trail.cli.options")
local store = require("trail.cli.store")
local target = require("trail.cli.target")
local terminal = require("trail.cli.terminal")
local trail = require("trail")

local export = {
  usage = "Usage: trail export DIR [filters] [-o jsonl|csv] [--force] [FILE]",
  description = "Write events, oldest first, with the stored bytes that their hashes are made of.",
  epilog = options.FILTER_HELP .. [[


jsonl begins with a header line that names the log, its head and the filter; each event then has,
besides its fields, the exact stored bytes in base64 (entry, who, details_part), so that
examples/verify_export.py, or anybody, can recompute the chain. Without a filter the export is
complete: it holds every event up to the head that the header names. An entry that is damaged is
written as it is stored: {"seq":N,"unreadable":true,"stored":"..."}.
trail import reads an export back.

FILE appears when it is complete; until then it is FILE.part. It must not lie within DIR.

csv is for spreadsheets: no stored bytes, and cells that look like formulas are disarmed by a
leading ' (--csv-raw: they are not).

Examples:
  trail export audit.trail audit.jsonl
  trail export audit.trail --since 2026-11-01 --until 2026-12-01 -o csv november.csv]],
}

function export.define(command)
  command:argument("DIR"):target("dir"):description("the trail")
  command:argument("FILE"):target("file"):args("?"):description("where to (default: stdout)")
  options.add_filters(command)
  command:option("--output"):hidden_name("-o"):argname("FORMAT"):choices({ "jsonl", "csv" })
    :description("jsonl or csv (default: jsonl) (-o)")
  command:flag("--force"):description("replace FILE if it exists")
  command:flag("--csv-raw"):description("csv: do not disarm cells that look like formulas")
end

-- ---- what is written ----------------------------------------------------------------------

local function header(info, words)
  local filter = "null"
  if words then
    local quoted = {}
    for index, word in ipairs(words) do quoted[index] = escape.json(word) end
    filter = "[" .. table.concat(quoted, ",") .. "]"
  end
  return ('{"trail_export":1,"format":%d,"log_id":%s,"origin":%s,'):format(info.format,
      escape.json(info.log_id), escape.json(info.origin))
    .. ('"head":{"seq":%d,"event_hash":%s},"filter":%s,"complete":%s}\n'):format(info.head.seq,
      escape.json(info.head.event_hash), filter, tostring(words == nil))
end

local base64 = host.base64

local function line_of(record)
  if record.readable == false then
    return ('{"seq":%d,"unreadable":true,"stored":"%s"}\n'):format(record.seq,
      base64(record.stored))
  end
  local proof = '"entry":"' .. base64(record.entry) .. '","who":"' .. base64(record.who) .. '"'
  if record.details_part then
    proof = proof .. ',"details_part":"' .. base64(record.details_part) .. '"'
  end
  return format.json(record, proof) .. "\n"
end

local function show_progress(total, path)
  -- On the same terminal the events themselves are the progress.
  if terminal.is_terminal(1) and not path then return function() end end
  local shown = trail.now()
  return function(seq)
    if seq % 1000 ~= 0 or trail.now() - shown < 200000 then return end
    shown = trail.now()
    terminal.progress(("exporting %3d%%  event %s of %s"):format(math.floor(100 * seq / total),
      format.grouped(seq), format.grouped(total)))
  end
end

-- Write what the filter finds. Returns how many events, and how many of them were unreadable.
local function write_records(found, write, progress)
  local count, unreadable = 0, 0
  store.guarded(function()
    for record in found do
      if record.readable == false then unreadable = unreadable + 1 end
      count = count + 1
      write(record)
      progress(record.seq)
    end
  end)
  return count, unreadable
end

-- Ctrl-C removes the file that is not complete; on standard output it ends us as always.
local function stop_on_interrupt(plan)
  if plan.is_stdout or plan.in_place then return function() end end
  host.catch_interrupt()
  return function()
    if host.interrupted() then
      terminal.fail(terminal.INTERRUPTED, "interrupted; %s was not written", plan.path)
    end
  end
end

-- The same while a condition says no to one event after the other.
local function ask_first(filter, ask)
  local test = filter.where
  if test then
    filter.where = function(record)
      ask()
      return test(record)
    end
  end
end

-- Write the whole export to a file. Returns what write_records returns.
local function write_all(file, found, args, info, words, ask)
  local function put(text) file:write(text) end
  local csv = args.output == "csv"
  local writer = csv and format.writer("csv", { out = put, csv_raw = args.csv_raw })
  if not csv then put(header(info, words)) end
  local count, unreadable = write_records(found, function(record)
    ask()
    if writer then writer:write(record) else put(line_of(record)) end
  end, show_progress(info.head.seq, args.file))
  if writer then writer:finish() end
  file:finish()
  return count, unreadable
end

function export.run(args)
  local filter, condition = options.filter(args)
  local words = options.filter_words(args)
  local csv = args.output == "csv"
  local plan = target.plan(args.file, args.dir, args.force)
  local log = store.open(args.dir)
  local info, message, status = log:info()
  if not info then terminal.fail_status(status, message) end
  filter.order = "oldest"
  filter.unreadable = not csv
  -- Complete means: up to the head that the header names, whatever is appended meanwhile.
  if not words then filter.seq = { 1, info.head.seq } end
  local ask = stop_on_interrupt(plan)
  ask_first(filter, ask)
  local found = store.query(log, filter, { details = "text", bytes = not csv })

  local file = target.open(plan)
  local good, count, unreadable = pcall(write_all, file, found, args, info, words, ask)
  if not good then
    file:abandon()
    error(count, 0)
  end
  log:close()

  if condition then condition.report() end
  terminal.say(("%s events exported"):format(format.grouped(count)))
  if unreadable > 0 then
    terminal.complain(("%d of them cannot be read; run: trail verify %s"):format(unreadable,
      args.dir))
    return terminal.NO_TRAIL
  end
  return terminal.OK
end

return export
