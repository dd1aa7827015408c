-- options.lua - the flags that several commands share: filters, outputs; and what they mean.
-- Level: cli; requires the terminal, trail, trail.time, trail.format, trail.cli.where.
-- SPDX-License-Identifier: MIT

local format = require("trail.format")
local terminal = require("trail.cli.terminal")
local time = require("trail.time")
local trail = require("trail")
local where = require("trail.cli.where")

local options = {}

-- flag, field of the filter, name of the value, help
local MATCHES = {
  { "user", "user_id", "ID", "who did it" },
  { "type", "event_type", "TYPE", "event type: auth_attempt, secret_access ..." },
  { "action", "action", "ACTION", "what was done: login, read, update ..." },
  { "resource-type", "resource_type", "TYPE", "kind of thing it was done to" },
  { "resource-id", "resource_id", "ID", "the thing it was done to" },
  { "result", "result", "RESULT", "success, failure or partial_success" },
  { "request-id", "request_id", "ID", "the request it belongs to" },
  { "ip", "ip_address", "ADDRESS", "the address it came from" },
  { "id", "id", "UUID", "the event with this id" },
}

local function target(flag, negate)
  return (negate and "not_" or "match_") .. flag:gsub("-", "_")
end

-- Add the filter flags to a command of argparse.
function options.add_filters(command)
  local group = {}
  local function add(option)
    group[#group + 1] = option
    return option
  end
  for _, match in ipairs(MATCHES) do
    local flag, _, value, help = match[1], match[2], match[3], match[4]
    add(command:option("--" .. flag):count("*"):argname(value):target(target(flag))
      :description(help))
  end
  for _, match in ipairs(MATCHES) do
    command:option("--not-" .. match[1]):count("*"):argname(match[3])
      :target(target(match[1], true)):hidden(true)
  end
  add(command:option("--details"):count("*"):argname("PATH=VALUE"):target("match_details")
    :description("what stands at a path in details: region=eu, actor.name=\"svc-*\", gold=500"))
  command:option("--not-details"):count("*"):argname("PATH=VALUE"):target("not_details")
    :hidden(true)
  add(command:option("--since"):hidden_name("-S"):argname("TIME")
    :description("happened at or after: \"2 hours ago\", yesterday, 2026-11-24, 10:30 ... (-S)"))
  add(command:option("--until"):hidden_name("-U"):argname("TIME")
    :description("happened before that time (-U)"))
  add(command:option("--seq"):count("*"):argname("A..B")
    :description("only these sequence numbers: 10..20, 10.., ..20 or 10"))
  command:option("--not-seq"):count("*"):argname("A..B"):hidden(true)
  add(command:option("--where"):count("*"):argname("EXPR")
    :description("keep events for which this Lua expression is true: 'details.gold > 100'"))
  command:group("Filters", table.unpack(group))
end

options.FILTER_HELP = [[
The flags from --user to --details, and --seq, may be given several times and then mean any of the
values. Each has a twin that excludes: --not-user ID, --not-type TYPE, --not-seq A..B ...
A value that ends in * stands for all that begin so ("svc-*"); two stars are one real star at the
end. Not for --id and --result. --details gold=500 finds the number and the text.
Several --where must all be true. --since and --until are given once. Different flags must all
hold. Times are UTC unless they name a zone (2026-11-24T10:00:00+01:00).]]

local FLAG_OF = { since = "--since", ["until"] = "--until", seq = "--seq", after = "--after" }
for _, match in ipairs(MATCHES) do FLAG_OF[match[2]] = "--" .. match[1] end

-- What the engine says of a key of a filter, said of the flag.
function options.in_flags(message)
  message = message:gsub("^filter 'details%.(.-)': value", "--details %1")
  message = message:gsub("^filter 'details%.(.-)'", "--details %1")
  return (message:gsub("^filter '([%w_]+)'", FLAG_OF))
end

-- More than any trail holds; every number up to here is exact everywhere.
local NUMBER_DIGITS_MAX = 15

-- A whole number of at least 'least' from the command line.
function options.number(flag, text, least)
  local digits = text:match("^0*(%d+)$")
  if digits and #digits > NUMBER_DIGITS_MAX then
    terminal.fail(terminal.USAGE, "%s %s is too large", flag, text)
  end
  local number = digits and tonumber(digits)
  if not number or number < least then
    terminal.fail(terminal.USAGE, "%s wants a whole number of at least %d, not '%s'", flag, least,
      text)
  end
  return number
end

-- "1048576", "64M", "2GiB" → bytes
function options.size(flag, text)
  local digits, unit = text:match("^(%d+)%s*([KMGT]?)i?B?$")
  local power = ({ [""] = 0, K = 1, M = 2, G = 3, T = 4 })[unit or "?"]
  local number = digits and #digits <= 15 and tonumber(digits)
  if not number or number < 1 or not power or number * 1024.0 ^ power > 2.0 ^ 53 then
    terminal.fail(terminal.USAGE, "%s wants a size such as 1048576, 64M or 2G, not '%s'", flag,
      text)
  end
  return number * math.tointeger(1024 ^ power)
end

-- "10..20", "10..", "..20", "10" → { first, last }; one of the two may be nil.
local function seq_range(flag, text)
  if text:match("^%d+$") then
    local number = options.number(flag, text, 1)
    return { number, number }
  end
  local first, last = text:match("^(%d*)%.%.(%d*)$")
  if not first or (first == "" and last == "") then
    terminal.fail(terminal.USAGE, "%s wants 10..20, 10.., ..20 or 10, not '%s'", flag, text)
  end
  local range = {}
  if first ~= "" then range[1] = options.number(flag, first, 1) end
  if last ~= "" then range[2] = options.number(flag, last, 1) end
  if range[1] and range[2] and range[1] > range[2] then
    terminal.fail(terminal.USAGE, "%s %s is empty: it ends before it begins", flag, text)
  end
  return range
end

-- What --seq and --not-seq say, for the filter; nil if neither was given.
local function seq_ranges(args)
  local any, none = {}, {}
  for _, text in ipairs(args.seq or {}) do any[#any + 1] = seq_range("--seq", text) end
  for _, text in ipairs(args.not_seq or {}) do none[#none + 1] = seq_range("--not-seq", text) end
  if #none > 0 then any["not"] = none end
  return next(any) and any or nil
end

local function instant(flag, text)
  local us, message = time.parse(text)
  if not us then terminal.fail(terminal.USAGE, "%s: %s", flag, message) end
  return us
end

local function check_values(flag, field, values)
  for _, value in ipairs(values) do
    if field == "id" and value:sub(-1) ~= "*" and not value:match("^%x+%-%x+%-%x+%-%x+%-%x+$") then
      terminal.fail(terminal.USAGE, "--%s wants a UUID, not '%s'", flag, value)
    end
  end
end

local function add_match(filter, args, flag, field)
  local any, none = args[target(flag)] or {}, args[target(flag, true)] or {}
  if #any > 0 and #none > 0 then
    terminal.fail(terminal.USAGE, "--%s and --not-%s exclude each other", flag, flag)
  end
  if #any > 0 then
    check_values(flag, field, any)
    filter[field] = any
  elseif #none > 0 then
    check_values("not-" .. flag, field, none)
    filter[field] = { ["not"] = none }
  end
end

-- The values that VALUE stands for: the text, and what it is as JSON if that is a number, true or
-- false.
local function detail_values(text)
  local value = not text:find("%s") and trail.decode(text)
  if type(value) == "number" or text == "true" or text == "false" then return { value, text } end
  return { text }
end

-- Put the conditions of --details or --not-details into a table of path → list of values.
local function read_details(flag, words)
  local found = {}
  for _, word in ipairs(words or {}) do
    local path, text = word:match("^([^=]+)=(.*)$")
    if not path then
      terminal.fail(terminal.USAGE, "%s wants PATH=VALUE, such as region=eu, not '%s'", flag, word)
    end
    local key = path:match("^details%.") and path or "details." .. path
    found[key] = found[key] or {}
    for _, value in ipairs(detail_values(text)) do table.insert(found[key], value) end
  end
  return found
end

local function add_details(filter, args)
  for key, values in pairs(read_details("--details", args.match_details)) do
    filter[key] = values
  end
  for key, values in pairs(read_details("--not-details", args.not_details)) do
    if filter[key] then
      terminal.fail(terminal.USAGE, "--details and --not-details exclude each other for one path")
    end
    filter[key] = { ["not"] = values }
  end
end

-- The filter that the flags describe, and the condition of --where (or nil) that is in it.
function options.filter(args)
  local filter = {}
  for _, match in ipairs(MATCHES) do
    add_match(filter, args, match[1], match[2])
  end
  add_details(filter, args)
  if args.since then filter.since = instant("--since", args.since) end
  if args["until"] then filter["until"] = instant("--until", args["until"]) end
  filter.seq = seq_ranges(args)
  local condition
  if args.where and #args.where > 0 then
    condition = where.compile(args.where)
    filter.where = condition.test
  end
  local plain, message = require("trail.filter").normalise(filter)
  if not plain then terminal.fail(terminal.USAGE, "%s", options.in_flags(message)) end
  return filter, condition
end

-- ---- outputs ------------------------------------------------------------------------------

-- The first format is what a terminal gets if nobody asks.
function options.add_output(command, formats)
  local piped = "json"
  for _, name in ipairs(formats) do
    if name == "jsonl" then piped = name end
  end
  command:option("--output"):hidden_name("-o"):argname("FORMAT"):choices(formats)
    :description(("%s (default: %s on a terminal, else %s) (-o)"):format(
      table.concat(formats, ", "), formats[1], piped))
end

function options.add_fields(command)
  command:option("--fields"):argname("A,B")
    :description("print only these fields, in this order: seq,user_id,result ...")
end

function options.add_color(command)
  command:option("--color"):argname("WHEN"):choices({ "auto", "always", "never" })
    :description("auto, always or never (default: auto; NO_COLOR switches it off)")
end

local function field_list(text)
  if not text then return nil end
  local fields, seen = {}, {}
  for name in (text .. ","):gmatch("%s*([^,]-)%s*,") do
    if not format.is_field(name) then
      terminal.fail(terminal.USAGE, "--fields: there is no field '%s'; fields are %s", name,
        table.concat(format.FIELDS, ", "))
    end
    if seen[name] then terminal.fail(terminal.USAGE, "--fields names '%s' twice", name) end
    seen[name] = true
    fields[#fields + 1] = name
  end
  return fields
end

-- The writer for records that the flags ask for. 'default' is the format on a terminal.
function options.writer(args, default, out)
  local on_terminal = terminal.is_terminal(1)
  local kind = args.output or (on_terminal and default or "jsonl")
  return format.writer(kind, {
    out = out or terminal.out,
    fields = field_list(args.fields),
    width = on_terminal and terminal.width() or nil,
    color = kind == "table" and terminal.wants_color(args.color or "auto"),
    char_width = terminal.char_width,
    csv_raw = args.csv_raw,
    endless = args.follow,
  })
end

-- The filter flags as they were given, for the header of an export; nil if there were none.
function options.filter_words(args)
  local words = {}
  local function add(flag, values)
    for _, value in ipairs(type(values) == "table" and values or { values }) do
      words[#words + 1] = "--" .. flag .. "=" .. value
    end
  end
  for _, match in ipairs(MATCHES) do
    add(match[1], args[target(match[1])] or {})
    add("not-" .. match[1], args[target(match[1], true)] or {})
  end
  add("details", args.match_details or {})
  add("not-details", args.not_details or {})
  for _, flag in ipairs({ "since", "until" }) do
    -- "7 days ago" would mean something else tomorrow.
    if args[flag] then add(flag, time.format(instant("--" .. flag, args[flag]))) end
  end
  for _, flag in ipairs({ "seq", "not-seq", "where" }) do
    add(flag, args[flag:gsub("-", "_")] or {})
  end
  return #words > 0 and words or nil
end

return options
