-- verify_threads_spec.lua - verify on several threads says what it says on one.
-- Test: the attacker is trail.testing.kv, with valid pages, and bits of the raw file; threads take
-- a few entries at a time, so that small trails have work for many (trail.testing.verify).
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local attack = require "spec.attack"
local support = require "spec.support"
local testing = require "trail.testing"
local trail = require "trail"

local verify, fault = testing.verify, testing.fault
local SANITIZED = support.B:find "sanitize" ~= nil
local COUNT, STRETCH = 399, 16
local LAST = COUNT + 1
local DAMAGES = tonumber(os.getenv "TRAIL_DAMAGES") or (SANITIZED and 150 or 600)
local RAW_FLIPS = tonumber(os.getenv "TRAIL_FLIPS") or (SANITIZED and 60 or 300)

local dir = attack.tmpdir()
local path = dir .. "/audit.trail"
local pristine, events

setup(function()
  local log = assert(trail.open(path, { map_size = 1 << 22 }))
  local batch = {}
  for i = 1, COUNT do batch[i] = support.sample_event(i) end
  assert(log:append(batch))
  log:close()
  pristine, events = attack.bytes(path), attack.events(path)
end)

before_each(function()
  attack.place(path, pristine)
  verify.stretch(STRETCH)
end)

after_each(function()
  fault.arm(nil, 0, 0)
  verify.stretch(0)
end)

-- A report as one string, or the error; and what progress was told.
local function run(threads, request)
  local options = { threads = threads }
  for key, value in pairs(request or {}) do options[key] = value end
  local report, message, status = verify.run(path, options)
  if not report then return status .. ": " .. message, {} end
  local told, parts = report.told, {}
  report.told = nil
  for key, value in pairs(report) do parts[#parts + 1] = key .. "=" .. tostring(value) end
  table.sort(parts)
  return table.concat(parts, "\n"), told, report
end

-- What one thread says, after it was seen that others say the same.
local function same(note, request)
  local expected, _, report = run(1, request)
  for _, threads in ipairs { 2, 5 } do
    local text, told = run(threads, request)
    assert.equal(expected, text, note .. ", threads: " .. threads)
    assert.is_falsy(told.fell or told.elsewhere, note)
  end
  return expected, report
end

local function entry_change(seq, value)
  return { table = "entries", key = attack.key(seq), value = value }
end

local function changed_byte(bytes)
  local at = math.random(#bytes)
  return bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ math.random(255)) .. bytes:sub(at + 1)
end

local function edited(seq, fields)
  local copy = {}
  for key, value in pairs(events[seq]) do copy[key] = value end
  for key, value in pairs(fields) do copy[key] = value end
  return copy
end

-- Often at the border between two stretches.
local function any_seq()
  if math.random(3) > 1 then return math.random(LAST) end
  return math.min(LAST, math.random(LAST // STRETCH) * STRETCH + math.random(-1, 2))
end

-- Each adds changes to a list.
local ATTACKS = {
  byte = function(list, seq) list[#list + 1] = entry_change(seq, changed_byte(events[seq].stored)) end,
  gone = function(list, seq) list[#list + 1] = entry_change(seq) end,
  cut = function(list, seq) list[#list + 1] = entry_change(seq, events[seq].stored:sub(1, 40)) end,
  swap = function(list, seq)
    local other = any_seq()
    list[#list + 1] = entry_change(seq, events[other].stored)
    list[#list + 1] = entry_change(other, events[seq].stored)
  end,
  edit = function(list, seq)
    list[#list + 1] = entry_change(seq, attack.encode(edited(seq, { user_id = "mallory" })))
  end,
  time = function(list, seq)
    local at = events[math.max(1, seq - 1)].recorded_at + math.random(-2, 2)
    list[#list + 1] = entry_change(seq, attack.encode(edited(seq, { recorded_at = at })))
  end,
  chain = function(list, seq)
    local forged = {}
    for i = 1, LAST do forged[i] = edited(i, {}) end
    forged[seq].recorded_at = forged[seq].recorded_at + math.random(-2, 2) * 1000
    for _, change in ipairs(attack.chain(forged, seq)) do list[#list + 1] = change end
    if math.random(2) == 1 then list[#list + 1] = attack.head_change(forged[LAST]) end
  end,
  row = function(list, seq)
    local key = ({ attack.key(seq) .. "\0", attack.key(seq):sub(1, 7), attack.key(LAST + seq) })[math.random(3)]
    list[#list + 1] = { table = "entries", key = key, value = "x" }
  end,
  id = function(list)
    local rows = assert(testing.kv.rows(path, "ids"))
    local row = rows[math.random(#rows)]
    list[#list + 1] = { table = "ids", key = row.key,
      value = ({ [2] = attack.key(any_seq()), [3] = "short" })[math.random(3)] }
  end,
  head = function(list, seq)
    list[#list + 1] = attack.head_change(edited(LAST, { seq = seq }))
  end,
}
local NAMES = {}
for name in pairs(ATTACKS) do NAMES[#NAMES + 1] = name end
table.sort(NAMES)

-- One to three of them, those that do not fall on the same row.
local function random_damage()
  local list, names, met, changes = {}, {}, {}, {}
  for _ = 1, math.random(3) do
    local name = NAMES[math.random(#NAMES)]
    names[#names + 1] = name
    ATTACKS[name](list, any_seq())
  end
  for _, change in ipairs(list) do
    local row = change.table .. change.key
    if not met[row] then changes[#changes + 1] = change end
    met[row] = true
  end
  return changes, table.concat(names, "+")
end

describe("on any number of threads", function()
  -- Goal: whatever was done to a trail, the report is the same in every field.
  -- Method: random damage, often several at a time and at the borders of what a thread takes; 1, 2
  -- and 5 threads, and one that takes all entries in one go, as if nothing was ever cut; with and
  -- without a head noted elsewhere, right or wrong.
  it("the report on random damage is the same", function()
    local seed, met = support.seed(), {}
    for i = 1, DAMAGES do
      attack.place(path, pristine)
      local changes, names = random_damage()
      assert(testing.kv.change(path, changes))
      local request = {}
      if math.random(2) == 1 then
        local seq = any_seq()
        request = { expect_seq = seq,
          expect_hash = math.random(4) == 1 and ("\1"):rep(32) or events[seq].event_hash }
      end
      local note = string.format("seed %d, damage %d: %s", seed, i, names)
      local text, report = same(note, request)
      met[report.fault] = true
      verify.stretch(1 << 40)
      assert.equal(text, (run(1, request)), note)
      verify.stretch(STRETCH)
    end
    for _, kind in ipairs { "altered part", "altered entry", "broken link", "missing", "reordered",
      "head", "ids" } do
      assert.is_true(met[kind], kind)
    end
  end)

  -- Goal: the same where LMDB's own pages are damaged, and reading them may crash.
  -- Method: random bits of the raw file, each trail verified in a child process.
  it("the report on a damaged file is the same", function()
    local seed, crashes, faults = support.seed(), 0, 0
    for i = 1, RAW_FLIPS do
      local bytes = pristine
      for _ = 1, math.random(2) do
        -- Mostly in the heads of pages, where it is not just a byte of an entry.
        local at = math.random(2, #bytes // 4096 - 1) * 4096
          + (math.random(4) == 1 and math.random(0, 4095) or math.random(8, 40))
        bytes = bytes:sub(1, at) .. string.char(bytes:byte(at + 1) ~ 1 << math.random(0, 7))
          .. bytes:sub(at + 2)
      end
      attack.place(path, bytes)
      local text, report = same(string.format("seed %d, file %d", seed, i), { child = true })
      if report and report.fault ~= "none" then faults = faults + 1 end
      if text:find("crashed (signal", 1, true) then crashes = crashes + 1 end
    end
    assert.is_true(faults > RAW_FLIPS // 4, faults .. " faults")
    assert.is_true(crashes > 0)
  end)

  -- Goal: a crash far behind a fault does not hide it, and one without is where it was.
  -- Method: the library itself, in which a thread takes thousands of entries: a late leaf of the
  -- tree has wrong flags, at which LMDB aborts; then an early entry is changed too.
  it("a crash behind a fault does not hide it", function()
    local large = dir .. "/large.trail"
    local log = assert(trail.open(large))
    for n = 0, 3 do
      local batch = {}
      for i = 1, 5000 do batch[i] = support.sample_event((n * 5000 + i) * 9) end
      assert(log:append(batch))
    end
    local early = log:get(9000)
    log:close()
    local bytes = attack.bytes(large)
    local page
    for at = 2 * 4096, #bytes - 4096, 4096 do
      local is_leaf = string.unpack("<I2", bytes, at + 11) == 2
      local found = is_leaf and bytes:find(attack.key(18000), at + 17, true)
      if found and found < at + 4096 then page = at end
    end
    assert.is_truthy(page)
    bytes = bytes:sub(1, page + 10) .. "\1\0" .. bytes:sub(page + 13)
    local function verdict(threads)
      local _, text, code, report = trail.verify(large, { threads = threads })
      assert.equal("corrupt", code, text)
      return string.format("%s %d %d %s", report.fault, report.first_bad_seq, report.last_good_seq,
        report.text)
    end
    for _, case in ipairs { "crash", "both" } do
      attack.place(large, bytes)
      if case == "both" then
        local hash = 1 + bytes:find("\0" .. early.event_hash:gsub("%x%x", function(two)
          return string.char(tonumber(two, 16))
        end) .. "\x8e", 1, true)
        attack.place(large, bytes:sub(1, hash - 1) .. string.char(bytes:byte(hash) ~ 1)
          .. bytes:sub(hash + 1))
      end
      local expected = verdict(1)
      assert.matches(case == "both" and "^altered entry 9000 8999 " or "^unreadable 1%d+ 1%d+ .*signal 6",
        expected)
      for _, threads in ipairs { 2, 5, 0 } do assert.equal(expected, verdict(threads)) end
    end
  end)
end)

describe("the number of threads", function()
  -- Goal: it can be given everywhere, and what is none is refused.
  it("is an option of Lua and of the command", function()
    local log <close> = assert(trail.open(path, { read_only = true }))
    for _, threads in ipairs { 0, 1, 3, 1 << 40 } do
      assert.equal(LAST, assert(log:verify { threads = threads }).entries)
      assert.equal(LAST, assert(log:verify { threads = threads, in_process = true }).entries)
    end
    for _, wrong in ipairs { -1, "many", 1.5 } do
      local fine, message = pcall(log.verify, log, { threads = wrong })
      assert.is_false(fine)
      assert.matches("option 'threads': ", message, 1, true)
    end
    local command = support.B .. "/trail verify " .. support.quote(path)
    local code, expected = support.run(command)
    assert.equal(0, code)
    for _, threads in ipairs { "1", "2", "99" } do
      assert.equal("0 " .. expected, table.concat({ support.run(command .. " --threads " .. threads) },
        " ", 1, 2))
    end
    for _, wrong in ipairs { "0", "x", "-1" } do
      assert.equal(2, (support.run(command .. " --threads=" .. wrong)), wrong)
    end
  end)
end)

describe("without the threads it wanted", function()
  -- Goal: if there is no memory or no thread to be had, verify does with fewer; never an error.
  -- Method: the first, or the third, and every further thread refused; no context to hash with for
  -- the helpers; no memory for what they would have found out.
  it("verify does with fewer", function()
    assert(testing.kv.change(path, { entry_change(300, events[300].stored .. "x") }))
    local expected = run(1)
    for _, case in ipairs { { "verify/thread", 1 }, { "verify/thread", 3 }, { "hash/context", 3 },
      { "hash/context", 5 } } do
      fault.arm(case[1], case[2], math.maxinteger)
      local text, told = run(5)
      assert.equal(expected, text, case[1])
      assert.is_true(fault.calls() >= case[2], case[1])
      assert.is_false(told.fell)
    end
    -- Each allocation in turn: either the trail cannot be opened, or the report is the same.
    fault.arm(nil, 0, 0)
    run(5)
    local count, fine = fault.calls(), 0
    for n = 1, count do
      fault.arm(nil, n, 1)
      local text = run(5)
      if text == expected then fine = fine + 1 else assert.matches("^no_memory: ", text) end
    end
    assert.is_true(fine > 0, count .. " allocations")
  end)
end)

describe("progress", function()
  -- Goal: it is told on the caller's thread, never less than before, and everything in the end.
  it("goes from nothing to everything", function()
    for _, threads in ipairs { 0, 1, 2, 5 } do
      local _, told, report = run(threads)
      assert.equal("none", report.fault)
      assert.is_false(told.fell or told.elsewhere)
      assert.equal(0, told.first)
      assert.equal(LAST, told.last)
      assert.is_true(told.calls > 2)
    end
  end)

  -- Goal: it can stop the check, and what is then called right was checked.
  -- Method: stop at every place; everything behind the first stretch is damaged, so that nothing
  -- checked ahead may count.
  it("stops the check", function()
    local changes = {}
    for round = 1, 2 do
      for stop_at = 1, LAST, 7 do
        for _, threads in ipairs { 1, 2, 5 } do
          local _, told, report = run(threads, { stop_at = stop_at })
          if report.fault == "none" then
            assert.is_true(report.complete == (told.last < stop_at or report.entries == LAST))
          else
            assert.equal(STRETCH + 1, report.first_bad_seq)
          end
          assert.equal(report.entries, report.last_good_seq)
          assert.is_true(round == 1 or report.entries <= STRETCH)
          assert.equal(LAST, report.head_seq)
          assert.is_false(told.fell)
        end
      end
      for seq = STRETCH + 1, LAST do changes[#changes + 1] = entry_change(seq, "x") end
      assert(testing.kv.change(path, changes))
    end
  end)
end)

describe("while others append", function()
  local function built(flags)
    local made = support.tmpdir()
    local code, out, err = support.run(string.format(
      "%s -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -pthread -Isrc -o %s/verify_threads "
      .. "spec/verify_threads.c %s", os.getenv "CC" or "cc", made, flags))
    assert.equal(0, code, out .. err)
    return made
  end

  -- Goal: every thread sees the same snapshot, and the map may grow meanwhile.
  -- Method: spec/verify_threads.c, on the public header.
  it("verify finds nothing wrong", function()
    local made = built(string.format("%s -L%s -ltrail -Wl,-rpath,\"$PWD/%s\"",
      SANITIZED and "-fsanitize=address,undefined" or "", support.B, support.B))
    local code, out, err = support.run(made .. "/verify_threads " .. made .. "/audit.trail 5")
    assert.equal("0 fine\n", code .. " " .. out, err)
  end)

  -- Goal: no data race. Only with TRAIL_TSAN=1: it builds the library anew with ThreadSanitizer.
  if os.getenv "TRAIL_TSAN" and not SANITIZED then
    it("verify has no data race", function()
      local made = built("-fsanitize=thread $(ls src/*.c | grep -v -e src/lua_ -e src/main "
        .. "-e src/testing -e src/bench) -llmdb -lcrypto -ljansson -luuid")
      -- This ThreadSanitizer does not know pthread_mutex_clocklock, so the gate looks unlocked.
      local code, out, err = support.run("TSAN_OPTIONS=report_mutex_bugs=0 " .. made
        .. "/verify_threads " .. made .. "/audit.trail 2")
      assert.equal("0 fine\n ", code .. " " .. out .. " " .. err)
    end)
  end
end)
