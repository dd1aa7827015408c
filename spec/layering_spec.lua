-- layering_spec.lua - arrows point down, names stay ours, and the house rules hold.
-- Level: test; reads the sources. What the build exports is in c_api_spec.lua.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted
--
-- Every rule is a function from { path = text } to complaints. Each is also fed something
-- wrong: a rule that cannot complain would pass for ever.

local support = require "spec.support"

-- ---- reading sources ------------------------------------------------------------------------

-- { path = text } of the files that the shell's patterns find.
local function read_all(patterns)
  local files = {}
  local _, paths = support.run("for f in " .. patterns:gsub("\n", " ") .. "; do [ -f $f ] && echo $f; done; true")
  for path in paths:gmatch "[^\n]+" do files[path] = support.read_file(path) end
  assert(next(files), "no files: " .. patterns)
  return files
end

local function sorted(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return list
end

local function lines_of(text)
  local list = {}
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do list[#list + 1] = line end
  if list[#list] == "" then list[#list] = nil end
  return list
end

local function name_of(path)
  return path:match "[^/]+$"
end

-- The first comment up to its first empty line, as one line.
local function head_of(path, text)
  local words = {}
  for _, line in ipairs(lines_of(text)) do
    local body
    if path:match "%.lua$" then
      body = line:match "^%-%-%s*(.-)%s*$"
    else
      body = line:match "^[/ ]%*%s*(.-)%s*$"
    end
    if not body or body == "" or body == "/" then break end
    words[#words + 1] = body:match "^(.-)%s*%*/$" or body
  end
  return table.concat(words, " ")
end

local function string_end(text, at)
  local quote = text:sub(at, at)
  local to = at + 1
  while to <= #text and text:sub(to, to) ~= quote do
    to = to + (text:sub(to, to) == "\\" and 2 or 1)
  end
  return to
end

-- A Lua source without its comments and, unless they are kept, its strings. Lines stay lines.
local function bare_lua(text, keep_strings)
  local out, at = {}, 1
  local function take(to, keep)
    local piece = text:sub(at, to)
    out[#out + 1] = keep and piece or "''" .. piece:gsub("[^\n]", "")
    at = to + 1
  end
  while at <= #text do
    local from = text:find("[-%[\"']", at) or #text + 1
    take(from - 1, true)
    local level = text:match("^%[(=*)%[", at) or text:match("^%-%-%[(=*)%[", at)
    local comment = text:sub(at, at + 1) == "--"
    if level then
      local _, to = text:find("]" .. level .. "]", at, true)
      take(to or #text, keep_strings and not comment)
    elseif comment then
      at = text:find("\n", at, true) or #text + 1
    elseif text:find("^[\"']", at) then
      take(string_end(text, at), keep_strings)
    else
      take(at, true)
    end
  end
  return table.concat(out)
end

-- Names that lead to each other in a circle: a list of names, or nil.
local function circle(graph)
  local state = {}
  local function visit(name, way)
    if state[name] == "done" then return nil end
    way = way .. " " .. name
    if state[name] == "open" then return way end
    state[name] = "open"
    for _, below in ipairs(graph[name] or {}) do
      local found = visit(below, way)
      if found then return found end
    end
    state[name] = "done"
  end
  for _, name in ipairs(sorted(graph)) do
    local found = visit(name, "")
    if found then return found end
  end
end

-- ---- the layers of the C files --------------------------------------------------------------

-- Who may say of himself that he stands outside the levels.
local OUTSIDE = {
  edge = { "^lua_", "^main", "^embedded%.h$", "^mirror", "^bench" },
  test = { "^testing" },
}

-- What a C file says of itself: { name, module, kind = "level" | "edge" | "test", statement,
-- level, below = highest level it may include, named = { module = true } }; or nil, complaint.
local function parse_head(path, text)
  local head, name = head_of(path, text), name_of(path)
  local info = { name = name, module = name:match "^[%w_]+", named = {}, below = -1 }
  local own, rest = head:match "^(%S+) %- (.*)$"
  if own ~= name then return nil, path .. ": does not begin with its name" end
  local said = own and rest:match "^(.-)%.? ?SPDX%-License%-Identifier: MIT$" or ""
  local level, statement = said:match "^..-[.?`] Level (%w+): (.*)$"
  if not level then level, statement = said:match "^..-[.?`] (%u%l+): (.*)$" end
  info.statement, info.level = statement, tonumber(level)
  info.kind = info.level and "level" or level and level:lower()
  for _, pattern in ipairs(OUTSIDE[info.kind] or {}) do
    if name:find(pattern) then return info end
  end
  if not info.level then return nil, path .. ": does not say its job, level and licence" end
  if info.level == 0 then
    if statement == "includes C standard headers only" then return info end
    return nil, path .. ": level 0 includes C standard headers only"
  end
  local first, last, named = statement:match "^may include levels? (%d+)%-?(%d*)([%w_, ]*)"
  if first ~= "0" then return nil, path .. ": does not say 'may include level 0'" end
  info.below = tonumber(last) or 0
  for module in named:gmatch "[%w_]+" do info.named[module] = true end
  return info
end

-- An edge belongs together with the edges of its own kind, and with no others.
local function family(info)
  return info.module:match "^lua_" or info.module:match "^bench" or info.module
end

local function may_include(from, target)
  if from.kind == "test" or from.module == target.module then return true end
  if from.kind == "edge" then
    return target.level == 0 or target.kind == "edge"
      and (family(from) == family(target) or from.statement:find(target.name, 1, true) ~= nil)
  end
  return target.kind == "level" and (target.level <= from.below
    or target.level <= from.level and from.named[target.module] == true)
end

-- The heads of all files. A .c may include whatever its .h may.
local function parse_heads(files, complaints)
  local infos = {}
  for _, path in ipairs(sorted(files)) do
    local info, complaint = parse_head(path, files[path])
    infos[name_of(path)] = info
    complaints[#complaints + 1] = complaint
    if info and info.kind == "level" and info.below >= info.level and info.level > 0 then
      complaints[#complaints + 1] = path .. ": a level includes only what is below it"
    end
  end
  for name, info in pairs(infos) do
    local header = name:match "%.c$" and infos[info.module .. ".h"]
    if header then
      if header.level ~= 0 and header.level ~= info.level or header.kind ~= info.kind then
        complaints[#complaints + 1] = "src/" .. name .. ": is on another level than its header"
      end
      for module in pairs(header.named) do info.named[module] = true end
      info.below = math.max(info.below, header.below)
    end
  end
  return infos
end

local function includes_of(text)
  local list = {}
  for _, line in ipairs(lines_of(text)) do
    local bracket, name = line:match "^%s*#%s*include%s*([<\"])([^>\"]+)"
    if name then list[#list + 1] = { name = name, ours = bracket == "\"" } end
  end
  return list
end

local function check_includes(files)
  local complaints, graph = {}, {}
  local infos = parse_heads(files, complaints)
  for _, path in ipairs(sorted(files)) do
    local from, below = infos[name_of(path)], {}
    graph[name_of(path)] = below
    for _, include in ipairs(from and includes_of(files[path]) or {}) do
      local target = infos[include.name]
      below[#below + 1] = include.ours and include.name or nil
      if include.ours and not target then
        complaints[#complaints + 1] = path .. ": there is no " .. include.name
      elseif include.ours and not may_include(from, target) then
        complaints[#complaints + 1] = path .. ": may not include " .. include.name
      end
    end
  end
  local found = circle(graph)
  if found then complaints[#complaints + 1] = "in a circle:" .. found end
  return complaints
end

-- ---- other people's headers -----------------------------------------------------------------

local ONLY = {
  ["^lmdb%.h$"] = { "kv%.c", "kv_%l+%.c", "kv_env%.h" },
  ["^openssl/"] = { "hash%.c" },
  ["^jansson%.h$"] = { "json%.c" },
  ["^uuid/"] = { "uuid%.c" },
  ["^roaring/"] = { "segment%.c" },
  ["^sqlite3%.h$"] = {},
  ["^libpq"] = { "mirror%.c" },
  ["^lua%.h$"] = { "lua_%l+%.[ch]", "main%.c", "main_files%.[ch]" },
  ["^lauxlib%.h$"] = { "lua_%l+%.[ch]", "main%.c", "main_files%.[ch]" },
  ["^lualib%.h$"] = { "lua_%l+%.[ch]", "main%.c", "main_files%.[ch]" },
}

local C_STANDARD = {}
for name in ([[assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp
  signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath
  threads time uchar wchar wctype]]):gmatch "%S+" do
  C_STANDARD[name .. ".h"] = true
end

local function may_use(name, header)
  if name:match "^testing" or name:match "^bench" then return true end
  for pattern, users in pairs(ONLY) do
    if header:find(pattern) then
      for _, user in ipairs(users) do
        if name:match("^" .. user .. "$") then return true end
      end
      return false
    end
  end
  return true
end

-- Does the file keep what it says of itself?
local function breaks_word(statement, header)
  if statement:find("No I/O", 1, true) then
    return header:find "^sys/" or header == "stdio.h" or header == "unistd.h" or header == "fcntl.h"
  end
  local lua = header:find "^lua" or header == "lauxlib.h"
  return statement:find("C standard headers only", 1, true) and not C_STANDARD[header]
    and not (lua and statement:find("Lua's headers", 1, true))
end

local function check_system(files)
  local complaints = {}
  for _, path in ipairs(sorted(files)) do
    local info = parse_head(path, files[path])
    for _, include in ipairs(includes_of(files[path])) do
      if not include.ours and not may_use(name_of(path), include.name) then
        complaints[#complaints + 1] = path .. ": may not include <" .. include.name .. ">"
      elseif not include.ours and info and breaks_word(info.statement, include.name) then
        complaints[#complaints + 1] = path .. ": says it includes no <" .. include.name .. ">"
      end
    end
  end
  return complaints
end

-- ---- the layers of the Lua files ------------------------------------------------------------

local function requires_of(text)
  local list = {}
  for name in bare_lua(text, true):gmatch "%f[%w_]require[%s(]*[\"'](trail[%w_.]*)[\"']" do
    list[#list + 1] = name
  end
  return list
end

local function module_of(path)
  return (path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))
end

-- Printing, or ending, is for the command alone.
local LOUD = { "%f[%w_.:]print%f[^%w_]", "%f[%w_]os%.exit", "%f[%w_]io%.write",
  "%f[%w_]io%.std%l+", "%f[%w_]io%.output", "%f[%w_]io%.read" }

local function check_below_cli(path, text, complaints)
  local head = head_of(path, text)
  for _, name in ipairs(requires_of(text)) do
    local word = name:match "[%w_]+$"
    if name:match "^trail%.cli" or name == "trail.host" then
      complaints[#complaints + 1] = path .. ": may not require " .. name
    elseif not head:find("%f[%w_]" .. word .. "%f[^%w_]", #path - #"lua/trail/" + 1) then
      complaints[#complaints + 1] = path .. ": its head does not say that it requires " .. name
    end
  end
  for number, line in ipairs(lines_of(bare_lua(text))) do
    for _, pattern in ipairs(LOUD) do
      local found = line:match(pattern)
      if found then
        complaints[#complaints + 1] = ("%s:%d: %s is for lua/trail/cli"):format(path, number, found)
      end
    end
  end
end

-- Nobody runs other programs: what Lua cannot ask of the system, trail.host can.
local PROGRAMS = { "%f[%w_]os%.execute%f[^%w_]", "%f[%w_]io%.popen%f[^%w_]" }

local function check_runs_nothing(path, text, complaints)
  for number, line in ipairs(lines_of(bare_lua(text))) do
    for _, pattern in ipairs(PROGRAMS) do
      local found = line:match(pattern)
      if found then
        complaints[#complaints + 1] = ("%s:%d: %s runs a program"):format(path, number, found)
      end
    end
  end
end

local function check_lua_layers(files)
  local complaints, graph = {}, {}
  for _, path in ipairs(sorted(files)) do
    local text = files[path]
    local head = head_of(path, text)
    local in_cli = path:match "^lua/trail/cli/" ~= nil
    graph[module_of(path)] = requires_of(text)
    if not head:find "%f[%w]Level: " or (head:find("Level: cli", 1, true) ~= nil) ~= in_cli then
      complaints[#complaints + 1] = path .. ": does not say its level"
    end
    check_runs_nothing(path, text, complaints)
    if not in_cli then check_below_cli(path, text, complaints) end
  end
  local found = circle(graph)
  if found then complaints[#complaints + 1] = "in a circle:" .. found end
  return complaints
end

-- ---- house rules ----------------------------------------------------------------------------

local FUNCTION_LINES_MAX = 70

-- clang-format puts the braces of a function, and of nothing else, at the left edge.
local function c_functions(text)
  local list, first = {}, nil
  local lines = lines_of(text)
  for number, line in ipairs(lines) do
    if line == "{" then
      first = number
      while lines[first - 1] and lines[first - 1]:match "^%s*[%w_]" do first = first - 1 end
    elseif line == "}" and first then
      list[#list + 1] = { name = lines[first], line = first, count = number - first + 1 }
      first = nil
    end
  end
  return list
end

-- A describe is a heading, not a function.
local function lua_functions(text)
  local list, open = {}, {}
  for number, line in ipairs(lines_of(bare_lua(text))) do
    for word in line:gmatch "[%a_][%w_]*" do
      if word == "function" or word == "if" or word == "do" or word == "repeat" then
        open[#open + 1] = { name = line, line = number, counts = word == "function"
          and not line:find "^%s*describe%(" }
      elseif word == "end" or word == "until" then
        local closed = assert(table.remove(open), "line " .. number .. ": nothing is open")
        closed.count = number - closed.line + 1
        if closed.counts then list[#list + 1] = closed end
      end
    end
  end
  assert(#open == 0, "not closed: " .. (open[1] and open[1].name or ""))
  return list
end

-- Specs are lists of cases: longer, and as wide as .luacheckrc allows.
local function limits_of(path)
  if path:match "^spec/.*%.lua$" then return 700, 120 end
  -- The one public header has all that the library offers.
  if path == "src/trail.h" then return 800, 100 end
  return 600, 100
end

local MARKS = { "TO" .. "DO", "FIX" .. "ME", "X" .. "XX" }

local function check_line(line, columns_max)
  if (utf8.len(line) or #line) > columns_max then
    return "is longer than " .. columns_max .. " columns"
  end
  if line:find "[ \t\r]$" then return "ends in a blank" end
  if line:find("\t", 1, true) then return "holds a tab" end
  for _, mark in ipairs(MARKS) do
    if line:find("%f[%w_]" .. mark .. "%f[^%w_]") then return "says " .. mark end
  end
end

local function check_house_rules(files)
  local complaints = {}
  for _, path in ipairs(sorted(files)) do
    local text = files[path]
    local lines, head, name = lines_of(text), head_of(path, text), name_of(path)
    local lines_max, columns_max = limits_of(path)
    local function complain(number, what)
      complaints[#complaints + 1] = ("%s:%d: %s"):format(path, number, what)
    end
    if head:sub(1, #name + 3) ~= name .. " - "
      or not head:find("SPDX-License-Identifier: MIT", 1, true) then
      complain(1, "does not begin with its name, its job and the licence")
    end
    if #lines > lines_max then complain(#lines, "is longer than " .. lines_max .. " lines") end
    if text:sub(-1) ~= "\n" then complain(#lines, "the last line does not end") end
    for number, line in ipairs(lines) do
      local what = check_line(line, columns_max)
      if what then complain(number, what) end
    end
    for _, found in ipairs((path:match "%.lua$" and lua_functions or c_functions)(text)) do
      if found.count > FUNCTION_LINES_MAX then
        complain(found.line, found.count .. " lines of function: " .. found.name)
      end
    end
  end
  return complaints
end

-- ---- the rules, and whether they would notice -----------------------------------------------

local function assert_none(complaints)
  assert.equal("", table.concat(complaints, "\n"))
end

local function c_file(path, statement, body)
  return ("/* %s - a job.\n * %s.\n * SPDX-License-Identifier: MIT\n */\n%s\n"):format(
    name_of(path), statement, body or "")
end

-- Files of src/ that stand around the one that is wrong.
local AROUND = {
  ["src/trail.h"] = "Level 0: includes C standard headers only",
  ["src/hash.h"] = "Level 1: may include level 0",
  ["src/log.h"] = "Level 4: may include levels 0-3",
  ["src/lua_core.h"] = "Level edge: includes trail.h only",
}

local function c_complaints(path, statement, body)
  local files = {}
  for other, says in pairs(AROUND) do files[other] = c_file(other, says) end
  files[path] = c_file(path, statement, body)
  return table.concat(check_includes(files), "\n") .. table.concat(check_system(files), "\n")
end

local LEVEL_1, LEVEL_3 = "Level 1: may include level 0", "Level 3: may include levels 0-1"
local LEVEL_4, EDGE = AROUND["src/log.h"], "Edge: includes trail.h only"
local LUA_EDGE = "Edge: includes Lua's headers and C standard headers only"

-- Path, what it says, what it holds, and the complaint (without the path in front of it).
local WRONG_IN_C = {
  { "src/kv.c", LEVEL_3, '#include "log.h"', "may not include log.h" },
  { "src/kv.c", LEVEL_3 .. ", log", '#include "log.h"', "may not include log.h" },
  { "src/kv.c", LEVEL_3, '#include "lua_core.h"', "may not include lua_core.h" },
  { "src/kv.c", LEVEL_3, '#include "no.h"', "there is no no.h" },
  { "src/kv.c", "Level 3: may include levels 0-3", "", "a level includes only what is below it" },
  { "src/kv.c", "Level 3: includes all", "", "does not say 'may include level 0'" },
  { "src/kv.c", "Level: any", "", "does not say its job, level and licence" },
  { "src/kv.c", "Test: may include anything", "", "does not say its job, level and licence" },
  { "src/uuid.c", LEVEL_1, '#include "hash.h"', "may not include hash.h" },
  { "src/log.c", "Level 5: may include levels 0-4", "", "is on another level than its header" },
  { "src/main.c", EDGE, '#include "lua_core.h"', "may not include lua_core.h" },
  { "src/lua_x.c", EDGE, '#include "log.h"', "may not include log.h" },
  { "src/bench.c", EDGE, '#include "log.h"', "may not include log.h" },
  { "src/log.c", LEVEL_4, "#include <lmdb.h>", "may not include <lmdb.h>" },
  { "src/log.c", LEVEL_4, "#  include <lua.h>", "may not include <lua.h>" },
  { "src/main.c", EDGE, "#include <sqlite3.h>", "may not include <sqlite3.h>" },
  { "src/json.c", LEVEL_1 .. ". No I/O", "#include <stdio.h>", "says it includes no <stdio.h>" },
  { "src/lua_x.c", LUA_EDGE, "#include <unistd.h>", "says it includes no <unistd.h>" },
}

local RIGHT_IN_C = {
  { "src/uuid.c", LEVEL_1 .. ", hash", '#include "hash.h"' },
  { "src/log.c", LEVEL_4, '#include "log.h"\n# include "hash.h"\n#include "trail.h"' },
  { "src/lua_x.c", EDGE, '#include "lua_core.h"\n#include "trail.h"' },
  { "src/lua_x.c", LUA_EDGE, "#include <lua.h>\n#include <string.h>" },
  { "src/testing_x.c", "Test: may include anything", '#include "log.h"\n#include <lmdb.h>' },
}

describe("the layers", function()
  -- Goal: an arrow only points down, and every file says where it stands.
  -- Method: the levels from the heads of all files of src/, against their include lines.
  it("hold among the C files", function()
    assert_none(check_includes(read_all "src/*.c src/*.h"))
  end)

  -- Goal: one file knows LMDB, one OpenSSL, and so on; who says "No I/O" has none.
  -- Method: the include lines again, against a table and against the heads.
  it("keep other people's headers where they belong", function()
    assert_none(check_system(read_all "src/*.c src/*.h"))
  end)

  -- Goal: the command is over the modules, the modules over the core; only the command prints.
  -- Method: what is required and what is called, in the sources without comments and strings.
  it("hold among the Lua files", function()
    assert_none(check_lua_layers(read_all "lua/trail/*.lua lua/trail/cli/*.lua"))
  end)

  -- Goal: the rules about C files can fail.
  -- Method: small made-up files, each with one thing wrong; and some with nothing wrong.
  it("are noticed where a C file breaks them", function()
    for _, case in ipairs(WRONG_IN_C) do
      assert.equal(case[1] .. ": " .. case[4], c_complaints(case[1], case[2], case[3]))
    end
    for _, case in ipairs(RIGHT_IN_C) do
      assert.equal("", c_complaints(case[1], case[2], case[3]))
    end
    assert.same({ "src/x.c: does not begin with its name" },
      check_includes { ["src/x.c"] = "int x;\n" })
    assert.same({ "in a circle: a.h b.h a.h" }, check_includes {
      ["src/a.h"] = c_file("a.h", LEVEL_1 .. ", b", '#include "b.h"'),
      ["src/b.h"] = c_file("b.h", LEVEL_1 .. ", a", '#include "a.h"'),
    })
  end)

  -- Goal: so can those about Lua files.
  -- Method: the same.
  it("are noticed where a Lua file breaks them", function()
    local function expect(wanted, head, body, path)
      path = path or "lua/trail/x.lua"
      local text = "-- x.lua - a job.\n-- " .. head .. "\n\n" .. body
      local found = table.concat(check_lua_layers { [path] = text }, "\n")
      assert.equal(wanted == "" and "" or path .. wanted, found)
    end
    local cli = "lua/trail/cli/x.lua"
    expect("", "Level: pure; requires trail.time.", 'local time = require "trail.time"')
    expect(": may not require trail.cli.store", "Level: pure.", 'require("trail.cli.store")')
    expect(": may not require trail.host", "Level: pure.", "require 'trail.host'")
    expect(": its head does not say that it requires trail.time", "Level: pure.",
      'require "trail.time"')
    expect(": does not say its level", "Pure.", "")
    expect(": does not say its level", "Level: cli.", "")
    expect(": does not say its level", "Level: pure.", "", cli)
    for _, loud in ipairs { "print 'x'", "if x then print(x) end", "os.exit(1)", "io.stdout:w(x)",
                            "io.write(x)", "x = [[\n]] io.stderr:write()" } do
      local call = loud:match "print" or loud:match "[io][os]%.%l+"
      expect((":%d: %s is for lua/trail/cli"):format(loud:find "\n" and 5 or 4, call),
        "Level: pure.", loud)
      expect("", "Level: cli.", loud, cli)
    end
    for _, call in ipairs { "os.execute", "io.popen" } do
      expect((":4: %s runs a program"):format(call), "Level: pure.", "local x = " .. call .. "('ls')")
      expect((":5: %s runs a program"):format(call), "Level: cli.", "\nlocal x = " .. call, cli)
      expect("", "Level: cli.", "-- " .. call .. "\nx = '" .. call .. "()' my" .. call .. "ed()", cli)
    end
    for _, quiet in ipairs { "facts.print(x)", "x:print()", "print_row(x)", "-- print(x)",
                             "x = 'print(x)'", "x = '\\'' .. \"print()\"",
                             "x = [==[ ]] os.exit() ]==]", "--[[\nprint(x)\n]]" } do
      expect("", "Level: pure.", quiet)
    end
    assert.equal(" a b a", circle { a = { "c", "b" }, b = { "c", "a" }, c = {} })
    assert.is_nil(circle { a = { "c", "b" }, b = { "c" }, c = {} })
  end)
end)

describe("the house rules", function()
  -- Goal: short functions, short files, short lines, nothing left lying about.
  -- Method: all C and Lua files of the project, also the specs and this file.
  it("hold everywhere", function()
    assert_none(check_house_rules(read_all [[src/*.c src/*.h src/*.lua lua/trail/*.lua
      lua/trail/cli/*.lua examples/*.c examples/*.lua spec/*.lua spec/*.c]]))
  end)

  local function complaints(path, body)
    local head = "/* x.c - a job.\n * SPDX-License-Identifier: MIT */\n"
    if path:match "lua$" then head = "-- x.lua - a job.\n-- SPDX-License-Identifier: MIT\n" end
    return table.concat(check_house_rules { [path] = head .. body .. "\n" }, "\n")
  end

  -- Goal: a function of 70 lines is right, one of 71 is not, whatever its strings say.
  -- Method: functions of both lengths.
  it("are noticed where a function breaks them", function()
    local c = "\nstatic int f(int a,\n             int b)\n{\n%s}"
    assert.equal("", complaints("src/x.c", c:format(("x\n"):rep(66))))
    assert.equal("src/x.c:4: 71 lines of function: static int f(int a,",
      complaints("src/x.c", c:format(("x\n"):rep(67))))
    local lua = "local function f()\n%send"
    assert.equal("", complaints("lua/x.lua", lua:format(("if x then y() end -- if\n"):rep(68))))
    assert.equal("lua/x.lua:3: 71 lines of function: local function f()",
      complaints("lua/x.lua", lua:format(("x = 'end'\n"):rep(69))))
    local heading = "describe('', function()\n%send)"
    assert.equal("", complaints("spec/x.lua", heading:format(("x()\n"):rep(70))))
  end)

  -- Goal, method: each rule meets a file that breaks it by as little as possible.
  it("are noticed where a file or a line breaks them", function()
    for _, case in ipairs {
      { "", ("\n"):rep(597) }, { ":601: is longer than 600 lines", ("\n"):rep(598) },
      { "", ("é"):rep(100) }, { ":3: is longer than 100 columns", ("é"):rep(101) },
      { ":3: holds a tab", "\tx" }, { ":3: ends in a blank", "x " },
      { ":3: ends in a blank", "x\r" }, { "", 'mkstemp("XXXXXX");' },
    } do
      assert.equal(case[1] == "" and "" or "src/x.c" .. case[1], complaints("src/x.c", case[2]))
    end
    for _, mark in ipairs(MARKS) do
      assert.equal("src/x.c:3: says " .. mark, complaints("src/x.c", "/* " .. mark .. ": it */"))
    end
    assert.same({ "src/x.c:1: does not begin with its name, its job and the licence",
      "src/x.c:1: the last line does not end" }, check_house_rules { ["src/x.c"] = "int x;" })
  end)
end)
