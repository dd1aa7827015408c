-- cli_spec.lua - the command: every output and exit code as docs/cli.md promises them.
-- Level: test; needs build/trail. Runs the command in a shell, as a person does.
-- SPDX-License-Identifier: MIT

local support = require "spec.support"

local function pwd()
  local pipe = assert(io.popen("pwd"))
  local path = pipe:read("*l")
  pipe:close()
  return path
end

local TOP = pwd()
local TRAIL = support.quote(TOP .. "/" .. support.B .. "/trail")

-- Run `trail WORDS` in a directory: code, stdout, stderr.
local function trail(dir, words, stdin)
  return support.run(("cd %s && unset COLUMNS NO_COLOR; trail() { %s \"$@\"; }; trail %s"):format(
    support.quote(dir), TRAIL, words), stdin)
end

-- What differs from run to run: hashes, the engine's ids and times.
local function mask(text)
  return (text:gsub(("%x"):rep(64), "<hash>")
    :gsub("%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x", "<id>")
    :gsub("%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d%d%d%dZ", "<time>"))
end

-- A directory with a trail "t" of three events besides its creation.
local function sample()
  local dir = support.tmpdir()
  local lines = ([[
{"event_type":"auth_attempt","user_id":"alice","action":"login","resource_type":"user",+
"resource_id":"alice","result":"failure","timestamp":"2026-01-01T00:00:00Z","ip_address":"192.0.2.1"}
{"event_type":"auth_attempt","user_id":"bob","action":"login","resource_type":"user",+
"resource_id":"bob","result":"success","timestamp":"2026-01-02T00:00:00Z","ip_address":"2001:db8::1",+
"request_id":"r1"}
{"event_type":"trade","action":"accept","resource_type":"item","resource_id":"sword",+
"result":"partial_success","timestamp":"2026-01-03T00:00:00Z","details":{"gold":500}}
]]):gsub("%+\n", "")
  local code, _, err = trail(dir, "init t && trail import t", lines)
  assert.equal(0, code, err)
  return dir
end

-- The seqs that a command finds, as one text.
local function seqs(dir, words)
  local code, out, err = trail(dir, "log t --fields seq " .. words)
  return (out:gsub('{"seq":(%d+)}\n', "%1 "):gsub(" $", "")), code, err
end

describe("trail init", function()
  it("makes a trail and prints its head", function()
    local dir = support.tmpdir()
    local code, out, err = trail(dir, "init t --origin billing")
    assert.equal('{"path":"t","log_id":"<id>","origin":"billing","head":{"seq":1,"event_hash":"<hash>"}}\n',
      mask(out))
    assert.equal("", err)
    assert.equal(0, code)
    code, out = trail(dir, "init t2 -o line")
    assert.equal("path    t2\nlog_id  <id>\norigin  trail\nhead    1:<hash>\n", mask(out))
    assert.equal(0, code)
  end)

  it("leaves alone what is there", function()
    local dir = sample()
    local code, out, err = trail(dir, "init t")
    assert.equal(4, code)
    assert.equal("", out)
    assert.truthy(err:match("^trail: [^\n]+\n$"), err)
    assert.equal("1 2 3 4", (seqs(dir, "")))
  end)

  it("refuses sizes that are none", function()
    local dir = support.tmpdir()
    for _, size in ipairs({ "0", "x", "-5", "1P", "1.5G", "99999999999999999999" }) do
      local code, _, err = trail(dir, "init t --size-max=" .. size)
      assert.equal(2, code, size)
      assert.equal("trail: --size-max wants a size such as 1048576, 64M or 2G, not '" .. size .. "'\n", err)
    end
  end)
end)

describe("trail append", function()
  it("prints a receipt, and fills in what a known type implies", function()
    local dir = sample()
    local code, out, err = trail(dir, "append t event_type=auth_attempt user_id=carol result=success")
    assert.equal('{"seq":5,"id":"<id>","recorded_at":"<time>","event_hash":"<hash>","duplicate":false}\n',
      mask(out))
    assert.equal("", err)
    assert.equal(0, code)
    local _, shown = trail(dir, "log t --seq 5 --fields user_id,action,resource_type,resource_id")
    assert.equal('{"user_id":"carol","action":"login","resource_type":"user","resource_id":"carol"}\n', shown)
  end)

  it("takes details one by one, numbers and words as JSON", function()
    local dir = sample()
    local code, out = trail(dir, "append t event_type=x action=a resource_type=r resource_id=i result=success "
      .. "details.n=5 details.f=-1.50 details.big=9007199254740993 details.z=007 details.t=true details.b=null "
      .. "details.s='a=b' details.v=1.2.3 details.e= -o line")
    assert.equal("5 <hash>\n", mask(out))
    assert.equal(0, code)
    local _, shown = trail(dir, "log t --seq 5 --fields details")
    assert.equal('{"details":{"b":null,"big":9007199254740993,"e":"","f":-1.5,"n":5,"s":"a=b","t":true,'
      .. '"v":"1.2.3","z":"007"}}\n', shown)
    code = trail(dir, "append t event_type=x action=a resource_type=r resource_id=i result=success details=[]")
    assert.equal(0, code)
    _, shown = trail(dir, "log t --seq 6 --fields details")
    assert.equal('{"details":[]}\n', shown)
  end)

  it("does not store the same event twice, and refuses another one with its id", function()
    local dir = sample()
    local words = "append t id=0190a000-0000-7000-8000-000000000001 timestamp=2026-01-01 event_type=x action=a "
      .. "resource_type=r resource_id=i result="
    trail(dir, words .. "success")
    local code, out = trail(dir, words .. "success -o line")
    assert.equal("5 <hash> (already there)\n", mask(out))
    assert.equal(0, code)
    local err
    code, out, err = trail(dir, words .. "failure")
    assert.equal(5, code)
    assert.equal("", out)
    assert.truthy(err:match("^trail: [^\n]*0190a000[^\n]*\n$") or err:match("^trail: [^\n]*id[^\n]*\n$"), err)
  end)

  it("names what is wrong", function()
    local dir = sample()
    local cases = {
      { "nonsense", 2, "append wants KEY=VALUE, not 'nonsense'" },
      { "result=success result=failure", 2, "'result' is given twice" },
      { "details.a=1 details.a=2", 2, "'details.a' is given twice" },
      { "details={} details.a=2", 2, "give details as a whole or one by one, not both" },
      { "usr=x", 5, "unknown field 'usr'" },
      { "event_type=x usr=x", 5, "unknown field 'usr'" },
      { "event_type=auth_attempt user_id=a result=no", 5,
        "field 'result' is 'no', must be success, failure or partial_success" },
      { "", 2, "missing argument 'pairs' (trail help append)" },
    }
    for _, case in ipairs(cases) do
      local code, out, err = trail(dir, "append t " .. case[1])
      assert.equal("trail: " .. case[3] .. "\n", err)
      assert.equal("", out)
      assert.equal(case[2], code)
    end
    assert.equal("1 2 3 4", (seqs(dir, "")))
  end)

  it("reads JSON Lines and stops at the first bad one", function()
    local dir = sample()
    local code, out, err = trail(dir, "append t -", [[
{"event_type":"auth_attempt","user_id":"dave","result":"success"}

{"event_type":"auth_attempt","user_id":"dave","result":"success","usr":1}
{"event_type":"auth_attempt","user_id":"dave","result":"success"}
]])
    assert.equal('{"seq":5,"id":"<id>","recorded_at":"<time>","event_hash":"<hash>","duplicate":false}\n', mask(out))
    assert.equal("trail: stdin:3: unknown field 'usr'\n", err)
    assert.equal(5, code)
  end)
end)

describe("filters", function()
  it("find what they say", function()
    local dir = sample()
    local cases = {
      { "", "1 2 3 4" },
      { "--user alice", "2" },
      { "--user alice --user bob", "2 3" },
      { "--not-user alice", "1 3 4" },
      { "--type trade", "4" },
      { "--not-type auth_attempt --not-type trade", "1" },
      { "--action login --result success", "3" },
      { "--resource-type item --resource-id sword", "4" },
      { "--request-id r1", "3" },
      { "--ip 192.0.2.1", "2" },
      { "--ip 2001:DB8:0:0:0:0:0:1", "3" },
      { "--since 2026-01-02 --until 2026-01-03", "3" },
      { "-S2026-01-02 -U 2026-01-03", "3" },
      { "--since=2026-01-01T01:00:00+01:00 --until 2026-01-01T00:00:00.000001Z", "2" },
      { "--seq 2..3", "2 3" },
      { "--seq 3..", "3 4" },
      { "--seq ..2", "1 2" },
      { "--seq 2", "2" },
      { "-n 2", "3 4" },
      { "-n 2 -r", "4 3" },
      { "-rn2", "4 3" },
      { "-r", "4 3 2 1" },
      { "--after 2", "3 4" },
      { "--after 3 -r", "2 1" },
      { "--after 1 -n 2", "2 3" },
      { "--where 'details.gold > 100'", "4" },
      { "--where 'user_id == \"bob\" or seq == 1'", "1 3" },
      { "--type auth_attempt --where 'seq > 2'", "3" },
      { "-n 1 --where 'user_id'", "3" },
    }
    for _, case in ipairs(cases) do
      local found, code, err = seqs(dir, case[1])
      assert.equal(case[2], found, case[1] .. "\n" .. err)
      assert.equal("", err)
      assert.equal(0, code)
    end
  end)

  it("take a value that looks like a flag", function()
    local dir = sample()
    assert.equal("1", (seqs(dir, "-S -15min")))
    assert.equal("1", (seqs(dir, "--since -15min")))
    local found, code = seqs(dir, "--user --type")
    assert.equal("", found)
    assert.equal(1, code)
  end)

  it("say what they cannot make sense of", function()
    local dir = sample()
    local cases = {
      { "--seq 3..2", "--seq 3..2 is empty: it ends before it begins" },
      { "--seq x", "--seq wants 10..20, 10.., ..20 or 10, not 'x'" },
      { "--seq 0", "--seq wants a whole number of at least 1, not '0'" },
      { "-n x", "--number wants a whole number of at least 0, not 'x'" },
      { "--id 5", "--id wants a UUID, not '5'" },
      { "--user a --not-user b", "--user and --not-user exclude each other" },
      { "--result ok", "result is 'ok', must be success, failure or partial_success" },
      { "--fields usr", "--fields: there is no field 'usr'; fields are seq, id, timestamp, recorded_at, event_type, "
        .. "user_id, action, resource_type, resource_id, result, result_error, details, ip_address, user_agent, "
        .. "request_id, previous_hash, event_hash" },
      { "--fields seq,seq", "--fields names 'seq' twice" },
      { "--usr x", "unknown option '--usr'. Did you mean '--user'? (trail help log)" },
      { "-o yaml", "argument for option '-o' must be one of 'table', 'jsonl', 'json', 'csv', 'line' (trail help log)" },
      { "-n", "option '-n' requires an argument (trail help log)" },
      { "extra", "too many arguments (trail help log)" },
      { "--where 'seq >'", "--where: unexpected symbol near <eof>" },
      { "--where 'a b'", "--where: <eof> expected near 'b'" },
    }
    for _, case in ipairs(cases) do
      local code, out, err = trail(dir, "log t " .. case[1])
      assert.equal("trail: " .. case[2] .. "\n", err)
      assert.equal("", out)
      assert.equal(2, code)
    end
    for _, words in ipairs({ "--since nonsense", "--ip 300.1.1.1", "--where 'usr == 1'", "--where 'x(1)'" }) do
      local code, out, err = trail(dir, "log t " .. words)
      assert.equal(2, code, words)
      assert.equal("", out)
      assert.truthy(err:match("^trail: [^\n]+\n$"), err)
    end
  end)

  it("report expressions that fail, and keep quiet where a value is merely absent", function()
    local dir = sample()
    local code, out, err = trail(dir, "log t --fields seq --where 'user_id:nothing()'")
    assert.equal("trail: --where could not be asked of 2 events, taken as no (seq 2: attempt to call a nil "
      .. "value (method 'nothing'))\n", err)
    assert.equal("", out)
    assert.equal(1, code)
  end)
end)

describe("trail count", function()
  it("prints the number and nothing else", function()
    local dir = sample()
    for _, case in ipairs({ { "", "4", 0 }, { "--type auth_attempt", "2", 0 }, { "--user nobody", "0", 1 },
      { "--where 'details.gold'", "1", 0 }, { "--where 'false'", "0", 1 } }) do
      local code, out, err = trail(dir, "count t " .. case[1])
      assert.equal(case[2] .. "\n", out)
      assert.equal("", err)
      assert.equal(case[3], code)
    end
  end)
end)

describe("trail log", function()
  it("prints every format", function()
    local dir = sample()
    local _, out = trail(dir, "log t --seq 2 -o jsonl")
    assert.equal('{"seq":2,"id":"<id>","timestamp":"2026-01-01T00:00:00.000000Z","recorded_at":"<time>",'
      .. '"event_type":"auth_attempt","user_id":"alice","action":"login","resource_type":"user",'
      .. '"resource_id":"alice","result":"failure","ip_address":"192.0.2.1","previous_hash":"<hash>",'
      .. '"event_hash":"<hash>"}\n', (mask(out):gsub("<time>", "2026-01-01T00:00:00.000000Z", 1)))
    _, out = trail(dir, "log t --seq 2..4 -o table")
    assert.equal([[
seq  time (UTC)           type          user   action  resource    result           ip
  2  2026-01-01 00:00:00  auth_attempt  alice  login   user:alice  failure          192.0.2.1
  3  2026-01-02 00:00:00  auth_attempt  bob    login   user:bob    success          2001:db8::1
  4  2026-01-03 00:00:00  trade                accept  item:sword  partial_success
]], out)
    _, out = trail(dir, "log t --seq 4 -o csv --fields seq,user_id,details")
    assert.equal('seq,user_id,details\n4,,"{""gold"":500}"\n', out)
    _, out = trail(dir, "log t --user nobody -o json")
    assert.equal("[]\n", out)
  end)

  it("fits a terminal's width, shows the newest 50 there and says so", function()
    if support.run("command -v script") ~= 0 then
      return pending("script is not installed: NOT checked here")
    end
    local dir = support.tmpdir()
    local lines = {}
    for i = 1, 60 do
      lines[i] = ('{"event_type":"t","action":"a","resource_type":"r","resource_id":"%d%s","result":"failure"}')
        :format(i, ("x"):rep(200))
    end
    trail(dir, "init t && trail import t", table.concat(lines, "\n"))
    local _, out = support.run(("cd %s && script -qec \"stty cols 60; TERM=xterm %s log t\" /dev/null"):format(
      support.quote(dir), TRAIL))
    local count, widest = 0, 0
    for line in out:gmatch("([^\r\n]+)\r\n") do
      line = line:gsub("\27%[%d*m", "")
      count = count + 1
      widest = math.max(widest, #line:gsub("[\128-\191]", ""))
    end
    assert.equal(52, count, out)
    assert.is_true(widest <= 60, out)
    assert.truthy(out:find("\27[31mfailure\27[0m", 1, true))
    assert.truthy(out:find("the newest 50 are shown; %-n N shows more\r\n$"), out)
    _, out = support.run(("cd %s && script -qec \"NO_COLOR=1 %s log t -n 1\" /dev/null"):format(
      support.quote(dir), TRAIL))
    assert.is_nil(out:find("\27", 1, true))
  end)
end)

describe("trail show", function()
  it("prints an event by seq and by id, with its links", function()
    local dir = sample()
    local code, out = trail(dir, "show t 4 -o line")
    assert.equal([[
seq            4
id             <id>
timestamp      <time>
recorded_at    <time>
event_type     trade
action         accept
resource_type  item
resource_id    sword
result         partial_success
details        {"gold":500}
previous_hash  <hash>
event_hash     <hash>
link back      matches event 3
link forward   the last event has none
]], mask(out))
    assert.equal(0, code)
    local _, json = trail(dir, "show t 1")
    assert.truthy(json:match(',"checks":{"link_back":null,"link_forward":true}}\n$'), json)
    local id = json:match('"id":"([^"]+)"')
    local _, again = trail(dir, "show t " .. id)
    assert.equal(json, again)
  end)

  it("says that there is none", function()
    local dir = sample()
    local code, out, err = trail(dir, "show t 99")
    assert.equal("trail: there is no event 99 in t\n", err)
    assert.equal("", out)
    assert.equal(1, code)
    code = trail(dir, "show t 0190a000-0000-7000-8000-000000000001")
    assert.equal(1, code)
    code, out, err = trail(dir, "show t x")
    assert.equal("", out)
    assert.equal("trail: show wants a sequence number or an id (a UUID), not 'x'\n", err)
    assert.equal(2, code)
  end)
end)

describe("trail verify", function()
  it("says what was verified, and compares a head", function()
    local dir = sample()
    local code, out, err = trail(dir, "verify t")
    assert.truthy(out:match("^ok: 4 entries verified[^\n]*\nhead 4:%x+\n$"), out)
    assert.equal("", err)
    assert.equal(0, code)
    local head = out:match("head (4:%x+)")
    code, out, err = trail(dir, "verify -q t --expect-head " .. head)
    assert.equal("", out .. err)
    assert.equal(0, code)
    code, out = trail(dir, "verify t -o json --expect-head " .. head)
    assert.truthy(out:match('^{"ok":true,"fault":"none",.*"entries":4,"head":{"seq":4,"event_hash":"%x+"},'
      .. '"head_expected":true,"complete":true,"text":"[^"]*"}\n$'), out)
    assert.equal(0, code)
    code, out, err = trail(dir, "verify t --expect-head 9:" .. ("0"):rep(64))
    assert.truthy(out:match("^FAILED: [^\n]+\n$"), out)
    assert.equal("", err)
    assert.equal(3, code)
    code, out, err = trail(dir, "verify t --expect-head 9:00")
    assert.equal("", out)
    assert.equal("trail: --expect-head wants SEQ:HASH with 64 digits of hash, not '9:00'\n", err)
    assert.equal(2, code)
  end)

  it("finds a changed byte", function()
    local dir = sample()
    local text = support.read_file(dir .. "/t/log.mdb")
    local changed, count = text:gsub("sword", "swarm")
    assert.is_true(count >= 1)
    support.write_file(dir .. "/t/log.mdb", changed)
    local code, out = trail(dir, "verify t")
    assert.truthy(out:match("^FAILED: [^\n]*4[^\n]*\n$"), out)
    assert.equal(3, code)
    code, out = trail(dir, "verify t -o json")
    assert.truthy(out:find('"ok":false,"fault":"altered entry","first_bad_seq":4,"last_good_seq":3', 1, true), out)
    assert.equal(3, code)
  end)
end)

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

describe("trail stat", function()
  it("says what there is", function()
    local dir = sample()
    local code, out = trail(dir, "stat t -o line")
    assert.equal([[
path              t
log_id            <id>
origin            trail
format            1
events            4
head              4:<hash>
created_at        <time>
last_recorded_at  <time>
file_bytes        N
used_bytes        N
map_size          N
foreign_ids       0
readers           N
readers_max       4096
]], (mask(out):gsub("(file_bytes%s+)%d+", "%1N"):gsub("(used_bytes%s+)%d+", "%1N"):gsub("(map_size%s+)%d+", "%1N")
      :gsub("(readers%s+)%d+", "%1N")))
    assert.equal(0, code)
  end)
end)

describe("the command", function()
  it("explains itself", function()
    local dir = support.tmpdir()
    local code, out, err = trail(dir, "")
    assert.equal(2, code)
    assert.equal("", out)
    assert.truthy(err:match("^Usage: trail COMMAND DIR"), err)
    code, out = trail(dir, "--help")
    assert.equal(0, code)
    assert.equal(err, out)
    code, out = trail(dir, "--version")
    assert.truthy(out:match("^trail %d+%.%d+%.%d+\n$"), out)
    assert.equal(0, code)
    for _, name in ipairs({ "init", "append", "import", "log", "show", "count", "verify", "export", "stat" }) do
      code, out = trail(dir, "help " .. name)
      assert.equal(0, code)
      assert.truthy(out:match("^Usage: trail " .. name .. " DIR"), out)
      local _, same = trail(dir, name .. " --help")
      assert.equal(out, same)
      for line in out:gmatch("[^\n]+") do assert.is_true(#line:gsub("[\128-\191]", "") <= 100, line) end
    end
    code, out, err = trail(dir, "lgo t")
    assert.equal("trail: unknown command 'lgo'. Did you mean 'log'? (trail help)\n", err)
    assert.equal("", out)
    assert.equal(2, code)
    code, out, err = trail(dir, "help lgo")
    assert.equal("", out)
    assert.equal("trail: unknown command 'lgo'. Did you mean 'log'? (trail help lists the commands)\n", err)
    assert.equal(2, code)
  end)

  it("says that a trail is not there, and makes none", function()
    local dir = support.tmpdir()
    for _, words in ipairs({ "log t", "count t", "show t 1", "export t", "stat t", "append t result=x", "import t" }) do
      local code, out, err = trail(dir, words)
      assert.equal(4, code, words)
      assert.equal("", out)
      assert.equal("trail: there is no trail at t (trail init t makes one)\n", err)
    end
    local code = trail(dir, "verify t")
    assert.equal(4, code)
    assert.equal(1, (support.run("test -e " .. dir .. "/t")))
  end)

  it("notices a full disk and a closed stream", function()
    local dir = sample()
    for _, words in ipairs({ "log t", "count t", "export t", "stat t", "help", "--version" }) do
      local code, _, err = trail(dir, words .. " >/dev/full")
      assert.equal(5, code, words)
      assert.truthy(err:find("trail: cannot write to standard output: No space left on device\n", 1, true), err)
      code = trail(dir, words .. " >&-")
      assert.equal(5, code, words)
    end
  end)

  it("ends quietly when the reader goes away", function()
    local dir = support.tmpdir()
    local line = '{"event_type":"t","action":"a","resource_type":"r","resource_id":"x","result":"failure"}\n'
    trail(dir, "init t && trail import t", line:rep(3000))
    local code, out, err = support.run(("cd %s && { %s log t; echo code $? >&2; } | head -n 1 | wc -l"):format(
      support.quote(dir), TRAIL))
    assert.equal(0, code)
    assert.equal("1", (out:gsub("%s", "")))
    assert.equal("code 141\n", err)
  end)

  -- Goal: with standard streams closed no message can land in the trail's file.
  -- Method: close them, make the command complain, and check that the trail is whole.
  it("never writes a message into the trail", function()
    local dir = sample()
    for _, closed in ipairs({ "2>&-", "<&- 2>&-", "<&- >&- 2>&-", ">&- 2>&-" }) do
      trail(dir, "log t --where 'seq:x()' " .. closed)
      trail(dir, "append t event_type=x " .. closed)
      trail(dir, "append t event_type=auth_attempt user_id=a result=success " .. closed)
    end
    local code, out = trail(dir, "verify t")
    assert.equal(0, code, out)
    assert.truthy(out:match("^ok: 8 entries"), out)
  end)

  it("survives a damaged file with a message and code 4", function()
    support.seed()
    local dir = support.tmpdir()
    local line = '{"event_type":"t","action":"a","resource_type":"r","resource_id":"x","result":"failure"}\n'
    trail(dir, "init t && trail import t", line:rep(2000))
    local text = support.read_file(dir .. "/t/log.mdb")
    for _ = 1, 4 do
      local pages = {}
      for at = 1, #text, 4096 do
        local page = text:sub(at, at + 4095)
        if at > 3 * 4096 and math.random() < 0.3 then
          page = page:gsub(".", function() return string.char(math.random(0, 255)) end)
        end
        pages[#pages + 1] = page
      end
      support.run("rm -rf " .. dir .. "/d; mkdir " .. dir .. "/d")
      support.write_file(dir .. "/d/log.mdb", table.concat(pages))
      for _, words in ipairs({ "log d", "count d --user x", "export d", "show d 1500" }) do
        local code, _, err = trail(dir, words)
        assert.is_true(code == 4 or code == 0 or code == 1 or code == 3, words .. ": " .. code .. err)
      end
      local code, out = trail(dir, "verify d")
      assert.is_true(code == 3 or code == 4, code .. out)
    end
  end)

  it("prints nothing hostile, stored or given", function()
    local dir = sample()
    local evil = "\27[2J\194\155\226\128\174\nx"
    trail(dir, "append t event_type=x action=a resource_type=r resource_id=i result=success user_id="
      .. support.quote(evil) .. " details.k=" .. support.quote(evil))
    for _, words in ipairs({ "log t -o table", "log t -o line", "log t", "log t -o json", "log t -o csv", "show t 5",
      "show t 5 -o line", "export t", "export t -o csv", "log " .. support.quote(evil),
      "log t --" .. support.quote(evil), support.quote(evil), "append t " .. support.quote(evil) .. "=1",
      "log t --where " .. support.quote("error('" .. evil:gsub("\n", "") .. "')"),
      "log t --fields " .. support.quote(evil), "import t " .. support.quote(evil) }) do
      local _, out, err = trail(dir, words)
      local text = out .. err
      assert.is_nil(text:find("[%z\1-\9\11-\31\127]"), words .. "\n" .. text)
      assert.is_nil(text:find("\194\155", 1, true), words)
      assert.is_nil(text:find("\226\128\174", 1, true), words)
    end
  end)
end)
