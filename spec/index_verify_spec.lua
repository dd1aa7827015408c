-- index_verify_spec.lua - verify compares the index with the log, both ways, and names the difference.
-- Level: test; needs `make testing`.
-- SPDX-License-Identifier: MIT
--
-- Goal: a posting that was taken out, put in or moved, and a changed time, are found, and the entry
-- and the term are named; building anew mends it. Method: segments are taken apart, changed, and
-- written back as valid pages, by the test-only module.

local small = require "spec.small_index"
local support = require "spec.support"

local testing, trail = small.testing, small.trail
local index = testing.index
local BEGAN = 1795000000 * 1000000

local function event(n)
  return { event_type = n % 3 == 0 and "login" or "trade", action = "a", resource_type = "item",
    resource_id = "item-" .. n % 7, user_id = "user-" .. n % 5, result = "success",
    timestamp = BEGAN + n * 1000000, details = { region = "eu-" .. n % 4, tags = { "x", "x", n } } }
end

local function make(count)
  local path = support.tmpdir() .. "/audit.trail"
  local log <close> = assert(trail.open(path, { indexing = "manual", index = { "region", "tags" } }))
  for n = 1, count do assert(log:append(event(n))) end
  assert(log:maintain())
  return path
end

local function verdict(path)
  local log <close> = assert(trail.open(path, { indexing = "manual" }))
  local report, _, _, failed = log:verify { in_process = true }
  return report or failed
end

-- Change the segment that holds a seq: change(segment, offset of the seq).
local function change(path, seq, how)
  for _, row in ipairs(index.state(path)) do
    if row.seq_first <= seq and seq <= row.seq_last then
      local segment = index.take(path, row.number)
      how(segment, seq - row.seq_first)
      assert(index.put(path, row.number, segment))
      return
    end
  end
  error("no segment has seq " .. seq)
end

local function posting_of(segment, offset, field)
  for _, posting in ipairs(segment) do
    for at, met in ipairs(posting.offsets) do
      if posting.field == field and met == offset then return posting, at end
    end
  end
end

local function assert_found(path, seq, words)
  local report = verdict(path)
  assert.equal("index", report.fault, report.text)
  assert.equal(seq, report.first_bad_seq)
  assert.matches(words, report.text, 1, true)
  assert.matches("trail reindex mends it", report.text, 1, true)
  local log <close> = assert(trail.open(path, { indexing = "manual" }))
  assert(log:maintain { anew = true })
  local mended = verdict(path)
  assert.equal("none", mended.fault, mended.text)
  assert.equal(log:head().seq, mended.index_seq)
end

describe("verify", function()
  local path

  before_each(function()
    small.shape(8, 4, 4)
    path = make(300)
  end)
  after_each(function() small.shape() end)

  it("finds index and log in agreement, as far as the index has come", function()
    local report = verdict(path)
    assert.equal("none", report.fault, report.text)
    assert.equal(301, report.index_seq)
    assert.matches("ids, head, index;", report.text, 1, true)
    do
      local log <close> = assert(trail.open(path, { indexing = "manual" }))
      for n = 301, 320 do assert(log:append(event(n))) end
    end
    assert.equal(301, verdict(path).index_seq)
    assert(os.remove(path .. "/index.mdb"))
    report = verdict(path)
    assert.equal("none", report.fault)
    assert.equal(0, report.index_seq)
  end)

  -- Fields of the index: 1 + the place of the field in trail.h; paths in details from 32 on.
  local NAMES = { [2] = "event_type", [3] = "user_id", [4] = "action", [5] = "resource_type",
    [6] = "resource_id", [7] = "result", [32] = "region", [33] = "tags" }

  it("names a posting that was taken out", function()
    support.seed()
    for field, name in pairs(NAMES) do
      local seq = math.random(2, 301)
      local term
      change(path, seq, function(segment, offset)
        local posting, at = posting_of(segment, offset, field)
        term = posting.term
        table.remove(posting.offsets, at)
      end)
      assert_found(path, seq, ("index: entry %d is not found under %s '%s'"):format(seq, name, term))
    end
  end)

  it("names a posting that was put in", function()
    support.seed()
    for field, name in pairs(NAMES) do
      local seq = math.random(2, 301)
      local term
      change(path, seq, function(segment, offset)
        for _, posting in ipairs(segment) do
          local has = posting.field ~= field
          for _, met in ipairs(posting.offsets) do has = has or met == offset end
          if not has then
            term = posting.term
            posting.offsets[#posting.offsets + 1] = offset
            table.sort(posting.offsets)
            return
          end
        end
        -- Every entry has the only value: a new one behind it.
        local _, last = nil, 0
        for at, posting in ipairs(segment) do if posting.field <= field then last = at end end
        term = "zzz"
        table.insert(segment, last + 1, { field = field, term = term, offsets = { offset } })
      end)
      assert_found(path, seq, ("index: entry %d is found under %s '%s'"):format(seq, name, term))
    end
  end)

  it("notices a changed time", function()
    change(path, 150, function(segment, offset) segment.times[offset + 1] = BEGAN + 1000000 end)
    local report = verdict(path)
    assert.equal("index", report.fault, report.text)
    local log <close> = assert(trail.open(path, { indexing = "manual" }))
    assert(log:maintain { anew = true })
    assert.equal("none", verdict(path).fault)
  end)

  it("says that the index is damaged, and not the log", function()
    local bytes = support.read_file(path .. "/index.mdb")
    support.write_file(path .. "/index.mdb", bytes:sub(1, 8192) .. ("\255"):rep(#bytes - 8192))
    local report, _, _, failed = trail.verify(path)
    report = report or failed
    assert.is_true(report.fault == "none" or report.fault == "index", report.text)
  end)
end)
