-- damage_spec.lua - reading and appending beside an entry, or a row, that somebody has changed.
-- Test: the attacker is trail.testing.kv, with valid pages.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local attack = require "spec.attack"
local support = require "spec.support"
local testing = require "trail.testing"
local trail = require "trail"

local process = testing.process

local function id_of(n)
  return string.format("0190a000-0000-7000-8000-%012x", n)
end

local function event(n, id)
  return { id = id, event_type = "x", action = "y", resource_type = "z", user_id = "user " .. n,
    resource_id = tostring(n), result = "success", timestamp = 1795000000000000 + n }
end

-- A trail of 'count' events with ids of their own, in which some rows have been changed.
local function damaged(count, changes, base)
  local path = (base and support.tmpdir(base) or attack.tmpdir()) .. "/audit.trail"
  local log = assert(trail.open(path))
  for n = 1, count do assert(log:append(event(n, id_of(n)))) end
  log:close()
  assert(testing.kv.change(path, changes))
  return path
end

local function cut_entry(seq)
  return { table = "entries", key = attack.key(seq), value = "x" }
end

describe("a damaged entry", function()
  -- Goal: an iteration gives every record that comes before the damage, then says where it is.
  -- (It said so at once, and whoever went on got the records before it behind it.)
  it("hides no record that comes before it", function()
    local log <close> = assert(trail.open(damaged(40, { cut_entry(20) }), { read_only = true }))
    for _, order in ipairs { "newest", "oldest" } do
      local seen, query = {}, log:query { order = order }
      local fine, message = pcall(function()
        for record in query do seen[#seen + 1] = record.seq end
      end)
      assert.is_false(fine)
      assert.matches("entry 20: ", message, 1, true)
      local wanted = {}
      if order == "newest" then
        for seq = 41, 21, -1 do wanted[#wanted + 1] = seq end
      else
        for seq = 1, 19 do wanted[#wanted + 1] = seq end
      end
      assert.same(wanted, seen)
      -- Going on leads to what is behind it.
      local rest = {}
      for record in query do rest[#rest + 1] = record.seq end
      assert.equal(40 - #wanted, #rest)
      assert.equal(order == "newest" and 19 or 21, rest[1])
    end
  end)

  -- Goal: an append that meets the damage is refused alone; those that share its commit are not.
  -- Method: six threads of one process, one of which brings the id of the damaged entry.
  it("is the affair of whoever meets it", function()
    local path = damaged(3, { cut_entry(3) }, support.B)
    local chunk = string.format([[
      local log = assert(require "trail".open %q)
      local refused, first = 0
      for n = 1, 150 do
        local e = { event_type = "x", action = "y", resource_type = "z", resource_id = "r",
          result = "success", id = (...) == 2 and %q or nil }
        local seq, message = log:append(e)
        if not seq then
          refused, first = refused + 1, first or message
        end
      end
      return refused .. " " .. tostring(first)]], path, id_of(2))
    local texts = process.states(6, chunk, true)
    assert.matches("^150 .*entry 3", table.remove(texts, 2))
    for _, text in ipairs(texts) do assert.equal("0 nil", text) end
  end)
end)

describe("a changed row of ids", function()
  -- Goal: no other event is given out for an id, and none is taken for its repetition.
  it("leads to an error and not to another event", function()
    local path = damaged(3, { { table = "ids", key = attack.id_bytes(id_of(1)),
      value = attack.key(3) } })
    local log <close> = assert(trail.open(path))
    local function assert_corrupt(result, message, code)
      assert.is_nil(result)
      assert.equal("corrupt", code)
      assert.matches("the table of ids leads to entry 3, which has another id", message, 1, true)
    end
    assert_corrupt(log:get(id_of(1)))
    assert_corrupt(log:append(event(2, id_of(1))))
    assert_corrupt(log:count { id = id_of(1) })
    assert.equal("user 2", log:get(id_of(2)).user_id)
    assert.equal("ids", select(4, log:verify()).fault)
  end)
end)

describe("a changed way to the entries", function()
  -- Where the keys are that lead to the pages of a tree: offsets of their bytes in the file.
  local function ways(bytes)
    local found = {}
    for page = 2 * 4096, #bytes - 4096, 4096 do
      local flags, lower = string.unpack("<I2I2", bytes, page + 11)
      if flags == 1 then
        for i = 1, (lower - 16) // 2 - 1 do -- the first one has no key
          local node = page + string.unpack("<I2", bytes, page + 17 + 2 * i)
          local len = string.unpack("<I2", bytes, node + 7)
          for at = node + 8, node + 7 + len do found[#found + 1] = at end
        end
      end
    end
    return found
  end

  -- What queries of a few entries each, in both orders, give out; or that one says no.
  local function read_all(path)
    local log, message = trail.open(path, { read_only = true, create = false })
    if not log then return message end
    local parts = {}
    local fine = pcall(function()
      for first = 1, log:head().seq, 9 do
        for _, order in ipairs { "oldest", "newest" } do
          for e in log:query { seq = { first, first + 8 }, order = order } do
            parts[#parts + 1] = e.seq .. e.event_hash
          end
        end
      end
    end)
    log:close()
    return fine and table.concat(parts, " ") or "refused"
  end

  -- Goal: LMDB finds the way to an entry by keys that verify does not pass when it goes from page
  -- to page. If one is changed, queries left out entries, or gave them out twice, and all was
  -- "verified". Now verify notices, and no query gives a wrong answer.
  -- Method: a bit of every byte of every such key, also of pages that are no longer in use.
  it("is found, and no query goes astray", function()
    local path = damaged(0, {})
    local log = assert(trail.open(path))
    local batch = {}
    for n = 1, 400 do batch[n] = event(n) end
    assert(log:append(batch))
    log:close()
    local pristine, whole = attack.bytes(path), read_all(path)
    local offsets = ways(pristine)
    assert.is_true(#offsets > 100, #offsets)
    local noticed = 0
    for i, at in ipairs(offsets) do
      local changed = pristine:sub(1, at) .. string.char(pristine:byte(at + 1) ~ 1 << i % 8)
        .. pristine:sub(at + 2)
      attack.place(path, changed)
      local report, answer = attack.verdict(path), read_all(path)
      if report.ok then
        assert.equal(whole, answer, "offset " .. at)
      else
        noticed = noticed + 1
        assert.is_true(answer == whole or answer == "refused", "offset " .. at)
      end
    end
    assert.is_true(noticed > #offsets // 4, noticed)
  end)
end)

describe("verify", function()
  -- Goal: large entries do not keep it from telling how far it is, and from stopping when told.
  it("of large entries can be stopped early", function()
    local path = attack.tmpdir() .. "/audit.trail"
    local log <close> = assert(trail.open(path))
    for n = 1, 120 do
      local e = event(n)
      e.details = ("d"):rep(1000000)
      assert(log:append(e))
    end
    local _, _, _, report = log:verify { in_process = true, progress = function() return false end }
    assert.is_false(report.complete)
    assert.is_true(report.entries < 60, report.entries)
  end)
end)
