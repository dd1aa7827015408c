-- create_spec.lua - a trail comes to be at its path completely or not at all, on file systems and
-- in directories that make that hard; and a child process opens its own.
-- Test: a renameat2() that knows no flags, a directory that may not be read, a raw fork.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local attack = require "spec.attack"
local support = require "spec.support"
local process = require("trail.testing").process
local trail = require "trail"

local NOBODY = 65534

local function listing(dir)
  local _, out = support.run("ls -A " .. support.quote(dir))
  return out
end

local function in_child(body, raw)
  local how, code, text = process.run(body, raw)
  assert.equal("exit 0", how .. " " .. code, text)
  return text
end

describe("a file system without RENAME_NOREPLACE", function()
  local library

  -- What NFS, FUSE and others answer (EINVAL), and old kernels (ENOSYS).
  setup(function()
    library = support.tmpdir() .. "/norename.so"
    support.write_file(library .. ".c", [[
      #include <errno.h>
      #include <stdlib.h>
      int renameat2(int old_dir, const char *old, int new_dir, const char *new, unsigned flags);
      int renameat2(int old_dir, const char *old, int new_dir, const char *new, unsigned flags)
      {
          (void)old_dir; (void)old; (void)new_dir; (void)new; (void)flags;
          errno = getenv("NO_SUCH_CALL") ? ENOSYS : EINVAL;
          return -1;
      }]])
    local code, out, err = support.run(string.format("%s -shared -fPIC %s.c -o %s",
      os.getenv "CC" or "cc", library, library))
    assert.equal(0, code, out .. err)
  end)

  local function init(path, variable)
    local code, out, err = support.run(string.format("%s LD_PRELOAD=\"$LD_PRELOAD %s\" %s/trail init %s",
      variable or "", library, support.B, path))
    return code, out .. err
  end

  -- Goal: a trail can be made there. (It could not: "Invalid argument".)
  it("holds trails all the same", function()
    local dir = support.tmpdir()
    for name, variable in pairs { nfs = "", old = "NO_SUCH_CALL=1" } do
      local code, said = init(dir .. "/" .. name, variable)
      assert.equal(0, code, said)
      assert(trail.verify(dir .. "/" .. name))
    end
    assert.equal("nfs\nold\n", listing(dir))
  end)

  -- Goal: nothing that is there is replaced, and nothing half-made stays.
  -- Method: a trail, a file, a full and an empty directory, a link that leads nowhere.
  it("loses nothing to a new trail", function()
    local dir = support.tmpdir()
    assert(trail.open(dir .. "/trail")):close()
    local before = attack.bytes(dir .. "/trail")
    support.write_file(dir .. "/file", "x")
    os.execute(string.format("cd %s && mkdir empty full && touch full/x && ln -s nowhere link", dir))
    local there = listing(dir)
    for name in there:gmatch "%S+" do
      local code, said = init(dir .. "/" .. name)
      assert.equal(4, code, said)
      assert.matches("something is at .*/" .. name .. " already", said)
    end
    assert.equal(there, listing(dir))
    assert.equal(before, attack.bytes(dir .. "/trail"))
    assert.equal("", listing(dir .. "/empty"))
    assert.equal("x\n", listing(dir .. "/full"))
  end)
end)

describe("a directory that may be written but not read", function()
  -- Goal: a trail that is not made durable is not made. (It was made, and then called denied.)
  -- Method: mode 0300, as somebody who is not root.
  it("is refused, by its name, and gets no trail", function()
    if process.uid() ~= 0 then return pending "needs root, to become somebody else" end
    local dir = support.tmpdir()
    local drop = dir .. "/drop"
    os.execute(string.format("chmod 755 %s; mkdir %s; chown %d %s; chmod 300 %s", dir, drop, NOBODY,
      drop, drop))
    for _, options in ipairs { {}, { create = "new" } } do
      local text = in_child(function()
        process.become(NOBODY)
        local log, message, code = trail.open(drop .. "/x.trail", options)
        assert(not log)
        return code .. ": " .. message
      end)
      assert.equal(string.format("denied: cannot create %s/x.trail: %s: Permission denied", drop,
        drop), text)
      assert.equal("", listing(drop))
    end
  end)
end)

describe("a child made without fork's handlers", function()
  -- Goal: what the parent has open is not in its way. (Opening gave it the parent's store: every
  -- call said "forked; open it anew", for ever.)
  -- Method: _Fork() with a trail open; the child opens it anew and appends, and so does the parent.
  it("opens a trail of its own", function()
    local path = support.tmpdir() .. "/audit.trail"
    local log <close> = assert(trail.open(path))
    local function event(n)
      return { event_type = "x", action = "y", resource_type = "z", resource_id = n,
        result = "success" }
    end
    assert(log:append(event "before"))
    local text = in_child(function()
      local _, _, code = log:head()
      local own = assert(trail.open(path))
      local again = assert(trail.open(path))
      assert(own:append(event "child"))
      assert(again:head().seq == 3)
      own:close()
      assert(again:append(event "again"))
      again:close()
      log:close()
      return code
    end, true)
    assert.equal("forked", text)
    assert.equal(5, log:append(event "parent"))
    assert(log:verify())
  end)
end)
