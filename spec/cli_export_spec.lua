-- cli_export_spec.lua - trail export: what it writes, and that a file is whole or not there.
-- Level: test; needs build/trail and python3.
-- SPDX-License-Identifier: MIT

local cli = require "spec.cli"
local support = require "spec.support"

local TOP, TRAIL = cli.TOP, cli.TRAIL
local mask, sample, trail = cli.mask, cli.sample, cli.trail

describe("trail export", function()
  it("begins with a header and holds the stored bytes", function()
    local dir = sample()
    local code, out, err = trail(dir, "export t")
    assert.equal("4 events exported\n", err)
    assert.equal(0, code)
    local first, rest = mask(out):match("^([^\n]*\n)(.*)$")
    assert.equal('{"trail_export":1,"format":1,"log_id":"<id>","origin":"trail","head":{"seq":4,'
      .. '"event_hash":"<hash>"},"filter":null,"complete":true}\n', first)
    local count = 0
    for line in rest:gmatch("([^\n]*)\n") do
      count = count + 1
      assert.truthy(line:match('^{"seq":' .. count .. ',.*,"entry":"[%w+/]+=*","who":"[%w+/]+=*"'), line)
    end
    assert.equal(4, count)
    code, out = support.run(("cd %s && %s export t | python3 %s -"):format(support.quote(dir), TRAIL,
      support.quote(TOP .. "/examples/verify_export.py")))
    assert.equal(0, code, out)
  end)

  it("says which filter it was made with", function()
    local dir = sample()
    local _, out = trail(dir, "export t --user alice --user 'x\"y' --since 2026-01-01 --not-type trade")
    assert.truthy(out:find('"filter":["--user=alice","--user=x\\"y","--not-type=trade",'
      .. '"--since=2026-01-01T00:00:00.000000Z"],"complete":false}\n', 1, true), out)
    local _, shown, err = trail(dir, "export t --seq 1..2 --seq 4 --not-seq 2 --where seq --where 'seq > 1'")
    assert.truthy(shown:find('"filter":["--seq=1..2","--seq=4","--not-seq=2","--where=seq","--where=seq > 1"],'
      .. '"complete":false}\n{"seq":4,', 1, true), shown)
    assert.equal("1 events exported\n", err)
  end)

  it("writes to a file, but not over one", function()
    local dir = sample()
    local code, out, err = trail(dir, "export t -o csv x.csv")
    assert.equal("", out)
    assert.equal("4 events exported\n", err)
    assert.equal(0, code)
    local csv = support.read_file(dir .. "/x.csv")
    assert.equal(5, select(2, csv:gsub("\n", "")))
    code, out, err = trail(dir, "export t x.csv")
    assert.equal("", out)
    assert.equal("trail: x.csv exists; --force writes over it\n", err)
    assert.equal(5, code)
    assert.equal(csv, support.read_file(dir .. "/x.csv"))
    code = trail(dir, "export t x.csv --force")
    assert.equal(0, code)
    assert.truthy(support.read_file(dir .. "/x.csv"):match("^{\"trail_export\":1"))
  end)
end)

-- What is in a directory, sorted, as one text.
local function listing(dir)
  local _, names = support.run("cd " .. support.quote(dir) .. " && ls -A")
  return (names:gsub("\n", " "):gsub(" $", ""))
end

-- A trail "big" of 20,000 events.
local function big()
  local dir = support.tmpdir()
  local line = '{"event_type":"t","action":"a","resource_type":"r","resource_id":"x","result":"failure"}\n'
  local code, _, err = trail(dir, "init big && trail import big", line:rep(20000))
  assert.equal(0, code, err)
  return dir
end

describe("the file of an export", function()
  -- Goal: no export can destroy the trail it is made of.
  -- Method: every way to name a file in the trail's directory: directly, through a link to the
  -- directory or to the file, from within, by a path that goes round, as a file that is open, by a
  -- second name. The trail must verify.
  it("is never within the trail", function()
    local dir = sample()
    support.run(("cd %s && ln -s t link && ln -s t/log.mdb file && ln -s t/new dangling && mkdir -p t/sub other "
      .. "&& ln t/log.mdb hard"):format(support.quote(dir)))
    for _, name in ipairs({ "t/log.mdb", "link/log.mdb", "file", "dangling", "t/new", "hard", "/proc/self/cwd/file",
      "/dev/fd/5 5>>t/log.mdb", "t/sub/new", "./other/../t/x",
      support.quote(dir .. "/t/log.mdb"), "t//log.mdb", "t/log.mdb-lock" }) do
      for _, words in ipairs({ "export t --force " .. name, "export ./t " .. name, "export link " .. name .. " --force",
        "export t -o csv --force " .. name }) do
        local code, out, err = trail(dir, words)
        assert.equal("", out)
        assert.truthy(err:match("^trail: [^\n]+ lies within the trail [^\n]+, where only its own files may be\n$"), err)
        assert.equal(2, code, words)
      end
    end
    local code, _, err = support.run(("cd %s/t && %s export . log.mdb --force"):format(dir, TRAIL))
    assert.equal("trail: log.mdb lies within the trail ., where only its own files may be\n", err)
    assert.equal(2, code)
    assert.equal("log.mdb log.mdb-gate log.mdb-lock sub", listing(dir .. "/t"))
    assert.equal(0, (trail(dir, "verify t")))
    -- Beside it is fine, also under a name that begins with the trail's.
    assert.equal(0, (trail(dir, "export t t.jsonl && trail export t other/x")))
  end)

  -- Goal: a file that says "complete" is complete; what was there stays until then.
  -- Method: end the export by a file that grows too large, over a file and without one.
  it("is there when it is whole, and else as it was", function()
    local dir = big()
    support.write_file(dir .. "/old", "old")
    for _, name in ipairs({ "old", "new" }) do
      local code, _, err = support.run(("cd %s && trap '' XFSZ && ulimit -f 100 && %s export big %s --force"):format(
        dir, TRAIL, name))
      assert.equal("trail: cannot write " .. name .. ": File too large\n", err)
      assert.equal(5, code)
      assert.equal("big old", listing(dir))
    end
    assert.equal("old", support.read_file(dir .. "/old"))
  end)

  -- Goal: so it is after Ctrl-C, and after what the trail itself does not survive.
  -- Method: conditions that take their time, one that says yes to every event and one that says
  -- no; then a trail of which the second half is gone.
  it("is as it was when the export is interrupted or fails", function()
    local dir = big()
    support.write_file(dir .. "/old", "old")
    local slow = "(\"x\"):rep(100000):find(\"y\")"
    for _, case in ipairs({ { "old", "-s", "not " .. slow }, { "new", "-e", slow } }) do
      local name, appears, condition = case[1], case[2], case[3]
      local code, out, err = support.run(([[
cd %s; env --default-signal=INT %s export big %s --force --where '%s' & exporter=$!
for i in $(seq 1000); do test %s %s.part && break; sleep 0.01; done
kill -INT $exporter; wait $exporter]]):format(dir, TRAIL, name, condition, appears, name))
      assert.equal("trail: interrupted; " .. name .. " was not written\n", err .. out)
      assert.equal(130, code)
      assert.equal("big old", listing(dir))
    end
    local text = support.read_file(dir .. "/big/log.mdb")
    support.write_file(dir .. "/big/log.mdb", text:sub(1, #text // 2 // 4096 * 4096))
    local code, _, err = trail(dir, "export big old --force")
    assert.equal(4, code, err)
    assert.equal("old", support.read_file(dir .. "/old"))
  end)

  -- Goal: two exports do not write into each other, and nobody reads what was private before.
  it("is written beside its name, and keeps its mode", function()
    local dir = sample()
    support.write_file(dir .. "/x.part", "mine")
    local code, _, err = trail(dir, "export t x")
    assert.truthy(err:match("^trail: [^\n]*/x%.part exists: [^\n]+\n$"), err)
    assert.equal(5, code)
    assert.equal("mine", support.read_file(dir .. "/x.part"))
    assert.equal("t x.part", listing(dir))
    assert.equal(0, (trail(dir, "export t x --force")))
    assert.equal("t x", listing(dir))

    support.run(("cd %s && mkdir far && echo old > far/y && chmod 600 far/y && ln -s far/y y"):format(dir))
    assert.equal(0, (trail(dir, "export t y --force")))
    local _, modes = support.run(("cd %s && stat -c '%%a %%F' y far/y"):format(dir))
    assert.equal("777 symbolic link\n600 regular file\n", modes)
    assert.truthy(support.read_file(dir .. "/far/y"):match("^{\"trail_export\":1"))
    assert.equal("y", listing(dir .. "/far"))
  end)

  -- Goal: what another command does to FILE.part meanwhile neither gets the name FILE nor is lost.
  -- Method: while an export runs, a file of somebody else takes the name, as under --force; then
  -- so that the export fails before its end.
  it("is given its name only if it is still its own", function()
    local dir = big()
    for _, case in ipairs({ { "", 5, "trail: cannot write x: [^\n]*/x%.part was replaced meanwhile\n" },
      { "kill -INT $exporter;", 130, "trail: interrupted; x was not written\n" } }) do
      local code, _, err = support.run(([[
cd %s; env --default-signal=INT %s export big x --where 'not ("x"):rep(300000):find("y")' & exporter=$!
for i in $(seq 1000); do test -e x.part && break; sleep 0.01; done
kill -STOP $exporter; rm x.part && echo mine > x.part; %s kill -CONT $exporter; wait $exporter]]):format(dir, TRAIL,
        case[1]))
      assert.matches("^" .. case[3] .. "$", err)
      assert.equal(case[2], code)
      assert.equal("mine\n", support.read_file(dir .. "/x.part"))
      assert.equal("big x.part", listing(dir))
      os.remove(dir .. "/x.part")
    end
  end)

  it("does not take the place of a directory", function()
    local dir = sample()
    support.run(("mkdir %s/x.part"):format(dir))
    local code, _, err = trail(dir, "export t x --force")
    assert.matches("^trail: cannot write x: [^\n]*/x%.part is a directory\n$", err)
    assert.equal(5, code)
    assert.equal("t x.part", listing(dir))
  end)

  -- Goal: a failure means that FILE is as it was, also where only the last step fails.
  -- Method: a directory that may be written but not read cannot be synced. Root may read it, so
  -- as nobody, who may not come to where the command was built.
  it("is as it was if its directory cannot be synced", function()
    local dir = sample()
    local code, _, err = support.run(([[
cd %s && cp %s command && chmod -R a+rwX . && mkdir drop && chmod 333 drop || exit 1
[ $(id -u) = 0 ] && as='setpriv --reuid=65534 --clear-groups'
$as ./command export t drop/y; code=$?; chmod 777 drop; exit $code]]):format(dir, TRAIL))
    assert.equal("trail: cannot write drop/y: Permission denied\n", err)
    assert.equal(5, code)
    assert.equal("", listing(dir .. "/drop"))
  end)

  it("may be a pipe or a device, which is written to as it is", function()
    local dir = sample()
    local code, out, err = support.run(("cd %s && mkfifo pipe && { timeout 60 sh -c 'wc -l < pipe' & "
      .. "timeout 60 %s export t pipe; code=$?; wait; exit $code; }"):format(dir, TRAIL))
    assert.equal("5", (out:gsub("%s", "")))
    assert.truthy(err:find("4 events exported\n$"), err)
    assert.equal(0, code)
    code, out = trail(dir, "export t /dev/stdout")
    assert.equal(5, select(2, out:gsub("\n", "")))
    assert.equal(0, code)
    for _, name in ipairs({ "/dev/full", "no/x", "t2/" }) do
      code, _, err = trail(dir, "export t " .. name)
      assert.truthy(err:match("^trail: cannot write " .. name .. ": [^\n]+\n$"), err)
      assert.equal(5, code)
    end
    code, _, err = trail(dir, "export t ''")
    assert.equal("trail: FILE is empty\n", err)
    assert.equal(2, code)
    assert.equal("pipe t", listing(dir))
  end)
end)
