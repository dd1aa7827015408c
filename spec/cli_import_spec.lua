-- cli_import_spec.lua - trail import: lines, maps, bad input, repetition, stopping.
-- Level: test; needs build/trail.
-- SPDX-License-Identifier: MIT

local support = require "spec.support"

local function pwd()
  local pipe = assert(io.popen("pwd"))
  local path = pipe:read("*l")
  pipe:close()
  return path
end

local TRAIL = support.quote(pwd() .. "/" .. support.B .. "/trail")

local function trail(dir, words, stdin)
  return support.run(("cd %s && trail() { %s \"$@\"; }; trail %s"):format(support.quote(dir), TRAIL, words), stdin)
end

local function fresh()
  local dir = support.tmpdir()
  assert.equal(0, (trail(dir, "init t")))
  return dir
end

local function without_rate(text)
  return (text:gsub("%([%d,]+ events/s%)", "(N events/s)"))
end

-- The event number i as a line; 'more' is put in front of its fields.
local function line(i, more)
  return ('{%s"event_type":"t","action":"a","resource_type":"r","resource_id":"%d","result":"success"}\n'):format(
    more or "", i)
end

local function id_of(i)
  return ('"id":"0190a000-0000-7000-8000-%012x","timestamp":"2026-01-01T00:00:00Z",'):format(i)
end

local function many(first, last, with_id)
  local lines = {}
  for i = first, last do lines[#lines + 1] = line(i, with_id and id_of(i)) end
  return table.concat(lines)
end

-- The resource ids stored, in order, as one text.
local function stored(dir)
  local _, out = trail(dir, "log t --seq 2.. --fields resource_id")
  return (out:gsub('{"resource_id":"([^"]*)"}\n', "%1 "):gsub(" $", ""))
end

describe("JSON Lines", function()
  it("are stored, from files and standard input, in order", function()
    local dir = fresh()
    support.write_file(dir .. "/a", many(1, 2))
    support.write_file(dir .. "/b", many(5, 6):gsub("\n$", ""))
    local code, out, err = trail(dir, "import t a - b", many(3, 4))
    assert.equal("6 read, 6 stored, 0 already there, 0 refused, 0 skipped (N events/s)\n", without_rate(err))
    assert.equal("", out)
    assert.equal(0, code)
    assert.equal("1 2 3 4 5 6", stored(dir))
  end)

  it("may have CRLF, empty lines, a byte order mark, spaces; null is absent", function()
    local dir = fresh()
    local code, _, err = trail(dir, "import t",
      "\239\187\191" .. line(1):gsub("\n", "\r\n") .. "\r\n\n  \n  " .. line(2, '"user_id":null,'))
    assert.equal("5 read, 2 stored, 0 already there, 0 refused, 3 skipped (N events/s)\n", without_rate(err))
    assert.equal(0, code)
    assert.equal("1 2", stored(dir))
  end)

  it("keep numbers, times and texts exactly", function()
    local dir = fresh()
    trail(dir, "import t", line(1, '"timestamp":"2026-01-01T00:00:00.123456+01:00",'
      .. '"user_agent":"\\u00e9\\u202e\\ud83d\\ude00",'
      .. '"details":{"big":9007199254740993,"f":0.1,"e":[],"o":{},"n":null,"s":"\\u009b"},'))
    local _, out = trail(dir, "log t --seq 2 --fields timestamp,details,user_agent")
    assert.equal('{"timestamp":"2025-12-31T23:00:00.123456Z","details":{"big":9007199254740993,"e":[],"f":0.1,'
      .. '"n":null,"o":{},"s":"\\u009b"},"user_agent":"\195\169\\u202e\240\159\152\128"}\n', out)
  end)

  it("report each bad line with its number and reason, and go on", function()
    local dir = fresh()
    support.write_file(dir .. "/in", table.concat({
      line(1), "nonsense\n", line(2, '"usr":1,'), line(3, '"user_id":5,'), line(4):gsub("success", "ok"), "[1]\n",
      '{"a":1,"a":2}\n', line(5, '"ip_address":"300.0.0.1",'), line(6, '"timestamp":"soon",'),
      line(7, '"id":"x",'), line(8, '"user_id":"\255",'), line(9),
      line(10, '"details":' .. ("["):rep(129) .. ("]"):rep(129) .. ","),
    }))
    local code, out, err = trail(dir, "import t in")
    local reports = {}
    for report in err:gmatch("[^\n]+") do reports[#reports + 1] = report end
    assert.equal(12, #reports, err)
    assert.equal("in:13: nested more than 32 deep", table.remove(reports, 11))
    for i = 1, 10 do
      assert.equal("in:" .. i + 1 .. ": ", reports[i]:match("^in:%d+: "), err)
    end
    assert.equal("in:2: not a JSON object", reports[1])
    assert.equal("in:3: unknown field 'usr'", reports[2])
    assert.truthy(reports[3]:find("'user_id'", 1, true), err)
    assert.truthy(reports[4]:find("'result'", 1, true), err)
    assert.truthy(reports[7]:find("'ip_address'", 1, true), err)
    assert.truthy(reports[8]:find("'timestamp'", 1, true), err)
    assert.equal("13 read, 2 stored, 0 already there, 11 refused, 0 skipped (N events/s)", without_rate(reports[11]))
    assert.equal("", out)
    assert.equal(5, code)
    assert.equal("1 9", stored(dir))
  end)

  -- Goal: the sample in docs/import.md is what is printed.
  -- Method: make the input that it tells of, and compare the whole block; only the speed differs.
  it("are reported as docs/import.md shows it", function()
    local sample = support.read_file("docs/import.md"):match("```\n(auth%.jsonl:17: .-)```")
    local dir = fresh()
    trail(dir, "import t", many(1, 2, true))
    local lines = {}
    for i = 1, 1233 do lines[i] = line(i, id_of(i)) end
    lines[17] = lines[17]:gsub('"success"', '"ok"')
    support.write_file(dir .. "/auth.jsonl", table.concat(lines))
    local code, _, err = trail(dir, "import t auth.jsonl")
    assert.equal(without_rate(sample), without_rate(err))
    assert.equal(5, code)
  end)

  it("stop at the first bad line if told to", function()
    local dir = fresh()
    local code, _, err = trail(dir, "import t --on-error stop", line(1) .. line(2):gsub("success", "ok") .. line(3)
      .. "nonsense\n" .. line(4))
    assert.truthy(err:match("^stdin:2: [^\n]*'result'[^\n]*\n4 read, 1 stored, 0 already there, 1 refused, 0 skipped "),
      err)
    assert.equal(5, code)
    assert.equal("1", stored(dir))
  end)

  it("longer than 16 MiB are bad, and the next line is fine", function()
    local dir = fresh()
    local long = ("x"):rep(17 * 1024 * 1024)
    support.write_file(dir .. "/in", line(1) .. line(2, '"user_agent":"' .. long .. '",') .. line(3))
    local code, _, err = trail(dir, "import t in")
    assert.equal("in:2: the line is longer than 16777216 bytes\n"
      .. "3 read, 2 stored, 0 already there, 1 refused, 0 skipped (N events/s)\n", without_rate(err))
    assert.equal(5, code)
    assert.equal("1 3", stored(dir))
  end)
end)

-- Goal: whatever the batch size and wherever bad lines are, exactly the good ones are stored, in
-- order, and exactly the bad ones are named, in order.
-- Method: random files with bad lines of three kinds (not JSON, refused by the engine, an id
-- that is taken) against a list kept beside.
it("stores the good lines and names the bad ones, at every batch size", function()
  support.seed()
  for _, batch in ipairs({ 1, 2, 3, 7, 50, 1000 }) do
    local dir = fresh()
    trail(dir, "import t", line(0, id_of(0)))
    local lines, good, bad = {}, { "0" }, {}
    local share = math.random()
    for i = 1, 60 do
      local kind = math.random() < share and math.random(3) or 0
      if kind == 0 then
        lines[i], good[#good + 1] = line(i), tostring(i)
      else
        lines[i] = ({ "nonsense\n", (line(i):gsub("success", "ok")), line(i, id_of(0)) })[kind]
        bad[#bad + 1] = tostring(i)
      end
    end
    local code, _, err = trail(dir, "import t --batch " .. batch, table.concat(lines))
    local named = {}
    for number in err:gmatch("stdin:(%d+): ") do named[#named + 1] = number end
    assert.equal(table.concat(bad, " "), table.concat(named, " "), "batch " .. batch)
    assert.equal(table.concat(good, " "), stored(dir), "batch " .. batch)
    assert.equal(#bad > 0 and 5 or 0, code)
  end
end)

describe("repeating an import", function()
  it("stores only what is new", function()
    local dir = fresh()
    support.write_file(dir .. "/in", many(1, 30, true))
    trail(dir, "import t in")
    support.write_file(dir .. "/in", many(1, 40, true))
    local code, _, err = trail(dir, "import t in --batch 7")
    assert.equal("40 read, 10 stored, 30 already there, 0 refused, 0 skipped (N events/s)\n", without_rate(err))
    assert.equal(0, code)
    local _, out = trail(dir, "count t --type t")
    assert.equal("40\n", out)
  end)

  -- Goal: an export comes back exactly, also what no Lua value would be written as.
  it("of an export finds everything there, and another trail takes it whole", function()
    local dir = fresh()
    trail(dir, "import t", many(1, 3, true) .. line(4,
      '"details":{"a":[1,2.5,null,true,"\\u202e"],"b":{}},"result_error":"e",'
      .. '"user_id":"u","ip_address":"::1","request_id":"r","user_agent":"x",'):gsub("success", "failure"))
    trail(dir, "export t out")
    local code, _, err = trail(dir, "import t out")
    assert.equal("6 read, 0 stored, 4 already there, 0 refused, 2 skipped (1 of them the engine's own) (N events/s)\n",
      without_rate(err))
    assert.equal(0, code)
    trail(dir, "init t2")
    code, _, err = trail(dir, "import t2 out")
    assert.equal("6 read, 4 stored, 0 already there, 0 refused, 2 skipped (1 of them the engine's own) (N events/s)\n",
      without_rate(err))
    assert.equal(0, code)
    local fields = " --seq 2.. --fields id,timestamp,event_type,user_id,action,resource_type,resource_id,result,"
      .. "result_error,details,ip_address,user_agent,request_id"
    local _, before = trail(dir, "log t" .. fields)
    local _, after = trail(dir, "log t2" .. fields)
    assert.equal(before, after)
    assert.equal(4, select(2, before:gsub("\n", "")))
    -- What trail log prints can be read back, too.
    code, _, err = trail(dir, "log t | { trail import t2; }")
    assert.equal("5 read, 0 stored, 4 already there, 0 refused, 1 skipped (1 of them the engine's own) (N events/s)\n",
      without_rate(err))
    assert.equal(0, code)
  end)

  it("notices an export whose details were changed beside their bytes", function()
    local dir = fresh()
    trail(dir, "import t", line(1, '"details":{"gold":5},'))
    local _, out = trail(dir, "export t")
    trail(dir, "init t2")
    local code, _, err = trail(dir, "import t2", (out:gsub('"gold":5', '"gold":6')))
    assert.equal("stdin:3: details and details_part disagree\n", err:match("^[^\n]*\n"))
    assert.equal(5, code)
  end)
end)

describe("a dry run", function()
  it("checks everything and stores nothing", function()
    local dir = fresh()
    local code, _, err = trail(dir, "import t --dry-run", line(1, '"timestamp":"2026-01-01",')
      .. line(2):gsub("success", "ok") .. line(3, '"timestamp":"soon",'))
    local summary = without_rate(err):match("([^\n]*)\n$")
    assert.equal("3 read, 1 would be stored, 0 already there, 2 refused, 0 skipped (N events/s)", summary)
    assert.truthy(err:match("^stdin:2: [^\n]*'result'[^\n]*\nstdin:3: [^\n]*'timestamp'[^\n]*\n"), err)
    assert.equal(5, code)
    assert.equal("", stored(dir))
  end)
end)

describe("usage", function()
  it("is checked before anything is read", function()
    local dir = fresh()
    support.write_file(dir .. "/in", many(1, 1))
    support.write_file(dir .. "/m.lua", "return { map = function() end, options = { year = 'the year', a = 'b' } }")
    support.write_file(dir .. "/n.lua", "return { map = function() end }")
    support.write_file(dir .. "/s.lua", "return { map = function() end, start = function(c) return 'no year' end }")
    local options = "; its options are:\n  a     b\n  year  the year\n"
    local cases = {
      { "--set a=b in", "trail: --set goes with --map\n" },
      { "--map m.lua --set nonsense in", "trail: --set wants KEY=VALUE, not 'nonsense'\n" },
      { "--map m.lua --set yaer=2015 in", "trail: the map has no option 'yaer'" .. options },
      { "--map m.lua --set year=1 --set year=2 in", "trail: --set gives 'year' twice\n" },
      { "--map n.lua --set year=1 in", "trail: this map has no options to --set\n" },
      { "--map s.lua in", "trail: s.lua: no year\n" },
      { "--map nowhere.lua in", "trail: --map: nowhere.lua: No such file or directory\n" },
      { "--batch 0 in", "trail: --batch wants a whole number of at least 1, not '0'\n" },
      { "--batch 10001 in", "trail: --batch is at most 10000\n" },
    }
    for _, case in ipairs(cases) do
      local code, out, err = trail(dir, "import t " .. case[1])
      assert.equal(case[2], err)
      assert.equal("", out)
      assert.equal(2, code)
    end
    assert.equal("", stored(dir))
  end)

  it("names a file that cannot be read, and keeps what came before it", function()
    local dir = fresh()
    support.write_file(dir .. "/in", many(1, 2))
    for _, case in ipairs({ { "nowhere", "nowhere: No such file or directory" }, { ".", ".: Is a directory" } }) do
      local code, _, err = trail(dir, "import t in " .. case[1])
      assert.equal("trail: cannot read " .. case[2]
        .. "\n2 read, 2 stored, 0 already there, 0 refused, 0 skipped (N events/s)\n", without_rate(err))
      assert.equal(5, code)
    end
    assert.equal("1 2 1 2", stored(dir))
  end)
end)

describe("a map", function()
  local function with_map(source, words, stdin)
    local dir = fresh()
    support.write_file(dir .. "/m.lua", source)
    local code, out, err = trail(dir, "import t --map m.lua " .. (words or ""), stdin or "x\n")
    assert.equal("", out)
    return code, without_rate(err), dir
  end

  local EVENT = "local function event(id) return { event_type = 't', action = 'a', resource_type = 'r', "
    .. "resource_id = tostring(id), result = 'success' } end\n"

  it("gets lines with their context, and gives one event, several, or none", function()
    local code, err, dir = with_map(EVENT .. [[
local map = { options = { name = "a name" }, lines = true }
function map.start(context) if not context.set.name then return "no name" end end
function map.map(line, context)
  assert(context.trail == require "trail" and context.set.other == nil)
  if line == "" then return nil end
  if line == "none" then return {} end
  if line == "bad" then return nil, "a bad line" end
  if line == "two" then return { event("two-1"), event("two-2") } end
  return event(table.concat({ context.set.name, context.file, context.line, line }, "/"))
end
return map
]], "--set name=n - a", "one\r\n\ntwo\nbad\nnone\nlast")
    assert.equal("stdin:4: a bad line\ntrail: cannot read a: No such file or directory\n"
      .. "6 read, 4 stored, 0 already there, 1 refused, 2 skipped (N events/s)\n", err)
    assert.equal(5, code)
    assert.equal("n/stdin/1/one two-1 two-2 n/stdin/6/last", stored(dir))
  end)

  it("gets whole files if it wants", function()
    local dir = fresh()
    support.write_file(dir .. "/m.lua", EVENT .. [[
return { files = true, map = function(text, context)
  assert(context.line == nil)
  if text == "" then return nil, "empty" end
  return { event(context.file), event(#text), {} , event(text) }
end }
]])
    support.write_file(dir .. "/a", "ab\r\n\n")
    support.write_file(dir .. "/b", "")
    local code, _, err = trail(dir, "import t --map m.lua a b -", "c")
    local reports = { err:match("^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n$") }
    assert.truthy(reports[1]:match("^a: event 3: .*'event_type'"), err)
    assert.equal("b: empty", reports[2])
    assert.truthy(reports[3]:match("^stdin: event 3: .*'event_type'"), err)
    assert.equal("3 read, 6 stored, 0 already there, 3 refused, 0 skipped (N events/s)", without_rate(reports[4]))
    assert.equal(5, code)
    assert.equal("a 5 ab\\r\\n\\n stdin 1 c", stored(dir))
  end)

  it("may fail on a line: the line is bad, the place in the map is named", function()
    local code, err, dir = with_map(EVENT .. [[
return { map = function(line)
  if line == "boom" then local x; return x.y end
  if line == "table" then error({}) end
  if line == "string" then return "no event" end
  if line == "field" then local e = event(1); e.usr = 1; return e end
  if line == "type" then local e = event(1); e.user_id = {}; return e end
  return event(line)
end }
]], "", "boom\n1\nstring\nfield\ntype\n2\n")
    local reports = {}
    for report in err:gmatch("[^\n]+") do reports[#reports + 1] = report end
    assert.equal("stdin:1: m.lua:3: attempt to index a nil value (local 'x')", reports[1])
    assert.equal("stdin:3: the map returned a string, not an event", reports[2])
    assert.equal("stdin:4: unknown field 'usr'", reports[3])
    assert.truthy(reports[4]:match("^stdin:5: .*'user_id'"), err)
    assert.equal("6 read, 2 stored, 0 already there, 4 refused, 0 skipped (N events/s)", reports[5])
    assert.equal(5, code)
    assert.equal("1 2", stored(dir))
  end)

  -- Goal: whatever a map does to its context, every message says where the input stands.
  -- Method: overwrite file and line, and close the table; then a bad line, and a refused event.
  it("may spoil its context", function()
    local code, err, dir = with_map(EVENT .. [[
local seen = {}
return { map = function(line, context)
  seen[#seen + 1] = context.file .. ":" .. context.line
  context.file, context.line = {}, "x"
  if line == "close" then setmetatable(context, { __index = error, __newindex = error }).line = nil end
  if line == "bad" then return nil, "a bad line" end
  if line == "no" then local e = event(1); e.result = "no"; return e end
  if line == "end" then return event(table.concat(seen, " ")) end
end }
]], "", "bad\nno\nclose\nbad\nend\n")
    assert.equal("stdin:1: a bad line\nstdin:2: field 'result' is 'no', must be success, failure or partial_success\n"
      .. "stdin:4: a bad line\n5 read, 1 stored, 0 already there, 3 refused, 1 skipped (N events/s)\n", err)
    assert.equal(5, code)
    assert.equal("stdin:1 stdin:2 stdin:3 stdin:4 stdin:5", stored(dir))
  end)

  -- Goal: an error object is no internal error, whatever it is.
  -- Method: everything that can be raised and is no text, from each function of a map.
  it("may raise or give as a reason what is no text", function()
    local code, err, dir = with_map(EVENT .. [[
local function raise(raised) error(setmetatable({}, { __tostring = raised })) end
local CASES = {
  table = function() error({}) end,
  ["nil"] = function() error() end,
  no = function() error(false) end,
  number = function() error(5) end,
  words = function() raise(function() return "in words" end) end,
  throws = function() raise(function() error("no") end) end,
  wrong = function() raise(function() return {} end) end,
  reason = function() return nil, {} end,
  meta = function() return setmetatable(event("good"), { __index = error, __pairs = error, __len = error }) end,
  key = function() return { [{}] = 1 } end,
}
return { map = function(line) return CASES[line]() end }
]], "", "table\nnil\nno\nnumber\nwords\nthrows\nwrong\nreason\nkey\n")
    local none = "an error that is no text "
    assert.equal("stdin:1: " .. none .. "(a table)\nstdin:2: " .. none .. "(nil)\nstdin:3: " .. none .. "(a boolean)\n"
      .. "stdin:4: 5\nstdin:5: in words\nstdin:6: " .. none .. "(a table)\nstdin:7: " .. none .. "(a table)\n"
      .. "stdin:8: " .. none .. "(a table)\nstdin:9: unknown field 'table'\n"
      .. "9 read, 0 stored, 0 already there, 9 refused, 0 skipped (N events/s)\n", err)
    assert.equal(5, code)
    assert.equal("", stored(dir))
    for source, message in pairs({
      ["error()"] = "--map: " .. none .. "(nil)", ["error({})"] = "--map: " .. none .. "(a table)",
      ["return { map = print, start = function() error({}) end }"] = "m.lua: " .. none .. "(a table)",
      ["return { map = print, [{}] = 1 }"] = "--map: m.lua: unknown key 'table'",
    }) do
      code, err = with_map(source)
      assert.equal("trail: " .. message .. "\n", err)
      assert.equal(2, code)
    end
  end)

  it("may keep state, but not give one table twice", function()
    local code, err, dir = with_map(EVENT .. [[
local count, same = 0, event("same")
return { map = function(line)
  count = count + 1
  if line == "same" then return same end
  return event(count .. line)
end }
]], "", "a\nb\nsame\nsame\nc\n")
    assert.equal("stdin:4: the map returned the same table twice; each event needs its own\n"
      .. "5 read, 4 stored, 0 already there, 1 refused, 0 skipped (N events/s)\n", err)
    assert.equal(5, code)
    assert.equal("1a 2b same 5c", stored(dir))
  end)

  it("that is none is refused", function()
    local cases = {
      { "return 5", "m.lua: it returns no table" },
      { "return {}", "m.lua: the function 'map' is missing" },
      { "return { map = 5 }", "m.lua: 'map' must be a function" },
      { "return { map = print, optoins = {} }", "m.lua: unknown key 'optoins'" },
      { "return { map = print, files = true, lines = true }", "m.lua: 'files' and 'lines' exclude each other" },
      { "return { map = print, options = { 'year' } }", "m.lua: 'options' must be a table of name = \"help\"" },
      { "return {", "m.lua:1: unexpected symbol near <eof>" },
      { "error('boom')", "m.lua:1: boom" },
      { "\27Lua", "m.lua: bytecode is not accepted" },
    }
    for _, case in ipairs(cases) do
      local code, err, dir = with_map(case[1])
      assert.equal("trail: --map: " .. case[2] .. "\n", err)
      assert.equal(2, code)
      assert.equal("", stored(dir))
    end
  end)
end)

-- Goal: Ctrl-C loses nothing and leaves nothing half done.
-- Method: feed a pipe slowly, interrupt, and compare the summary with what is stored.
it("finishes the batch, prints the summary and exits with 130 on Ctrl-C", function()
  local dir = fresh()
  support.write_file(dir .. "/in", many(1, 2500, true))
  local code, _, err = support.run(([[
cd %s && mkfifo pipe || exit 1
{ cat in; sleep 60; } > pipe & feeder=$!
env --default-signal=INT %s import t pipe 2> log & importer=$!
for i in $(seq 200); do sleep 0.1; test "$(%s count t)" -ge 2001 && break; done
kill -INT $importer; wait $importer; code=$?
kill $feeder; cat log >&2; exit $code
]]):format(support.quote(dir), TRAIL, TRAIL))
  local count = without_rate(err):match("^([%d,]+) read, ([%d,]+) stored, 0 already there, 0 refused, 0 skipped")
  assert.truthy(count, err)
  local _, total = trail(dir, "count t --type t")
  assert.equal(count:gsub(",", "") .. "\n", total)
  assert.is_true(tonumber(total) >= 2000)
  assert.equal(130, code)
end)
