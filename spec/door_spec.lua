-- door_spec.lua - whatever an event holds, it is stored byte for byte or refused with a message
-- that names field, rule and size; and then nothing is stored.
-- Test: hostile values for every field, through trail.append and back.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local attack = require "spec.attack"
local support = require "spec.support"
local core = require "trail.core"
local trail = require "trail"

-- Fields that hold any text: how many characters at most.
local LIMITS = { event_type = 100, action = 255, resource_type = 50, resource_id = 255,
  user_id = 255, request_id = 255, user_agent = 4096 }
local REQUIRED = { "event_type", "action", "resource_type", "resource_id", "result" }
local TEXTS = { "result_error" } -- and that: bytes, not characters
for name in pairs(LIMITS) do TEXTS[#TEXTS + 1] = name end
table.sort(TEXTS)
local RESULT_ERROR_LEN = 65536
local DETAILS_LEN = 1 << 20
local RESULT_RULE = "must be success, failure or partial_success"

local log

setup(function() log = assert(trail.open(attack.tmpdir() .. "/audit.trail")) end)
teardown(function() log:close() end)

-- A valid event with one field changed.
local function with(field, value)
  local event = { event_type = "t", action = "a", resource_type = "r", resource_id = "i",
    result = "success" }
  event[field] = value
  return event
end

local function show(field, value)
  local text = tostring(value)
  return field .. " = " .. (text:gsub("[^\33-\126]", function(c)
    return string.format("\\x%02x", c:byte())
  end)):sub(1, 80)
end

-- The event must be refused by this message, alone and in a list, and leave nothing behind.
local function assert_refused(field, value, ...)
  local event = with(field, value)
  local before = log:head().seq
  for _, pattern in ipairs { ... } do
    local fine, message, code = core.check(event)
    assert.is_nil(fine, show(field, value) .. " was accepted")
    assert.equal("invalid", code)
    assert.is_truthy(message:find(pattern), message .. " is not: " .. pattern)
    local seq, again, word = log:append(event)
    assert.is_nil(seq)
    assert.equal("invalid", word)
    assert.equal(message, again)
    assert.is_nil(message:find "[\0-\31\127]")
    assert.is_truthy(utf8.len(message))
    seq, again, word = log:append { with("user_id", "x"), with("user_id", "y"), event }
    assert.is_nil(seq)
    assert.equal("invalid", word)
    -- In front of it fewer characters of a long message fit.
    assert.equal(("event 3: " .. message):sub(1, 300), again:sub(1, 300))
  end
  assert.equal(before, log:head().seq)
end

-- Accepted values, collected; flush() stores them and holds what is read against them.
local accepted = {}

local function flush()
  while #accepted > 0 do
    local list = table.move(accepted, 1, math.min(#accepted, 1000), 1, {})
    accepted = table.move(accepted, #list + 1, #accepted, 1, {})
    local events = {}
    for i, one in ipairs(list) do events[i] = with(one[1], one[2]) end
    local seqs = assert(log:append(events))
    for i, one in ipairs(list) do
      local field = one[1] == "details_json" and "details" or one[1]
      local record = log:get(seqs[i], { details = "text" })
      if record[field] ~= one[2] then error("not as it was: " .. show(field, one[2])) end
    end
  end
end

local function assert_stored(field, value)
  local fine, message = core.check(with(field, value))
  if not fine then error(show(field, value) .. ": " .. message) end
  accepted[#accepted + 1] = { field, value }
end

describe("every byte", function()
  -- Goal: each of the 256 bytes in each field of text is stored as it is, or refused by its rule.
  -- Method: alone, and between two letters.
  it("in every text is stored or refused", function()
    for _, field in ipairs(TEXTS) do
      for byte = 0, 255 do
        local char = string.char(byte)
        for offset, value in pairs { [0] = char, [1] = "a" .. char .. "z" } do
          local of = " of " .. #value .. "$"
          if byte == 0 then
            assert_refused(field, value, string.format("^field '%s' has a NUL byte at offset %d%s",
              field, offset, of))
          elseif byte < 128 then
            assert_stored(field, value)
          else
            -- The byte that cannot be is the next one, if this one may begin a character.
            local at = byte >= 0xc2 and byte <= 0xf4 and offset + 1 or offset
            local pattern = at < #value
              and string.format("^field '%s' is not valid UTF%%-8: byte 0x%02x at offset %d%s", field,
                value:byte(at + 1), at, of)
              or "^field '" .. field .. "' is not valid UTF%-8: "
            assert_refused(field, value, pattern)
          end
        end
      end
    end
    flush()
  end)

  it("in a result or an address is refused, as it makes another word", function()
    for byte = 0, 255 do
      local char = string.char(byte)
      for _, value in ipairs { char, "success" .. char } do
        assert_refused("result", value, byte == 0 and "^field 'result' has a NUL byte"
          or byte < 128 and RESULT_RULE or "^field 'result' is not valid UTF%-8")
      end
      for _, value in ipairs { char, "192.0.2.1" .. char } do
        if value:find "^192%.0%.2%.1%d$" then
          assert_stored("ip_address", value)
        else
          assert_refused("ip_address", value, "^field 'ip_address' ")
        end
      end
    end
    flush()
  end)

  it("in details is stored in a string, or refused", function()
    for byte = 0, 255 do
      local char = string.char(byte)
      local in_string = '"a' .. char .. 'z"'
      local plain = byte >= 0x20 and byte < 0x80 and char ~= '"' and char ~= "\\"
      if plain then
        assert_stored("details_json", in_string)
      else
        assert_refused("details_json", in_string, "^field 'details' %(5 bytes%): .*byte")
      end
      if char:find "%d" then
        assert_stored("details_json", char)
      else
        assert_refused("details_json", char, "^field 'details' %(1 bytes%): ")
      end
    end
    flush()
  end)
end)

describe("length", function()
  local CHARS = { "a", "\u{e9}", "\u{20ac}", "\u{1f98a}" } -- of 1 to 4 bytes

  -- Goal: the limit counts characters, not bytes, and is exact.
  it("is limited in characters", function()
    for field, limit in pairs(LIMITS) do
      for _, char in ipairs(CHARS) do
        assert_stored(field, char:rep(limit))
        assert_refused(field, char:rep(limit + 1), #char < 4
          and string.format("^field '%s' is %d characters, the limit is %d$", field, limit + 1, limit)
          -- More bytes than so many characters can have: nobody counts.
          or string.format("^field '%s' is %d bytes, the limit is %d characters$", field,
            4 * (limit + 1), limit))
      end
      assert_refused(field, ("a"):rep(10000000), "^field '" .. field
        .. "' is 10000000 bytes, the limit is " .. limit .. " characters$")
    end
    flush()
  end)

  it("of result_error and details is limited in bytes", function()
    for _, char in ipairs(CHARS) do
      local text = char:rep(RESULT_ERROR_LEN // #char)
      assert_stored("result_error", text)
      text = text .. ("x"):rep(RESULT_ERROR_LEN - #text + 1)
      assert_refused("result_error", text, "^field 'result_error' is 65537 bytes, the limit is 65536$")
      text = char:rep((DETAILS_LEN - 2) // #char)
      text = text .. ("x"):rep(DETAILS_LEN - 2 - #text)
      assert_stored("details_json", '"' .. text .. '"')
      assert_stored("details_json", "[" .. (" "):rep(DETAILS_LEN - 3) .. "1]")
      assert_refused("details_json", '"' .. text .. 'x"',
        "^field 'details' is 1048577 bytes, the limit is 1048576$")
    end
    flush()
  end)

  it("of 10 MB is refused in every field", function()
    local huge = ("x"):rep(10 << 20)
    for _, field in ipairs(TEXTS) do assert_refused(field, huge, "^field '" .. field .. "' is 10485760") end
    for _, field in ipairs { "result", "ip_address" } do
      assert_refused(field, huge, "^field '" .. field .. "' is .*10485760 bytes")
    end
    assert_refused("details_json", '"' .. huge .. '"', "^field 'details' is 10485762 bytes, the limit")
    assert_refused("details_json", ("["):rep(10 << 20), "^field 'details' is 10485760 bytes, the limit")
    assert_refused("details", { huge }, "^details: more than 1048576 bytes of JSON$")
  end)

  -- Goal: nothing at all is not the same as an empty text.
  it("of nothing is refused where something is required", function()
    for _, field in ipairs(REQUIRED) do
      assert_refused(field, "", "^field '" .. field .. "' is empty$")
      assert_refused(field, nil, "^field '" .. field .. "' is missing$")
    end
    for _, field in ipairs { "user_id", "request_id", "user_agent", "result_error" } do
      assert_stored(field, "")
      assert_stored(field, nil)
    end
    assert_refused("ip_address", "", "^field 'ip_address' is '' %(0 bytes%), not an IPv4 or IPv6 address$")
    assert_refused("details_json", "", "^field 'details' %(0 bytes%): empty text is not JSON$")
    flush()
  end)
end)

describe("UTF-8", function()
  local GOOD = { "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
    "\xef\xbb\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "e\u{301}", "\u{202e}", "\u{2028}",
    "\u{fffe}", "\u{1f468}\u{200d}\u{1f469}", "\27[31m", "\127", "\u{85}" }
  -- { bytes, offset of the one that cannot be }
  local BAD = {
    { "\xc0\x80", 0 }, { "\xc1\xbf", 0 }, { "\xe0\x80\x80", 1 }, { "\xe0\x9f\xbf", 1 },
    { "\xf0\x80\x80\x80", 1 }, { "\xf0\x8f\xbf\xbf", 1 }, { "\xed\xa0\x80", 1 }, { "\xed\xbf\xbf", 1 },
    { "\xed\xa0\xbd\xed\xb8\x80", 1 }, { "\xf4\x90\x80\x80", 1 }, { "\xf5\x80\x80\x80", 0 },
    { "\xf8\x88\x80\x80\x80", 0 }, { "\xfc\x84\x80\x80\x80\x80", 0 }, { "\xfe", 0 }, { "\xff", 0 },
    { "\x80", 0 }, { "\xbf", 0 }, { "\xc2z", 1 }, { "\xe2\x82z", 2 }, { "\xf0\x9f\xa6z", 3 },
    { "\xe2z", 1 }, { "\xf0\x9fz", 2 },
  }

  it("is taken as it is, and nothing that only looks like it", function()
    for _, field in ipairs(TEXTS) do
      for _, text in ipairs(GOOD) do
        assert_stored(field, text)
        assert_stored(field, "a" .. text .. text .. "z")
      end
      for _, bad in ipairs(BAD) do
        for _, around in ipairs { { "", "" }, { "abc", "" }, { "\u{20ac}", "zzzzzzzzz" } } do
          local value = around[1] .. bad[1] .. around[2]
          assert_refused(field, value, string.format(
            "^field '%s' is not valid UTF%%-8: byte 0x%%x%%x at offset %d of %d$", field,
            #around[1] + bad[2], #value))
        end
      end
      for _, cut in ipairs { "\xc2", "\xe2\x82", "\xf0\x9f\xa6", "\xf0" } do
        assert_refused(field, "a" .. cut, "^field '" .. field .. "' is not valid UTF%-8")
      end
    end
    for _, text in ipairs(GOOD) do
      if not text:find "%c" or text == "\127" then assert_stored("details_json", '{"' .. text .. '":1}') end
    end
    for _, bad in ipairs(BAD) do
      assert_refused("details_json", '{"k":"' .. bad[1] .. '"}', "^field 'details' %(.* bytes%): invalid UTF%-8")
      assert_refused("details_json", '{"' .. bad[1] .. '":1}', "^field 'details' %(.* bytes%): invalid UTF%-8")
    end
    flush()
  end)

  it("of random bytes is judged as Lua judges it", function()
    local seed = support.seed()
    local pieces = { "a", "z", "\xc3", "\xa9", "\xe2", "\x82", "\xac", "\xf0", "\x9f", "\xa6", "\x8a", "\xed",
      "\xa0", "\xf4", "\x8f", "\xbf", "\xe0", "\x90" }
    for _ = 1, 3000 do
      local bytes = {}
      for i = 1, math.random(1, 6) do bytes[i] = pieces[math.random(#pieces)] end
      local text = table.concat(bytes)
      if utf8.len(text) then
        assert_stored("user_id", text)
      else
        assert.is_nil(core.check(with("user_id", text)), show("seed " .. seed, text))
      end
    end
    flush()
  end)
end)

describe("details", function()
  local function nested(depth) return ("["):rep(depth) .. ("]"):rep(depth) end

  local function nested_objects(depth) return ('{"a":'):rep(depth) .. "1" .. ("}"):rep(depth) end

  local function nested_table(depth)
    local t = core.array {}
    for _ = 2, depth do t = { t } end
    return t
  end

  it("are limited in depth", function()
    for _, make in ipairs { nested, nested_objects } do
      assert_stored("details_json", make(1))
      assert_stored("details_json", make(32))
      for _, depth in ipairs { 33, 100, 2049, 100000 } do
        assert_refused("details_json", make(depth), "^field 'details' .* 32")
      end
      assert_refused("details_json", make(100000):sub(1, 100000), "^field 'details' .* 32")
    end
    assert(core.check(with("details", nested_table(32))))
    for _, depth in ipairs { 33, 200, 100000 } do
      assert_refused("details", nested_table(depth), "^details%[1%].*: nested more than 32 deep$")
    end
    local loop = {}
    loop[1] = loop
    assert_refused("details", loop, "^details.*")
    flush()
  end)

  it("hold finite numbers of 64 bits", function()
    for _, text in ipairs { "0", "-0", "9223372036854775807", "-9223372036854775808", "1e308", "5e-324",
      "0.1", "1E+2", "123456789.123456789" } do
      assert_stored("details_json", text)
      assert_stored("details_json", '{"n":[' .. text .. "]}")
    end
    for _, text in ipairs { "NaN", "nan", "Infinity", "-Infinity", "inf", "1e309", "-1e999", "1e99999999",
      "9223372036854775808", "-9223372036854775809", ("9"):rep(400), "01", "+1", ".5", "1.", "1e", "0x10",
      "--1", "1_000" } do
      assert_refused("details_json", text, "^field 'details' %(" .. #text .. " bytes%): .")
      assert_refused("details_json", '{"n":' .. text .. "}", "^field 'details' %(")
    end
    for _, number in ipairs { 0 / 0, 1 / 0, -1 / 0 } do
      assert_refused("details", { n = number }, "^details%.n: .* has no JSON form$")
      assert_refused("details", number, "^details: .* has no JSON form$")
    end
    flush()
  end)

  it("hold no key twice, however it is written", function()
    for _, text in ipairs { '{"a":1,"a":1}', '{"a":1,"b":2,"a":3}', '{"a":1,"\\u0061":2}',
      '[{"x":{"\\u00e9":1,"\u{e9}":2}}]', '{"":1,"":2}', '{"/":1,"\\/":2}' } do
      assert_refused("details_json", text, "^field 'details' %(" .. #text .. " bytes%): duplicate key")
    end
    for _, text in ipairs { '{"a":{"a":{"a":1}}}', '[{"a":1},{"a":1}]', '{"a":1,"A":1," a":1,"":1}',
      -- Postgres takes these two for different keys too.
      '{"e\u{301}":1,"\u{e9}":2}' } do
      assert_stored("details_json", text)
    end
    local keys = {}
    for i = 1, 90000 do keys[i] = '"' .. i .. '":0' end
    assert_stored("details_json", "{" .. table.concat(keys, ",") .. "}")
    keys[#keys + 1] = '"45000":1'
    assert_refused("details_json", "{" .. table.concat(keys, ",") .. "}", 'duplicate key "45000"')
    flush()
  end)

  it("hold no NUL and no half of a pair", function()
    for _, escape in ipairs { "\\u0000", "\\ud800", "\\udfff", "\\ud83d", "\\udd8a\\ud83e", "\\ud83e\\u0041",
      "\\ud83ex" } do
      assert_refused("details_json", '"a' .. escape .. 'z"', "^field 'details' %(")
      assert_refused("details_json", '{"' .. escape .. '":1}', "^field 'details' %(")
    end
    assert_stored("details_json", '"\\ud83e\\udd8a \\u0001 \\u001f \\ufffe \\"\\\\\\/\\b\\f\\n\\r\\t"')
    assert_refused("details", { "a\0b" }, "^details%[1%]: a NUL at byte 2 of 3$")
    assert_refused("details", { ["a\0b"] = 1 }, "^details.*NUL")
    assert_refused("details", { "\xff" }, "^details%[1%]: .*UTF%-8")
    flush()
  end)

  it("are JSON, the whole text", function()
    for _, text in ipairs { " ", "{", "}", "[1,]", "[1 2]", '{"a"}', '{"a":}', '{"a":1,}', "{a:1}", "'a'", '"a',
      "tru", "nul", "true false", "1 1", "[]]", "// x", "/**/1", "[1]x", "\u{feff}1", "\"\\x\"", '"\\u12"',
      '"\t"', "undefined" } do
      assert_refused("details_json", text, "^field 'details' %(" .. #text .. " bytes%): .*byte %d")
    end
    for _, text in ipairs { " [ ] ", "\t\r\n{ }\n", "true", "false", "null", '""', "[[],{}]",
      ' { "b" : 1.0 , "a" : [ 1 , 2 ] } ' } do
      assert_stored("details_json", text)
    end
    flush()
  end)
end)

describe("an address", function()
  it("is IPv4 or IPv6 and nothing else", function()
    for _, text in ipairs { "0.0.0.0", "255.255.255.255", "192.0.2.1", "::", "::1", "fe80::1",
      "2001:db8::ffff:1", "1:2:3:4:5:6:7:8", "ABCD:EF01::", "::ffff:192.0.2.1", "1:2:3:4:5:6:1.2.3.4",
      "0001:0002::0003", "2001:0DB8:0000:0000:0000:0000:0000:0001" } do
      assert_stored("ip_address", text)
    end
    for _, text in ipairs { "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.256", "01.2.3.4", "1.2.3.04", "1.2.3.4 ",
      " 1.2.3.4", "1.2.3.4/24", "0x1.2.3.4", "1", "16909060", "1..2.3", ".1.2.3", "1.2.3.", "-1.2.3.4",
      "::1%eth0", "fe80::1%1", ":::", ":", "1::2::3", "12345::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7:8::9", "[::1]", "::1/64", "g::1", "::1.2.3", "::1.2.3.400", "::01.2.3.4", "localhost",
      "1.2.3.4:80", "\u{661}.2.3.4", "1,2,3,4", "1.2.3.4\n", "unknown", ("1"):rep(300), ("f:"):rep(100) } do
      assert_refused("ip_address", text, "^field 'ip_address' is '.*' %(" .. #text
        .. " bytes%), not an IPv4 or IPv6 address$")
    end
    flush()
  end)
end)

describe("a time", function()
  it("lies between 1970 and 9999", function()
    for _, us in ipairs { 0, 1, 1795000000123456, 253402300799999999 } do assert_stored("timestamp", us) end
    for _, us in ipairs { -1, -1795000000123456, math.mininteger + 1 } do
      assert_refused("timestamp", us, "^field 'timestamp' is before 1970: %" .. us .. " microseconds$")
    end
    -- In C this number stands for "no time given".
    assert_refused("timestamp", math.mininteger, "^field 'timestamp' is before 1970: ")
    for _, us in ipairs { 253402300800000000, math.maxinteger } do
      assert_refused("timestamp", us, "^field 'timestamp' is after 9999: " .. us .. " microseconds$")
    end
    for _, other in ipairs { 1.5, 0 / 0, 1 / 0, 1e300, {}, true } do
      assert.has_error(function() core.check(with("timestamp", other)) end)
    end
    flush()
  end)
end)

describe("names that are kept for the engine", function()
  it("are refused", function()
    for _, text in ipairs { "trail.", "trail.created", "trail.x", "trail.\u{e9}" } do
      assert_refused("event_type", text, "^field 'event_type' begins with 'trail%.', which is kept")
    end
    for _, text in ipairs { "trail", "trailer", "Trail.x", "trail_x", " trail.x", "x.trail." } do
      assert_stored("event_type", text)
    end
    for _, text in ipairs { "Success", "success ", "fail", "partial-success", "unknown" } do
      assert_refused("result", text, RESULT_RULE)
    end
    for _, text in ipairs { "success", "failure", "partial_success" } do assert_stored("result", text) end
    flush()
  end)
end)

describe("an id", function()
  it("is a UUID, and not nil", function()
    for i, text in ipairs { "11111111-1111-1111-1111-111111111111", "ffffffff-ffff-ffff-ffff-ffffffffffff",
      "00000000-0000-0000-0000-000000000001", "01a1ee56-6263-7001-8000-000123456789" } do
      assert_stored("id", text)
      flush()
      assert.equal(text, log:get(text).id, i)
    end
    assert.equal("abcdef00-0000-4000-8000-00000000000a",
      select(2, assert(log:append(with("id", "ABCDEF00-0000-4000-8000-00000000000A")))).id)
    assert_refused("id", "00000000-0000-0000-0000-000000000000", "^field 'id' is the nil UUID$")
    for _, text in ipairs { "", "x", "11111111-1111-1111-1111-11111111111", "11111111111111111111111111111111",
      "{11111111-1111-1111-1111-111111111111}", "11111111-1111-1111-1111-1111111111111",
      "g1111111-1111-1111-1111-111111111111", "11111111-1111-1111-11111-11111111111",
      "11111111-1111-1111-1111-11111111111\0", ("1"):rep(1000000) } do
      assert_refused("id", text, "^field 'id'")
    end
  end)
end)

describe("what was stored", function()
  it("verifies", function() assert(log:verify()) end)
end)
