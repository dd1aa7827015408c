-- memory_spec.lua - memory that fails, at every place where it can: no crash, no leak, no wrong
-- result, and a trail that is whole.
-- Test: C programs (spec/memory*.c) linked with the objects of this build that have their fault
-- points. In the sanitizer run they are built with AddressSanitizer and look for leaks too; so
-- each run can do without what the other does.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local support = require "spec.support"

local SANITIZED = support.B:find "sanitize" ~= nil
local SECONDS_MAX = 300

-- What a failure at a point may be called; at the others: no_memory.
local STATUSES = {
  ["build/commit"] = { full = true },
  ["hash/random"] = { io = true },
  ["kv/commit"] = { full = true },
  ["kv/put"] = { full = true, no_memory = true }, -- the index has no limit: its map grows till it cannot
  libc = { no_memory = true, io = true }, -- io: OpenSSL does not say why
}

-- The points that the sources name, and the library's allocations. Without a thread verify does
-- with fewer, and nothing fails: verify_threads_spec.
local function points()
  local found, seen = { "alloc" }, { ["verify/thread"] = true }
  for text in io.popen("cat src/*.c"):read("a"):gmatch 'trail__fault%("([^"]+)"%)' do
    if not seen[text] then
      seen[text] = true
      found[#found + 1] = text
    end
  end
  assert(#found >= 8, "the points have another form now")
  return found
end

local function build(program, sources, objects, libraries)
  local sanitizers = SANITIZED and "-fsanitize=address,undefined -fno-omit-frame-pointer "
    .. "-fno-sanitize-recover=undefined" or ""
  local code, out, err = support.run(string.format(
    "%s -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Wconversion -Wshadow -Werror -pthread %s "
    .. "-DTRAIL_FAULTS -DFAIL_LIBC -Isrc $(pkg-config --cflags lua5.4) -o %s %s "
    .. "spec/memory_fail.c %s $(ls src/*.c | grep -v -e /lua_ -e /main -e /testing -e /bench "
    .. "| sed 's,^src/\\(.*\\)c$,%s/faults/\\1o,') -llmdb -lcrypto -ljansson -luuid %s",
    os.getenv "CC" or "cc", sanitizers, program, sources, objects, support.B, libraries))
  assert.equal(0, code, out .. err)
end

-- Run the program for each case, two at a time; returns what each printed.
local function run(program, cases)
  local dir = support.tmpdir()
  local list = {}
  for i, case in ipairs(cases) do
    os.execute("mkdir " .. dir .. "/" .. i)
    list[i] = string.format("%d %s %s\n", i, case.point, case.mode)
  end
  -- The sanitizers' libraries that were loaded before Lua are in these programs already.
  support.run(string.format("ulimit -c 0; xargs -L 1 -P 2 sh -c 'LD_PRELOAD= "
    .. "ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:quarantine_size_mb=8 "
    .. "timeout %d %s %s/$1 $2 $3 $4 >%s/$1.out 2>&1; echo $? >%s/$1.code' sh",
    SECONDS_MAX, program, dir, dir, dir), table.concat(list))
  local printed = {}
  for i, case in ipairs(cases) do
    local out = support.read_file(dir .. "/" .. i .. ".out")
    assert.equal("0\n", support.read_file(dir .. "/" .. i .. ".code"),
      string.format("%s %s %s\n%s", program:match "[^/]+$", case.point, case.mode, out))
    printed[i] = out
  end
  os.execute("rm -rf " .. dir .. "/*")
  return printed
end

local function every(list, modes)
  local cases = {}
  for _, point in ipairs(list) do
    for _, mode in ipairs(modes) do cases[#cases + 1] = { point = point, mode = mode } end
  end
  return cases
end

describe("memory that fails", function()
  local program, lua_program

  setup(function()
    local dir = support.tmpdir()
    program, lua_program = dir .. "/memory", dir .. "/memory_lua"
    build(program, "spec/memory.c spec/memory_calls.c spec/memory_index.c spec/memory_submit.c",
      "", "")
    build(lua_program, "spec/memory_lua.c", "$(ls src/lua_*.c | sed 's,^src/\\(.*\\)c$,"
      .. support.B .. "/obj/\\1o,')", "$(pkg-config --libs lua5.4)")
  end)

  -- What the functions said to the failures of a case; each line is "name: status count ...".
  local function judge(case, out)
    local allowed = STATUSES[case.point] or { no_memory = true }
    local met = 0
    for name, statuses in out:gmatch "([^\n]+):([^\n]*)\n" do
      for status, count in statuses:gmatch "(%S+) (%d+)" do
        assert.is_true(status == "ok" or allowed[status] == true, string.format(
          "%s %s: %s gave %s", case.point, case.mode, name, status))
        met = met + tonumber(count)
      end
    end
    assert.is_true(met > 0, "nothing ever called " .. case.point)
  end

  local function try(cases)
    for i, out in ipairs(run(program, cases)) do judge(cases[i], out) end
  end

  -- Goal: whichever allocation and whichever fault point of the library fails, the function says
  -- so, nothing was stored, opened or given, and the next call works.
  -- Method: every public function, call by call, until it has its way; after each the trail is
  -- verified, and the open files and the mappings are counted.
  it("leaves the trail whole and nothing behind", function()
    try(every(points(), { "once", "forever" }))
  end)

  -- Goal: the same for what LMDB, OpenSSL, jansson and the C library allocate.
  -- Method: malloc itself fails. (Without the fix in json.c jansson lost digits, wrote behind its
  -- memory or stopped the process; without that in query.c records were left out.)
  it("may be any malloc of the process", function()
    try(every({ "libc" }, { "once", "forever" }))
  end)

  -- Goal: OpenSSL, used for the first time while memory fails, does not take the process with it.
  -- Method: a process for each of the first mallocs, and for many of the others. (At some fifty of
  -- them it crashed.) Only in the plain run: the sanitizers have nothing more to see there.
  if not SANITIZED then
    it("may fail at the first use", function()
      run(program, every({ "libc" }, { "once first", "forever first" }))
    end)
  end

  -- Goal: no public function is forgotten here.
  -- Method: the declarations in trail.h against the calls in the sources.
  it("meets every function that can fail", function()
    local calls = ""
    for _, name in ipairs { "calls", "index", "submit" } do
      calls = calls .. support.read_file("spec/memory_" .. name .. ".c")
    end
    local count = 0
    for name in support.read_file("src/trail.h"):gmatch "TRAIL_API trail_status ([%w_]+)%(" do
      assert.is_truthy(calls:find(name .. "(", 1, true), name)
      count = count + 1
    end
    assert.is_true(count >= 16)
  end)

  -- Goal: whatever Lua cannot allocate, the binding gives a result, an error of Lua's or nil,
  -- message and code; it holds on to no memory that the collector may take; logs and cursors that
  -- were lost are closed; what was made can be used, and so can a module that was loaded at last.
  -- Method: every method, call by call, with an allocator that never leaves a block in its place.
  -- "once" means an emergency collection at each place: only AddressSanitizer sees what that can
  -- break. What is lost forever it sees below, where Lua's memory comes from the malloc that fails.
  it("may be Lua's", function()
    run(lua_program, every({ "lua" }, SANITIZED and { "once" } or { "twice", "forever" }))
  end)

  -- Goal: what fails below the binding comes up through it as it is.
  -- Method: the same work; the points of the library, and malloc, from which Lua has its memory.
  it("may be the library's, seen from Lua", function()
    local cases = every(points(), { SANITIZED and "forever" or "once" })
    table.insert(cases, 1, { point = "libc", mode = SANITIZED and "forever" or "once" })
    for i, out in ipairs(run(lua_program, cases)) do
      local raised, refused = out:match "work: %d+ done, (%d+) raised, (%d+) refused"
      assert.is_truthy(refused, out)
      local point = cases[i].point
      -- The map grows then, or has no need to; so few events have no index.
      local healed = point == "kv/put" and cases[i].mode == "once" or point == "kv/map" or point == "build/commit"
      assert.is_true(healed or raised + refused > 0, "nothing ever called " .. point)
    end
  end)
end)
