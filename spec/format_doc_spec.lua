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

-- What the border vectors do not show, because it is the same in all of them.
local BORDER = { event_type = "auth_attempt", action = "login", resource_type = "user",
  resource_id = "alice", result = "success", previous_hash = ("00"):rep(32) }

local function hex(bytes)
  return bytes and (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function unhex(text)
  return (text:gsub("%-", ""):gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

-- The blocks of one kind with exact integers and absent fields instead of nulls. The largest
-- seq has no place in a signed integer of 64 bits; -1 has the same bits.
local function exact_blocks(trail, kind)
  local function plain(vector)
    for name, value in pairs(vector) do
      if value == trail.null then vector[name] = nil end
      if type(value) == "table" and type(value[1]) == "string" then
        vector[name] = value[1] .. value[2]:rep(value[3]) .. value[4]
      end
    end
    return vector
  end
  local list = {}
  for text in support.read_file(PAGE):gmatch("\n```json " .. kind .. "\n(.-)\n```\n") do
    local content = assert(trail.decode((text:gsub("18446744073709551615", "-1"))))
    for _, vector in ipairs(content[1] and content or { content }) do list[#list + 1] = plain(vector) end
  end
  return list
end

-- The arguments of trail.testing.entry.encode for a vector.
local function arguments_of(vector, defaults)
  local arguments = {}
  for name, value in pairs(defaults or {}) do arguments[name] = value end
  for name, value in pairs(vector) do arguments[name] = value end
  for _, name in ipairs { "id", "previous_hash", "who_salt" } do
    arguments[name] = unhex(arguments[name])
  end
  arguments.details_salt = unhex(vector.details_salt or ("00"):rep(16))
  return arguments
end

describe("the engine and docs/format.md", function()
  local loaded, testing = pcall(require, "trail.testing")
  if not loaded then
    pending("needs the module trail.testing (make testing): the engine was NOT held against the page")
    return
  end
  local trail = require "trail"
  local sha256 = function(bytes)
    local path = support.tmpdir() .. "/bytes"
    support.write_file(path, bytes)
    local _, out = support.run("sha256sum " .. path)
    return out:match("^%x+")
  end

  -- Goal: the engine writes the bytes that the page states, all of them.
  -- Method: give it the salts, ids, times and texts of every vector; compare parts, commitments,
  -- entry, event_hash and the whole stored value.
  it("agree on every vector", function()
    local seen = 0
    local function check(vector, defaults)
      local made = testing.entry.encode(arguments_of(vector, defaults))
      if vector.who_hex then assert.equal(vector.who_hex, hex(made.who), vector.name) end
      if vector.details_hex then assert.equal(vector.details_hex, hex(made.details), vector.name) end
      if vector.entry_hex then assert.equal(vector.entry_hex, hex(made.entry), vector.name) end
      assert.equal(vector.who_hash, hex(made.who_hash), vector.name)
      assert.equal(vector.details_hash, hex(made.details_hash), vector.name)
      assert.equal(vector.event_hash, hex(made.event_hash), vector.name)
      assert.equal(vector.stored_len, #made.stored, vector.name)
      assert.equal(vector.stored_sha256, sha256(made.stored), vector.name)
      assert.is_true(testing.entry.read(made.stored), vector.name)
      seen = seen + 1
    end
    for _, vector in ipairs(exact_blocks(trail, "chain")) do check(vector) end
    for _, vector in ipairs(exact_blocks(trail, "border")) do check(vector, BORDER) end
    assert.equal(4 + 14, seen)
  end)

  it("agree on the genesis hash and on the ids that the engine makes", function()
    local log = exact_blocks(trail, "log")[1]
    assert.equal(log.genesis_hash, hex(testing.entry.genesis(unhex(log.log_id), log.origin)))
    for _, vector in ipairs(exact_blocks(trail, "chain")) do
      local id = unhex(vector.id)
      if id:byte(7) >= 0x70 and id:byte(7) < 0x80 then
        assert.equal(vector.id:gsub("%-", ""),
          hex(testing.entry.make_id(vector.recorded_at, vector.seq, id:sub(9))), vector.name)
      end
    end
  end)

  -- Goal: one content has one encoding; nothing may follow; other states are unknown.
  -- Method: the stored value of a vector, changed in ways that a lenient reader would accept.
  it("agree on what is no stored value", function()
    local vector = exact_blocks(trail, "chain")[3]
    local stored = testing.entry.encode(arguments_of(vector)).stored
    local function refused(bytes, what)
      local good, wrong = testing.entry.read(bytes)
      assert.is_nil(good, what)
      assert.is_string(wrong, what)
    end
    for state = 1, 255, 2 do refused(string.char(state) .. stored:sub(2), "state " .. state) end
    refused(stored .. "\0", "a byte too many")
    refused(stored:sub(1, -2), "a byte too few")
    refused("", "nothing")
    refused(stored:sub(1, 34) .. "\24\1" .. stored:sub(36), "a longer form of 1")
    refused(stored:sub(1, 33) .. "\159" .. stored:sub(35), "an indefinite array")
    refused(stored:sub(1, 34) .. "\2" .. stored:sub(36), "version 2")
  end)
end)
