-- index_set_spec.lua - the index's sets of offsets against tables in Lua.
-- Level: test; needs `make testing`.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local sets = require("trail.testing").set
local support = require "spec.support"

local WINDOW = 65536
local random = math.random

-- Ascending numbers in a window, with the density asked for.
local function random_offsets(span, count)
  local seen, list = {}, {}
  for _ = 1, count do
    local offset = random(0, span - 1)
    if not seen[offset] then
      seen[offset], list[#list + 1] = true, offset
    end
  end
  table.sort(list)
  return list
end

local function list_bytes(list)
  local parts = {}
  for i, offset in ipairs(list) do parts[i] = string.pack("<I2", offset) end
  return table.concat(parts)
end

local function bits_bytes(list)
  local bytes = {}
  for i = 1, (list[#list] // 8) + 1 do bytes[i] = 0 end
  for _, offset in ipairs(list) do bytes[offset // 8 + 1] = bytes[offset // 8 + 1] | 1 << offset % 8 end
  for i, byte in ipairs(bytes) do bytes[i] = string.char(byte) end
  return table.concat(bytes)
end

-- A set and its model { [offset] = true }, made of random lists, bitmaps and ranges.
local function random_set(span)
  local set, model = sets.new(span), {}
  for _ = 1, random(0, 5) do
    local kind = random(3)
    if kind == 3 then
      local first = random(0, span - 1)
      local last = random(4) == 1 and random(0, span - 1) or math.min(span - 1, first + random(0, 300))
      assert(set:add_range(first, last))
      for offset = first, last do model[offset] = true end
    else
      local window = random(0, (span - 1) // WINDOW)
      local room = math.min(span - window * WINDOW, WINDOW)
      local list = random_offsets(room, ({ 1, 3, 200, 3000, 6000 })[random(5)])
      local said
      if kind == 1 then
        said = set:add_list(window, list_bytes(list))
      else
        said = set:add_bits(window, bits_bytes(list), #list)
      end
      assert.equal("ok", said)
      for _, offset in ipairs(list) do model[window * WINDOW + offset] = true end
    end
  end
  return set, model
end

local function assert_same(model, set, span)
  local expected = {}
  for offset in pairs(model) do expected[#expected + 1] = offset end
  table.sort(expected)
  assert.equal(#expected, set:count())
  local at, i = set:up(0), 1
  while at do
    if at ~= expected[i] then assert.equal(expected[i], at, "seed " .. support.seed_value) end
    i, at = i + 1, at + 1 < span and set:up(at + 1) or nil
  end
  assert.equal(#expected + 1, i)
  at = set:down(span - 1)
  for step = #expected, 1, -1 do
    if at ~= expected[step] then assert.equal(expected[step], at) end
    at = at > 0 and set:down(at - 1) or nil
  end
  assert.is_nil(at)
  return expected
end

local function assert_common(model, set, span)
  local window = random(0, (span - 1) // WINDOW)
  local list = random_offsets(math.min(span - window * WINDOW, WINDOW), ({ 1, 50, 5000 })[random(3)])
  local common = 0
  for _, offset in ipairs(list) do
    if model[window * WINDOW + offset] then common = common + 1 end
  end
  assert.equal(common, set:common_list(window, list_bytes(list)))
  assert.equal(common, set:common_bits(window, bits_bytes(list)))
end

describe("a set of offsets", function()
  -- Goal: each operation does what it says, whichever form the windows have at the time.
  -- Method: random sets of spans of one window and several, and at the edge of one; random
  -- operations; then every offset from both ends, and what stored windows have in common with it.
  it("is what a table would be", function()
    support.seed()
    for round = 1, 150 do
      local span = ({ 1, 4, 63, 64, 65, 1000, WINDOW - 1, WINDOW, WINDOW + 1, 150000 })[random(10)]
      local set, model = random_set(span)
      for _ = 1, random(0, 3) do
        local other, others = random_set(span)
        local kind = random(3)
        if kind == 1 then
          assert(set:and_with(other))
          for offset in pairs(model) do if not others[offset] then model[offset] = nil end end
        elseif kind == 2 then
          set:minus(other)
          for offset in pairs(others) do model[offset] = nil end
        else
          local modulus = random(2, 4)
          assert.is_true(set:keep(function(offset) return offset % modulus ~= 0 end))
          for offset in pairs(model) do if offset % modulus == 0 then model[offset] = nil end end
        end
      end
      assert_same(model, set, span)
      assert_common(model, set, span)
      if round % 10 == 0 then collectgarbage() end
    end
  end)

  it("takes an empty range for nothing", function()
    local set = sets.new(100)
    assert(set:add_range(7, 6))
    assert.equal(0, set:count())
    assert.is_nil(set:up(0))
    assert.is_nil(set:down(99))
  end)

  -- Goal: what a damaged file holds is refused, and no byte beyond it is read.
  -- Method: each rule broken once, then random bytes; whatever was accepted counts as it says.
  it("refuses what is no list and no bitmap", function()
    support.seed()
    local set = sets.new(100)
    for _, bad in ipairs {
      { 0, "" }, { 0, list_bytes { 5, 5 } }, { 0, list_bytes { 6, 5 } }, { 0, list_bytes { 100 } },
      { 1, list_bytes { 0 } }, { 1 << 40, list_bytes { 0 } }, { 0, list_bytes { 1, 65535 } },
      { 0, list_bytes { 1, 2 }, 0 },
    } do
      assert.equal("corrupt", set:add_list(bad[1], bad[2], bad[3]))
    end
    for _, bad in ipairs {
      { 0, "", 0 }, { 1, "\1", 1 }, { 1 << 40, "\1", 1 }, { 0, ("\0"):rep(12) .. "\16", 1 },
      { 0, ("\0"):rep(13) .. "\1", 1 }, { 0, ("\255"):rep(8193), 8193 * 8 }, { 0, ("\255"):rep(8192), 65536 },
    } do
      assert.equal("corrupt", set:add_bits(bad[1], bad[2], bad[3]))
    end
    assert.equal(0, set:count())
    assert.equal("corrupt", set:add_bits(0, "\3", 1)) -- it has two; what is in the set then is no matter
    for _ = 1, 2000 do
      local span = random(1, 300)
      local fresh, bytes = sets.new(span), {}
      for i = 1, random(0, 40) do bytes[i] = string.char(random(4) == 1 and random(0, 255) or random(0, 1)) end
      local text = table.concat(bytes)
      local good
      if random(2) == 1 then
        good = fresh:add_list(0, text) == "ok"
        if good then assert.equal(#text // 2, fresh:count()) end
      else
        local count = random(0, 20)
        good = fresh:add_bits(0, text, count) == "ok"
        if good then assert.equal(count, fresh:count()) end
      end
      if good and fresh:count() > 0 then assert.is_true(fresh:down(span - 1) < span) end
    end
  end)
end)
