-- writer_spec.lua - events that are submitted: what becomes of them, whatever happens meanwhile.
-- Test: C programs on the public header (spec/submit*.c), and the same through Lua.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local support = require "spec.support"
local process = require("trail.testing").process
local trail = require "trail"

local SANITIZED = support.B:find "sanitize" ~= nil
local SOURCES = "spec/submit.c spec/submit_threads.c"
local CASES = { "basics", "full", "bytes", "failures", "eventfd", "close", "busy", "exit", "threads",
  "fork", "signals" }

local function event(n, changes)
  local e = { event_type = "x", action = "y", resource_type = "z", resource_id = tostring(n),
    result = "success" }
  for key, value in pairs(changes or {}) do e[key] = value end
  return e
end

local function compile(program, flags)
  local code, out, err = support.run(string.format(
    "%s -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -pthread -Isrc -o %s %s %s",
    os.getenv "CC" or "cc", program, SOURCES, flags))
  assert.equal(0, code, out .. err)
end

-- Compiled when it is asked for the first time.
local compiled
local function program()
  if not compiled then
    compiled = support.tmpdir() .. "/submit"
    compile(compiled, string.format("%s -L%s -ltrail -Wl,-rpath,\"$PWD/%s\"",
      SANITIZED and "-fsanitize=address,undefined" or "", support.B, support.B))
  end
  return compiled
end

describe("a C program that submits", function()
  local function run(case)
    local path = support.tmpdir() .. "/audit.trail"
    local code, out, err = support.run(program() .. " " .. path .. " " .. case)
    assert.equal("0 ", code .. " " .. err, case .. ": " .. out)
    local log = assert(trail.open(path))
    assert(log:verify())
    return log
  end

  for _, case in ipairs(CASES) do
    -- Goal: see the comments in the sources.
    -- Method: the lock between writers is held, so that a commit lasts as long as the case wants;
    -- nothing is measured in time.
    it("has its way: " .. case, function() run(case):close() end)
  end

  -- Goal: what was dropped is on record, as the engine's own event, once.
  it("leaves a record of what was dropped", function()
    local log <close> = run "full"
    local list = log:query({ event_type = "trail.dropped" }):all()
    assert.equal(1, #list)
    local e = list[1]
    assert.same({ "drop", "trail", log:info().log_id, "failure", 3 },
      { e.action, e.resource_type, e.resource_id, e.result, e.details.count })
    assert.is_true(e.details.since_us <= e.timestamp and e.timestamp == e.recorded_at)
    assert.is_true(e.details.since_us >= log:get(1).recorded_at)
    assert.equal("invalid", (select(3, log:append(event(1, { event_type = "trail.dropped" })))))
  end)

  -- Goal: what waits when the process ends by exit() is written.
  it("may end without closing", function()
    local log <close> = run "exit"
    assert.equal(100, log:count { resource_id = "exit" })
  end)

  -- Goal: an event whose ticket said that it is durable survives kill -9; order is kept.
  it("may be killed", function()
    for round = 1, 5 do
      local dir = support.tmpdir()
      local path, notes = dir .. "/audit.trail", dir .. "/notes"
      local pid = process.start({ program(), path, "kill" }, notes)
      repeat
        process.sleep_us(5000)
        local text = support.read_file(notes)
      until #text > round * 400
      process.kill(pid, "KILL")
      process.wait(pid)
      local log <close> = assert(trail.open(path))
      assert(log:verify())
      local last, count = 1, 0
      for seq, name in support.read_file(notes):gmatch "(%d+) (%d+/%d+)\n" do
        assert.equal(name, assert(log:get(tonumber(seq))).resource_id)
        assert.equal(last + 1, tonumber(seq))
        last, count = tonumber(seq), count + 1
      end
      assert.is_true(count > 20)
    end
  end)

  -- Goal: no data race. Only with TRAIL_TSAN=1: it builds the library anew with ThreadSanitizer.
  if os.getenv "TRAIL_TSAN" and not SANITIZED then
    it("has no data race", function()
      local dir = support.tmpdir()
      compile(dir .. "/submit", "-fsanitize=thread $(ls src/*.c | grep -v -e src/lua_ -e src/main "
        .. "-e src/testing -e src/bench) -llmdb -lcrypto -ljansson -luuid")
      for _, case in ipairs(CASES) do
        -- This ThreadSanitizer does not know pthread_mutex_clocklock, so the gate looks unlocked.
        local code, out, err = support.run(string.format(
          "TSAN_OPTIONS=report_mutex_bugs=0 %s/submit %s/%s.trail %s", dir, dir, case, case))
        assert.equal("0 ", code .. " " .. err, case .. ": " .. out)
      end
    end)
  end
end)

describe("a Lua program that submits", function()
  local path, log

  before_each(function()
    path = support.tmpdir() .. "/audit.trail"
    log = assert(trail.open(path))
  end)

  after_each(function() log:close() end)

  -- Goal: submit gives a ticket, and its wait what append gives.
  it("gets what append gives", function()
    local ticket = assert(log:submit(event(1)))
    local seq, receipt = assert(ticket:wait())
    assert.equal(2, seq)
    assert.equal(log:get(2).id, receipt.id)
    assert.matches("^seq 2, id ", tostring(receipt))
    assert.is_true(ticket:done())
    assert.equal("trail ticket (1 event, done)", tostring(ticket))
    assert.same({ ticket:wait(0) }, { ticket:wait(1.5) })
    for _, method in ipairs { "submit", "submit_batch" } do
      local seqs, receipts = assert(log[method](log, { event(2), event(3) })):wait()
      assert.equal(2, #seqs)
      assert.equal(seqs[1] + 1, receipts[2].seq)
    end
    assert.equal(6, log:head().seq)
    assert.is_true(log:flush())
    assert.same({ waiting = 0, waiting_len = 0, dropped = 0, failed = 0 }, log:queue())
    assert.equal("2026-01-01T00:00:00.000000Z", trail.format_time(log:get((assert(log:submit(event(4,
      { timestamp = "2026-01-01" })):wait()))).timestamp))
    assert.equal("login", log:get((log:submit(trail.event("auth_attempt", { user_id = "a",
      result = "failure" })):wait())).action)
  end)

  -- Goal: what can be wrong with data comes back, what is wrong in a program throws.
  it("gets errors as everywhere", function()
    assert.same({ nil, "field 'action' is empty", "invalid" },
      { log:submit(event(1, { action = "" })) })
    assert.same({ nil, "event 2: field 'action' is empty", "invalid" },
      { log:submit { event(1), event(1, { action = "" }) } })
    assert.equal("invalid", (select(3, log:submit(event(1, { details = { 0 / 0 } })))))
    local ticket = assert(log:submit(event(1)))
    for _, case in ipairs {
      { "unknown field 'usr'", function() log:submit(event(1, { usr = "x" })) end },
      { "submit takes one event or one list", function() log:submit(event(1), event(2)) end },
      { "table expected", function() log:submit "x" end },
      { "argument 'seconds': must be at least 0", function() ticket:wait(-1) end },
      { "argument 'seconds': must be at least 0", function() log:flush(0 / 0) end },
      { "argument 'seconds': expected a number of seconds, got string",
        function() ticket:wait "1" end },
      { "trail ticket expected", function() ticket.wait(log) end },
      { "trail log expected", function() log.submit(ticket, event(1)) end },
      { "option 'queue_policy': expected \"refuse\", \"wait\" or \"drop\"",
        function() trail.open(path, { queue_policy = "lose" }) end },
      { "option 'queue_count': must be at least 1",
        function() trail.open(path, { queue_count = 0 }) end },
      { "option 'queue_len': expected an integer, got string",
        function() trail.open(path, { queue_len = "1" }) end },
      { "option 'close_timeout': expected a number of seconds, got boolean",
        function() trail.open(path, { close_timeout = true }) end },
    } do
      local good, message = pcall(case[2])
      assert.is_false(good)
      assert.matches(case[1], message, 1, true)
    end
    local read_only <close> = assert(trail.open(path, { read_only = true }))
    assert.equal("denied", (select(3, read_only:submit(event(1)))))
  end)

  -- Goal: failures nobody asked for are told by flush; those that were asked for are not.
  it("learns of failures it did not ask for", function()
    local id = { id = "11111111-1111-4111-8111-111111111111" }
    assert(log:append(event(1, id)))
    local _, message, code = assert(log:submit(event(2, id))):wait()
    assert.equal("exists", code)
    assert.matches("is stored as seq 2 with other content", message)
    assert.is_true(log:flush())
    assert(log:submit(event(2, id))):close()
    assert.equal("exists", (select(3, log:flush(60))))
    log:submit(event(2, id))
    collectgarbage()
    collectgarbage()
    assert.equal("exists", (select(3, log:flush(60))))
    assert.is_true(log:flush())
    assert.equal(3, log:queue().failed)
  end)

  -- Goal: a ticket outlives its log, a closed one says so.
  it("may close in any order", function()
    local tickets = {}
    for n = 1, 200 do tickets[n] = assert(log:submit(event(n))) end
    log:close()
    for n = 1, 200 do
      assert.is_true(tickets[n]:done())
      assert.equal(n + 1, (tickets[n]:wait(0)))
    end
    assert.is_true(tickets[1]:close())
    assert.is_true(tickets[1]:close())
    assert.same({ nil, "the ticket is closed", "closed" }, { tickets[1]:wait() })
    assert.equal("closed", (select(3, tickets[1]:done())))
    assert.equal("trail ticket (1 event, closed)", tostring(tickets[1]))
    for name, call in pairs {
      submit = function() return log:submit(event(1)) end, flush = function() return log:flush() end,
      event_fd = function() return log:event_fd() end, queue = function() return log:queue() end,
    } do
      assert.same({ nil, "the trail is closed", "closed" }, { call() }, name)
    end
    do
      local again <close> = assert(trail.open(path))
      local ticket <close> = assert(again:submit(event "again"))
      assert.is_not_nil(ticket)
    end
    assert.equal(202, assert(trail.verify(path)).head.seq)
  end)

  -- Goal: an event loop is told; nothing of it waits.
  it("can poll", function()
    local fd = assert(log:event_fd())
    assert.equal(fd, log:event_fd())
    assert.matches("eventfd", select(2, support.run("readlink /proc/" .. process.pid() .. "/fd/" .. fd)))
    local ticket = assert(log:submit(event(1)))
    repeat
      local found = support.read_file("/proc/self/fdinfo/" .. fd):match "eventfd%-count:%s*(%x+)"
    until tonumber(found, 16) == 1
    assert.is_true(ticket:done())
    assert.equal(2, (ticket:wait(0)))
  end)

  -- Goal: in a child everything says "forked", and nothing of it waits; also the collector.
  it("may fork", function()
    local ticket = assert(log:submit(event(1)))
    local how, code, text = process.run(function()
      for name, call in pairs {
        submit = function() return log:submit(event(0)) end,
        flush = function() return log:flush() end,
        event_fd = function() return log:event_fd() end,
        queue = function() return log:queue() end,
        wait = function() return ticket:wait() end,
      } do
        local result, message, word = call()
        assert(result == nil and word == "forked", name .. ": " .. tostring(message))
      end
      ticket:close()
      log:close()
      local own <close> = assert(trail.open(path))
      assert(assert(own:submit(event "child")):wait())
    end)
    assert.equal("exit 0", how .. " " .. code, text)
    assert(ticket:wait())
    assert(log:verify())
    assert.equal(3, log:head().seq)
  end)

  -- Goal: the options reach the queue.
  -- Method: another process holds the lock between writers.
  it("meets the queue's limits", function()
    log:close()
    log = assert(trail.open(path, { queue_count = 2, queue_policy = "drop", close_timeout = 3600,
      busy_ms = 3600000 }))
    local hasty = assert(trail.open(path, { queue_len = 1, close_timeout = 0 }))
    local _, message, code = log:submit { event(1), event(2), event(3) }
    assert.equal("invalid", code)
    assert.matches("^3 events of %d+ bytes do not fit into a queue of 2 events", message)
    local notes = path .. ".notes"
    local pid = process.start({ program(), path, "hold" }, notes)
    repeat process.sleep_us(1000) until support.read_file(notes) == "held\n"
    local first, second = assert(log:submit(event "first")), assert(log:submit(event "second"))
    assert.equal("busy", (select(3, first:wait(0))))
    assert.equal("busy", (select(3, first:wait(0.001))))
    assert.is_false(first:done())
    assert.equal("queue_full", (select(3, log:submit(event "third"))))
    assert.equal("busy", (select(3, log:flush(0.01))))
    assert.equal(1, log:queue().dropped)
    assert.equal(2, log:queue().waiting)
    process.kill(pid, "KILL")
    process.wait(pid)
    assert(first:wait())
    assert(second:wait())
    hasty:close()
    log:close()
    log = assert(trail.open(path))
    assert.equal(1, log:query({ event_type = "trail.dropped" }):all()[1].details.count)
    assert(log:verify())
  end)
end)
