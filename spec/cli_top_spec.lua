-- cli_top_spec.lua - trail top, count --by, log -f, --explain, reindex: what the index answers.
-- Level: test; needs build/trail.
-- SPDX-License-Identifier: MIT

local cli = require "spec.cli"
local support = require "spec.support"

local trail = cli.trail

-- A trail "t" with an index on details.region; 12 events on two days, besides its creation.
local function sample()
  local dir = support.tmpdir()
  local lines = {}
  for i = 1, 12 do
    local user = i % 4 ~= 0 and '"user_id":"user-' .. i % 3 .. '",' or ""
    lines[i] = ('{"event_type":"login","action":"a","resource_type":"r","resource_id":"i",%s"result":"%s",'
      .. '"timestamp":"2026-01-0%dT%02d:30:00Z","details":{"region":%s}}'):format(user,
      i % 5 == 0 and "failure" or "success", i <= 8 and 1 or 3, i % 8 // 2,
      ({ '"eu"', '"us"', '["eu","x"]', "5", '"5"' })[i % 5 + 1])
  end
  local code, _, err = trail(dir, "init t --index details.region && trail import t", table.concat(lines, "\n"))
  assert(code == 0, err)
  return dir
end

-- The standard output of words that must end with a code (default 0).
local function out_of(dir, words, code)
  local found, out, err = trail(dir, words)
  assert.equal(code or 0, found, words .. "\n" .. out .. err)
  return out, err
end

describe("trail top", function()
  it("prints every format", function()
    local dir = sample()
    local out, err = out_of(dir, "top t user_id")
    assert.equal('{"value":"user-0","count":3}\n{"value":"user-1","count":3}\n{"value":"user-2","count":3}\n', out)
    assert.equal("", err)
    assert.equal('{"field":"result","events":13,"absent":0,"distinct":2,"rows":[\n{"value":"success","count":11},\n'
      .. '{"value":"failure","count":2}\n]}\n', (out_of(dir, "top t result -o json")))
    assert.equal("value,count\nsuccess,11\n", (out_of(dir, "top t result -n 1 -o csv")))
    out, err = out_of(dir, "top t result -o table")
    assert.equal("result   events\nsuccess      11   84.6%\nfailure       2   15.4%\n", out)
    assert.equal("13 events, 2 values, 0 events without one\n", err)
    out, err = out_of(dir, "top t user_id -n 1 -o table --type login")
    assert.equal("user_id  events\nuser-0        3   25.0%\n", out)
    assert.equal("12 events, 3 values, 3 events without one; -n N shows more\n", err)
    assert.equal('{"field":"user_id","events":0,"absent":0,"distinct":0,"rows":[]}\n',
      (out_of(dir, "top t user_id --user nobody -o json", 1)))
    assert.equal("", (out_of(dir, "top t user_id --user nobody", 1)))
  end)

  -- Goal: a bar is as long as its count, to an eighth of a column, and never too long.
  -- Method: known counts in known widths, with and without UTF-8.
  it("draws bars that fit", function()
    local dir = sample()
    local function drawn(width, locale)
      local _, out = support.run(("cd %s && COLUMNS=%d LC_ALL=%s %s top t result -o table 2>/dev/null"):format(
        support.quote(dir), width, locale, cli.TRAIL))
      return out
    end
    assert.equal("result   events\nsuccess      11   84.6%  ################\nfailure       2   15.4%  ###\n",
      drawn(41, "C"))
    assert.equal("result   events\nsuccess      11   84.6%  " .. ("\226\150\136"):rep(16)
      .. "\nfailure       2   15.4%  \226\150\136\226\150\136\226\150\137\n", drawn(41, "en_US.utf8"))
    assert.equal("result   events\nsuccess      11   84.6%\nfailure       2   15.4%\n", drawn(29, "C"))
    for width = 30, 120, 7 do
      for line in drawn(width, "C.UTF-8"):gmatch "[^\n]+" do
        assert.is_true(utf8.len(line) <= width, width .. ": " .. line)
      end
    end
  end)

  it("counts details, and tells a text from a number", function()
    local dir = sample()
    local out = out_of(dir, "top t details.region -o jsonl")
    assert.equal('{"value":"eu","count":5}\n{"value":"us","count":3}\n{"value":"x","count":3}\n', out:sub(1, 74))
    assert.truthy(out:find('{"value":"5","count":2}\n', 1, true), out)
    assert.truthy(out:find('{"value":5,"count":2}\n', 1, true), out)
    out = out_of(dir, "top t details.region -o table")
    assert.truthy(out:find '\n"5" ' and out:find "\n5 " and out:find "\neu ", out)
    -- The path that was not declared is not counted.
    local code, _, err = trail(dir, "top t details.gold")
    assert.equal(2, code)
    assert.matches("^trail: [^\n]+\n$", err)
  end)

  -- Goal: every filter combines with it, also what only Lua can ask.
  -- Method: the same events chosen by a flag and by --where, in every form of counting.
  it("counts what the filters find", function()
    local dir = sample()
    for _, words in ipairs { "top t user_id", "top t details.region", "count t --by hour", "count t --by day -o json",
      "count t --by result -o table", "count t --by minute -o csv" } do
      local flag = out_of(dir, words .. " --result success --details 'region=e*'")
      local where = out_of(dir, words .. " --details 'region=e*' --where 'result == \"success\"'")
      assert.equal(flag, where)
      assert.is_true(#flag > 0)
    end
    local out, err = out_of(dir, "top t result --where 'user_id:nothing()'", 1)
    assert.equal("", out)
    assert.matches("^trail: %-%-where could not be asked of 9 events", err)
  end)

  it("says what it cannot count", function()
    local dir = sample()
    local fields = "fields are event_type, user_id, action, resource_type, resource_id, result, request_id, "
      .. "ip_address, details.PATH"
    for _, case in ipairs {
      { "top t usr", "top: there is no field 'usr'; " .. fields },
      { "top t details.", "top: there is no field 'details.'; " .. fields },
      { "top t timestamp", "top: there is no field 'timestamp'; " .. fields },
      { "top t id", "top: every event has an id of its own" },
      { "top t result -n 0", "--number wants a whole number of at least 1, not '0'" },
      { "top t", "missing argument 'FIELD' (trail help top)" },
      { "count t --by week", "--by: there is no field 'week'; intervals are hour, day, minute, " .. fields },
      { "count t --by day --explain", "--explain and --by exclude each other" },
      { "count t --explain -o csv", "--explain has no form 'csv'; use table or json" },
    } do
      local out, err = out_of(dir, case[1], 2)
      assert.equal("trail: " .. case[2] .. "\n", err)
      assert.equal("", out)
    end
  end)
end)

describe("trail count --by", function()
  it("counts by time, in UTC", function()
    local dir = sample()
    assert.equal('{"time":"2026-01-01T00:00:00.000000Z","count":8}\n'
      .. '{"time":"2026-01-03T00:00:00.000000Z","count":4}\n', (out_of(dir, "count t --by day --type login")))
    assert.equal('{"interval":"day","events":12,"rows":[\n{"time":"2026-01-01T00:00:00.000000Z","count":8},\n'
      .. '{"time":"2026-01-03T00:00:00.000000Z","count":4}\n]}\n',
      (out_of(dir, "count t --by day --type login -o json")))
    assert.equal("time,count\n2026-01-01T00:00:00.000000Z,2\n2026-01-01T01:00:00.000000Z,2\n",
      (out_of(dir, "count t --by hour --until 2026-01-01T02:00:00 -o csv")))
    assert.equal("day (UTC)   events\n2026-01-01       8   66.7%\n2026-01-02       0\n2026-01-03       4   33.3%\n",
      (out_of(dir, "count t --by day --type login -o table")))
    assert.equal("", (out_of(dir, "count t --by hour --user nobody", 1)))
  end)

  -- Goal: a long time without events does not fill the screen.
  -- Method: two days of hours, of which many are empty.
  it("shows long gaps as one line", function()
    local dir = sample()
    local out = out_of(dir, "count t --by hour --type login -o table")
    assert.equal(1 + 4 + 1 + 3, select(2, out:gsub("\n", "")), out)
    assert.truthy(out:find("\n... 44 hours without events\n2026-01-03 00:00", 1, true), out)
  end)

  it("counts by value, all of them", function()
    local dir = sample()
    assert.equal(5, select(2, out_of(dir, "count t --by details.region"):gsub("\n", "")))
    local lines = {}
    for i = 1, 30 do
      lines[i] = ('{"event_type":"t%d","action":"a","resource_type":"r","resource_id":"i",'
        .. '"result":"success"}'):format(i)
    end
    trail(dir, "import t", table.concat(lines, "\n"))
    assert.equal(32, select(2, out_of(dir, "count t --by event_type"):gsub("\n", "")))
    assert.equal(10, select(2, out_of(dir, "top t event_type"):gsub("\n", "")))
  end)

  it("leaves the number alone", function()
    local dir = sample()
    for _, case in ipairs { { "", "13\n" }, { "-o table", "13\n" }, { "-o json", '{"count":13}\n' },
      { "-o jsonl", '{"count":13}\n' }, { "-o csv", "count\n13\n" } } do
      assert.equal(case[2], (out_of(dir, "count t " .. case[1])))
    end
  end)
end)

describe("--explain", function()
  -- Goal: as EXPLAIN ANALYZE: the question is answered, the answer not printed, but how.
  -- Method: log and count, each with and without --where; found is the number of events.
  it("tells how an answer was found, and prints nothing else", function()
    local dir = sample()
    for _, case in ipairs { { "log t --result failure", 2 }, { "log t -n 3", 3 }, { "count t --type login", 12 },
      { "log t --where 'seq > 10'", 3 }, { "count t --where 'seq > 10'", 3 }, { "log t --user nobody", 0 } } do
      local out, err = out_of(dir, case[1] .. " --explain")
      assert.matches('^{"plan":"[^\n]+","found":' .. case[2] .. ',"index_seq":%d+,"head_seq":13,"segments":%d+,'
        .. '"segments_skipped":%d+,"lookups":%d+,"candidates":%d+,"records_read":%d+,"records_tail":%d+,'
        .. '"time_us":%d+}\n$', out)
      assert.equal("", err)
      out = out_of(dir, case[1] .. " --explain -o table")
      assert.matches("^plan              [^\n]+\nfound             " .. case[2] .. "\nindex_seq ", out)
    end
  end)
end)

describe("trail log --follow", function()
  -- Run a follower, and one second later another process's appends; its output when it got Ctrl-C.
  local function followed(dir, words, appends)
    local script = {}
    for _, fields in ipairs(appends) do
      script[#script + 1] = ("%s append t event_type=x action=a resource_type=r resource_id=i result=success %s "
        .. ">/dev/null"):format(cli.TRAIL, fields)
    end
    local code, out, err = support.run(("cd %s; (sleep 1; %s) & timeout --preserve-status -s INT 3 %s log t %s; "
      .. "code=$?; wait; exit $code"):format(support.quote(dir), table.concat(script, "; "), cli.TRAIL, words))
    return out, code, err
  end

  it("shows the newest and then what comes, until Ctrl-C", function()
    local dir = sample()
    local out, code, err = followed(dir, "-f -n 2 --fields seq", { "user_id=a", "user_id=b" })
    assert.equal('{"seq":12}\n{"seq":13}\n{"seq":14}\n{"seq":15}\n', out)
    assert.equal("", err)
    assert.equal(0, code)
    out, code = followed(dir, "--follow --after 13 --fields seq,user_id -o csv --user 'a*' --where 'seq ~= 14'",
      { "user_id=b", "user_id=abc" })
    assert.equal("seq,user_id\n17,abc\n", out)
    assert.equal(0, code)
    out = followed(dir, "-f --type x -n 0 -o table --fields seq,user_id", { "user_id='\27[31m'" })
    assert.equal("   seq  user_id\n    18  \\x1b[31m\n", out)
  end)

  it("shows ten before, unless asked otherwise", function()
    local dir = sample()
    local _, out = support.run(("cd %s; timeout --preserve-status -s INT 1 %s log t -f --fields seq"):format(
      support.quote(dir), cli.TRAIL))
    assert.equal(10, select(2, out:gsub("\n", "")))
    assert.matches('^{"seq":4}\n', out)
  end)

  -- Goal: a follower ends with its reader, also if no event ever comes again.
  -- Method: a reader that takes one line; without the end this would take until the timeout.
  it("ends when nobody reads any more", function()
    local dir = sample()
    local code, out = support.run(("cd %s; timeout 20 sh -c '%s log t -f --fields seq | head -n 1'"):format(
      support.quote(dir), cli.TRAIL:gsub("'", '"')))
    assert.equal('{"seq":4}\n', out)
    assert.equal(0, code)
  end)

  it("refuses what has no meaning with it", function()
    local dir = sample()
    for _, case in ipairs {
      { "-f -r", "--follow and --reverse exclude each other" },
      { "-f --explain", "--follow and --explain exclude each other" },
      { "-f -n 3 --after 2", "--number with --follow and --after exclude each other" },
      { "-f -o json", "--follow has no end, as json needs; use jsonl" },
    } do
      local out, err = out_of(dir, "log t " .. case[1], 2)
      assert.equal("trail: " .. case[2] .. "\n", err)
      assert.equal("", out)
    end
    assert.equal(4, (trail(dir, "log nowhere -f")))
  end)
end)

describe("trail reindex", function()
  it("brings the index up, and says how far it is", function()
    local dir = sample()
    assert.equal("ok: 13 of 13 events are indexed, in 1 segments\n", (out_of(dir, "reindex t")))
    assert.equal("", (out_of(dir, "reindex t -q --anew")))
    assert.matches('^{"index_seq":13,"head_seq":13,"segments":1,"file_bytes":%d+,"used_bytes":%d+}\n$',
      (out_of(dir, "reindex t --anew -o json")))
    assert.equal(4, (trail(dir, "reindex nowhere")))
    local _, err = out_of(dir, "reindex t x", 2)
    assert.matches("^trail: too many arguments", err)
  end)

  -- Goal: the index may be deleted or damaged: answers stay right, and it can be built anew.
  -- Method: the same questions with the index, without it, with one that is nonsense, and after --anew.
  it("mends what was lost", function()
    local dir = sample()
    out_of(dir, "reindex t")
    local function answers()
      return out_of(dir, "count t --details region=eu") .. out_of(dir, "top t details.region")
        .. out_of(dir, "count t --by hour") .. out_of(dir, "log t --user 'user-1*' --fields seq")
    end
    local before = answers()
    support.run("rm -f " .. dir .. "/t/index.mdb*")
    assert.equal(before, answers())
    assert.matches("^ok: 13 of 13", (out_of(dir, "reindex t --anew")))
    assert.equal(before, answers())
    support.run("head -c 20000 /dev/urandom > " .. dir .. "/t/index.mdb")
    assert.equal(before, answers())
    assert.matches("^ok: 13 of 13", (out_of(dir, "reindex t --anew")))
    assert.equal(before, answers())
    out_of(dir, "verify t -q")
  end)
end)

describe("trail init --index", function()
  it("takes paths, each once", function()
    local dir = support.tmpdir()
    out_of(dir, "init t --index details.region --index actor.name")
    for words, message in pairs {
      ["init u --index a --index details.a"] = "--index names 'details.a' twice",
      ["init u --index ''"] = "--index wants a path in details, such as details.region",
      ["init u --index details."] = "--index wants a path in details, such as details.region",
      ["init u" .. (" --index a"):rep(17)] = "--index is given 17 times, the limit is 16",
    } do
      local out, err = out_of(dir, words, 2)
      assert.equal("trail: " .. message .. "\n", err)
      assert.equal("", out)
    end
    local code, _, err = trail(dir, "init u --index " .. ("x"):rep(201))
    assert.equal(2, code)
    assert.equal("trail: --index: a path in details has 201 bytes, the limit is 200\n", err)
  end)
end)
