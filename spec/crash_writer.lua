-- crash_writer.lua - a process that appends and notes down what was acknowledged, until it is
-- killed; for crash_spec and concurrency_spec.
--     lua5.4 spec/crash_writer.lua TRAIL NAME NOTES BATCH_MAX COUNT
-- Level: test. Appends COUNT times (0: for ever), one event or a batch of up to BATCH_MAX; after
-- each acknowledged append it adds a line "seq id marker size" for each event to NOTES. A line
-- that begins with "error" is an append that failed.
-- SPDX-License-Identifier: MIT

require "spec.support" -- sets the paths of this checkout
local trail = require "trail"

local path, name, notes_path, batch_max, count =
  arg[1], arg[2], arg[3], tonumber(arg[4]), tonumber(arg[5])
local notes = assert(io.open(notes_path, "a"))
local me = name .. "-" .. tostring({}):match("0x0*(%x+)") .. "-" .. trail.now()

local function give_up(message)
  notes:write("\nerror ", message, "\n")
  notes:close()
  os.exit(1)
end

-- What an event holds follows from its marker and the size of its batch, so that whoever reads it
-- can check all of it.
local function event_of(marker, size)
  return {
    event_type = "crash_test", action = "append", resource_type = "marker", resource_id = marker,
    result = "success", user_id = "writer " .. name,
    details = { marker = marker, size = size, text = marker:rep(size) },
  }
end

local function append(log, n)
  local size = math.random(2) == 1 and 1 or math.random(batch_max)
  local events = {}
  for i = 1, size do
    events[i] = event_of(string.format("%s/%d/%d", me, n, i), size)
  end
  local seqs, receipts = log:append(events)
  if not seqs then give_up(receipts) end
  local lines = {}
  for i, receipt in ipairs(receipts) do
    lines[i] = string.format("%d %s %s %d\n", receipt.seq, receipt.id, events[i].resource_id, size)
  end
  notes:write(table.concat(lines))
  notes:flush()
end

math.randomseed(trail.now())
notes:write("\n") -- the process before may have been killed in the middle of a line
notes:flush()
local log, message = trail.open(path)
if not log then give_up(message) end
local n = 0
while count == 0 or n < count do
  n = n + 1
  append(log, n)
end
log:close()
notes:close()
