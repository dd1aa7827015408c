-- append.lua - trail append: store one event from arguments, or events from standard input.
-- Level: cli; requires trail, trail.event, trail.import, the terminal and the store.
-- SPDX-License-Identifier: MIT

local escape = require("trail.escape")
local event = require("trail.event")
local import = require("trail.import")
local options = require("trail.cli.options")
local store = require("trail.cli.store")
local terminal = require("trail.cli.terminal")
local time = require("trail.time")
local trail = require("trail")

local append = {
  usage = "Usage: trail append DIR KEY=VALUE...\n       trail append DIR -",
  description = "Store an event; print its sequence number and hash once it is on disk.",
  epilog = [[
Keys: event_type, user_id, action, resource_type, resource_id, result, result_error, ip_address,
user_agent, request_id, timestamp (a time in words), id (a UUID), details (a JSON text) and
details.NAME: one entry of details. For the event types that trail knows (auth_attempt,
workflow_execution, secret_access ...) action and resource are filled in, and their own arguments
(docs/events.md) are keys too.

A VALUE is text, except: details.NAME, changes, old_value and new_value are JSON if they are JSON
(5, true, null, {"a":1}, [], "5" with its quotes), else text (007, hello); duration_ms is a number;
allowed is true or false; scopes is read,write or a JSON list.

With - one JSON object a line is read from standard input, and each is stored before the next is
read. The first bad line ends it. For many events use trail import, which is much faster.

Prints "SEQ HASH" on a terminal, otherwise a receipt as one line of JSON. Repeating an event with
the same id and content is no error and stores nothing: the receipt says "duplicate":true.

Examples:
  trail append audit.trail event_type=auth_attempt user_id=alice result=failure ip_address=192.0.2.1
  trail append audit.trail event_type=trade action=accept resource_type=item resource_id=sword-9 \
      user_id=player:77 result=success details.gold=500]],
}

function append.define(command)
  command:argument("DIR"):target("dir"):description("the trail")
  command:argument("KEY=VALUE"):target("pairs"):args("+")
    :description("fields of the event, or - for JSON Lines on standard input")
  options.add_output(command, { "line", "json" })
end

-- JSON, or the text does not stand for an event: that is refused as the engine would.
local function json_value(key, text)
  local value, message = import.decode(trail, text)
  if value == nil then terminal.fail(terminal.IO, "%s: %s", key, message) end
  return value
end

-- JSON if it is JSON, else text: 5, null and {"a":1}, but "007", "1.2.3.4" and " 5" are texts.
local function any_value(key, text)
  if text:match("^%s") or text:match("%s$") then return text end
  local value, message, too_deep = import.decode(trail, text)
  if too_deep then terminal.fail(terminal.IO, "%s: %s", key, message) end
  if value == nil then return text end
  return value
end

local function list_value(key, text)
  return text:sub(1, 1) == "[" and json_value(key, text) or text
end

-- How the text of a key becomes a value, where it is not simply the text.
local VALUES = { details = json_value, changes = any_value, old_value = any_value,
  new_value = any_value, scopes = list_value }

local function put(fields, name, key, value)
  if fields[name] ~= nil then terminal.fail(terminal.USAGE, "'%s' is given twice", key) end
  fields[name] = value
end

-- The event that KEY=VALUE arguments describe.
local function event_from(pairs_given)
  local fields, details = {}, nil
  for _, pair in ipairs(pairs_given) do
    local key, text = pair:match("^([^=]+)=(.*)$")
    if not key then terminal.fail(terminal.USAGE, "append wants KEY=VALUE, not '%s'", pair) end
    local name = key:match("^details%.(.+)$")
    if name then
      details = details or {}
      put(details, name, key, any_value(key, text))
    else
      local read = VALUES[key]
      local value = text
      if read then value = read(key, text) end
      put(fields, key, key, value)
    end
  end
  if details and fields.details ~= nil then
    terminal.fail(terminal.USAGE, "give details as a whole or one by one, not both")
  end
  fields.details = details or fields.details
  return fields
end

-- Fill in what a known event type implies, and check the names of the rest.
local function complete(fields)
  local whole, message = fields
  if type(fields.event_type) == "string" then
    whole, message = event.complete(fields)
    if not whole then return nil, message end
  end
  message = import.unknown_field(whole)
  if message then return nil, message end
  return whole
end

local function receipt_json(receipt)
  return ('{"seq":%d,"id":%s,"recorded_at":"%s","event_hash":%s,"duplicate":%s}\n'):format(
    receipt.seq, escape.json(receipt.id), time.format(receipt.recorded_at),
    escape.json(receipt.event_hash), tostring(receipt.duplicate == true))
end

local function receipt_line(receipt)
  return ("%d %s%s\n"):format(receipt.seq, receipt.event_hash,
    receipt.duplicate and " (already there)" or "")
end

-- Store one event and print its receipt; nil, message, status if it was not stored.
local function store_one(log, fields, print_receipt)
  local whole, message = complete(fields)
  if not whole then return nil, message, "invalid" end
  local good, seq, receipt, status = pcall(log.append, log, whole)
  if not good then return nil, terminal.plain_error(seq), "invalid" end
  if not seq then return nil, receipt, status end
  terminal.out(print_receipt(receipt))
  return true
end

local function append_lines(log, print_receipt)
  local from_json = import.json_lines(trail)
  local number = 0
  -- By lines and not by blocks: a program that writes an event and waits for its receipt must
  -- not wait for ever.
  for line in io.stdin:lines("L") do
    number = number + 1
    local fields, fate, message = from_json((line:gsub("\r?\n$", "")))
    local status = "invalid"
    local done = fate == "skipped" or fate == "own"
    if fields then done, message, status = store_one(log, fields, print_receipt) end
    if not done then terminal.fail_status(status, ("stdin:%d: %s"):format(number, message)) end
    terminal.flush()
  end
end

function append.run(args)
  local kind = args.output or (terminal.is_terminal(1) and "line" or "json")
  local print_receipt = kind == "line" and receipt_line or receipt_json
  local from_stdin = #args.pairs == 1 and args.pairs[1] == "-"
  local fields = not from_stdin and event_from(args.pairs)
  local log = store.open(args.dir, true)
  if from_stdin then
    append_lines(log, print_receipt)
  else
    local done, message, status = store_one(log, fields, print_receipt)
    if not done then terminal.fail_status(status, message) end
  end
  log:close()
  return terminal.OK
end

return append
