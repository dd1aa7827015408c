-- count_failures.lua - who failed to log in, how often, and from where: the Lua API in a few lines.
-- Example: run by examples/demo.sh. Lua 5.4 or LuaJIT.
-- SPDX-License-Identifier: MIT
--
--     lua5.4 examples/count_failures.lua audit.trail

if #arg ~= 1 then
  io.stderr:write("usage: lua5.4 count_failures.lua DIR    (DIR is a trail)\n")
  os.exit(2)
end

local escape = require "trail.escape"
local trail = require "trail"

local log = assert(trail.open(arg[1], { read_only = true }))
local failures, addresses, names = {}, {}, {}

for e in log:query { event_type = "auth_attempt", result = "failure" } do
  local name = e.user_id or "(nobody)"
  if not failures[name] then
    names[#names + 1], failures[name], addresses[name] = name, 0, {}
  end
  failures[name] = failures[name] + 1
  addresses[name][e.ip_address or "?"] = true
end

table.sort(names, function(a, b)
  if failures[a] ~= failures[b] then return failures[a] > failures[b] end
  return a < b
end)
for _, name in ipairs(names) do
  local places = 0
  for _ in pairs(addresses[name]) do places = places + 1 end
  -- Whoever fails to log in chooses the name: it must not command the terminal.
  print(("%5d  from %d %-9s  %s"):format(failures[name], places,
    places == 1 and "address" or "addresses", escape.text(name)))
end
log:close()
