-- full_spec.lua - when there is no more room, no permission, or no trail: a clear word, no harm.
-- Test: size limits, full disks, small address spaces, other users, files that are no trail.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local attack = require "spec.attack"
local support = require "spec.support"
local testing = require "trail.testing"
local trail = require "trail"

local process = testing.process
local SANITIZED = support.B:find "sanitize" ~= nil
local ROOT = process.uid() == 0
local NOBODY = 65534
local MIB = 1 << 20
local event, in_child = attack.sized_event, attack.in_child

-- Append until it is refused, behind 'stored' events: how many there are now, message, code.
local function fill(log, len, stored)
  stored = stored or 0
  while true do
    local seq, message, code = log:append(event(stored + 1, len))
    if not seq then return stored, message, code end
    stored = stored + 1
    assert.is_true(stored < 100000)
  end
end

-- Everything that was acknowledged is there, and the trail is sound.
local function assert_whole(path, stored)
  local log <close> = assert(trail.open(path, { create = false }))
  assert.equal(stored, log:count { event_type = "x" })
  assert.equal(stored + 1, log:head().seq)
  assert(log:verify())
  for n = 1, stored, 37 do assert.equal(tostring(n), log:get(n + 1).resource_id) end
end

local function file_len(path)
  return #support.read_file(path)
end

describe("size_max", function()
  -- Goal: the limit holds to the byte, "full" is said, nothing is lost, reading goes on; with a
  -- higher limit it goes on where it ended.
  it("is a limit that the file never passes", function()
    for _, size_max in ipairs { 256 << 10, MIB + 12345, 3 * MIB } do
      local path = attack.tmpdir() .. "/audit.trail"
      local log = assert(trail.open(path, { size_max = size_max }))
      assert.equal(size_max, log:info().size_max)
      local stored, message, code = fill(log)
      assert.equal("full", code)
      assert.matches("log.mdb", message)
      assert.matches(string.format("has used its limit of %d bytes", size_max), message)
      local len = file_len(path .. "/log.mdb")
      assert.is_true(len <= size_max, len .. " bytes, the limit is " .. size_max)
      assert.is_true(stored > size_max // 4000, stored .. " events in " .. size_max)
      -- All or none, also when half of a batch would have room.
      local batch = {}
      for n = 1, 400 do batch[n] = event("batch " .. n, 10000) end
      assert.equal("full", (select(3, log:append(batch))))
      assert.equal(stored + 1, log:head().seq)
      assert(log:verify())
      log:close()
      assert_whole(path, stored)

      log = assert(trail.open(path, { size_max = size_max }))
      assert.equal("full", (select(3, log:append(event(0, 100000)))))
      log:close()
      log = assert(trail.open(path, { size_max = size_max * 2 }))
      assert(log:append(event(stored + 1)))
      local all = fill(log, 1000, stored + 1)
      log:close()
      assert_whole(path, all)
    end
  end)

  it("must leave room for a trail", function()
    local _, message, code = trail.open(support.tmpdir() .. "/audit.trail", { size_max = 1000 })
    assert.equal("invalid", code)
    assert.equal("open: size_max is 1000, at least 262144 is needed", message)
  end)
end)

describe("a limit of file size", function()
  -- Goal: RLIMIT_FSIZE means "full", never the death of the host by SIGXFSZ; the trail is as it
  -- was, and without the limit it goes on, also through the handle that met it.
  it("is full, and the host lives", function()
    local path = support.tmpdir() .. "/audit.trail"
    assert(trail.open(path)):close()
    local text = in_child(function()
      local log = assert(trail.open(path))
      process.limit("FSIZE", 300000)
      local stored, message, code = fill(log)
      assert(code == "full", message)
      assert(message:find("log.mdb", 1, true), message)
      assert(log:count { event_type = "x" } == stored)
      assert(log:verify())
      process.limit("FSIZE", nil)
      assert(log:append(event(stored + 1)))
      return tostring(stored + 1)
    end)
    assert_whole(path, tonumber(text))
  end)

  -- Method: every limit from nothing to more than enough, for creating and for opening.
  it("is an error for those who create or open, whatever it is", function()
    local dir = support.tmpdir()
    local open_path = dir .. "/old.trail"
    assert(trail.open(open_path)):close()
    for _, limit in ipairs { 0, 1, 100, 4095, 4096, 8191, 8192, 8193, 20000, 40000, 100000, 262271,
      262272, 300000 } do
      in_child(function()
        -- What is kept of the trail when nobody has it open must be made anew each time.
        os.remove(open_path .. "/log.mdb-lock")
        os.remove(open_path .. "/log.mdb-gate")
        process.limit("FSIZE", limit)
        for _, path in ipairs { dir .. "/new" .. limit, open_path } do
          local log, message, code = trail.open(path)
          assert(log or code == "full" or code == "io", message)
          if log then
            local seq, reason, word = log:append(event(1, 10))
            assert(seq or word == "full", reason)
            log:close()
          elseif path ~= open_path then
            assert(not os.rename(path, path), "half a trail was left")
          end
        end
      end)
      local log = trail.open(dir .. "/new" .. limit, { create = false })
      if log then
        assert(log:verify())
        log:close()
      end
      log = assert(trail.open(open_path))
      assert(log:verify())
      log:close()
    end
    -- No half-made directory stays behind.
    local pipe = io.popen("ls -A " .. dir .. " | grep -c 'new-' ")
    assert.equal("0\n", pipe:read "a")
    pipe:close()
  end)
end)

describe("a full disk", function()
  local dir

  before_each(function()
    dir = ROOT and support.tmpdir()
  end)

  after_each(function()
    if dir then support.run("umount " .. dir) end
  end)

  local function mount(options)
    return ROOT and support.run("mount -t tmpfs -o " .. options .. " tmpfs " .. dir) == 0
  end

  -- Goal: a full disk is "full", no signal; nothing acknowledged is lost; and when there is room
  -- again, the same handle goes on.
  -- Method: a small tmpfs, filled by the trail itself, then by somebody else.
  it("is full, and goes on when there is room", function()
    if not mount "size=2m" then return pending "needs root and mount" end
    local path = dir .. "/audit.trail"
    local log = assert(trail.open(path))
    support.write_file(dir .. "/ballast", ("b"):rep(MIB // 2))
    local stored, message, code = fill(log)
    assert.equal("full", code, message)
    assert.matches("log.mdb", message)
    assert.equal(stored, log:count { event_type = "x" })
    assert(log:verify())
    os.remove(dir .. "/ballast")
    assert.equal(stored + 2, log:append(event(stored + 1)))
    support.run("head -c 10m /dev/zero > " .. dir .. "/ballast")
    local all = fill(log, 1000, stored + 1)
    log:close()
    -- Opening needs no room when its files are there.
    assert_whole(path, all)
  end)

  -- Method: creating with every amount of room left, from none to enough.
  it("leaves no half trail behind", function()
    if not mount "size=1m" then return pending "needs root and mount" end
    local made, refused = 0, 0
    for kib = 0, 520, 20 do
      support.run(string.format("rm -rf %s/*; head -c %dk /dev/zero > %s/ballast", dir, 1024 - kib,
        dir))
      local log, message, code = trail.open(dir .. "/audit.trail")
      if log then
        made = made + 1
        local seq, reason, word = log:append(event(1, 10))
        assert(seq or word == "full", reason)
        assert(log:verify())
        log:close()
      else
        refused = refused + 1
        assert.equal("full", code, message)
        -- A trail that was made, but cannot be opened for lack of room, is whole.
        os.remove(dir .. "/ballast")
        local again = trail.open(dir .. "/audit.trail", { create = false })
        if again then
          assert(again:verify())
          again:close()
        else
          local _, listing = support.run("ls -A " .. dir)
          assert.equal("", listing)
        end
      end
    end
    assert.is_true(made > 0 and refused > 0, made .. " made, " .. refused .. " refused")
  end)
end)

describe("file descriptors", function()
  -- Goal: too few of them is an error, and nothing half-made stays.
  -- Method: every limit from none free to enough, for creating, opening and verifying.
  it("that are missing are an error", function()
    local dir = support.tmpdir()
    local old = dir .. "/old.trail"
    assert(trail.open(old)):close()
    local text = in_child(function()
      local opened, refused = 0, 0
      for limit = 3, 24 do
        process.limit("NOFILE", limit)
        for _, path in ipairs { old, dir .. "/new" .. limit } do
          local log, message, code = trail.open(path)
          assert(log or code == "io", message)
          if log then
            opened = opened + 1
            local seq, reason, word = log:append(event(1))
            assert(seq or word == "io", reason)
            log:close()
          else
            refused = refused + 1
          end
        end
        local report, message, code = trail.verify(old)
        assert(report or code == "io", message)
      end
      process.limit("NOFILE", nil)
      return opened > 0 and refused > 0 and "both" or opened .. " " .. refused
    end)
    assert.equal("both", text)
    local pipe = io.popen("ls -A " .. dir)
    for name in pipe:lines() do
      assert.is_nil(name:find "%.new%-")
      local log <close> = assert(trail.open(dir .. "/" .. name, { create = false }))
      assert(log:verify())
    end
    pipe:close()
  end)
end)

describe("address space", function()
  -- Goal: a trail that was given little address space takes more, under the eyes of readers and of
  -- other processes with small maps of their own.
  -- Method: 1 MiB reserved, 6 MiB written in turn by two processes with queries under way.
  it("grows", function()
    local path = attack.tmpdir() .. "/audit.trail"
    local log <close> = assert(trail.open(path, { map_size = MIB }))
    assert.equal(MIB, log:info().map_size)
    local reader = log:query { order = "oldest" }
    assert(reader())
    local pid = process.fork(function()
      local own = assert(trail.open(path, { map_size = MIB }))
      local query = own:query { order = "oldest" }
      for n = 1, 300 do
        assert(own:append(event("child " .. n, 10000)))
        query()
        if n % 50 == 0 then assert(own:count() >= n) end
      end
    end)
    for n = 1, 300 do
      assert(log:append(event("parent " .. n, 10000)))
      if n % 50 == 0 then assert(log:verify { in_process = true }) end
    end
    assert.equal("exit 0", table.concat({ process.wait(pid) }, " "))
    assert.is_nil(reader()) -- its snapshot was one event
    assert.equal(601, log:head().seq)
    assert.equal(600, log:count { event_type = "x" })
    assert.is_true(log:info().map_size > MIB)
    assert(log:verify())
  end)

  -- Goal: with little address space a trail opens and works; when it can get no more, that is an
  -- error, and the trail is whole.
  it("may be small", function()
    if SANITIZED then return pending "AddressSanitizer itself needs terabytes" end
    local path = support.tmpdir() .. "/audit.trail"
    -- A process of its own: this one may hold the maps of other specs' trails.
    local script = support.tmpdir() .. "/small.lua"
    support.write_file(script, [[
      local trail = require "trail"
      local log = assert(trail.open(arg[1]))
      assert(log:info().map_size <= 64 << 20, log:info().map_size)
      for n = 1, 100 do
        assert(log:append { event_type = "x", action = "y", resource_type = "z",
          resource_id = tostring(n), result = "success" })
      end
      assert(log:verify())
      log:close()]])
    local code, _, stderr = support.run("ulimit -v 262144; exec lua5.4 " .. script .. " " .. path)
    assert.equal("", stderr)
    assert.equal(0, code)
    local stored = "100"
    assert_whole(path, tonumber(stored))
    local before = tonumber(stored)
    stored = in_child(function()
      local log = assert(trail.open(path, { map_size = MIB }))
      local now = tonumber(support.read_file("/proc/self/statm"):match "%d+") * 4096
      process.limit("AS", now + 3 * MIB)
      local n = before
      while true do
        local seq, message, word = log:append(event(n + 1, 20000))
        if not seq then
          assert(word == "no_memory" or word == "io" or word == "full", message)
          break
        end
        n = n + 1
        assert(n < 5000)
      end
      -- Whatever it says now, it must be said and not done by a signal.
      log:count()
      log:head()
      if log:append(event(n + 1, 10)) then n = n + 1 end -- a small one may still find room
      log:close()
      process.limit("AS", nil)
      return tostring(n)
    end)
    assert_whole(path, tonumber(stored))
  end)
end)

describe("permissions", function()
  local function as_nobody(body)
    return in_child(function()
      process.become(NOBODY)
      return body()
    end)
  end

  local function status_of(path, options)
    local log, message, code = trail.open(path, options)
    if log then log:close() end
    return code or "ok", message
  end

  it("that are missing are denied", function()
    if not ROOT then return pending "needs root, to become somebody else" end
    local dir = support.tmpdir()
    local path = dir .. "/audit.trail"
    local log = assert(trail.open(path))
    assert(log:append(event(1)))
    log:close()
    support.run("chmod 755 " .. dir)

    -- Not even the directory may be entered; nor may anything be created.
    local _, mode = support.run("stat -c %a " .. path .. " " .. path .. "/log.mdb")
    assert.equal("750\n640\n", mode)
    as_nobody(function()
      for _, options in ipairs { {}, { read_only = true }, { create = false } } do
        local code, message = status_of(path, options)
        assert(code == "denied", message)
      end
      local code, message = status_of(dir .. "/new.trail")
      assert(code == "denied", message)
      local _, reason, word = trail.verify(path)
      assert(word == "denied", reason)
    end)

    -- Files that may be read, but not written: LMDB's readers must write their lock file.
    support.run("chmod 755 " .. path .. "; chmod 644 " .. path .. "/*")
    as_nobody(function()
      local code, message = status_of(path, { read_only = true })
      assert(code == "denied", message)
      assert(message:find "readers too must be able to write .*log.mdb%-lock", message)
    end)

    -- With that they read, and may not append.
    support.run("chmod 666 " .. path .. "/log.mdb-lock")
    as_nobody(function()
      for _, options in ipairs { {}, { read_only = true } } do
        local own = assert(trail.open(path, options))
        assert(own:head().seq == 2 and own:count() == 2)
        assert(own:verify())
        local _, message, code = own:append(event(2))
        assert(code == "denied", message)
        own:close()
      end
    end)
    assert_whole(path, 1)
  end)

  it("that change while it is open do not matter", function()
    if not ROOT then return pending "needs root, to become somebody else" end
    local path = support.tmpdir() .. "/audit.trail"
    local log = assert(trail.open(path))
    support.run("chmod 000 " .. path .. " " .. path .. "/*")
    assert(log:append(event(1)))
    log:close()
    support.run("chmod 750 " .. path .. "; chmod 640 " .. path .. "/*")
    assert_whole(path, 1)
  end)
end)

describe("what is no trail", function()
  local function opened(path, options)
    local log, message, code = trail.open(path, options)
    if log then log:close() end
    return code or "ok", message or ""
  end

  local function assert_refused(path, code, pattern, options)
    local got, message = opened(path, options)
    assert.equal(code, got, message)
    assert.matches(pattern, message)
  end

  it("is called so", function()
    local dir = support.tmpdir()
    local empty = dir .. "/empty"
    os.execute("mkdir " .. empty)
    for _, create in ipairs { true, "new" } do
      assert_refused(empty, "exists", "empty", { create = create })
    end
    assert_refused(empty, "not_found", "is not a trail: it holds no log.mdb", { create = false })
    assert_refused(empty, "not_found", "is not a trail", { read_only = true })
    local file = dir .. "/file"
    support.write_file(file, "x")
    assert_refused(file, "exists", "file")
    assert_refused(file, "not_found", "file", { create = false })
    assert_refused(file .. "/below", "not_found", "below", { create = false })
    assert.is_true(opened(file .. "/below") ~= "ok")
    assert_refused(dir .. "/a/b/c", "not_found", "a/b/c")
    assert_refused(dir .. "/nothing", "not_found", "there is no trail at .*nothing", { create = false })
    -- Nothing was made by any of this.
    local _, listing = support.run("cd " .. dir .. " && ls -AR")
    assert.equal(".:\nempty\nfile\n\n./empty:\n", listing)
    local _, message, code = trail.verify(dir .. "/nothing")
    assert.equal("not_found", code, message)
  end)

  it("but has a log.mdb, is corrupt", function()
    local path = support.tmpdir() .. "/audit.trail"
    for _, bytes in ipairs { "", "x", ("\0"):rep(100), ("\0"):rep(16384), ("garbage\n"):rep(4000),
      ("\xff"):rep(40000) } do
      attack.place(path, bytes)
      for _, options in ipairs { {}, { read_only = true }, { create = false } } do
        assert_refused(path, "corrupt", "log%.mdb", options)
      end
      assert.equal(bytes, attack.bytes(path)) -- and it is left as it is
      local _, _, code = trail.verify(path)
      assert.equal("corrupt", code)
    end
    os.execute("rm -r " .. path .. "/log.mdb; mkdir " .. path .. "/log.mdb")
    assert.is_true(opened(path) ~= "ok")
  end)

  -- Goal: an LMDB file of somebody else's is called that, and not touched.
  it("but LMDB's, is called that", function()
    local dir = support.tmpdir()
    support.write_file(dir .. "/foreign.c", [[
      #include <lmdb.h>
      int main(int argc, char **argv)
      {
          MDB_env *env; MDB_txn *txn; MDB_dbi dbi; MDB_val v = { 1, "x" };
          (void)argc;
          return mdb_env_create(&env) || mdb_env_set_maxdbs(env, 4) ||
                 mdb_env_open(env, argv[1], MDB_NOSUBDIR, 0644) || mdb_txn_begin(env, 0, 0, &txn) ||
                 mdb_dbi_open(txn, "other", MDB_CREATE, &dbi) || mdb_put(txn, dbi, &v, &v, 0) ||
                 mdb_txn_commit(txn);
      }]])
    os.execute("mkdir " .. dir .. "/audit.trail")
    local code, out, err = support.run(string.format(
      "cd %s && %s foreign.c -o foreign -llmdb && LD_PRELOAD= ./foreign audit.trail/log.mdb", dir,
      os.getenv "CC" or "cc"))
    assert.equal(0, code, out .. err)
    local path = dir .. "/audit.trail"
    local bytes = attack.bytes(path)
    assert_refused(path, "corrupt", "an LMDB file, but not a trail's")
    assert.equal(bytes, attack.bytes(path))
  end)

  it("but a later format's, is told by its number", function()
    local path = support.tmpdir() .. "/audit.trail"
    assert(trail.open(path)):close()
    local rows = assert(testing.kv.rows(path, "meta"))
    local value = rows[2].value
    assert.equal(1, value:byte(2))
    for format, code in pairs { [2] = "\2", [23] = "\23", [24] = "\x18\24", [1000] = "\x19\x03\xe8" } do
      -- Whatever a later format has behind the number.
      for _, rest in ipairs { value:sub(3), "", "\x80\x80" } do
        assert(testing.kv.change(path,
          { { table = "meta", key = "log", value = value:sub(1, 1) .. code .. rest } }))
        assert_refused(path, "corrupt",
          string.format("the trail has format %d, this version knows 1", format))
      end
    end
    for _, bad in ipairs { "", "\x83", "\x83\1", value .. "\0", value:sub(1, -2), "\x84" .. value:sub(2) } do
      assert(testing.kv.change(path, { { table = "meta", key = "log", value = bad } }))
      assert_refused(path, "corrupt", "what the trail says of itself is damaged")
    end
    assert(testing.kv.change(path, { { table = "meta", key = "log" } }))
    assert_refused(path, "corrupt", "the trail does not say who it is")
  end)
end)

describe("a path", function()
  it("that makes no sense is refused", function()
    local _, message, code = trail.open ""
    assert.equal("invalid", code)
    assert.equal("open: the path is empty", message)
    local dir = support.tmpdir()
    for _, len in ipairs { 4000, 4088, 4096, 5000, 100000 } do
      local path = dir .. ("/" .. ("p"):rep(100)):rep(len // 101 + 1):sub(1, len - #dir)
      _, message, code = trail.open(path)
      assert.is_true(code == "invalid" or code == "io" or code == "not_found", message)
      assert.is_true(#message < 512)
      _, message, code = trail.open(path, { create = false })
      assert.is_true(code == "invalid" or code == "io" or code == "not_found", message)
      _, message, code = trail.verify(path)
      assert.is_true(code ~= nil, message)
    end
    _, message, code = trail.open(dir .. "/" .. ("n"):rep(300))
    assert.is_truthy(code, message)
    assert.has_error(function() trail.open "a\0b" end)
    assert.has_error(function() trail.verify "a\0b" end)
    assert.equal(0, #io.popen("ls -A " .. dir):read "a")
  end)

  it("may have any bytes that a path may have", function()
    local dir = support.tmpdir()
    for _, name in ipairs { "a b", "'\"", "%s%n", "b\xf6se", "new\nline", "-x", ("n"):rep(240) } do
      local path = dir .. "/" .. name
      local log <close> = assert(trail.open(path))
      assert(log:append(event(1)))
      assert(log:verify())
      local _, message = trail.open(path .. ".none", { create = false })
      assert.is_nil(message:find "[\0-\31\127]")
      assert.is_truthy(utf8.len(message))
    end
  end)

  it("may end in slashes, or be relative", function()
    local dir = support.tmpdir()
    local log <close> = assert(trail.open(dir .. "/audit.trail///"))
    local same <close> = assert(trail.open(dir .. "/./audit.trail/"))
    assert(log:append(event(1)))
    assert.equal(2, same:head().seq)
    local _, listing = support.run("ls -A " .. dir)
    assert.equal("audit.trail\n", listing)
  end)
end)
