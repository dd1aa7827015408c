-- c_api_spec.lua - the library as a C program meets it: header, symbols, examples, installed copy.
-- Level: test; compiles C and C++, reads what is built through nm and readelf.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local attack = require "spec.attack"
local support = require "spec.support"
local testing = require "trail.testing"

local B, quote = support.B, support.quote
local SANITIZED = B:find "sanitize" ~= nil
local CC = os.getenv "CC" or "cc"
local SAN = SANITIZED and "-fsanitize=address,undefined" or ""
local STRICT = "-pedantic -Wall -Wextra -Werror"
-- What a build leaves in the environment of the specs is not for the programs run here: they are
-- linked with the sanitizers themselves, and may look for leaks.
local CLEAN = "unset LD_PRELOAD MAKEFLAGS MAKELEVEL MFLAGS; "
  .. "export ASAN_OPTIONS=\"$ASAN_OPTIONS:detect_leaks=1\"; "

local function sorted(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return list
end

-- Standard output of a command that must succeed and be silent on standard error.
local function output(command)
  local code, out, err = support.run(CLEAN .. command)
  assert.equal("0 ", code .. " " .. err, command .. "\n" .. out)
  return out
end

local TOP = output "pwd":match "[^\n]+"

local function assert_none(complaints)
  assert.equal("", table.concat(complaints, "\n"))
end

-- ---- symbols --------------------------------------------------------------------------------

-- What nm lists: { { name =, object = the file it is in }, ... }.
local function symbols(arguments)
  local list = {}
  for line in output("nm -A " .. arguments):gmatch "[^\n]+" do
    local object, name = line:match "([^/:]+):[^:]*%s([^%s@:]+)[^%s:]*$"
    -- The sanitizers add theirs.
    local theirs = name and SANITIZED
      and (name:find "^__[aou][%a_]*san" or name:find "^__sanitizer")
    if name and not theirs then list[#list + 1] = { name = name, object = object } end
  end
  assert(#list > 0, "nm lists nothing: " .. arguments)
  return list
end

local function matches_any(name, patterns)
  for _, pattern in ipairs(patterns) do
    if name:find(pattern) then return true end
  end
  return false
end

-- Symbols that match one of the patterns, or with wanted = false those that match none.
local function pick(list, patterns, wanted)
  local found = {}
  for _, symbol in ipairs(list) do
    if matches_any(symbol.name, patterns) == wanted then
      found[#found + 1] = symbol.object .. ": " .. symbol.name
    end
  end
  return found
end

-- What a library does not need that keeps what docs/c.md promises; and what only fault.c needs.
local RUDE = { "^_*[vfd]*printf", "^f?puts$", "^f?putc", "^perror$", "^stdout$", "^stderr$",
  "^exit$", "^abort$", "getenv$", "^pthread_create$", "^system$", "^popen$", "^setlocale$" }
local ALLOCATE = { "^[mc]alloc$", "^realloc", "^strn?dup$", "^v?asprintf$", "^getline$" }

local function needed(path)
  local list = {}
  for name in output("readelf -d " .. path):gmatch "NEEDED.-%[(.-)%]" do list[#list + 1] = name end
  assert(#list > 0, path .. " needs nothing, not even libc")
  return table.concat(list, " ")
end

-- The functions of a header: { name = is it documented? }. A comment counts for the declarations
-- below it up to the next empty line.
local function declared(header)
  local found, documented, open = {}, false, false
  for line in header:gmatch "([^\n]*)\n" do
    if line == "" then documented = false end
    if line:find "^[/ ].*%*/%s*$" then documented = true end
    open = open or line:find "^TRAIL_API " ~= nil
    local name = open and line:match "([%w_]+)%("
    if name then found[name], open = documented, false end
  end
  return found
end

local function check_public(header, list, page)
  local complaints, functions, exported = {}, declared(header), {}
  for _, symbol in ipairs(list) do exported[symbol.name] = true end
  for _, name in ipairs(sorted(functions)) do
    if not exported[name] then complaints[#complaints + 1] = name .. " is not exported" end
    if not functions[name] and not page:find("%f[%w_]" .. name .. "%f[^%w_]") then
      complaints[#complaints + 1] = name .. " is not documented"
    end
  end
  for _, name in ipairs(sorted(exported)) do
    if functions[name] == nil then complaints[#complaints + 1] = name .. " is not declared" end
  end
  return complaints
end

describe("what is built", function()
  local shared, core = B .. "/libtrail.so", B .. "/lua/trail/core.so"

  -- Goal: no name of ours can meet somebody else's, and nothing internal is in anybody's reach.
  -- Method: nm on the libraries, and on the objects of the edges, which have no archive.
  it("exports trail_* and luaopen_trail_core, and nothing else", function()
    assert_none(pick(symbols("-D --defined-only " .. shared), { "^trail_[^_]" }, false))
    assert_none(pick(symbols("-D --defined-only " .. core), { "^luaopen_trail_core$" }, false))
    local public, missing = declared(support.read_file "src/trail.h"), {}
    for name in pairs(public) do missing[name] = true end
    local inner = {}
    for _, symbol in ipairs(symbols("-g --defined-only " .. B .. "/libtrail.a")) do
      missing[symbol.name] = nil
      if public[symbol.name] == nil then inner[#inner + 1] = symbol end
    end
    assert.same({}, missing)
    assert_none(pick(inner, { "^trail__" }, false))
    local edges = output("cd src && ls lua_*.c main*.c"):gsub("(%S+)%.c%s", B .. "/obj/%1.o ")
    assert_none(pick(symbols("-g --defined-only " .. B .. "/obj/embedded.o " .. edges),
      { "^trail__", "^luaopen_trail_core$", "^main$" }, false))
  end)

  -- Goal: the library needs no Lua, the module no second one.
  -- Method: the NEEDED lines of the dynamic sections; that of the command does name Lua.
  it("links neither Lua nor Postgres into the library", function()
    assert.not_matches("lua", needed(shared))
    assert.not_matches("libpq", needed(shared))
    assert.not_matches("lua", needed(core))
    assert.matches("libtrail.so.0", needed(core), 1, true)
    assert.matches("liblua", needed(B .. "/trail"), 1, true)
  end)

  -- Goal: a host keeps its output, environment and threads; and every allocation can fail in a
  -- test, for there is one place that allocates.
  -- Method: what the objects of the library need.
  it("does not print or exit, starts threads where it says so, and allocates in one place", function()
    local wanted = symbols("--undefined-only " .. B .. "/libtrail.a")
    -- LMDB's own abort(), brought forward so that it prints nothing in the child that verifies. The
    -- threads of verify are gone when it returns; with threads = 1 there are none. That of the index
    -- lives until the trail is closed; there is none with TRAIL_INDEX_INLINE or _MANUAL. So does the
    -- one that writes what was submitted; the first trail_submit starts it.
    assert.same({ "indexer.o: pthread_create", "kv_open.o: abort", "queue.o: pthread_create",
      "verify_threads.o: pthread_create" }, pick(wanted, RUDE, true))
    local found = pick(wanted, ALLOCATE, true)
    for i, place in ipairs(found) do found[i] = place:match "^[^:]+" end
    assert.matches("^fault.o", table.concat(found, "\n"))
    assert.equal("", (table.concat(found, "\n"):gsub("fault%.o\n?", "")))
  end)

  -- Goal: the header, the library and the manual speak of the same functions.
  -- Method: the declarations against nm, and against docs/c.md where they have no comment.
  it("has every public function, declared and documented", function()
    assert_none(check_public(support.read_file "src/trail.h",
      symbols("-D --defined-only " .. shared), support.read_file "docs/c.md"))
  end)

  -- Goal: these rules can fail.
  -- Method: made-up lists and headers with one thing wrong, and another project's library.
  it("would be noticed, if it were otherwise", function()
    local function list(names)
      local made = {}
      for name in names:gmatch "%S+" do made[#made + 1] = { name = name, object = "a.o" } end
      return made
    end
    assert.same({ "a.o: helper", "a.o: trail__x" },
      pick(list "trail_open helper trail__x", { "^trail_[^_]" }, false))
    assert.same({ "a.o: puts", "a.o: __fprintf_chk", "a.o: secure_getenv" },
      pick(list "puts __fprintf_chk snprintf vsnprintf secure_getenv _exit", RUDE, true))
    assert.same({ "a.o: strdup", "a.o: malloc" },
      pick(list "strdup trail__alloc malloc free", ALLOCATE, true))
    local header = "/* It does. */\nTRAIL_API int trail_a(int);\nTRAIL_API const char *\n"
      .. "trail_b(int);\n\nTRAIL_API int trail_c(\n    int);\n"
    assert.same({}, check_public(header, list "trail_a trail_b trail_c", "| `trail_c` |"))
    assert.same({ "trail_c is not documented" },
      check_public(header, list "trail_a trail_b trail_c", "trail_cc xtrail_c"))
    assert.same({ "trail_a is not exported", "trail_d is not declared" },
      check_public(header, list "trail_b trail_c trail_d", "trail_c"))
    local libgcc = symbols("-D --defined-only $(" .. CC .. " -print-file-name=libgcc_s.so.1)")
    assert.is_true(#pick(libgcc, { "^trail_" }, false) > 10)
  end)
end)

-- ---- the header -----------------------------------------------------------------------------

-- Those of the compilers that are there, of which one must be.
local function compilers(names)
  local found = {}
  for name in names:gmatch "[^,]+" do
    if support.run("command -v " .. name:match "%S+") == 0 then found[#found + 1] = name end
  end
  assert(#found > 0, "none of these is installed: " .. names)
  return found
end

describe("trail.h", function()
  local dir, cxx

  setup(function()
    dir = support.tmpdir()
    cxx = compilers("g++,clang++," .. CC)
  end)

  -- Goal: a program in C or C++ may include the header first, alone and twice, and be strict.
  -- Method: nothing but the header, through every compiler that is there, in several standards.
  it("stands alone in C and C++", function()
    support.write_file(dir .. "/alone.x", "#include <trail.h>\n#include <trail.h>\n"
      .. "extern int nothing;\n")
    local function compile(compiler, language, standard)
      output(("%s -std=%s %s -Wconversion -Wshadow -Isrc -fsyntax-only -x %s %s/alone.x"):format(
        compiler, standard, STRICT, language, dir))
    end
    for _, compiler in ipairs(compilers(CC .. ",gcc,clang")) do
      for _, standard in ipairs { "c11", "gnu17" } do
        compile(compiler, "c -Wstrict-prototypes", standard)
      end
    end
    for _, compiler in ipairs(cxx) do
      for _, standard in ipairs { "c++11", "c++17", "c++20" } do
        compile(compiler, "c++", standard)
      end
    end
    support.write_file(dir .. "/alone.x", "#include <trail.h>\nint nothing = trail_open;\n")
    assert.has_error(function() compile(CC, "c", "c11") end)
  end)

  -- Goal: a C++ program does not only compile, it finds the functions.
  -- Method: link one, run it.
  it("serves a C++ program", function()
    support.write_file(dir .. "/program.cc", [[
#include <trail.h>
#include <cstdio>

int main(int, char **argv)
{
    trail *t = nullptr;
    trail_event event;
    trail_receipt receipt;
    trail_error err;

    trail_event_init(&event);
    event.event_type = event.action = event.resource_type = event.resource_id = trail_str("c++");
    event.result = trail_str("success");
    if (trail_open(&t, argv[1], nullptr, &err) != TRAIL_OK ||
        trail_append(t, &event, &receipt, &err) != TRAIL_OK) {
        std::printf("%s\n", err.text);
        return 1;
    }
    std::printf("seq %d\n", static_cast<int>(receipt.seq));
    trail_close(t);
    return 0;
}
]])
    -- The sanitizers' run-time libraries of two compilers do not go together.
    for i, compiler in ipairs(SANITIZED and { CC } or cxx) do
      output(("%s -x c++ -std=c++11 %s %s -Isrc %s/program.cc -o %s/program -L%s -ltrail "
        .. "-Wl,-rpath,%s"):format(compiler, STRICT, SAN, dir, dir, B, TOP .. "/" .. B))
      assert.equal("seq 2\n", output(("%s/program %s/%d.trail"):format(dir, dir, i)))
    end
  end)
end)

-- ---- the functions --------------------------------------------------------------------------

describe("the public functions", function()
  local dir, program

  setup(function()
    dir = support.tmpdir()
    program = dir .. "/c_api"
    output(("%s -std=c11 -D_GNU_SOURCE -g %s %s -Isrc spec/c_api.c spec/c_api_trail.c -o %s "
      .. "-L%s -ltrail -Wl,-rpath,%s"):format(CC, STRICT, SAN, program, B, TOP .. "/" .. B))
  end)

  -- The rest of spec/c_api.c's answer is a line for each check that failed.
  local function assert_holds(part)
    local here = dir .. "/" .. part
    os.execute("mkdir -p " .. here)
    local code, out, err = support.run(CLEAN .. program .. " " .. here .. " " .. part)
    assert.matches("^0 %d+ checks\n$", code .. " " .. out .. err)
  end

  for part, goal in pairs {
    words = "have a word for every status, fault and field, and for numbers that are none",
    helpers = "prepare structs, and know ids and JSON",
    absent = "take NULL where the header says so, and write nothing when they fail",
    receipts = "say where each event is stored, also if it was there before",
    reading = "find what is there, and say what is not",
    verify = "verify with progress, stop, and compare a head noted down",
    fork = "refuse what the parent opened, and serve the child anew",
  } do
    -- Goal: what the comments in trail.h promise, for calls in C that no binding makes.
    -- Method: that part of spec/c_api.c, in a process of its own, with leaks looked for.
    it(goal, function() assert_holds(part) end)
  end

  -- Goal: a damaged trail is an error that leaves the caller's structs alone.
  -- Method: rows of a trail changed behind its back, first the head, then the first entry.
  it("write nothing when the trail is damaged", function()
    for _, change in ipairs {
      { table = "meta", key = "head", value = "\132\24\99\26\255\255" },
      { table = "meta", key = "head", value = "" },
      { table = "entries", key = attack.key(1), value = "\1" },
    } do
      output("rm -rf " .. dir .. "/damaged && mkdir " .. dir .. "/damaged")
      output(B .. "/append " .. dir .. "/damaged/audit.trail")
      assert(testing.kv.change(dir .. "/damaged/audit.trail", { change }))
      assert_holds "damaged"
    end
  end)
end)

-- ---- the examples ---------------------------------------------------------------------------

describe("the examples", function()
  local STORED = "stored as seq %d, durable\n"
    .. "refused: field 'ip_address' is '192.0.2.700' (11 bytes), not an IPv4 or IPv6 address\n"
  local FOUND = "seq %d\n  user_id: alice@example.com\n  action: login\n"
    .. "  ip_address: 192.0.2.7\n  result_error: %s password\n"
  local VERIFIED = "verified: %d entries verified: parts, entries, chain, ids, head; "
    .. "no head was given to compare with\n"
  local dir, path

  setup(function()
    dir = support.tmpdir()
    path = dir .. "/audit.trail"
    -- Where another user can reach them, too.
    output(("chmod 755 %s && cp %s/append %s/query %s/libtrail.so.0 %s"):format(dir, B, B, B, dir))
  end)

  -- Exit code, stdout and stderr of a command in 'dir', as one text to compare.
  local function answer(command)
    local code, out, err = support.run(CLEAN .. "cd " .. dir .. " && " .. command)
    return ("%d\n%s%s"):format(code, out, err)
  end

  -- Goal: they do what they say, in whole outputs and exit codes.
  -- Method: a new trail, once and again; nothing to find in one that has no failures.
  it("append, find and verify", function()
    assert.equal("0\n" .. STORED:format(2), answer "./append audit.trail")
    assert.equal("0\n" .. STORED:format(3), answer "./append audit.trail")
    assert.equal("0\n" .. FOUND:format(3, "wrong") .. FOUND:format(2, "wrong")
      .. VERIFIED:format(3), answer "./query audit.trail")
    output(B .. "/trail init " .. dir .. "/empty.trail")
    assert.equal("0\n" .. VERIFIED:format(1), answer "./query empty.trail")
  end)

  -- Goal: damage is told, and told apart from other failures.
  -- Method: another reason in a stored event, with the pages of the file in order.
  it("notice damage", function()
    output("cp -r " .. path .. " " .. dir .. "/damaged.trail")
    local rows = assert(testing.kv.rows(dir .. "/damaged.trail", "entries"))
    assert(testing.kv.change(dir .. "/damaged.trail", { { table = "entries", key = attack.key(2),
      value = rows[2].value:gsub("wrong", "right") } }))
    assert.equal("3\n" .. FOUND:format(3, "wrong") .. FOUND:format(2, "right")
      .. "DAMAGED: entry 2: the details part (details, result_error) is not what the entry "
      .. "committed to\n", answer "./query damaged.trail")
  end)

  -- Goal: wrong usage and missing trails are said in one line, on standard error.
  -- Method: the whole answers, and that nothing is created.
  it("say what is wrong", function()
    for _, arguments in ipairs { "", " a b" } do
      assert.equal("2\nusage: append TRAIL\n", answer("./append" .. arguments))
      assert.equal("2\nusage: query TRAIL\n", answer("./query" .. arguments))
    end
    assert.equal("1\nappend: open: cannot create no/such.trail: No such file or directory "
      .. "(not_found)\n", answer "./append no/such.trail")
    assert.equal("1\nquery: open: there is no trail at no/such.trail (not_found)\n",
      answer "./query no/such.trail")
    assert.equal("1\nquery: open: there is no trail at new.trail (not_found)\n",
      answer "./query new.trail")
    support.write_file(dir .. "/file", "no trail")
    assert.equal("1\nappend: open: file is not a trail: it holds no log.mdb (exists)\n",
      answer "./append file")
    assert.equal("1\nquery: open: file is not a trail: it holds no log.mdb (not_found)\n",
      answer "./query file")
    local _, err = select(2, support.run("cd " .. dir .. " && ./append >/dev/null"))
    assert.equal("usage: append TRAIL\n", err)
    assert.not_matches("such", output("ls " .. dir))
    assert.not_matches("new", output("ls " .. dir))
  end)

  -- Goal: missing permissions are "denied".
  -- Method: as root, become somebody else; as somebody else, take them away.
  it("are denied what they may not", function()
    local other = "setpriv --reuid=65534 --regid=65534 --clear-groups "
    if output "id -u" ~= "0\n" then other = "" end
    output("cd " .. dir .. " && ./append closed.trail && chmod 0 closed.trail "
      .. "&& mkdir -m 555 locked")
    assert.equal("1\nappend: open: closed.trail/log.mdb: Permission denied (denied)\n",
      answer(other .. "./append closed.trail"))
    assert.equal("1\nquery: open: closed.trail/log.mdb: Permission denied (denied)\n",
      answer(other .. "./query closed.trail"))
    assert.equal("1\nappend: open: cannot create locked/new.trail: Permission denied (denied)\n",
      answer(other .. "./append locked/new.trail"))
    output("cd " .. dir .. " && chmod 755 closed.trail locked")
  end)

  -- Goal: the command line that each example shows works.
  -- Method: take it from the comment, but into another file.
  it("compile as their comments say", function()
    for _, name in ipairs { "append", "query" } do
      local line = support.read_file("examples/" .. name .. ".c"):match "%s(cc [^\n]+)\n"
      local command, count = line:gsub("%-o build/%l+$", "-o " .. quote(dir .. "/" .. name .. "2"))
      assert.equal(1, count, line)
      command = command:gsub("^cc", CC .. " " .. SAN):gsub("%f[%w]build%f[%W]", B)
      output(command)
      output(dir .. "/" .. name .. "2 " .. path)
    end
  end)
end)

-- ---- the installed copy ---------------------------------------------------------------------

describe("make install", function()
  local dir, usr

  setup(function()
    dir = support.tmpdir()
    usr = dir .. "/root/usr"
    output(("make --no-print-directory %s install DESTDIR=%s/root PREFIX=/usr"):format(
      SANITIZED and "SANITIZE=1" or "", dir))
  end)

  -- Goal: exactly what is needed is installed, readable for all.
  -- Method: the list of all files against the sources.
  it("puts everything in its place, and nothing else", function()
    local wanted = { "755 usr/bin/trail", "644 usr/include/trail.h", "644 usr/lib/libtrail.a",
      "777 usr/lib/libtrail.so", "755 usr/lib/libtrail.so.0",
      "755 usr/lib/lua/5.4/trail/core.so" }
    for path in output "ls lua/trail/*.lua lua/trail/cli/*.lua":gmatch "[^\n]+" do
      wanted[#wanted + 1] = "644 usr/share/lua/5.4/" .. path:match "^lua/(.*)"
    end
    local found = {}
    for line in output("cd " .. dir .. "/root && find . ! -type d -printf '%m %P\\n'")
      :gmatch "[^\n]+" do
      found[#found + 1] = line
    end
    table.sort(wanted)
    table.sort(found)
    assert.same(wanted, found)
    assert.equal("libtrail.so.0\n", output("readlink " .. usr .. "/lib/libtrail.so"))
  end)

  -- Goal: an outside program needs nothing of the checkout, shared or static.
  -- Method: compile an example elsewhere against the copy; the libraries of the static program
  -- are those that docs/c.md names.
  it("serves outside programs", function()
    local libraries = support.read_file "docs/c.md":match "libtrail%.a( %-l[%w -]+)`"
    output(("cp examples/append.c examples/query.c %s"):format(dir))
    for name, how in pairs {
      append = ("-L%s/lib -ltrail -Wl,-rpath,%s/lib"):format(usr, usr),
      query = usr .. "/lib/libtrail.a" .. libraries,
    } do
      output(("cd %s && %s -std=c11 %s %s -I%s/include %s.c -o %s %s"):format(
        dir, CC, STRICT, SAN, usr, name, name, how))
    end
    output("cd " .. dir .. " && ./append audit.trail")
    assert.matches("verified: 2 entries", output("cd " .. dir .. " && ./query audit.trail"))
    assert.not_matches("libtrail", needed(dir .. "/query"))
    assert.matches(usr .. "/lib/libtrail.so.0", output("ldd " .. dir .. "/append"), 1, true)
  end)

  -- Goal: so do the command and the Lua module.
  -- Method: both in a directory far from the checkout, with the installed paths alone.
  it("serves the shell and Lua", function()
    output(("cd %s && PATH=%s/bin:$PATH && unset LUA_PATH LUA_CPATH && trail init t.trail "
      .. "&& trail verify t.trail"):format(dir, usr))
    local script = [[
      local trail = require "trail"
      assert(package.searchpath("trail", package.path):find(arg[1], 1, true))
      assert(package.searchpath("trail.core", package.cpath):find(arg[1], 1, true))
      local maps = io.open("/proc/self/maps"):read "a"
      assert(maps:find(arg[1] .. "/lib/libtrail.so.0", 1, true))
      local log = assert(trail.open("t.trail", { create = false }))
      print(log:append { event_type = "x", action = "y", resource_type = "z", resource_id = "1",
        result = "success" })]]
    support.write_file(dir .. "/script.lua", script)
    local code, out, err = support.run(("cd %s && LUA_PATH='%s/share/lua/5.4/?.lua;"
      .. "%s/share/lua/5.4/?/init.lua' LUA_CPATH='%s/lib/lua/5.4/?.so' lua5.4 script.lua %s")
      :format(dir, usr, usr, usr, usr))
    assert.equal("0\n", code .. "\n" .. err)
    assert.matches("^2%s", out)
  end)
end)
