-- tamper_spec.lua - is every change to what is stored found, and called by its right name?
-- Test: plays the attacker through LMDB with valid pages (trail.testing.kv), and on the raw file.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local attack = require "spec.attack"
local support = require "spec.support"
local testing = require "trail.testing"
local trail = require "trail"

local COUNT = 50         -- events of a caller; with trail.created there are 51 entries
local LAST = COUNT + 1
local RAW_FLIPS = tonumber(os.getenv "TRAIL_FLIPS") or 400

local dir = attack.tmpdir()
local path = dir .. "/audit.trail" -- damaged, and put right again, many times
local pristine                     -- the bytes of its log.mdb
local events                       -- its records
local head                         -- as somebody noted it down

setup(function()
  local log = assert(trail.open(path, { map_size = 1 << 22 }))
  for i = 1, COUNT do assert(log:append(support.sample_event(i))) end
  head = assert(log:head())
  log:close()
  pristine = attack.bytes(path)
  events = attack.events(path)
end)

local function restore() attack.place(path, pristine) end

-- Make the changes in one transaction on the pristine trail; the report on the result.
local function verdict_on(changes, expect_head)
  restore()
  assert(testing.kv.change(path, changes))
  return attack.verdict(path, expect_head)
end

-- What the report must say: kind, first bad seq (0: no single one), last good seq.
local function assert_found(report, fault, first_bad, last_good, note)
  local text = string.format("%s%s: %s", note and note .. ": " or "", report.fault, report.text)
  assert.equal(fault, report.fault, text)
  assert.equal(first_bad, report.first_bad_seq, text)
  if last_good then assert.equal(last_good, report.last_good_seq, text) end
  assert.is_false(report.ok)
  assert.matches("%S", report.text)
end

local function entry_change(seq, value)
  return { table = "entries", key = attack.key(seq), value = value }
end

-- A copy of the events that may be changed.
local function copy_of(list)
  local copy = {}
  for i, event in ipairs(list) do
    copy[i] = {}
    for key, value in pairs(event) do copy[i][key] = value end
  end
  return copy
end

local function foreign_ids()
  restore()
  return assert(testing.kv.rows(path, "ids"))
end

local function seq_of_row(row) return (string.unpack(">I8", row.value)) end

describe("one changed byte", function()
  -- Offsets of a part that hold its form (heads of items) and not its content: to change one of
  -- them may leave no part at all, which makes it an altered entry.
  local function forms(part, base)
    local set = {}
    for _, item in ipairs(attack.items(part)) do
      for at = item.at, item.at + item.head_len - 1 do set[base + at] = true end
    end
    return set
  end

  -- Which verdict a change at an offset of a stored value may have.
  local function expected_at(event)
    local parts_at = 33 + #event.entry
    local form = forms(event.who, parts_at)
    if event.details_part then
      for at in pairs(forms(event.details_part, parts_at + #event.who)) do form[at] = true end
    end
    return function(offset, fault)
      if offset < parts_at then return fault == "altered entry" end
      return fault == "altered part" or (fault == "altered entry" and form[offset])
    end
  end

  -- Goal: no changed byte of any stored value goes unnoticed, and the right entry is blamed.
  -- Method: each byte of the values of 51 entries xor-ed with a random mask, one at a time, in a
  -- valid transaction with a head to match; where a changed byte leaves the form of a part alone,
  -- the verdict must be exactly "altered part" or "altered entry", by where the byte is.
  it("of a stored value is found at its seq", function()
    restore()
    local verdicts = assert(testing.tamper.flip_values(path, "entries", support.seed()))
    local bytes, wrong = 0, {}
    local allowed = {}
    for seq, event in ipairs(events) do
      bytes = bytes + #event.stored
      allowed[seq] = expected_at(event)
    end
    assert.equal(bytes, #verdicts)
    for _, v in ipairs(verdicts) do
      local seq, offset, mask, fault, first_bad, last_good = table.unpack(v)
      if first_bad ~= seq or last_good ~= seq - 1 or not allowed[seq](offset, fault) then
        wrong[#wrong + 1] = string.format("entry %d offset %d mask %02x: %s at %d, good to %d",
          seq, offset, mask, fault, first_bad, last_good)
      end
    end
    assert.equal("", table.concat(wrong, "\n", 1, math.min(#wrong, 20)))
    assert.is_true(attack.verdict(path).ok) -- everything is as it was
  end)

  -- Goal: the same for the table of ids.
  -- Method: each byte of each value; the entry with that id must be blamed.
  it("of a row of ids is found", function()
    local rows = foreign_ids()
    assert.is_true(#rows > 3)
    local verdicts = assert(testing.tamper.flip_values(path, "ids", support.seed()))
    assert.equal(8 * #rows, #verdicts)
    for _, v in ipairs(verdicts) do
      assert.equal("ids", v[4])
      assert.equal(seq_of_row(rows[v[1]]), v[5])
    end
  end)

  -- Goal: a key is as well guarded as a value.
  -- Method: each byte of each key of entries and ids: the row moves to the other key (and may hide
  -- the one that was there).
  it("of a key is found", function()
    local seed = support.seed()
    for _, name in ipairs { "entries", "ids" } do
      restore()
      local rows = assert(testing.kv.rows(path, name))
      local step = name == "entries" and 3 or 1 -- all bytes of every third key are plenty
      for i = 1, #rows, step do
        local row = rows[i]
        local seq = name == "entries" and i or seq_of_row(row)
        for at = 1, #row.key do
          local byte = row.key:byte(at) ~ (1 << math.random(0, 7))
          local key = row.key:sub(1, at - 1) .. string.char(byte) .. row.key:sub(at + 1)
          local report = verdict_on {
            { table = name, key = row.key },
            { table = name, key = key, value = row.value },
          }
          local note = string.format("%s %d byte %d, seed %d", name, i, at, seed)
          if name == "ids" then
            assert_found(report, "ids", seq, seq - 1, note)
          else
            -- Either the gap it left is met first, or what it has put itself in the place of.
            local there = string.unpack(">I8", key)
            local first = there >= 1 and math.min(seq, there) or seq
            assert_found(report, first == seq and "missing" or "reordered", first, first - 1, note)
          end
        end
      end
    end
  end)

  -- Goal: who the log is, and where it ends, are part of what is verified.
  -- Method: each byte of both rows of meta; a head keeps the number of its transaction unless that
  -- is the byte.
  it("of meta is found", function()
    restore()
    local rows = assert(testing.kv.rows(path, "meta"))
    assert.equal(2, #rows)
    local txn_at = #rows[1].value - 2
    for _, row in ipairs(rows) do
      for at = 1, #row.value do
        local mask = math.random(1, 255)
        local value = row.value:sub(1, at - 1) .. string.char(row.value:byte(at) ~ mask)
          .. row.value:sub(at + 1)
        restore()
        -- 'honest' leaves the number of the transaction in a head alone: it is wrong by one then.
        assert(testing.kv.change(path, { { table = "meta", key = row.key, value = value } },
          row.key == "head" and at > txn_at))
        local report = attack.verdict(path)
        local note = string.format("%s byte %d mask %02x: %s, %s", row.key, at, mask, report.fault,
          report.text)
        assert.is_false(report.ok, note)
        if row.key == "head" then
          -- A head that says more than there is: the entry behind the last one is missing.
          assert.is_true(report.fault == "head"
            or (report.fault == "missing" and report.first_bad_seq == LAST + 1), note)
        else
          assert.is_true(report.fault == "unreadable"
            or (report.fault == "broken link" and report.first_bad_seq == 1), note)
        end
      end
    end
  end)
end)

describe("an attack with valid pages", function()
  local MIDDLE = 23

  -- Goal: an entry that was edited and is right in itself is found by the link behind it.
  -- Method: other user, commitments and event_hash computed anew, in the middle and at the end.
  it("that edits an entry with all its hashes breaks the link", function()
    for _, seq in ipairs { 1, MIDDLE, LAST - 1 } do
      local edited = copy_of(events)[seq]
      edited.user_id = "mallory"
      assert_found(verdict_on { entry_change(seq, attack.encode(edited)) },
        "broken link", seq + 1, seq)
    end
    -- The last one has nothing behind it but the head ...
    local edited = copy_of(events)[LAST]
    edited.user_id = "mallory"
    local change = entry_change(LAST, attack.encode(edited))
    assert_found(verdict_on { change }, "head", LAST, LAST)
    -- ... and with that edited too, only a head noted elsewhere finds it.
    local changes = { change, attack.head_change(edited) }
    assert.is_true(verdict_on(changes).ok)
    assert_found(verdict_on(changes, head), "head", LAST)
  end)

  -- Goal: the lesson of immudb: bodies that changed under right hashes are found.
  -- Method: only the salt, only the user, only the details, only the stored hash.
  it("that changes one part only is found there", function()
    for seq = 2, LAST do
      local event = events[seq]
      local parts_at = 33 + #event.entry
      local function flipped(at)
        return entry_change(seq, event.stored:sub(1, at)
          .. string.char(event.stored:byte(at + 1) ~ 1) .. event.stored:sub(at + 2))
      end
      assert_found(verdict_on { flipped(parts_at + 2) }, "altered part", seq, seq - 1)
      assert_found(verdict_on { flipped(1) }, "altered entry", seq, seq - 1)
      if event.details_part then
        assert_found(verdict_on { flipped(parts_at + #event.who + 2) }, "altered part", seq, seq - 1)
      end
    end
    -- A part exchanged for that of another entry, well-formed as it is.
    local other = events[MIDDLE + 1].who
    local event = events[MIDDLE]
    local stored = event.stored:sub(1, 33) .. event.entry .. other .. (event.details_part or "")
    assert_found(verdict_on { entry_change(MIDDLE, stored) }, "altered part", MIDDLE, MIDDLE - 1)
  end)

  it("that deletes an entry is found", function()
    for _, seq in ipairs { 1, 2, MIDDLE, LAST } do
      assert_found(verdict_on { { table = "entries", key = attack.key(seq) } },
        "missing", seq, seq - 1)
    end
  end)

  it("that swaps two entries is found at the first of them", function()
    for _, pair in ipairs { { 1, 2 }, { MIDDLE, MIDDLE + 1 }, { 3, 40 }, { LAST - 1, LAST } } do
      local report = verdict_on {
        entry_change(pair[1], events[pair[2]].stored),
        entry_change(pair[2], events[pair[1]].stored),
      }
      assert_found(report, "reordered", pair[1], pair[1] - 1)
    end
    -- A repeated entry is one that stands at another seq than its own.
    assert_found(verdict_on { entry_change(MIDDLE, events[MIDDLE - 1].stored) },
      "reordered", MIDDLE, MIDDLE - 1)
  end)

  -- Goal: there is no place where a row could be slipped in.
  -- Method: behind the head; a whole tail moved up by one; keys that are no seq, in front, between
  -- and behind.
  it("that inserts a row is found", function()
    local behind = copy_of(events)[LAST]
    behind.seq, behind.previous_hash = LAST + 1, events[LAST].event_hash
    assert_found(verdict_on { entry_change(LAST + 1, attack.encode(behind)) },
      "head", LAST + 1, LAST)
    assert_found(verdict_on { entry_change(1 << 40, "x") }, "head", LAST + 1, LAST)

    local forged = copy_of(events)[MIDDLE]
    forged.user_id = "mallory"
    local changes = { entry_change(MIDDLE, attack.encode(forged)) }
    for seq = MIDDLE, LAST do changes[#changes + 1] = entry_change(seq + 1, events[seq].stored) end
    changes[#changes + 1] = attack.head_change {
      seq = LAST + 1, recorded_at = events[LAST].recorded_at, event_hash = events[LAST].event_hash }
    local report = verdict_on(changes)
    assert.equal("reordered", report.fault)
    assert.equal(MIDDLE + 1, report.first_bad_seq)

    assert_found(verdict_on { { table = "entries", key = attack.key(MIDDLE) .. "\0", value = "x" } },
      "altered entry", MIDDLE + 1, MIDDLE)
    for _, key in ipairs { attack.key(0), "\0", attack.key(LAST):sub(1, 7), attack.key(LAST) .. "\0",
      "\xff", "zzzzzzzzzzzz" } do
      local found = verdict_on { { table = "entries", key = key, value = events[MIDDLE].stored } }
      local at = key == attack.key(0) and 0 or found.first_bad_seq
      assert_found(found, "head", at, LAST, "key " .. attack.hex(key))
    end
  end)

  -- Goal: what a chain alone can tell of a cut tail, and what it takes a noted head for.
  -- Method: the last entries gone; then the head put back to fit; then the ids too.
  it("that cuts the tail is found by the head, or by a head noted elsewhere", function()
    local keep = MIDDLE
    local changes = {}
    for seq = keep + 1, LAST do
      changes[#changes + 1] = { table = "entries", key = attack.key(seq) }
    end
    assert_found(verdict_on(changes), "missing", keep + 1, keep)

    changes[#changes + 1] = attack.head_change(events[keep])
    assert_found(verdict_on(changes), "ids", 0, keep)

    for _, row in ipairs(foreign_ids()) do
      if seq_of_row(row) > keep then changes[#changes + 1] = { table = "ids", key = row.key } end
    end
    local report = verdict_on(changes)
    assert.is_true(report.ok)
    assert.is_false(report.head_expected)
    assert.matches("no head was given to compare with", report.text)
    assert_found(verdict_on(changes, head), "missing", keep + 1, keep)
    -- A head that is still there is as expected.
    report = verdict_on(changes, { seq = 5, event_hash = attack.hex(events[5].event_hash) })
    assert.is_true(report.ok)
    assert.is_true(report.head_expected)
  end)

  -- Goal: a chain rewritten from some entry on is right in itself, as documented; a noted head
  -- behind that entry finds it.
  it("that rewrites the chain is found by a head noted elsewhere", function()
    local forged = copy_of(events)
    forged[MIDDLE].user_id = "nobody"
    local changes = attack.chain(forged, MIDDLE)
    assert_found(verdict_on(changes), "head", LAST, LAST)
    changes[#changes + 1] = attack.head_change(forged[LAST])
    assert.is_true(verdict_on(changes).ok)
    for _, seq in ipairs { MIDDLE, 40, LAST } do
      assert_found(verdict_on(changes,
        { seq = seq, event_hash = attack.hex(events[seq].event_hash) }), "head", seq)
    end
    assert.is_true(verdict_on(changes,
      { seq = MIDDLE - 1, event_hash = attack.hex(events[MIDDLE - 1].event_hash) }).ok)
  end)

  -- Goal: times that the engine gives never go back, ids that callers gave can be found, and
  -- nobody changes either, hashes and all.
  -- Method: chains rewritten as a whole whose only mistake is that.
  it("that rewrites the chain with wrong times or ids is found", function()
    local function rewritten(seq, changed)
      local forged = copy_of(events)
      for key, value in pairs(changed) do forged[seq][key] = value end
      local changes = attack.chain(forged, seq)
      changes[#changes + 1] = attack.head_change(forged[LAST])
      return verdict_on(changes)
    end
    -- An id made by the engine depends on the time: this entry gets one that is in ids.
    local row = foreign_ids()[2]
    local seq = seq_of_row(row)
    assert_found(rewritten(seq, { recorded_at = events[seq - 1].recorded_at - 1 }),
      "altered entry", seq, seq - 1)
    assert_found(rewritten(MIDDLE, { id = ("\x51"):rep(16) }), "ids", MIDDLE, MIDDLE - 1)
    assert_found(rewritten(seq + 1, { id = row.key }), "ids", seq + 1, seq)
    assert_found(rewritten(MIDDLE, { id = events[MIDDLE - 1].id }), "ids", MIDDLE, MIDDLE - 1)
  end)

  it("on the table of ids is found", function()
    local rows = foreign_ids()
    local row = rows[3]
    local seq = seq_of_row(row)
    assert_found(verdict_on { { table = "ids", key = row.key } }, "ids", seq, seq - 1)
    assert_found(verdict_on { { table = "ids", key = row.key, value = attack.key(seq + 1) } },
      "ids", seq, seq - 1)
    assert_found(verdict_on { { table = "ids", key = row.key, value = row.value .. "\0" } },
      "ids", seq, seq - 1)
    for _, extra in ipairs { ("\x77"):rep(16), "short", events[MIDDLE + 1].id } do
      assert_found(verdict_on { { table = "ids", key = extra, value = attack.key(5) } },
        "ids", 0, LAST)
    end
  end)

  it("on the head is found", function()
    local function with(changed)
      local event = { seq = LAST, recorded_at = events[LAST].recorded_at,
        event_hash = events[LAST].event_hash }
      for key, value in pairs(changed) do event[key] = value end
      return verdict_on { attack.head_change(event) }
    end
    assert.is_true(with({}).ok)
    assert_found(with { seq = LAST - 1 }, "head", LAST - 1)
    assert_found(with { seq = LAST + 1 }, "missing", LAST + 1, LAST)
    assert_found(with { event_hash = events[LAST - 1].event_hash }, "head", LAST)
    assert_found(with { recorded_at = events[LAST].recorded_at + 1 }, "head", LAST)
    assert_found(verdict_on { { table = "meta", key = "head" } }, "head", 0, LAST)
    assert_found(verdict_on { { table = "meta", key = "head", value = "" } }, "head", 0, LAST)
    -- The entries are looked at even so.
    assert_found(verdict_on { { table = "meta", key = "head" },
      { table = "entries", key = attack.key(MIDDLE) } }, "missing", MIDDLE, MIDDLE - 1)
    -- A tool that writes to the file without knowing of the number leaves it behind.
    restore()
    assert(testing.kv.change(path, { { table = "meta", key = "x", value = "y" } }, true))
    assert_found(attack.verdict(path), "head", 0, LAST)
    local log = assert(trail.open(path))
    assert.equal("corrupt", (select(3, log:append(support.sample_event(1)))))
    log:close()
  end)

  -- Goal: an older copy of the whole file is an honest trail, and known for what it is by a noted
  -- head alone; an older head in a newer file is not even that.
  it("that brings an older state back is found", function()
    restore()
    local log = assert(trail.open(path))
    for i = 1, 5 do assert(log:append(support.sample_event(100 + i))) end
    local later = assert(log:head())
    log:close()
    assert_found(verdict_on({}, later), "missing", LAST + 1, LAST)

    restore()
    log = assert(trail.open(path))
    assert(log:append(support.sample_event(200)))
    log:close()
    assert(testing.kv.change(path, { attack.head_change(events[LAST]) }))
    assert_found(attack.verdict(path), "head", LAST + 1, LAST)
  end)

  it("on what the log says of itself is found", function()
    local function identity(format, log_id, origin)
      return { table = "meta", key = "log", value = "\x83" .. string.char(format) .. "\x50" .. log_id
        .. string.char(0x60 + #origin) .. origin }
    end
    restore()
    local rows = assert(testing.kv.rows(path, "meta"))
    local log_id = rows[2].value:sub(4, 19)
    assert.equal("log", rows[2].key)
    assert.equal(identity(1, log_id, "trail").value, rows[2].value)
    assert_found(verdict_on { identity(1, ("\x11"):rep(16), "trail") }, "broken link", 1, 0)
    assert_found(verdict_on { identity(1, log_id, "other") }, "broken link", 1, 0)
    local report = verdict_on { identity(2, log_id, "trail") }
    assert.equal("unreadable", report.fault)
    assert.matches("format 2, this version knows 1", report.text)
  end)
end)

describe("verify", function()
  -- Goal: in this process, in a child and from the command line the verdict is the same.
  -- Method: a handful of the attacks above, and the pristine trail.
  it("says the same everywhere", function()
    local cases = {
      {}, { { table = "entries", key = attack.key(7) } },
      { entry_change(9, events[10].stored) },
      { entry_change(12, events[12].stored:sub(1, -2) .. "\xff") },
      { { table = "ids", key = ("\x77"):rep(16), value = attack.key(5) } },
      { { table = "meta", key = "head" } },
      { { table = "meta", key = "log", value = "?" } },
    }
    for _, changes in ipairs(cases) do
      local here = verdict_on(changes)
      local report, text, code, bad = trail.verify(path)
      if not report then
        assert.equal("corrupt", code)
        report = bad
        assert.equal(text, bad.text)
      end
      for _, key in ipairs { "ok", "fault", "first_bad_seq", "last_good_seq", "text" } do
        assert.equal(here[key], report[key])
      end
      assert.equal(report.text, tostring(report))
      local exit, out = support.run(support.B .. "/trail verify " .. support.quote(path))
      assert.equal(here.ok and 0 or 3, exit, out)
      assert.is_truthy(out:find(here.text, 1, true), out)
    end
  end)
end)

describe("the raw file", function()
  -- A trail of its own, written in one commit, so that few of its pages are unused.
  local dense, dense_head

  setup(function()
    local made = dir .. "/dense.trail"
    local log = assert(trail.open(made))
    local batch = {}
    for i = 1, COUNT do batch[i] = support.sample_event(i) end
    assert(log:append(batch))
    dense_head = assert(log:head())
    log:close()
    dense = attack.bytes(made)
  end)

  -- Every change runs in one child process that collects what it finds, so that even a crash of
  -- the caller would be seen; its standard error must stay free of the sanitizers' reports.
  local function in_child(body)
    local stderr = dir .. "/stderr"
    os.remove(stderr)
    local how, code, text = testing.process.run(function()
      testing.process.redirect(stderr)
      return body()
    end)
    local said = support.read_file(stderr)
    assert.equal("exit 0", how .. " " .. code, text .. said)
    assert.is_nil(said:find("Sanitizer", 1, true), said)
    assert.is_nil(said:find("runtime error", 1, true), said)
    return text
  end

  -- nil if all is well; else what went wrong. The states that verify may find right: what was
  -- stored, or - only without a noted head - the commit before it, which is a cut tail.
  local function judge(whole, before)
    local report, message, code, bad = trail.verify(path)
    if not report then
      if code == "corrupt" and bad and bad.fault ~= "none" then return nil, bad.fault end
      if code == "corrupt" and message:find "format %d+, this version knows 1" then
        return nil, "a later format" -- one flipped bit makes that of it, and it is no verdict
      end
      return "no verdict: " .. tostring(message)
    end
    local dump = testing.tamper.dump(path) -- must not crash any more, as all was found right
    if dump == whole then return nil, "same" end
    if dump == nil then return "found right, but cannot be read" end
    if dump == before and not trail.verify(path, { expect_head = dense_head }) then
      return nil, "the commit before"
    end
    return "found right, but says something else"
  end

  local function dump_of(bytes)
    attack.place(path, bytes)
    return assert(testing.tamper.dump(path))
  end

  local function flip(bytes, at, bit)
    return bytes:sub(1, at) .. string.char(bytes:byte(at + 1) ~ (1 << bit)) .. bytes:sub(at + 2)
  end

  -- Where LMDB 0.9 keeps the number of the commit in its two meta pages.
  local TXN_AT = { 16 + 128, 4096 + 16 + 128 }

  local function txns(bytes)
    return string.unpack("<I8", bytes, TXN_AT[1] + 1), (string.unpack("<I8", bytes, TXN_AT[2] + 1))
  end

  -- The state one commit earlier, which the other meta page still holds.
  local function older(bytes)
    local even, odd = txns(bytes)
    local at = even > odd and TXN_AT[1] or TXN_AT[2]
    return bytes:sub(1, at) .. string.pack("<I8", math.max(even, odd) - 2) .. bytes:sub(at + 9)
  end

  -- Goal: LMDB takes the meta page with the higher number and asks no more. A changed number must
  -- not bring an older commit back unnoticed.
  -- Method: each bit of both numbers. One of them makes exactly what a cut tail is, which only a
  -- noted head finds.
  it("with another number of its newest commit is found", function()
    local before_last = dump_of(older(dense))
    local silent = 0
    for _, at in ipairs(TXN_AT) do
      for bit = 0, 63 do
        local bytes = flip(dense, at + bit // 8, bit % 8)
        attack.place(path, bytes)
        local report = attack.verdict(path)
        if report.ok then
          silent = silent + 1
          assert.equal(older(dense), bytes)
          assert.equal(before_last, testing.tamper.dump(path))
          assert_found(attack.verdict(path, dense_head), "missing", 2, 1)
        end
      end
    end
    assert.is_true(silent <= 1)
  end)

  -- Goal: a changed byte anywhere in the file is found, or it does not matter; and it never hurts
  -- the caller.
  -- Method: single bits at random places, half of them where LMDB keeps its own affairs.
  it("with a flipped bit is found damaged, or holds the same", function()
    local seed = support.seed()
    local before_last = dump_of(older(dense))
    local whole = dump_of(dense)
    assert.are_not.equal(whole, before_last)
    local text = in_child(function()
      local wrong, seen = {}, {}
      for i = 1, RAW_FLIPS do
        local at = math.random(0, #dense - 1)
        if i % 4 == 0 then at = math.random(0, 1) * 4096 + math.random(0, 151) end
        if i % 4 == 1 then at = at - at % 4096 + math.random(0, 63) end
        local bit = math.random(0, 7)
        attack.place(path, flip(dense, at, bit))
        local bad, verdict = judge(whole, before_last)
        if bad then wrong[#wrong + 1] = string.format("offset %d bit %d: %s", at, bit, bad) end
        seen[verdict or "bad"] = (seen[verdict or "bad"] or 0) + 1
      end
      local kinds = {}
      for kind, n in pairs(seen) do kinds[#kinds + 1] = kind .. " " .. n end
      table.sort(kinds)
      if os.getenv "TRAIL_TELL" then print(table.concat(kinds, ", ")) end
      return table.concat(wrong, "\n")
    end)
    assert.equal("", text, "seed " .. seed)
  end)

  -- Goal: a file that was cut anywhere is found, or nothing of it is missing.
  -- Method: every page border and one byte to each side of it, and short lengths.
  it("that was cut is found, at any length", function()
    local whole = dump_of(dense)
    local text = in_child(function()
      local wrong = {}
      local lengths = { 0, 1, 15, 16, 152, 4095, 4096, 8192 }
      for at = 8192, #dense - 1, 4096 do
        lengths[#lengths + 1] = at - 1
        lengths[#lengths + 1] = at
        lengths[#lengths + 1] = at + 1
      end
      lengths[#lengths + 1] = #dense - 1
      for _, len in ipairs(lengths) do
        attack.place(path, dense:sub(1, len))
        local bad = judge(whole)
        if bad then wrong[#wrong + 1] = string.format("cut to %d: %s", len, bad) end
      end
      return table.concat(wrong, "\n")
    end)
    assert.equal("", text)
  end)

  -- Goal: the command line says 3 for a damaged file and 0 for a whole one, whatever the damage.
  it("gets exit code 3 from the command line", function()
    local command = support.B .. "/trail verify -q " .. support.quote(path)
    attack.place(path, dense)
    assert.equal(0, (support.run(command)))
    for _, bytes in ipairs { "", "x", ("\xff"):rep(20000), dense:sub(1, 20000),
      dense:sub(1, 8192) .. ("\0"):rep(#dense - 8192),
      dense:sub(1, 8192) .. ("\xff"):rep(#dense - 8192) } do
      attack.place(path, bytes)
      local exit, out, err = support.run(command)
      assert.equal(3, exit, out .. err)
    end
  end)
end)
