-- shield_spec.lua - verify works in a process of its own: whatever the host does with signals and
-- children, and whoever else sends some, the verdict is about the trail.
-- Test: hosts in C (spec/shield.c), and the command.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local attack = require "spec.attack"
local support = require "spec.support"
local testing = require "trail.testing"
local trail = require "trail"

local process = testing.process
local SANITIZED = support.B:find "sanitize" ~= nil
local COUNT = 200
local RIGHT = string.format(
  "none at 0: %d entries verified: parts, entries, chain, ids, head; no head was given to compare with", COUNT + 1)
local UNHEARD = "\nhandlers of the host ran 0 times\n"

local dir = attack.tmpdir()
local path = dir .. "/audit.trail"
local program = dir .. "/shield"
local dense -- the bytes of its log.mdb

setup(function()
  local flags = SANITIZED and "-fsanitize=address,undefined" or ""
  local code, out, err = support.run(string.format(
    "%s -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra %s -pthread -Isrc spec/shield.c -o %s -L%s "
    .. "-ltrail -Wl,-rpath,\"$PWD/%s\"", os.getenv "CC" or "cc", flags, program, support.B,
    support.B))
  assert.equal(0, code, out .. err)

  local log = assert(trail.open(path))
  local batch = {}
  for i = 1, COUNT do batch[i] = support.sample_event(i) end
  assert(log:append(batch))
  log:close()
  dense = attack.bytes(path)
end)

-- Run the host; it must end by itself, and soon. What it says, and on standard error.
local function host(words)
  local code, out, err = support.run(string.format("timeout -s KILL 60 %s %s %s", program, path,
    words))
  assert.equal(0, code, words .. ": " .. out .. err)
  return out, err
end

-- What the host is told, by what it does with children that have ended.
local function judged(way, more)
  local out, err = host("judge " .. way .. (more or ""))
  local line, rest = out:match "^([^\n]*)(.*)$"
  assert.equal(UNHEARD, rest)
  assert.equal("once\n", err)
  return line
end

local function change_page(page, at, bytes)
  local from = page * 4096 + at
  return dense:sub(1, from) .. bytes .. dense:sub(from + #bytes + 1)
end

describe("a signal", function()
  before_each(function() attack.place(path, dense) end)

  -- Goal: no handler of the host's runs in the process that verifies, also not in its first moment;
  -- and what the host survives does not end the check. (Handlers ran; the signals that the host
  -- ignored or held back killed the check; a SIGSEGV from outside was called damage.)
  -- Method: a host that catches, ignores or blocks everything. Its other process raises every
  -- signal in the moment it is made, and a thread of the host sends them all, all the time.
  for _, way in ipairs { "caught", "ignored", "blocked" } do
    it("that the host has " .. way .. " disturbs nothing", function()
      assert.equal(RIGHT .. UNHEARD, (host("pester " .. way)))
    end)
  end

  -- Goal: a check that was killed is an error that says so, never a verdict. (A host that ignores
  -- SIGCHLD, or takes in all children, was told that the trail is damaged.)
  -- Method: the process that verifies gets SIGKILL, as from the kernel when memory runs out.
  it("that kills the check is no verdict", function()
    local killed = "io: the process that verifies was killed (signal 9)"
    assert.equal(killed, judged("default", " kill"))
    local unknown = "io: the process that verifies was killed (signal unknown: SIGCHLD is ignored, "
      .. "or another thread waited for it)"
    assert.equal(unknown, judged("ignored", " kill"))
    local taken = judged("taken", " kill") -- who is first to ask, learns it
    assert.is_true(taken == unknown or taken == killed, taken)
    for _, way in ipairs { "default", "ignored", "taken" } do assert.equal(RIGHT, judged(way)) end
  end)

  -- Goal: a damaged page is damage, in every host alike; LMDB's own words stay unsaid, and what the
  -- host has yet to write is written once.
  -- Method: pages with wrong flags (LMDB aborts) and numbers of pages that are not there (SIGBUS),
  -- in hosts that catch such signals themselves.
  it("that a damaged page raises is a verdict", function()
    local met = { [6] = 0, [7] = 0 }
    for page = 2, #dense // 4096 - 1 do
      for _, bytes in ipairs { change_page(page, 10, "\1\0"), change_page(page, 12, "\0\0\0\0") } do
        attack.place(path, bytes)
        local line = judged "default"
        local crash = tonumber(line:match "^unreadable at .* crashed %(signal (%d+)%)$")
        if crash then
          met[crash] = met[crash] + 1
          if met[crash] <= 3 then
            assert.equal(line, judged "ignored")
            assert.equal(line, judged "taken")
          end
        end
        assert.is_nil(line:find "^io")
      end
    end
    assert.is_true(met[6] > 0 and met[7] > 0, met[6] .. " aborts, " .. met[7] .. " bus errors")
  end)
end)

describe("the process that verifies", function()
  -- Goal: it ends with the host, also if that ends before it could ask for that.
  -- Method: the host is killed in the moment it is made. It must not even begin: LMDB's lock file,
  -- which it would make, does not appear.
  it("does not outlive a host that dies at once", function()
    attack.place(path, dense)
    os.remove(path .. "/log.mdb-lock")
    assert.equal("gone\n", (host "orphan"))
    assert.is_nil(io.open(path .. "/log.mdb-lock"))
  end)

  local function children_of(pid)
    local file = io.open(string.format("/proc/%d/task/%d/children", pid, pid))
    local text = file and file:read "a" or ""
    if file then file:close() end
    return tonumber(text:match "%d+")
  end

  local function wait_for(what, condition)
    for _ = 1, 20000 do
      local value = condition()
      if value then return value end
      process.sleep_us(500)
    end
    error(what .. " did not happen")
  end

  -- Goal: Ctrl-C ends the command at once, with the code of an interrupt, and leaves nothing
  -- running.
  -- Method: a trail that takes a while. The process that verifies is stopped, so that it cannot end
  -- by itself; then the command gets SIGINT.
  it("does not outlive the command", function()
    local large = dir .. "/large.trail"
    local log <close> = assert(trail.open(large))
    local batch = {}
    for i = 1, 5000 do batch[i] = support.sample_event(i * 9) end
    for _ = 1, SANITIZED and 20 or 60 do assert(log:append(batch)) end
    local pid = process.start { support.B .. "/trail", "verify", large }
    local child = wait_for("a child", function() return children_of(pid) end)
    process.sleep_us(30000) -- it has told the kernel by now whom to end with
    assert.is_true(process.kill(child, "STOP"))
    assert.is_nil(process.wait(pid, true))
    assert.is_true(process.kill(pid, "INT"))
    assert.equal("signal 2", table.concat({ process.wait(pid) }, " "))
    wait_for("the end of the child", function() return not process.kill(child, "CONT") end)
  end)
end)

describe("a trail of a later format", function()
  local function with_format(code)
    attack.place(path, dense)
    local rows = assert(testing.kv.rows(path, "meta"))
    assert.equal("log", rows[2].key)
    local value = rows[2].value
    assert(testing.kv.change(path,
      { { table = "meta", key = "log", value = value:sub(1, 1) .. code .. value:sub(3) } }))
  end

  -- Goal: it is not called damaged: verify fails with the words of open, and without a verdict. (It
  -- was "unreadable", exit code 3, which is the word for tampering.)
  -- Method: the number of the format changed; 0 was never one.
  it("is no verdict", function()
    local command = support.B .. "/trail verify " .. support.quote(path)
    for format, code in pairs { [2] = "\2", [24] = "\x18\24", [1000] = "\x19\x03\xe8" } do
      with_format(code)
      local _, expected = trail.open(path)
      local report, message, status, bad = trail.verify(path)
      assert.is_nil(report)
      assert.equal("corrupt", status)
      assert.is_nil(bad)
      assert.equal(expected, message)
      assert.matches(string.format("format %d, this version knows 1", format), message)
      local exit, out, err = support.run(command)
      assert.equal("4  trail: " .. message .. "\n", exit .. " " .. out .. " " .. err)
    end
    for _, code in ipairs { "\0", "\x18\1", "\x20" } do
      with_format(code)
      local _, message, _, bad = trail.verify(path)
      assert.equal("unreadable", bad and bad.fault, message)
      assert.equal(3, (support.run(command)))
    end
  end)
end)
