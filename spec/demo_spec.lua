-- demo_spec.lua - the demo runs, keeps its promises, and notices when one is broken.
-- Level: test; needs build/trail and lua5.4.
-- SPDX-License-Identifier: MIT

local support = require "spec.support"

describe("make demo", function()
  -- Goal: a stranger sees the whole story, and every step of it is true.
  -- Method: run the script as make does; it checks itself; look for its main lines.
  it("imports, answers, verifies and catches the damage", function()
    local code, out, err = support.run("TMPDIR=" .. support.tmpdir() .. " examples/demo.sh " .. support.B)
    assert.equal(0, code, out .. err)
    for _, line in ipairs {
      "1. A trail, and two kinds of logs in it", "93 stored", "57 stored", "0 stored, 93 already there",
      "  $ trail verify altered.trail\n", "Everything above happened as promised.",
      "\n        1  from 1 address    root from 192.0.2.1 port 22 ssh2\n",
      "tried to forge a line of the log by his user name, \"root from 192.0.2.1 port 22 ssh2\"",
    } do
      assert.is_truthy(out:find(line, 1, true), line .. " is not in\n" .. out)
    end
    assert.equal(3, select(2, out:gsub("%(exit code 3%)", "")))
    assert.is_truthy(out:find("failed: altered entry at seq %d+"))
    assert.is_nil(out:find("\27", 1, true)) -- no colours into a pipe
    for line in out:gmatch("[^\n]+") do
      assert.is_true(#line <= 140, "too long to enjoy: " .. line)
    end
  end)

  -- Goal: nothing is left behind, and a demo that does not work says so.
  -- Method: look into its TMPDIR afterwards; run it with a `trail` that always says yes.
  it("cleans up and fails aloud", function()
    local dir = support.tmpdir()
    support.run("TMPDIR=" .. dir .. " examples/demo.sh " .. support.B)
    local _, left = support.run("ls -A " .. dir)
    assert.equal("", left)

    local build = support.tmpdir()
    support.write_file(build .. "/trail", "#!/bin/sh\nmkdir -p audit.trail; echo 93 stored\n")
    support.run("chmod +x " .. build .. "/trail")
    local code, _, err = support.run("TMPDIR=" .. dir .. " examples/demo.sh " .. build)
    assert.equal(1, code)
    assert.matches("This is not what the demo promises", err)
    _, left = support.run("ls -A " .. dir)
    assert.equal("", left)
  end)

  -- Goal: the first example of the Lua API says how it is called, and prints nothing hostile.
  -- Method: no trail, two of them; then a name that would colour the terminal.
  it("has an example that explains itself", function()
    local env = ("LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='%s/lua/?.so;;' lua5.4 examples/count_failures.lua")
      :format(support.B)
    for _, words in ipairs { "", " a b" } do
      local code, out, err = support.run(env .. words)
      assert.equal("usage: lua5.4 count_failures.lua DIR    (DIR is a trail)\n", err)
      assert.equal("", out)
      assert.equal(2, code)
    end
    local path = support.tmpdir() .. "/t"
    local log = assert(require "trail".open(path))
    assert(log:auth_attempt { user_id = "\27[31mred", result = "failure", ip_address = "192.0.2.1" })
    log:close()
    local code, out, err = support.run(env .. " " .. path)
    assert.equal("    1  from 1 address    \\x1b[31mred\n", out)
    assert.equal("", err)
    assert.equal(0, code)
  end)

  -- Goal: the sample files are those of the generator, and nothing real is in them.
  -- Method: generate them again elsewhere; every address must be from a range for documentation.
  it("runs on samples that were made for it", function()
    local dir = support.tmpdir()
    assert.equal(0, (support.run("cp examples/data/generate.py " .. dir .. " && python3 " .. dir .. "/generate.py")))
    for _, name in ipairs { "sshd.log", "cloudtrail.json" } do
      local text = support.read_file("examples/data/" .. name)
      assert.equal(support.read_file(dir .. "/" .. name), text, name)
      local addresses = 0
      local function check(address)
        addresses = addresses + 1
        local net = address:match("^(%d+%.%d+%.%d+)%.%d+$") or address:match("^2001:db8:")
        assert.is_true(net == "192.0.2" or net == "198.51.100" or net == "203.0.113"
          or net == "2001:db8:" or address == "backup.amazonaws.com", address)
      end
      for address in text:gmatch(" from (%S+) port %d+ ?[^f]") do check(address) end
      for address in text:gmatch('"sourceIPAddress":"([^"]*)"') do check(address) end
      for address in text:gmatch("%d+%.%d+%.%d+%.%d+") do check(address) end
      assert.is_true(addresses > 50)
    end
  end)
end)
