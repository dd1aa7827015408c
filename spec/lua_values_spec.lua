-- lua_values_spec.lua - Lua values to JSON and back: exact, strict, the same every time.
-- Level: test; over trail.core.
-- SPDX-License-Identifier: MIT

-- luacheck: std lua54+busted
local support = require "spec.support"
local core = require "trail.core"

local encode, decode, null, array = core.encode, core.decode, core.null, core.array

-- The message that encode throws, without the position that Lua puts before it.
local function refusal(value)
  local ok, message = pcall(encode, value)
  assert.is_false(ok, "was accepted")
  return message
end

local function same_number(a, b)
  return a == b and (a ~= 0 or 1 / a == 1 / b)
end

-- Deep equality that tells 0.0 from -0.0, and an empty array from an empty object.
local function same(a, b)
  if type(a) ~= type(b) then return false end
  if type(a) == "number" then return same_number(a, b) end
  if type(a) ~= "table" then return a == b end
  if core.is_array(a) ~= core.is_array(b) then return false end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

local function random_float()
  local bits = {}
  for i = 1, 8 do bits[i] = string.char(math.random(0, 255)) end
  return (string.unpack("d", table.concat(bits)))
end

local function random_text()
  local chars = {}
  for i = 1, math.random(0, 12) do
    local code
    local kind = math.random(1, 4)
    if kind == 1 then code = math.random(1, 0x7f)
    elseif kind == 2 then code = math.random(0x80, 0x7ff)
    elseif kind == 3 then code = math.random(0xe000, 0xffff)
    else code = math.random(0x10000, 0x10ffff) end
    chars[i] = utf8.char(code)
  end
  return table.concat(chars)
end

local function random_value(depth)
  local kind = math.random(1, depth > 5 and 6 or 8)
  if kind == 1 then return null end
  if kind == 2 then return math.random() < 0.5 end
  if kind == 3 then return math.random(0) end
  if kind == 4 then return math.random(-100, 100) end
  if kind == 5 then
    local float = random_float()
    return (float ~= float or float - float ~= 0) and 0.5 or float
  end
  if kind == 6 then return random_text() end
  local t = {}
  if kind == 7 then
    for i = 1, math.random(0, 5) do t[i] = random_value(depth + 1) end
    return array(t)
  end
  for _ = 1, math.random(0, math.random() < 0.05 and 40 or 5) do
    t[random_text()] = random_value(depth + 1)
  end
  return t
end

describe("numbers", function()
  -- Goal: no integer of 64 bits is ever rounded.
  -- Method: the edges of every size that something on the way might round at.
  it("keeps integers exact to the last of their 64 bits", function()
    for _, edge in ipairs { 0, 2 ^ 31, 2 ^ 32, 2 ^ 53, 2 ^ 62 } do
      edge = math.tointeger(edge)
      for add = -2, 2 do
        for _, number in ipairs { edge + add, -edge + add } do
          local text = encode(number)
          assert.equal(string.format("%d", number), text)
          local back = decode(text)
          assert.equal("integer", math.type(back))
          assert.equal(number, back)
        end
      end
    end
    for _, number in ipairs { math.maxinteger, math.maxinteger - 1, math.mininteger } do
      assert.equal(string.format("%d", number), encode(number))
      assert.equal(number, decode(encode(number)))
    end
    assert.equal(math.mininteger, decode("-9223372036854775808"))
  end)

  it("refuses to read an integer that 64 bits cannot hold", function()
    for _, text in ipairs { "9223372036854775808", "-9223372036854775809", "1" .. ("0"):rep(30) } do
      local value, message, code = decode(text)
      assert.is_nil(value)
      assert.is_string(message)
      assert.equal("invalid", code)
    end
  end)

  -- Goal: 1 and 1.0 encode alike (LuaJIT cannot tell them apart), -0.0 stays what it is.
  it("writes a float with an integral value as an integer", function()
    assert.equal("1", encode(1.0))
    assert.equal("-7", encode(-7.0))
    assert.equal("0", encode(0.0))
    assert.equal("-0.0", encode(-0.0))
    assert.equal("9007199254740992", encode(2.0 ^ 53))
    assert.equal("-9007199254740992", encode(-(2.0 ^ 53)))
    assert.equal("9007199254740994", encode(2.0 ^ 53 + 2))
    assert.equal("1e+300", encode(1e300))
    assert.equal("0.1", encode(0.1))
    assert.equal("0.3333333333333333", encode(1 / 3))
    assert.equal("0.30000000000000004", encode(0.1 + 0.2))
    local zero = decode("-0.0")
    assert.is_true(same_number(-0.0, zero))
  end)

  -- Goal: what was stored is read back to the last bit.
  -- Method: 100,000 floats from random bits, all exponents alike, and as many from decimal
  -- fractions, which is what people write.
  it("reads back every float as it was", function()
    support.seed()
    local tried = 0
    while tried < 100000 do
      local number = random_float()
      if number - number == 0 then
        tried = tried + 1
        local text = encode(number)
        local back = decode(text)
        if not same_number(number, back) then
          error(string.format("%a became %s became %a", number, text, back))
        end
      end
    end
    for _ = 1, 100000 do
      local number = math.random(-1000000000, 1000000000) / 10 ^ math.random(0, 12)
      assert(same_number(number, decode(encode(number))))
      assert(#encode(number) <= #string.format("%.17g", number))
    end
  end)

  it("refuses NaN and the infinite", function()
    assert.matches("value.a%[2%]: NaN has no JSON form", refusal { a = { 1, 0 / 0 } })
    assert.matches("value: an infinite number", refusal(1 / 0))
    assert.matches("value: an infinite number", refusal(-1 / 0))
  end)

  -- Goal: a host that speaks German does not write 1,5 into the log.
  -- Method: make such a locale, and ask another Lua that lives in it.
  it("does not follow the locale", function()
    local dir = support.tmpdir()
    if support.run("localedef -i de_DE -f UTF-8 " .. dir .. "/de_DE.UTF-8") ~= 0 then
      pending("no locale with a decimal comma can be made")
      return
    end
    local script = [[
      package.cpath = ...
      local core = require "trail.core"
      assert(os.setlocale("de_DE.UTF-8"))
      assert(string.format("%.1f", 0.5) == "0,5")
      io.write(core.encode { 1.5, 1e300, 1 / 3, 1e-7 }, " ", core.encode((core.decode "[0.5]")))]]
    support.write_file(dir .. "/script.lua", script)
    local code, out, err = support.run(string.format("LOCPATH=%s %s %s/script.lua %s", dir,
      os.getenv("LUA") or "lua5.4", dir, support.quote(package.cpath)))
    assert.equal("", err)
    assert.equal("[1.5,1e+300,0.3333333333333333,1e-07] [0.5]", out)
    assert.equal(0, code)
  end)
end)

describe("strings", function()
  it("escapes what JSON wants escaped and nothing else", function()
    assert.equal([["\"\\\b\f\n\r\t\u0001\u001f/]] .. "\127é\u{2028}😀\"",
      encode("\"\\\b\f\n\r\t\1\31/\127é\u{2028}😀"))
    assert.equal('""', encode "")
  end)

  -- Goal: nothing that Postgres or a strict reader would refuse gets past the door.
  -- Method: one sample of each way in which UTF-8 can be wrong, as value and as key.
  it("refuses NUL and invalid UTF-8, and says where", function()
    assert.matches("value: a NUL at byte 2 of 3", refusal "a\0b")
    for _, bytes in ipairs {
      "\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3\x28", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe2\x82",
      "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98",
      "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
    } do
      assert.matches("value: invalid UTF%-8 at byte 3 of", refusal("ok" .. bytes))
      assert.matches("invalid UTF%-8 at byte 1 of", refusal { [bytes] = 1 })
    end
    for _, good in ipairs { "\u{80}", "\u{7ff}", "\u{800}", "\u{d7ff}", "\u{e000}", "\u{ffff}",
      "\u{10000}", "\u{10ffff}" } do
      assert.equal(good, decode(encode(good)))
    end
  end)
end)

describe("tables", function()
  it("tells arrays from objects, also when they are empty", function()
    assert.equal("{}", encode {})
    assert.equal("[]", encode(array {}))
    assert.equal("[]", encode(array()))
    assert.equal("[1,2,3]", encode { 1, 2, 3 })
    assert.equal("[1,2]", encode { [2] = 2, [1.0] = 1 })
    assert.equal('{"a":{},"b":[]}', encode { b = array {}, a = {} })
    assert.equal("[[],{},[[]]]", encode(decode " [ [ ] , { } , [ [ ] ] ] "))
  end)

  it("says what is an array", function()
    assert.is_true(core.is_array { 1, 2 })
    assert.is_true(core.is_array(array {}))
    assert.is_true(core.is_array(decode "[]"))
    assert.is_false(core.is_array {})
    assert.is_false(core.is_array(decode "{}"))
    assert.is_false(core.is_array { 1, nil, 3 })
    assert.is_false(core.is_array { a = 1 })
    assert.is_false(core.is_array "text")
  end)

  it("gives back the table that array() marks, and respects a metatable of its own", function()
    local t = { 1 }
    assert.equal(t, array(t))
    assert.equal(t, array(t))
    assert.has_error(function() array(setmetatable({}, {})) end)
    assert.has_error(function() array(5) end)
  end)

  -- The convention of dkjson: how arrays of another copy of this binding are understood.
  it("understands __jsontype", function()
    assert.equal("[]", encode(setmetatable({}, { __jsontype = "array" })))
    assert.equal("{}", encode(setmetatable({}, { __jsontype = "object" })))
  end)

  it("sorts keys by their bytes", function()
    assert.equal('{"":0,"A":1,"B":2,"a":3,"a b":4,"aa":5,"b":6,"é":7}',
      encode { b = 6, a = 3, aa = 5, ["a b"] = 4, A = 1, B = 2, ["é"] = 7, [""] = 0 })
  end)

  -- Goal: objects with more keys than fit the stack of C are written the same way.
  it("sorts any number of keys", function()
    for _, count in ipairs { 1, 15, 16, 17, 100, 20000 } do
      local t, keys = {}, {}
      for i = 1, count do
        local key = string.format("k%x", i * 7919)
        t[key], keys[i] = i, key
      end
      table.sort(keys)
      local parts = {}
      for i, key in ipairs(keys) do parts[i] = string.format("%q:%d", key, t[key]) end
      assert.equal("{" .. table.concat(parts, ",") .. "}", encode(t))
    end
  end)

  it("refuses what is neither, and names the place", function()
    assert.matches("value.a.b: a function has no JSON form", refusal { a = { b = print } })
    assert.matches("value%[2%]: a thread has no JSON form",
      refusal { 1, coroutine.create(print) })
    assert.matches("value: a userdata has no JSON form", refusal(io.stdout))
    assert.matches('value%["a b"%]%["\\xff\\x0a"%]: ', refusal { ["a b"] = { ["\xff\n"] = 1 } })
    assert.matches("value: a table with string and integer keys", refusal { 1, a = 2 })
    assert.matches("value.x: a table with holes .*2 entries, from 1 to 3",
      refusal { x = { [1] = 1, [3] = 3 } })
    assert.matches("value: a table with holes", refusal { [0] = 1 })
    assert.matches("value: as a key, a boolean", refusal { [true] = 1 })
    assert.matches("value: as a key, a number", refusal { [1.5] = 1 })
    assert.matches("value: an array with string keys", refusal(array { a = 1 }))
    assert.matches("value: nil has no JSON form", refusal(nil))
    assert.has_error(function() encode() end)
  end)

  it("ends cycles, and anything else that is too deep", function()
    local t = {}
    t.t = t
    assert.matches("nested more than 128 deep", refusal(t))
    local deep = {}
    for _ = 1, 127 do deep = { deep } end
    assert.equal(("["):rep(127) .. "{}" .. ("]"):rep(127), encode(deep))
    assert.matches("nested more than 128 deep", refusal { deep })
  end)

  -- Goal: metamethods of the caller's tables never run.
  it("reads tables raw", function()
    local function fail() error "ran" end
    local t = setmetatable({ a = 1 }, { __index = fail, __pairs = fail, __len = fail,
      __tostring = fail, __eq = fail, __newindex = fail })
    assert.equal('{"a":1}', encode(t))
  end)
end)

describe("null", function()
  it("is a value, and the same one as cjson's", function()
    assert.equal("null", encode(null))
    assert.equal(null, decode "null")
    assert.equal('{"a":null}', encode { a = null })
    assert.equal(null, decode('[null]')[1])
    local found, cjson = pcall(require, "cjson")
    assert(found, "lua-cjson is not installed")
    assert.equal(cjson.null, null)
    assert.equal("null", encode(cjson.null))
  end)
end)

describe("decode", function()
  it("gives nil, message, 'invalid' for what is no strict JSON", function()
    for _, text in ipairs {
      "", " ", "nul", "{", "[1,]", "{a:1}", "[1] 2", '{"a":1,"a":2}', '"\\u0000"', '"\\ud800"', '"\xff"',
      "01", "1.", "+1", "NaN", "1e999", "'a'", "[1 2]", "\0", '"a\0b"',
    } do
      local value, message, code = decode(text)
      assert.is_nil(value, text)
      assert.is_string(message)
      assert.equal("invalid", code)
    end
    assert.has_error(function() decode(5) end)
    assert.has_error(function() decode() end)
  end)

  it("accepts every kind of value at the top", function()
    assert.equal(1, decode "1")
    assert.equal("float", math.type(decode "1.0"))
    assert.equal(false, (decode "false"))
    assert.equal("é😀", decode [["\u00e9\ud83d\ude00"]])
    assert.same({ 1, { a = true } }, decode '[1,{"a":true}]')
  end)

  -- Goal: the tape that a text is noted on is never too short.
  -- Method: texts that take the most tape for each byte, around the sizes where it moves.
  it("holds the densest texts", function()
    for _, count in ipairs { 1, 50, 100, 101, 102, 103, 200, 10000 } do
      for _, item in ipairs { "1", "[]", "{}", '""', "null", "-1", "1.5", '{"":1}' } do
        local text = "[" .. (item .. ","):rep(count - 1) .. item .. "]"
        assert.equal(text, encode(decode(text)))
      end
    end
  end)
end)

describe("random values", function()
  -- Goal: what goes in comes out, and the text is the same whoever writes it.
  -- Method: random trees; decode(encode(v)) must equal v deeply, and encode to the same text.
  it("survive the way there and back", function()
    support.seed()
    for _ = 1, 3000 do
      local value = random_value(0)
      local text = encode(value)
      local back = assert(decode(text) ~= nil and { decode(text) })[1]
      assert(same(value, back), text)
      assert.equal(text, encode(back))
    end
  end)

  -- Goal: no text can do harm, and no text that is accepted changes on the second way.
  -- Method: valid texts with random bytes changed, cut out and put in.
  it("are read, or refused, however damaged", function()
    support.seed()
    local accepted = 0
    for _ = 1, 20000 do
      local text = encode(random_value(2))
      for _ = 1, math.random(1, 3) do
        local at = math.random(1, #text + 1)
        local put = math.random() < 0.5 and string.char(math.random(0, 255))
          or ({ "[", "]", "{", "}", ",", ":", '"', "\\", "1", "e", "-", "." })[math.random(1, 12)]
        text = text:sub(1, at - 1) .. put .. text:sub(at + math.random(0, 1))
      end
      local value, message, code = decode(text)
      if message then
        assert.equal("invalid", code)
      else
        accepted = accepted + 1
        local again = encode(value)
        assert.equal(again, encode((decode(again))))
      end
    end
    assert(accepted > 100, "hardly anything was accepted: " .. accepted)
  end)
end)
