-- format_doc_spec.lua - docs/format.md holds vectors, and they are right.
-- Level: test; reads docs/format.md, runs python3; compares with trail.testing where it is built.
-- SPDX-License-Identifier: MIT

local support = require "spec.support"
local cjson = require "cjson"

local PAGE = "docs/format.md"

-- The blocks of one kind, in the order of the page, as Lua values.
local function blocks(kind)
  local list = {}
  for text in support.read_file(PAGE):gmatch("\n```json " .. kind .. "\n(.-)\n```\n") do
    list[#list + 1] = cjson.decode(text)
  end
  return list
end

local function head_hex(major, number)
  local first = major * 32
  if number < 24 then return ("%02x"):format(first + number) end
  for info, digits in ipairs { 2, 4, 8, 16 } do
    if digits == 16 or number < 2 ^ (4 * digits) then
      return ("%02x%0" .. digits .. "x"):format(first + 23 + info, number)
    end
  end
end

describe("docs/format.md", function()
  -- Goal: the vectors follow from the text of the page, not from trail's own code.
  -- Method: an encoder in Python, written from the page, makes all of them again; not one
  -- character may differ.
  it("holds exactly the vectors of an independent encoder", function()
    local code, out = support.run("python3 spec/format_vectors.py --check " .. PAGE)
    assert.equal(0, code, out)
    assert.matches("^7 blocks are right", out)
  end)

  -- Goal: the table of first bytes is right, also for a reader who uses nothing else.
  -- Method: compute each head here, in a third language.
  it("states how numbers, byte strings, texts and arrays begin", function()
    local rows = blocks("heads")[1]
    assert.equal(11, #rows)
    for _, row in ipairs(rows) do
      local number = row.number
      if number < 2 ^ 53 then -- cjson reads larger ones as doubles
        number = math.floor(number)
        assert.equal(head_hex(0, number), row.uint)
        assert.equal(head_hex(2, number), row.bytes)
        assert.equal(head_hex(3, number), row.text)
        assert.equal(head_hex(4, number), row.array)
      end
    end
  end)

  -- Goal: the four entries of the page are a chain that begins at the genesis hash, and their bytes
  -- are where the page says.
  -- Method: compare the links; look for the commitments and previous_hash in the entry bytes.
  it("holds a chain from the genesis hash on", function()
    local link = blocks("log")[1].genesis_hash
    local chain = blocks("chain")
    assert.equal(4, #chain)
    for seq, vector in ipairs(chain) do
      assert.equal(seq, vector.seq)
      assert.equal(link, vector.previous_hash, vector.name)
      local details = vector.details_hash ~= cjson.null and "5820" .. vector.details_hash or "f6"
      local tail = "5820" .. vector.who_hash .. details .. "5820" .. link
      assert.equal(tail, vector.entry_hex:sub(-#tail), vector.name)
      assert.equal("8e01" .. ("%02x"):format(seq), vector.entry_hex:sub(1, 6))
      link = vector.event_hash
    end
  end)

  -- Goal: every length at which the encoding changes its form is covered by a vector.
  -- Method: name them.
  it("covers the borders of lengths", function()
    local names = {}
    for _, vector in ipairs(blocks("border")[1]) do names[vector.name] = true end
    for _, count in ipairs { 23, 24, 255, 256, 65535, 65536 } do
      assert.is_true(names["number " .. count], count)
      assert.is_true(names["text of " .. count .. " bytes"], count)
    end
    assert.is_true(names["largest numbers"] and names["smallest numbers"])
  end)
end)
