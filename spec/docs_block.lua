-- docs_block.lua - run one Lua block of the documentation, with what the blocks before it left.
-- Level: test; lua5.4 spec/docs_block.lua FILE. A block that needs `trail` or `log` and does
-- not make them itself gets them, as a reader would have them from the page so far.
-- SPDX-License-Identifier: MIT

local trail = require "trail"

local file = assert(io.open(arg[1], "rb"))
local source = file:read "a"
file:close()

local env = setmetatable({}, { __index = _G })
if not source:match "local trail" then env.trail = trail end
local log
if not source:match "local log" then
  log = assert(trail.open "audit.trail")
  env.log = log
end
assert(load(source, "@" .. arg[1], "t", env))()
if log then log:close() end
