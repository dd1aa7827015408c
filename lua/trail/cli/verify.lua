-- verify.lua - trail verify: recompute everything and say what is wrong.
-- Level: cli; requires trail, the terminal, the store and the shared flags.
-- SPDX-License-Identifier: MIT

local escape = require("trail.escape")
local facts = require("trail.cli.facts")
local format = require("trail.format")
local options = require("trail.cli.options")
local store = require("trail.cli.store")
local terminal = require("trail.cli.terminal")
local trail = require("trail")

local verify = {
  usage = "Usage: trail verify DIR [--expect-head SEQ:HASH] [--threads N] [-q] [-o FORMAT]",
  description = "Recompute every hash from the stored bytes and check the chain.",
  epilog = [[
Works while others write, on what was stored when it began, and in a process of its own, so that a
damaged file cannot crash it. Without --expect-head a tail that was cut off, or a chain that was
written anew as a whole, cannot be noticed: note the head down elsewhere and compare it here.

Exit code: 0 all is right, 3 something is not, 4 the trail cannot be read at all.

Examples:
  trail verify audit.trail
  trail verify audit.trail --expect-head 1233:9f3c…  (64 digits, as trail stat prints it)]],
}

function verify.define(command)
  command:argument("DIR"):target("dir"):description("the trail")
  command:option("--expect-head"):argname("SEQ:HASH")
    :description("the trail must hold this event with this hash")
  command:option("--threads"):argname("N")
    :description("check on so many threads, at most 16 (default: one for each processor)")
  command:flag("-q --quiet"):description("print nothing if all is right")
  command:option("--output"):hidden_name("-o"):argname("FORMAT"):choices({ "line", "json" })
    :description("line or json (default: line) (-o)")
end

local function expected_head(text)
  local seq, hash = text:match("^(%d+):(%x+)$")
  if not seq or #hash ~= 64 then
    terminal.fail(terminal.USAGE, "--expect-head wants SEQ:HASH with 64 digits of hash, not '%s'",
      text)
  end
  return { seq = options.number("--expect-head", seq, 1), event_hash = hash:lower() }
end

local function show_progress()
  local began = trail.now()
  return function(done, total)
    local seconds = (trail.now() - began) / 1e6
    if done == 0 or seconds < 0.5 then return true end
    terminal.progress(("verifying %3d%%  %s of %s, %s left"):format(
      math.floor(100 * done / math.max(total, 1)), format.grouped(done), format.grouped(total),
      terminal.duration((total - done) * seconds / done)))
    return true
  end
end

local function facts_of(report)
  return {
    { "ok", report.ok }, { "fault", report.fault },
    { "first_bad_seq", report.first_bad_seq }, { "last_good_seq", report.last_good_seq },
    { "entries", report.entries }, { "head", report.head },
    { "head_expected", report.head_expected }, { "index_seq", report.index_seq },
    { "complete", report.complete },
    { "text", report.text },
  }
end

local function print_lines(report)
  if report.ok then
    terminal.out(("ok: %s\nhead %d:%s\n"):format(escape.text(report.text), report.head.seq,
      report.head.event_hash))
    return
  end
  terminal.out(("FAILED: %s: %s\n"):format(report.fault, escape.text(report.text)))
  -- A chain that was written anew agrees with its hashes; that would be no comfort.
  if report.first_bad_seq > 1 and report.last_good_seq > 0 and report.fault ~= "head" then
    terminal.out(("entries 1 to %d agree with their hashes\n"):format(report.last_good_seq))
  end
end

function verify.run(args)
  local request = { progress = show_progress() }
  if args.expect_head then request.expect_head = expected_head(args.expect_head) end
  if args.threads then request.threads = options.number("--threads", args.threads, 1) end
  local report, message, status, bad = trail.verify(args.dir, request)
  terminal.clear_progress()
  report = report or bad
  if not report then
    if status == "not_found" then store.fail_open(args.dir, message, status) end
    terminal.fail_status(status, message)
  end
  if not (args.quiet and report.ok) then
    if args.output == "json" then
      terminal.out(facts.json(facts_of(report)) .. "\n")
    else
      print_lines(report)
    end
  end
  return report.ok and terminal.OK or terminal.FAILED
end

return verify
