-- support.lua - what the specs share: temporary directories, commands, sample events, seeds.
-- Level: test; `require "spec.support"` from the top of the checkout. Loads `trail` only when a
-- helper needs it, so pure specs run without a build.
-- SPDX-License-Identifier: MIT

local support = {}

-- support.seed_value: the seed once it is known, for messages.
local tmpdirs = {}

-- The build directory: "build", or what TRAIL_BUILD says ("build/sanitize").
support.B = os.getenv("TRAIL_BUILD") or "build"

-- So that `busted` finds the modules of this checkout, with or without `make env`.
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
package.cpath = support.B .. "/lua/?.so;" .. package.cpath

-- One argument for the shell, whatever is in it.
function support.quote(text)
  return "'" .. (tostring(text):gsub("'", "'\\''")) .. "'"
end

function support.read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = assert(file:read("*a"))
  file:close()
  return text
end

function support.write_file(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

-- A new empty directory (in 'base', or where temporary files go); removed when the run ends, or by
-- support.cleanup().
function support.tmpdir(base)
  local pipe = assert(io.popen("mktemp -d " .. support.quote(
    (base or os.getenv("TMPDIR") or "/tmp") .. "/trail-spec.XXXXXXXX")))
  local path = pipe:read("*l")
  pipe:close()
  assert(path and path ~= "", "mktemp gave no directory")
  tmpdirs[#tmpdirs + 1] = path
  return path
end

function support.cleanup()
  for i = #tmpdirs, 1, -1 do
    os.execute("rm -rf -- " .. support.quote(tmpdirs[i]))
    tmpdirs[i] = nil
  end
end

-- Run a shell command; stdin is empty unless a text is given.
-- Returns the exit code (128 + N after signal N, as the shell says it), stdout, stderr.
function support.run(command, stdin_text)
  local dir = support.tmpdir()
  local stdin = "/dev/null"
  if stdin_text then
    stdin = dir .. "/stdin"
    support.write_file(stdin, stdin_text)
  end
  support.write_file(dir .. "/script", command .. "\n")
  -- The code goes through a file: what os.execute returns differs between 5.1 and 5.4.
  os.execute(string.format("sh %s/script <%s >%s/stdout 2>%s/stderr; echo $? >%s/code",
    dir, stdin, dir, dir, dir))
  local code = tonumber((support.read_file(dir .. "/code")))
  local stdout = support.read_file(dir .. "/stdout")
  local stderr = support.read_file(dir .. "/stderr")
  os.execute("rm -rf -- " .. dir)
  tmpdirs[#tmpdirs] = nil
  return code, stdout, stderr
end

-- The seed of this run: TRAIL_SEED, or one from the clock. Printed once, at first use, and
-- given to math.randomseed at every use, so that a red spec can be repeated alone.
function support.seed()
  if not support.seed_value then
    support.seed_value = tonumber(os.getenv("TRAIL_SEED") or "") or os.time() % 1000000007
    io.stderr:write("seed=", string.format("%d", support.seed_value), "\n")
  end
  math.randomseed(support.seed_value)
  return support.seed_value
end

local TYPES = {
  { "auth_attempt", "login", "user" }, { "authorization", "read", "resource" },
  { "workflow_execution", "execute", "workflow" }, { "secret_access", "read", "secret" },
  { "config_change", "update", "configuration" }, { "trade", "accept", "item" },
}
local RESULTS = { "success", "failure", "success", "partial_success", "success" }

-- Event number i: valid, always the same, each optional field present in some of them and
-- absent in others. Timestamps are a minute apart, with an out-of-order one now and then.
function support.sample_event(i)
  local kind = TYPES[i % #TYPES + 1]
  local event = {
    event_type = kind[1], action = kind[2], resource_type = kind[3],
    resource_id = kind[3] .. "-" .. i % 13,
    result = RESULTS[i % #RESULTS + 1],
    timestamp = (1795000000 + i * 60 - (i % 11 == 0 and 3600 or 0)) * 1000000 + i % 7,
  }
  if i % 8 ~= 0 then event.user_id = "user-" .. i % 17 end
  if event.result ~= "success" then event.result_error = "reason " .. i end
  if i % 7 < 3 then event.details = { n = i, text = "d\195\169tail " .. i, list = { 1, 2.5, true } } end
  if i % 4 == 1 then event.ip_address = "192.0.2." .. i % 250 end
  if i % 4 == 3 then event.ip_address = "2001:db8::" .. string.format("%x", i % 65536) end
  if i % 5 == 2 then event.user_agent = "curl/7." .. i % 90 end
  if i % 6 ~= 1 then event.request_id = "req-" .. i % 29 end
  if i % 9 == 4 then event.id = string.format("0190a000-0000-7000-8000-%012x", i) end
  return event
end

-- A trail in a temporary directory with n sample events: log, path.
function support.open_sample(n)
  local trail = require "trail"
  local path = support.tmpdir() .. "/audit.trail"
  local log = assert(trail.open(path))
  local i = 1
  while i <= n do
    local batch = {}
    while i <= n and #batch < 1000 do
      batch[#batch + 1] = support.sample_event(i)
      i = i + 1
    end
    assert(log:append(batch))
  end
  return log, path
end

-- The end of the run: the collector calls __gc when the state closes (5.4), or a proxy's (5.1).
local function at_exit(callback)
  local newproxy = rawget(_G, "newproxy")
  if newproxy then
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = callback
    return proxy
  end
  return setmetatable({}, { __gc = callback })
end
support.sentinel = at_exit(support.cleanup)

return support
