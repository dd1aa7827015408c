-- bench.lua - the Lua side of `make bench`: lua5.4 src/bench.lua BUILD TRAIL LINES
-- Level: script; requires trail.
-- SPDX-License-Identifier: MIT
--
-- Appends the events of a JSON file to a trail, as tables, in batches of 1,000, and prints how
-- many seconds the appends took, and which Lua this is. A batch of tables is made just before it
-- is handed over, off the clock, as the C side does with its structs.

local build, directory, lines = ...
package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
package.cpath = build .. "/lua/?.so;" .. package.cpath

local trail = require "trail"

local BATCH = 1000

-- Microseconds: the CPU clock of os.clock would leave out the disk, and os.time is too coarse.
local now = trail.now

local function next_batch(file)
  local batch = {}
  while #batch < BATCH do
    local line = file:read "l"
    if not line then break end
    batch[#batch + 1] = assert(trail.decode(line))
  end
  return batch
end

local log = assert(trail.open(directory))
local file = assert(io.open(lines))
local spent_us = 0
while true do
  local batch = next_batch(file)
  if #batch == 0 then break end
  local begin = now()
  assert(log:append(batch))
  spent_us = spent_us + (now() - begin)
end
file:close()
log:close()
print(("%.6f %s"):format(spent_us / 1e6, _VERSION))
