-- crash_spec.lua - is what was acknowledged still there when processes are killed or stopped?
-- Test: kills writers and creators with -9, stops a writer that holds the lock.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local support = require "spec.support"
local process = require("trail.testing").process
local trail = require "trail"

-- Under the sanitizers the same code runs, four times as slowly: fewer kills do.
local KILLS = tonumber(os.getenv "TRAIL_KILLS") or support.B:find "sanitize" and 50 or 200
local WRITERS = 4
local BATCH_MAX = 16

local function file_len(path)
  local file = io.open(path, "rb")
  if not file then return 0 end
  local len = file:seek("end")
  file:close()
  return len
end

local function ms(n) process.sleep_us(n * 1000) end

-- Wait for something that must come; how long it takes is no matter, for ever would be.
local function wait_until(what, condition)
  for _ = 1, 30000 do
    if condition() then return end
    ms(1)
  end
  error("waited in vain for " .. what)
end

local function start_writer(path, name, notes, count)
  return process.start({ "lua5.4", "spec/crash_writer.lua", path, name, notes, tostring(BATCH_MAX),
    tostring(count or 0) }, notes .. ".output")
end

-- The acknowledged events in a file of notes: { { seq =, id =, marker =, size = }, ... }. The last
-- line of a killed writer may have been cut.
local function read_notes(notes)
  local acknowledged = {}
  for line in support.read_file(notes):gmatch("([^\n]*)\n") do
    assert.is_nil(line:match("^error.*"))
    local seq, id, marker, size = line:match("^(%d+) (%S+) (%S+) (%d+)$")
    if seq then
      acknowledged[#acknowledged + 1] =
        { seq = tonumber(seq), id = id, marker = marker, size = tonumber(size) }
    end
  end
  return acknowledged
end

-- All records but the first by seq, having checked that there is no gap and that each holds
-- exactly what its writer put into it.
local function read_trail(log)
  local records, batches, ids = {}, {}, {}
  local seq = 1
  for e in log:query { order = "oldest", seq = { 2 } } do
    seq = seq + 1
    assert.equal(seq, e.seq)
    local marker, size = e.details.marker, e.details.size
    assert.equal(marker, e.resource_id)
    assert.equal(marker:rep(size), e.details.text)
    assert.equal("writer " .. marker:match("^[^-]+"), e.user_id)
    assert.is_nil(ids[e.id])
    ids[e.id] = true
    local batch = marker:match("^(.*)/%d+$")
    batches[batch] = batches[batch] or { size = size, count = 0 }
    batches[batch].count = batches[batch].count + 1
    records[seq] = { id = e.id, marker = marker }
  end
  assert.equal(log:head().seq, seq)
  for name, batch in pairs(batches) do
    assert.equal(batch.size, batch.count, "half of a batch: " .. name)
  end
  return records, seq - 1
end

describe("kill -9", function()
  -- Goal: no acknowledged event is ever lost, whoever dies when.
  -- Method: four processes append single events and batches and note down what was acknowledged;
  -- a random one of them is killed 1 to 20 ms after the last sign of life, and another one takes
  -- its place, 200 times (TRAIL_KILLS); in the end all four at once. Then every acknowledged event
  -- is where its receipt said, with its content; batches are whole; the chain verifies; and there
  -- is no more than one unacknowledged append for each kill.
  it("of writers loses nothing that was acknowledged", function()
    local seed = support.seed()
    local dir = support.tmpdir()
    local path = dir .. "/audit.trail"
    assert(trail.open(path)):close()
    local notes, pids = {}, {}
    for i = 1, WRITERS do
      notes[i] = dir .. "/notes" .. i
      pids[i] = start_writer(path, "w" .. i, notes[i])
    end
    local function noted()
      local len = 0
      for i = 1, WRITERS do len = len + file_len(notes[i]) end
      return len
    end
    for _ = 1, KILLS do
      local before = noted() + 1 -- a new line is no event
      wait_until("an acknowledged event", function() return noted() > before end)
      ms(math.random(1, 20))
      local victim = math.random(WRITERS)
      process.kill(pids[victim], "KILL")
      local how, number = process.wait(pids[victim])
      assert.equal("signal 9", how .. " " .. number)
      pids[victim] = start_writer(path, "w" .. victim, notes[victim])
    end
    for i = 1, WRITERS do process.kill(pids[i], "KILL") end
    for i = 1, WRITERS do process.wait(pids[i]) end

    local log <close> = assert(trail.open(path))
    local records, stored = read_trail(log)
    local acknowledged = 0
    for i = 1, WRITERS do
      for _, event in ipairs(read_notes(notes[i])) do
        acknowledged = acknowledged + 1
        local record = records[event.seq]
        assert.is_truthy(record, "seq " .. event.seq .. " was acknowledged, seed " .. seed)
        assert.equal(event.id, record.id)
        assert.equal(event.marker, record.marker)
      end
    end
    local extra = stored - acknowledged
    assert.is_true(acknowledged >= KILLS)
    assert.is_true(extra >= 0 and extra <= (KILLS + WRITERS) * BATCH_MAX, "extra " .. extra)
    local report = assert(log:verify())
    assert.equal(stored + 1, report.entries)
    assert(log:append { event_type = "x", action = "y", resource_type = "z", resource_id = "0",
      result = "success" })
    if os.getenv "TRAIL_TELL" then
      print(KILLS .. " kills: " .. acknowledged .. " acknowledged, " .. extra .. " more stored")
    end
  end)

  -- Goal: a trail is created whole or not at all.
  -- Method: `trail init` killed at random moments of the time it takes, until both outcomes were
  -- seen several times. What is at the path is a trail that verifies, or there is nothing, and
  -- then the next one to come can create it.
  it("of trail init leaves a whole trail or none", function()
    local seed = support.seed()
    local dir = support.tmpdir()
    local command = { support.B .. "/trail", "init", dir .. "/first" }
    local began = trail.now()
    local how, code = process.wait(process.start(command, dir .. "/output"))
    assert.equal("exit 0", how .. " " .. code, support.read_file(dir .. "/output"))
    local takes_us = trail.now() - began

    local whole, none, killed = 0, 0, 0
    local round = 0
    while round < 60 or (round < 400 and (whole < 5 or none < 5 or killed < 20)) do
      round = round + 1
      local path = dir .. "/audit" .. round
      local pid = process.start({ command[1], "init", path }, dir .. "/output")
      process.sleep_us(math.random(0, takes_us * 5 // 4))
      process.kill(pid, "KILL")
      how = process.wait(pid)
      if how == "signal" then killed = killed + 1 end
      local log, message, status = trail.open(path, { create = false })
      if log then
        whole = whole + 1
        assert.equal(1, log:head().seq)
        assert(log:verify { in_process = true })
        log:close()
      else
        none = none + 1
        assert.equal("not_found", status, message)
        assert.equal("signal", how)
        if none % 5 == 1 then assert(trail.open(path, { create = "new" })):close() end
      end
    end
    local told = string.format("whole %d, none %d, killed %d, seed %d", whole, none, killed, seed)
    assert.is_true(whole > 0 and none > 0 and killed > 0, told)
    if os.getenv "TRAIL_TELL" then print("init: " .. told) end
  end)
end)

describe("a writer that is stopped while it holds the lock", function()
  local function event(n)
    return { event_type = "x", action = "y", resource_type = "z", resource_id = tostring(n),
      result = "success" }
  end

  -- Goal: it cannot stop the others for ever; and when it dies or goes on, so do they.
  -- Method: SIGSTOP of a process that does nothing but append, until it was caught inside; then
  -- "busy" for a writer that waits 200 ms, while reading works; SIGCONT, or SIGKILL, sets free.
  it("makes others busy, leaves readers alone, and lets go", function()
    local dir = support.tmpdir()
    local path = dir .. "/audit.trail"
    local log <close> = assert(trail.open(path, { busy_ms = 200 }))
    local notes = dir .. "/notes"
    local pid = start_writer(path, "w", notes)
    wait_until("the writer", function() return file_len(notes) > 100 end)
    local caught, n = 0, 0
    for _ = 1, 200 do
      process.kill(pid, "STOP")
      n = n + 1
      local seq, message, code = log:append(event(n))
      if not seq then
        caught = caught + 1
        assert.equal("busy", code)
        assert.equal("another process has been writing for more than 200 ms", message)
        -- Readers do not care.
        local head = assert(log:head())
        assert.equal(head.seq, assert(log:get(head.seq)).seq)
        assert.equal(head.seq, assert(log:count()))
        assert(log:verify())
        local again = assert(trail.open(path, { read_only = true }))
        again:close()
        -- The refused event is nowhere.
        assert.equal(0, log:count { event_type = "x", resource_id = tostring(n) })
      end
      if caught == 3 then break end
      local len = file_len(notes)
      process.kill(pid, "CONT")
      wait_until("the writer to go on", function() return file_len(notes) > len end)
      if not seq then
        -- 200 ms may be too short on a busy machine, but not for ever.
        wait_until("our turn", function() return log:append(event(n)) end)
      end
    end
    assert.equal(3, caught)
    -- Stopped as it is, it dies: its lock dies with it.
    process.kill(pid, "KILL")
    process.wait(pid)
    assert(log:append(event "last"))
    assert(log:verify())
  end)
end)
