-- address_space_spec.lua - the file outgrows its mapping: in another process, under a limit of
-- address space, beyond a limit of size. Reading must go on, and every refusal says why.
-- Test: real processes; limits through trail.testing.process.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local attack = require "spec.attack"
local support = require "spec.support"
local testing = require "trail.testing"
local trail = require "trail"

local process = testing.process
local SANITIZED = support.B:find "sanitize" ~= nil
local MIB = 1 << 20
local event, in_child = attack.sized_event, attack.in_child

-- The process may have 'more' bytes of address space than it has now.
local function limit_to(more)
  local now = tonumber(support.read_file("/proc/self/statm"):match "%d+") * 4096
  process.limit("AS", now + more)
end

describe("the address space", function()
  -- Goal: a process that may map no more of the file says so and still reads; what it could not
  -- map is not lost. (It said "an earlier write failed half-way" to every call, also through
  -- handles that were opened later.)
  -- Method: append large events under RLIMIT_AS until one is refused.
  it("may be used up, and reading goes on", function()
    if SANITIZED then return pending "AddressSanitizer itself needs terabytes" end
    local path = attack.tmpdir() .. "/audit.trail"
    local stored = tonumber(in_child(function()
      local log <close> = assert(trail.open(path, { map_size = MIB }))
      limit_to(40 * MIB)
      local n = 0
      while true do
        local seq, message, code = log:append(event(n + 1, 500000))
        if not seq then
          assert(code == "no_memory", message)
          break
        end
        n = n + 1
        assert(n < 1000)
      end
      assert(log:count { event_type = "x" } == n)
      assert(log:head().seq == n + 1)
      assert(log:get(2).resource_id == "1")
      local other <close> = assert(trail.open(path))
      assert(other:head().seq == n + 1)
      process.limit("AS", nil)
      assert(log:append(event(n + 1, 500000)))
      return tostring(n + 1)
    end))
    assert.is_true(stored > 20, stored)
    local log <close> = assert(trail.open(path, { create = false }))
    assert.equal(stored, log:count { event_type = "x" })
    assert(log:verify())
  end)

  -- Goal: following a file that another process made longer takes what is needed, not what the
  -- other one has reserved.
  -- Method: this process may not map the 64 GiB that the other one has.
  it("follows another process within its own limits", function()
    if SANITIZED then return pending "AddressSanitizer itself needs terabytes" end
    local path = attack.tmpdir() .. "/audit.trail"
    assert(trail.open(path)):close()
    local text = in_child(function()
      local log <close> = assert(trail.open(path, { map_size = MIB }))
      assert(log:count() == 1)
      in_child(function()
        local own = assert(trail.open(path))
        for n = 1, 20 do assert(own:append(event(n, 200000))) end
        own:close()
      end)
      limit_to(100 * MIB)
      assert(log:count { event_type = "x" } == 20)
      assert(log:append(event(21)))
      return tostring(log:info().map_size)
    end)
    assert.is_true(tonumber(text) < 100 * MIB, text)
  end)

  -- Goal: opening is possible at any moment of another process's writing.
  -- Method: open again and again with a small map while a child makes the file longer.
  it("does not stop an open while others write", function()
    local path = attack.tmpdir() .. "/audit.trail"
    assert(trail.open(path)):close()
    local pid = process.fork(function()
      local own = assert(trail.open(path))
      for n = 1, 1500 do assert(own:append(event(n, 60000))) end
    end)
    local opened, refused = 0, {}
    repeat
      local log, message = trail.open(path, { map_size = MIB })
      if log then
        opened = opened + 1
        opened = opened + (log:count { seq = 1 } - 1)
        log:close()
      else
        refused[#refused + 1] = message
      end
      local last <close> = assert(trail.open(path))
    until last:head().seq == 1501
    assert.equal("exit 0", table.concat({ process.wait(pid) }, " "))
    assert.same({}, refused)
    assert.is_true(opened > 5, opened)
  end)
end)

describe("size_max", function()
  -- Goal: a limit of this process holds although another process has none.
  -- (Following the other one's file lifted it.)
  it("is not lifted by a process without one", function()
    local path = attack.tmpdir() .. "/audit.trail"
    local log <close> = assert(trail.open(path, { size_max = MIB }))
    in_child(function()
      local own <close> = assert(trail.open(path))
      for n = 1, 60 do assert(own:append(event(n, 20000))) end
    end)
    local stored = 0
    local message, code
    repeat
      local seq
      seq, message, code = log:append(event(stored, 20000))
      if seq then stored = stored + 1 end
    until not seq
    assert.equal("full", code)
    assert.matches("has used its limit of 1048576 bytes", message)
    assert.is_true(stored < 5, stored)
    assert.equal(60 + stored, log:count { event_type = "x" })
  end)
end)

describe("info", function()
  -- Goal: sizes are those of the open file, also after the process changed its directory.
  it("does not look for the file by name", function()
    local dir = attack.tmpdir()
    support.write_file(dir .. "/info.lua", [[
      local trail = require "trail"
      local log = assert(trail.open "audit.trail")
      assert(require "trail.testing".process.chdir "/")
      print(assert(log:info()).file_len > 4096)]])
    local code, out, err = support.run(string.format(
      "here=$PWD; export LUA_PATH=\"$here/lua/?.lua;$here/lua/?/init.lua;;\" "
      .. "LUA_CPATH=\"$here/%s/lua/?.so;;\"; cd %s && lua5.4 info.lua", support.B, dir))
    assert.equal("", err)
    assert.equal(0, code)
    assert.equal("true\n", out)
  end)
end)
