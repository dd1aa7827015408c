-- follow.lua - trail log -f: the newest events, and then every new one as it comes.
-- Level: cli; requires trail.host, the terminal and the store.
-- SPDX-License-Identifier: MIT
--
-- Whoever writes may be another process, so the head is asked for again and again: that is one
-- short read, and an event is shown a fifth of a second after it was stored, at the latest.

local host = require("trail.host")
local store = require("trail.cli.store")
local terminal = require("trail.cli.terminal")

local follow = {}

local PAUSE_MS = 200
local SHOWN_BEFORE = 10

local function head_seq(log)
  local head, message, status = log:head()
  if not head then terminal.fail_status(status, message) end
  return head.seq
end

-- Print one event at once.
local function show(writer, record)
  writer:write(record)
  terminal.flush()
end

-- The newest events that are there already. Returns the seq behind which the new ones begin.
local function show_newest(log, filter, writer, number)
  local seen = head_seq(log)
  if number == 0 then return seen end
  filter.order, filter.limit = "newest", number
  local list = store.guarded(function()
    return store.query(log, filter, { details = "text" }):all()
  end)
  for index = #list, 1, -1 do show(writer, list[index]) end
  -- The query may have seen more than the head that was asked for before.
  return math.max(seen, list[1] and list[1].seq or 0)
end

-- What was stored behind 'seen'. Returns the seq of the last event looked at.
local function show_new(log, filter, writer, seen)
  local head = head_seq(log)
  if head <= seen then return seen end
  filter.order, filter.after, filter.limit = "oldest", seen, nil
  local found = store.query(log, filter, { details = "text" })
  store.guarded(function()
    for record in found do
      show(writer, record)
      seen = record.seq
      if host.interrupted() then return end
    end
  end)
  return math.max(head, seen)
end

local function go_on(log, filter, writer, seen)
  seen = seen or show_newest(log, filter, writer, filter.limit or SHOWN_BEFORE)
  while not host.interrupted() do
    seen = show_new(log, filter, writer, seen)
    -- Nobody reads any more: as quiet an end as SIGPIPE's, which comes with the next event only.
    if host.interrupted() or not host.wait(PAUSE_MS) then return end
  end
end

-- Follow the log until Ctrl-C, or until nobody reads. 'filter.limit' events are shown before
-- (default: 10); or, with 'filter.after', all behind that one.
function follow.run(log, filter, writer)
  host.catch_interrupt()
  local good, failure = pcall(go_on, log, filter, writer, filter.after)
  -- Writing may have failed just because Ctrl-C came.
  if not good and not host.interrupted() then error(failure, 0) end
  return terminal.OK
end

return follow
