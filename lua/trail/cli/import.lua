-- import.lua - trail import: the command around trail.import: files, progress, messages.
-- Level: cli; requires trail, trail.import, trail.host, the terminal and the store.
-- SPDX-License-Identifier: MIT

local core = require("trail.core")
local escape = require("trail.escape")
local format = require("trail.format")
local host = require("trail.host")
local importer = require("trail.import")
local options = require("trail.cli.options")
local store = require("trail.cli.store")
local terminal = require("trail.cli.terminal")
local trail = require("trail")

local BATCH_MAX = 10000

local import = {
  usage = "Usage: trail import DIR [--map FILE.lua] [--set KEY=VALUE]... [--on-error skip|stop]\n"
    .. "                    [--batch N] [--dry-run] [FILE...]",
  description = "Store many events: JSON Lines, or whatever a map makes events of.",
  epilog = [[
Reads the FILEs one after the other; - is standard input, and so is no FILE at all. Without --map
each line is one event: a JSON object whose keys are the fields of an event. What trail log -o jsonl
and trail export print can be read back. A map is a Lua script that turns other input into events
(docs/import.md says how; examples/ has two). It is a program and runs with your rights.

Events that carry an id are not stored twice, so an import may be repeated.

Bad lines are reported as FILE:LINE: reason, and the import goes on (--on-error stop: ends there).
Ctrl-C finishes the batch under way, prints the summary and exits with 130.

Exit code: 5 if a line was refused or the trail could not be written, 4 if it cannot be read.

Examples:
  trail import audit.trail events.jsonl
  zcat events.jsonl.gz | trail import audit.trail
  trail import audit.trail --map examples/import_sshd.lua --set year=2015 /var/log/auth.log]],
}

function import.define(command)
  command:argument("DIR"):target("dir"):description("the trail")
  command:argument("FILE"):target("files"):args("*"):description("what to read")
  command:option("--map"):argname("FILE.lua"):description("a Lua script that makes events")
  command:option("--set"):argname("KEY=VALUE"):count("*"):description("an option of the map")
  command:option("--on-error"):argname("WHAT"):choices({ "skip", "stop" })
    :description("after a bad line: skip it (default) or stop")
  command:option("--batch"):argname("N")
    :description(("events stored at once, up to %d (default: 1000)"):format(BATCH_MAX))
  command:flag("--dry-run"):description("read and check everything, store nothing")
end

-- ---- the map and its options --------------------------------------------------------------

local function fail_options(map, ...)
  local message = string.format(...)
  local lines = map and importer.option_lines(map) or {}
  if #lines == 0 then terminal.fail(terminal.USAGE, "%s", message) end
  terminal.complain(message .. "; its options are:")
  for _, line in ipairs(lines) do terminal.say(escape.text(line)) end
  terminal.quit(terminal.USAGE)
end

local function settings(map, given)
  local set = {}
  for _, pair in ipairs(given) do
    local key, value = pair:match("^([^=]+)=(.*)$")
    if not key then terminal.fail(terminal.USAGE, "--set wants KEY=VALUE, not '%s'", pair) end
    if not map then terminal.fail(terminal.USAGE, "--set goes with --map") end
    if not map.options then terminal.fail(terminal.USAGE, "this map has no options to --set") end
    if not map.options[key] then fail_options(map, "the map has no option '%s'", key) end
    if set[key] then terminal.fail(terminal.USAGE, "--set gives '%s' twice", key) end
    set[key] = value
  end
  return set
end

local function load_map(path)
  if not path then return nil end
  local map, message = importer.load_map(path)
  if not map then terminal.fail(terminal.USAGE, "--map: %s", message) end
  return map
end

-- ---- progress -----------------------------------------------------------------------------

-- The size of a regular file; nil for what has none.
local function size_of(path)
  if path == "-" then return nil end
  local handle = io.open(path, "rb")
  local size = handle and handle:seek("end")
  if handle then handle:close() end
  -- A directory says 2^63 - 1.
  return size and size < 2 ^ 53 and size or nil
end

local function total_size(files)
  local total = 0
  for _, path in ipairs(files) do
    local size = size_of(path)
    if not size then return nil end
    total = total + size
  end
  return total > 0 and total or nil
end

local function show_progress(total)
  local began, shown = trail.now(), 0
  return function(job)
    local now = trail.now()
    if now - shown < 200000 then return end
    shown = now
    local seconds = math.max(now - began, 1) / 1e6
    local events = job.stored + job.duplicate + job.refused
    local text = ("%s events, %s/s"):format(format.grouped(events),
      format.grouped(math.floor(events / seconds)))
    if total and job.bytes > 0 then
      local part = math.min(job.bytes / total, 1)
      text = ("%3d%%  %s, %s left"):format(math.floor(part * 100), text,
        terminal.duration(seconds * (1 - part) / part))
    end
    terminal.progress(text)
  end
end

local function say_summary(job, seconds, dry)
  local events = job.stored + job.duplicate
  local own = job.own > 0 and (" (%s of them the engine's own)"):format(format.grouped(job.own))
  terminal.say(("%s read, %s %s, %s already there, %s refused, %s skipped%s (%s events/s)"):format(
    format.grouped(job.read), format.grouped(job.stored), dry and "would be stored" or "stored",
    format.grouped(job.duplicate), format.grouped(job.refused), format.grouped(job.skipped),
    own or "", format.grouped(math.floor(events / math.max(seconds, 1e-3)))))
end

-- ---- the run ------------------------------------------------------------------------------

-- The checks of an append, and no more. The core knows times as numbers only.
local function check(list)
  for index, event in ipairs(list) do
    if type(event.timestamp) == "string" then
      local us, message = trail.time(event.timestamp)
      if not us then
        return nil, ("event %d: field 'timestamp': %s"):format(index, message), "invalid"
      end
      event.timestamp = us
    end
  end
  local done, message, status = core.check(list)
  if not done then return nil, message, status end
  return {}, {}
end

local function appender(log, dry)
  if dry then return check end
  return function(list) return log:append(list) end
end

-- Run the job over the files: nil, or a message and a status if reading or storing failed.
local function read_files(job, files)
  for _, path in ipairs(files) do
    local name, handle, message = path, io.stdin, nil
    if path == "-" then name = "stdin" else handle, message = io.open(path, "rb") end
    local done, status
    if handle then
      done, message, status = job:file(name, handle)
      if handle ~= io.stdin then handle:close() end
    else
      job:flush()
      done, message, status = nil, "cannot read " .. message, "io"
    end
    if not done then return message, status end
  end
  local done, message, status = job:finish()
  if not done then return message, status end
  return nil
end

local function report_bad(file, line, message)
  local place = line and ("%s:%d"):format(file, line) or file
  terminal.say(escape.text(place .. ": " .. message))
end

local function new_job(args, log, map, set)
  local batch = args.batch and options.number("--batch", args.batch, 1) or 1000
  if batch > BATCH_MAX then
    terminal.fail(terminal.USAGE, "--batch is at most %d", BATCH_MAX)
  end
  return importer.new({
    append = appender(log, args.dry_run), trail = trail, unbase64 = host.unbase64,
    map = map, set = set, batch = batch, stop = args.on_error == "stop",
    on_bad = report_bad, on_batch = show_progress(total_size(args.files)),
    interrupted = host.interrupted,
  })
end

function import.run(args)
  if #args.files == 0 then args.files = { "-" } end
  local map = load_map(args.map)
  local set = settings(map, args.set or {})
  local log = store.open(args.dir, not args.dry_run)
  local job = new_job(args, log, map, set)
  local wrong = job:start()
  if wrong then fail_options(map, "%s: %s", args.map, wrong) end

  host.catch_interrupt()
  local began = trail.now()
  local message, status = read_files(job, args.files)
  terminal.clear_progress()
  if message then terminal.complain(message) end
  say_summary(job, (trail.now() - began) / 1e6, args.dry_run)
  log:close()
  if host.interrupted() then return terminal.INTERRUPTED end
  if message then return terminal.code_of(status) end
  return job.refused > 0 and terminal.IO or terminal.OK
end

return import
