-- cli.lua - what the specs of the command share: running it, a trail to run it on.
-- Level: test; `require "spec.cli"`; needs build/trail.
-- SPDX-License-Identifier: MIT

local support = require "spec.support"

local cli = {}

local function pwd()
  local pipe = assert(io.popen("pwd"))
  local path = pipe:read("*l")
  pipe:close()
  return path
end

cli.TOP = pwd()
cli.TRAIL = support.quote(cli.TOP .. "/" .. support.B .. "/trail") -- for a shell

-- Run `trail WORDS` in a directory: code, stdout, stderr.
function cli.trail(dir, words, stdin)
  return support.run(("cd %s && unset COLUMNS NO_COLOR; trail() { %s \"$@\"; }; trail %s"):format(
    support.quote(dir), cli.TRAIL, words), stdin)
end

-- What differs from run to run: hashes, the engine's ids and times.
function cli.mask(text)
  return (text:gsub(("%x"):rep(64), "<hash>")
    :gsub("%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x", "<id>")
    :gsub("%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d%d%d%dZ", "<time>"))
end

-- A directory with a trail "t" of three events besides its creation.
function cli.sample()
  local dir = support.tmpdir()
  local lines = ([[
{"event_type":"auth_attempt","user_id":"alice","action":"login","resource_type":"user",+
"resource_id":"alice","result":"failure","timestamp":"2026-01-01T00:00:00Z","ip_address":"192.0.2.1"}
{"event_type":"auth_attempt","user_id":"bob","action":"login","resource_type":"user",+
"resource_id":"bob","result":"success","timestamp":"2026-01-02T00:00:00Z","ip_address":"2001:db8::1",+
"request_id":"r1"}
{"event_type":"trade","action":"accept","resource_type":"item","resource_id":"sword",+
"result":"partial_success","timestamp":"2026-01-03T00:00:00Z","details":{"gold":500}}
]]):gsub("%+\n", "")
  local code, _, err = cli.trail(dir, "init t && trail import t", lines)
  assert(code == 0, err)
  return dir
end

-- The seqs that a command finds, as one text.
function cli.seqs(dir, words)
  local code, out, err = cli.trail(dir, "log t --fields seq " .. words)
  return (out:gsub('{"seq":(%d+)}\n', "%1 "):gsub(" $", "")), code, err
end

return cli
