-- show.lua - trail show: one event with everything that is known of it.
-- Level: cli; requires the terminal, the store, trail.format and the shared flags.
-- SPDX-License-Identifier: MIT

local format = require("trail.format")
local options = require("trail.cli.options")
local store = require("trail.cli.store")
local terminal = require("trail.cli.terminal")

local show = {
  usage = "Usage: trail show DIR SEQ|ID [-o FORMAT]",
  description = "Show one event: all fields, both hashes, and whether its neighbours link to it.",
  epilog = [[
The links compare stored hashes with each other. Whether the hashes are those of the stored bytes
is what trail verify computes.

Exit code: 1 if there is no such event, 3 if a link is broken.

Examples:
  trail show audit.trail 12
  trail show audit.trail 0190a000-0000-7000-8000-000000000001]],
}

function show.define(command)
  command:argument("DIR"):target("dir"):description("the trail")
  command:argument("SEQ|ID"):target("event"):description("its sequence number or its id")
  options.add_output(command, { "line", "json", "jsonl" })
end

local function key_of(text)
  if text:match("^%d+$") then return options.number("SEQ", text, 1) end
  if text:match("^%x+%-%x+%-%x+%-%x+%-%x+$") then return text end
  terminal.fail(terminal.USAGE, "show wants a sequence number or an id (a UUID), not '%s'", text)
end

-- The record, or nil if there is none.
local function get(log, key)
  local record, message, status = log:get(key, { details = "text" })
  if record or status == "not_found" then return record end
  if status == "invalid" then terminal.fail(terminal.USAGE, "%s", message) end
  terminal.fail_status(status, message)
end

-- true or false for a link that can be compared, nil where there is no neighbour.
local function check_links(log, record)
  local previous = record.seq > 1 and get(log, record.seq - 1) or nil
  local following = get(log, record.seq + 1)
  local back, forth
  if previous then back = previous.event_hash == record.previous_hash end
  if following then forth = following.previous_hash == record.event_hash end
  return back, forth
end

local function link_line(name, holds, seq, absent)
  local text = absent
  if holds == true then text = ("matches event %d"):format(seq) end
  if holds == false then text = ("BROKEN: does not match event %d"):format(seq) end
  return name .. "  " .. text .. "\n"
end

local function print_lines(record, back, forth)
  local writer = format.writer("line", { out = terminal.out })
  writer:write(record)
  writer:finish()
  terminal.out(link_line("link back    ", back, record.seq - 1, "the first event has none"))
  terminal.out(link_line("link forward ", forth, record.seq + 1, "the last event has none"))
end

local function print_json(record, back, forth)
  terminal.out(format.json(record, ('"checks":{"link_back":%s,"link_forward":%s}'):format(
    back == nil and "null" or tostring(back), forth == nil and "null" or tostring(forth))) .. "\n")
end

function show.run(args)
  local key = key_of(args.event)
  local log = store.open(args.dir)
  local record = get(log, key)
  if not record then
    log:close()
    terminal.complain("there is no event " .. args.event .. " in " .. args.dir)
    return terminal.NOTHING
  end
  local back, forth = check_links(log, record)
  log:close()
  local kind = args.output or (terminal.is_terminal(1) and "line" or "jsonl")
  local print_record = kind == "line" and print_lines or print_json
  print_record(record, back, forth)
  if back == false or forth == false then
    terminal.complain(("a link of event %d is broken; run: trail verify %s"):format(record.seq,
      args.dir))
    return terminal.FAILED
  end
  return terminal.OK
end

return show
