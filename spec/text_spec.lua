-- text_spec.lua - is UTF-8 recognised exactly, counted exactly, and the bad byte named.
-- Test: trail.testing's text, against a reference written from RFC 3629.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local text = require("trail.testing").text

local seed = math.tointeger(tonumber(os.getenv("TRAIL_SEED"))) or os.time()

-- RFC 3629's grammar, one rule a line: what each byte of a character may be.
local RULES = {
  { { 0x00, 0x7F } },
  { { 0xC2, 0xDF }, { 0x80, 0xBF } },
  { { 0xE0, 0xE0 }, { 0xA0, 0xBF }, { 0x80, 0xBF } },
  { { 0xE1, 0xEC }, { 0x80, 0xBF }, { 0x80, 0xBF } },
  { { 0xED, 0xED }, { 0x80, 0x9F }, { 0x80, 0xBF } },
  { { 0xEE, 0xEF }, { 0x80, 0xBF }, { 0x80, 0xBF } },
  { { 0xF0, 0xF0 }, { 0x90, 0xBF }, { 0x80, 0xBF }, { 0x80, 0xBF } },
  { { 0xF1, 0xF3 }, { 0x80, 0xBF }, { 0x80, 0xBF }, { 0x80, 0xBF } },
  { { 0xF4, 0xF4 }, { 0x80, 0x8F }, { 0x80, 0xBF }, { 0x80, 0xBF } },
}

-- Bytes of the character at 'at' that fit the best rule, and whether they are all of it.
local function match(s, at)
  local best = 0
  for _, rule in ipairs(RULES) do
    for i, range in ipairs(rule) do
      local byte = s:byte(at + i - 1)
      if not byte or byte < range[1] or byte > range[2] then break end
      if i == #rule then return i, true end
      best = math.max(best, i)
    end
  end
  return best, false
end

-- The number of characters; or nil and the offset of the first byte that cannot be.
local function reference(s)
  local at, chars = 1, 0
  while at <= #s do
    local len, whole = match(s, at)
    if not whole then return nil, at - 1 + len end
    at, chars = at + len, chars + 1
  end
  return chars
end

local function same(s)
  local chars, bad = text.utf8(s)
  local chars_wanted, bad_wanted = reference(s)
  if chars ~= chars_wanted or bad ~= bad_wanted then
    error(string.format("%q: %s at %s, wanted %s at %s (TRAIL_SEED=%d)", s, chars, bad, chars_wanted, bad_wanted, seed))
  end
  return chars ~= nil
end

describe("text", function()
  setup(function()
    math.randomseed(seed)
    print(string.format("text_spec: TRAIL_SEED=%d", seed))
  end)

  -- Goal: every short sequence is judged right, wherever it stands.
  -- Method: all sequences of one and of two bytes, against the reference: alone, and inside
  -- ASCII long enough for the eight-byte path, at each of its places.
  it("judges all sequences of one and two bytes", function()
    local good = 0
    for a = 0, 255 do
      same(string.char(a))
      for place = 0, 8 do same(("a"):rep(place) .. string.char(a) .. ("z"):rep(16)) end
      for b = 0, 255 do
        local s = string.char(a, b)
        good = good + (same(s) and 1 or 0)
        same("12345678" .. s .. "é")
      end
    end
    assert.equal(128 * 128 + 30 * 64, good)
  end)

  -- Goal: three and four bytes are judged right, above all near the borders of the ranges.
  -- Method: all combinations of border bytes, and 200,000 random sequences of high bytes.
  it("judges sequences of three and four bytes", function()
    local borders = { 0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1,
      0xEC, 0xED, 0xEE,
      0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF }
    for _, a in ipairs(borders) do
      for _, b in ipairs(borders) do
        for _, c in ipairs(borders) do
          same(string.char(a, b, c))
          for _, d in ipairs(borders) do
            if a >= 0xE0 then same(string.char(a, b, c, d)) end
          end
        end
      end
    end
    for _ = 1, 100000 do
      same(string.char(math.random(0xE0, 0xFF), math.random(0x80, 0xBF), math.random(0x70, 0xC8)))
      same(string.char(math.random(0xF0, 0xF5), math.random(0x80, 0xBF), math.random(0x80, 0xBF),
        math.random(0x7F, 0xC1)))
    end
  end)

  -- Goal: every code point is accepted and counts as one, and only the surrogates are not.
  -- Method: all of them, each encoded by Lua.
  it("accepts every code point but surrogates", function()
    for code = 0, 0x10FFFF do
      local surrogate = code >= 0xD800 and code <= 0xDFFF
      if text.utf8(utf8.char(code)) ~= (not surrogate and 1 or nil) then
        error(string.format("U+%04X", code))
      end
    end
    assert.is_nil(text.utf8(utf8.char(0x110000)))
  end)

  -- Goal: long mixed texts are counted right and the bad byte is named right.
  -- Method: 20,000 random mixtures, whole, cut anywhere, and with one byte changed.
  it("counts and names offsets in mixed texts", function()
    local pieces = { "a", "abcdefgh", "é", "€", "😀", "\0", "a long run of nothing but ascii text", "日本" }
    for _ = 1, 20000 do
      local out = {}
      for i = 1, math.random(0, 12) do out[i] = pieces[math.random(#pieces)] end
      local s = table.concat(out)
      assert.is_true(same(s))
      assert.equal(utf8.len(s), text.utf8(s))
      same(s:sub(1, math.random(0, #s)))
      local at = math.random(0, #s)
      same(s:sub(1, at) .. string.char(math.random(0, 255)) .. s:sub(at + 2))
    end
  end)

  -- Goal: nothing and an absent text are valid and empty; NUL counts (the door refuses it).
  -- Method: the three texts.
  it("takes empty, absent and NUL as they are", function()
    assert.equal(0, text.utf8(""))
    assert.equal(0, text.utf8(nil))
    assert.equal(2, text.utf8("\0\0"))
  end)

  -- Goal: equal means the same bytes; absent equals absent only; a C string becomes its text.
  -- Method: all pairs of a few texts.
  it("compares texts, and makes them from C strings", function()
    local texts = { "", "a", "a\0", "a\0b", "b", "ab" }
    for _, a in ipairs(texts) do
      for _, b in ipairs(texts) do assert.equal(a == b, text.equal(a, b)) end
      assert.is_false(text.equal(a, nil))
      assert.is_false(text.equal(nil, a))
    end
    assert.is_true(text.equal(nil, nil))
    assert.equal("abc", text.from_c("abc"))
    assert.equal("", text.from_c(""))
    assert.is_nil(text.from_c(nil))
  end)
end)
