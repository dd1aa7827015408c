-- import_sshd.lua - a map for `trail import`: sshd's lines in syslog become auth_attempt events.
-- Example: made to be copied; uses only what docs/import.md promises. Lua 5.4.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--
--     trail import DIR --map examples/import_sshd.lua --set year=2015 auth.log
--
-- What becomes an event (any other line is skipped):
--
--     Failed METHOD for [invalid user ]NAME from ADDRESS port PORT ...    result "failure"
--     Accepted METHOD for NAME from ADDRESS port PORT ...                 result "success"
--     message repeated N times: [ one of these ]                          N events
--
-- The event: event_type "auth_attempt", action "login", resource_type "host", resource_id the host
-- that wrote the line, user_id NAME, ip_address ADDRESS; details: method, port and pid (integers),
-- host, invalid_user (boolean), and `key` if sshd names one behind "ssh2:".
--   * A NAME may hold anything, even " from 192.0.2.1 port 1": the last "from ... port ..." is the
--     one that sshd wrote itself. An empty NAME is no user_id.
--   * A NAME of more than 255 characters, or one that is not UTF-8, is not cut: it goes to details
--     (`user`, or `user_hex`), and the event has no user_id.
--   * An ADDRESS that is none ("UNKNOWN", a host name) goes to details as `from`.
--
-- The time: syslog leaves out the year and the zone. `--set year=2015` is the year of a file's
-- first line; where the months fall back (December, January) the next year begins. Without it each
-- line gets the latest year that does not put it more than a day into the future: right for files
-- younger than a year, and the same at every import within that time. `--set zone=+01:00` is the
-- zone of the host's clock; without it UTC. A line that starts with an RFC 3339 time says both.
--
-- The id, so that importing again, or after the file has grown, stores only what is new: a UUID v5
-- in the namespace NAMESPACE below, of the name
--
--     LINE "\n" YEAR "\n" OCCURRENCE "\n" REPEAT
--
-- LINE is the whole line, so host, pid, time, user, address and port are in it. YEAR is the one
-- that was chosen, "" if the line has its own. OCCURRENCE counts equal lines of that year in the
-- file, from 1; REPEAT counts the events of one line, from 1. Two equal lines are thus two events,
-- and the name of the file does not matter: a rotated file gives the same ids.

local trail = require "trail"

local map = {}

map.options = {
  year = "the year of the first line of each file, e.g. 2015 (default: worked out from today)",
  zone = "the zone of the times, e.g. +01:00 (default: UTC)",
}

local NAMESPACE = "5b8a3c1e-7d42-4f60-9e15-2a6c8b0d4f37"
local REPEAT_MAX = 65536      -- a line that claims more is refused, not believed
local REMEMBERED_LINES = 8192 -- equal lines stand close together: they share a second
local USER_CHARS_MAX = 255

local MONTHS = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6,
                 Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12 }

-- What is known about the file being read; begins anew with each file.
local file = {}

function map.start(context)
  local year, zone = context.set.year, context.set.zone
  if year and not year:match("^%d%d%d%d$") then
    return "year must be four digits, not '" .. year .. "'"
  end
  if zone and zone ~= "Z" and not zone:match("^[+-]%d%d:%d%d$") then
    return "zone must look like +01:00, not '" .. zone .. "'"
  end
end

-- ---- one line -------------------------------------------------------------------------------

-- The parts in front of the message: time text, host, pid, message. Nothing: not a line of sshd.
-- OpenSSH 9.8 and later call the process sshd-session.
local function split(line)
  local time, rest = line:match("^(%a%a%a [ %d]%d %d%d:%d%d:%d%d) (.*)$")
  if not time then
    time, rest = line:match("^(%d%d%d%d%-%d%d%-%d%dT%S+) (.*)$")
  end
  if not time then return nil end
  local host, pid, message = rest:match("^(%S+) sshd[%a-]*%[(%d+)%]: (.*)$")
  return host and time, host, pid, message
end

-- What sshd says about a login: a table, or nothing.
local function parse_attempt(message)
  local verb, method, rest = message:match("^(%a+) (%S+) for (.*)$")
  if verb ~= "Failed" and verb ~= "Accepted" then return nil end
  -- Greedy on purpose: the last "from" is sshd's own, an earlier one belongs to the name.
  local name, from, port, key = rest:match("^(.*) from (%S+) port (%d+) ssh2$")
  if not name then
    name, from, port, key = rest:match("^(.*) from (%S+) port (%d+) ssh2: (.*)$")
  end
  if not name then
    name, from, port = rest:match("^(.*) from (%S+) port (%d+)$")
  end
  if not name then return nil end
  local invalid = name:match("^invalid user (.*)$")
  return { result = verb == "Failed" and "failure" or "success", method = method, from = from,
           name = invalid or name, invalid_user = invalid ~= nil, port = port, key = key }
end

-- The attempt and how often it happened; nothing for other messages; nil and a reason for bad ones.
local function parse_message(message)
  local count, inner = message:match("^message repeated (%d+) times: %[ ?(.-)%]$")
  local attempt = parse_attempt(inner or message)
  if not attempt then return nil end
  count = math.tointeger(tonumber(count or 1))
  if not count or count > REPEAT_MAX then
    return nil, "repeated more than " .. REPEAT_MAX .. " times"
  end
  return attempt, count
end

-- ---- the time -------------------------------------------------------------------------------

-- The year for a line without one. `given` is the option.
local function year_of(month, day, given)
  if given then
    if month == 12 and day == 31 and file.month == 1 then return file.year - 1 end -- a late line
    if file.month - month > 6 then file.year = file.year + 1 end
    file.month = month
    return file.year
  end
  local tomorrow = os.date("!*t", os.time() + 86400)
  if month > tomorrow.month or (month == tomorrow.month and day > tomorrow.day) then
    return tomorrow.year - 1
  end
  return tomorrow.year
end

-- The time in RFC 3339 and the year that was chosen ("" if the line has its own).
local function time_of(time, set)
  local name, day, clock = time:match("^(%a+) ([ %d]%d) (%S+)$")
  if not name then return time, "" end
  local month = MONTHS[name]
  if not month then return nil, "there is no month '" .. name .. "'" end
  local year = year_of(month, tonumber(day), set.year)
  local date = string.format("%04d-%02d-%02d", year, month, tonumber(day))
  return date .. "T" .. clock .. (set.zone or "Z"), year
end

-- ---- the event ------------------------------------------------------------------------------

-- How many times this key was seen in the file, this time included. Old ones are forgotten, so that
-- a large file does not fill the memory; what is forgotten depends on the file alone.
local function occurrence(key)
  local count = (file.recent[key] or file.older[key] or 0) + 1
  if not file.recent[key] then
    if file.recent_count == REMEMBERED_LINES then
      file.older, file.recent, file.recent_count = file.recent, {}, 0
    end
    file.recent_count = file.recent_count + 1
  end
  file.recent[key] = count
  return count
end

-- The name as user_id, or in details if it does not fit there.
local function put_user(event, name)
  local chars = utf8.len(name)
  if not chars then
    event.details.user_hex = name:gsub(".", function(c) return string.format("%02x", c:byte()) end)
  elseif chars > USER_CHARS_MAX then
    event.details.user = name
  elseif chars > 0 then
    event.user_id = name
  end
end

local function event_of(attempt, host, pid, timestamp)
  local event = {
    event_type = "auth_attempt", action = "login", resource_type = "host", resource_id = host,
    result = attempt.result, timestamp = timestamp,
    details = { method = attempt.method, port = math.tointeger(tonumber(attempt.port)),
                pid = math.tointeger(tonumber(pid)), host = host,
                invalid_user = attempt.invalid_user, key = attempt.key },
  }
  put_user(event, attempt.name)
  if trail.is_address(attempt.from) then
    event.ip_address = attempt.from
  else
    event.details.from = attempt.from
  end
  return event
end

function map.map(line, context)
  if context.line == 1 then
    file = { year = tonumber(context.set.year), month = 0, recent = {}, recent_count = 0,
             older = {} }
  end
  local time, host, pid, message = split(line)
  if not time then return nil end
  local timestamp, year = time_of(time, context.set) -- on every line: the year may turn on any
  local attempt, count = parse_message(message)
  if not attempt then return nil, count end
  if not timestamp then return nil, year end

  local key = line .. "\n" .. year
  local nth, events = occurrence(key), {}
  for i = 1, count do
    events[i] = event_of(attempt, host, pid, timestamp)
    events[i].id = context.trail.uuid5(NAMESPACE, key .. "\n" .. nth .. "\n" .. i)
  end
  return events
end

return map
