-- cli_filter_spec.lua - the flags that choose events, and those that take a value only once.
-- Level: test; needs build/trail.
-- SPDX-License-Identifier: MIT

local cli = require "spec.cli"
local support = require "spec.support"

local sample, seqs, trail = cli.sample, cli.seqs, cli.trail

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
      { "--seq 1 --seq 3..4", "1 3 4" },
      { "--seq 3.. --seq ..1 --seq 3", "1 3 4" },
      { "--not-seq 2..3", "1 4" },
      { "--not-seq ..1 --not-seq 3", "2 4" },
      { "--seq 2.. --not-seq 3", "2 4" },
      { "--seq 1..2 --seq 4 --type auth_attempt", "2" },
      { "--where 'seq > 1' --where 'seq < 4'", "2 3" },
      { "--where 'user_id' --where 'seq > 2' --where true", "3" },
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
      { "--user 'al*'", "2" },
      { "--user '*' --type 'auth*'", "2 3" },
      { "--not-user '*'", "1 4" },
      { "--user 'al*' --user bob", "2 3" },
      { "--user 'alice**'", "" },
      { "--ip '2001:db8:*' --ip 10.1.1.1", "3" },
      { "--details gold=500", "4" },
      { "--details details.gold=500 --type trade", "4" },
      { "--details gold=5e2", "4" },
      { "--details gold=400 --details gold=500", "4" },
      { "--not-details gold=500", "1 2 3" },
      { "--details 'gold=5*'", "" },
      { "--details gold=500 --where 'details.gold > 500'", "" },
    }
    for _, case in ipairs(cases) do
      local found, code, err = seqs(dir, case[1])
      assert.equal(case[2], found, case[1] .. "\n" .. err)
      assert.equal("", err)
      assert.equal(case[2] == "" and 1 or 0, code)
    end
  end)

  -- Goal: who types 500 finds what is stored as 500, as a number or as a text; so with true.
  -- Method: details of every type that a text can be taken for, and some that it cannot.
  it("find details by what a text looks like", function()
    local dir = support.tmpdir()
    local lines = {}
    for index, json in ipairs({ "500", '"500"', "500.0", "true", '"true"', "null", '"null"', '"007"', "7", '""',
      '"a=b"', '["x","y"]', '{"deep":"x"}', '" 500"', "9007199254740993", '"a*"', '"ab"' }) do
      lines[index] = '{"event_type":"t","action":"a","resource_type":"r","resource_id":"i","result":"success",'
        .. '"details":{"k":' .. json .. "}}"
    end
    local code, _, err = trail(dir, "init t && trail import t", table.concat(lines, "\n"))
    assert.equal(0, code, err)
    for words, found in pairs({ ["k=500"] = "2 3 4", ["k=true"] = "5 6", ["k=null"] = "8", ["k=007"] = "9",
      ["k=7"] = "10", ["k="] = "11", ["k=a=b"] = "12", ["k=x"] = "13", ["k.deep=x"] = "14", ["k= 500"] = "15",
      ["k=9007199254740993"] = "16", ["k=a*"] = "12 17 18", ["k=a**"] = "17", ["k=5*"] = "3", ["no=1"] = "" }) do
      assert.equal(found, (seqs(dir, "--details " .. support.quote(words))), words)
    end
    assert.equal("1 7", (seqs(dir, "--not-details k=500 --not-details k=true --seq ..7")))
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
      { "--not-seq x", "--not-seq wants 10..20, 10.., ..20 or 10, not 'x'" },
      { "--seq 1 --seq 4..3", "--seq 4..3 is empty: it ends before it begins" },
      { "-n x", "--number wants a whole number of at least 0, not 'x'" },
      { "--id 5", "--id wants a UUID, not '5'" },
      { "--id '0190*'", "--id is '0190*': an id is looked for as a whole, not by how it begins" },
      { "--result 'succ*'", "--result is 'succ*', must be success, failure or partial_success" },
      { "--details region", "--details wants PATH=VALUE, such as region=eu, not 'region'" },
      { "--not-details =eu", "--not-details wants PATH=VALUE, such as region=eu, not '=eu'" },
      { "--details a=1 --not-details a=2", "--details and --not-details exclude each other for one path" },
      { "--details a='\255'", "--details a: invalid UTF-8 at byte 1 of 1" },
      { "--user a --not-user b", "--user and --not-user exclude each other" },
      { "--result ok", "--result is 'ok', must be success, failure or partial_success" },
      { "--ip 300.1.1.1", "--ip: '300.1.1.1' is not an IPv4 or IPv6 address" },
      { "--fields usr", "--fields: there is no field 'usr'; fields are seq, id, timestamp, recorded_at, event_type, "
        .. "user_id, action, resource_type, resource_id, result, result_error, details, ip_address, user_agent, "
        .. "request_id, previous_hash, event_hash" },
      { "--fields seq,seq", "--fields names 'seq' twice" },
      { "--usr x", "unknown option '--usr'. Did you mean '--user'? (trail help log)" },
      { "-o yaml", "argument for option '-o' must be one of 'table', 'jsonl', 'json', 'csv', 'line' (trail help log)" },
      { "-n", "option '-n' requires an argument (trail help log)" },
      { "extra", "too many arguments (trail help log)" },
      { "--where ''", "--where is empty; it wants a Lua expression such as details.gold > 100" },
      { "--where '  -- seq == 1'", "--where is empty; it wants a Lua expression such as details.gold > 100" },
      { "--where seq --where ' '", "--where is empty; it wants a Lua expression such as details.gold > 100" },
      { "--where 'seq >'", "--where: unexpected symbol near <eof>" },
      { "--where 'a b'", "--where: <eof> expected near 'b'" },
    }
    for _, case in ipairs(cases) do
      local code, out, err = trail(dir, "log t " .. case[1])
      assert.equal("trail: " .. case[2] .. "\n", err)
      assert.equal("", out)
      assert.equal(2, code)
    end
    for _, words in ipairs({ "--since nonsense", "--where 'usr == 1'", "--where 'x(1)'" }) do
      local code, out, err = trail(dir, "log t " .. words)
      assert.equal(2, code, words)
      assert.equal("", out)
      assert.truthy(err:match("^trail: [^\n]+\n$"), err)
    end
  end)

  -- Goal: a number that no trail can reach is not called nonsense.
  -- Method: numbers around the largest that counts exactly, for every flag that takes one.
  it("say that a number is too large", function()
    local dir = sample()
    local big = "9223372036854775807"
    for _, case in ipairs({
      { "log t --seq " .. big, "--seq " .. big }, { "log t --not-seq 1.." .. big, "--not-seq " .. big },
      { "log t -n " .. big, "--number " .. big }, { "log t --after " .. big .. "0", "--after " .. big .. "0" },
      { "show t 99999999999999999999", "SEQ 99999999999999999999" },
      { "import t --batch " .. big, "--batch " .. big },
      { "verify t --expect-head " .. big .. ":" .. ("0"):rep(64), "--expect-head " .. big },
    }) do
      local code, out, err = trail(dir, case[1])
      assert.equal("trail: " .. case[2] .. " is too large\n", err)
      assert.equal("", out)
      assert.equal(2, code)
    end
    assert.equal("1 2 3 4", (seqs(dir, "--seq 0000000000000000000000001..999999999999999")))
  end)

  -- Goal: no flag is silently forgotten.
  -- Method: every flag that takes one value, twice, in each command that has it; the last one
  -- used to win.
  it("refuse a second value where they mean only one", function()
    local dir = sample()
    local cases = {
      { "log t --since 2026-01-01 -S 2026-01-02", "--since" }, { "count t -U now --until now", "--until" },
      { "count t --by hour --by day", "--by" }, { "top t result -n 1 -n 2", "--number" },
      { "reindex t -o line -o json", "--output" },
      { "log t -n 1 --number 2", "--number" }, { "log t --after 1 --after 2", "--after" },
      { "log t -o csv -o jsonl", "--output" }, { "log t --fields seq --fields id", "--fields" },
      { "log t --color never --color always", "--color" }, { "init t2 --origin a --origin b", "--origin" },
      { "init t2 --size-max 1G --size-max 1G", "--size-max" }, { "init t2 --map-size 1G --map-size 2G", "--map-size" },
      { "import t --map a --map b", "--map" }, { "import t --batch 1 --batch 2", "--batch" },
      { "import t --on-error skip --on-error stop", "--on-error" },
      { "export t -o csv -o csv", "--output" }, { "export t --since now --since now", "--since" },
      { "verify t --expect-head 1 --expect-head 2", "--expect-head" }, { "stat t -o line -o json", "--output" },
      { "append t x=1 -o line -o json", "--output" }, { "show t 1 -o line -o json", "--output" },
    }
    for _, case in ipairs(cases) do
      local code, out, err = trail(dir, case[1])
      assert.equal("trail: " .. case[2] .. " is given twice\n", err)
      assert.equal("", out)
      assert.equal(2, code)
    end
    assert.equal("4 3 2 1", (seqs(dir, "-r --reverse")))
    assert.equal(1, (support.run("test -e " .. dir .. "/t2")))
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
