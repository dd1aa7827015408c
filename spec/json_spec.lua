-- json_spec.lua - is details JSON judged strictly, quickly and the same way by scan and parser.
-- Test: trail.testing's json, and json_reference.lua as a second opinion.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local json = require("trail.testing").json
local reference = require "spec.json_reference"

local DEPTH = 32
local seed = math.tointeger(tonumber(os.getenv("TRAIL_SEED"))) or os.time()

local function shown(text)
  return string.format("%q (TRAIL_SEED=%d)", text, seed)
end

-- The three verdicts about one text must agree: the scan may only say yes to what the parser
-- takes, and the check is the parser's verdict. Returns the verdict, and the scan's.
local function verdict(text)
  local scanned = json.scan(text, DEPTH)
  local parsed = json.check_closely(text, DEPTH) == true
  if scanned and not parsed then error("scan accepts, jansson refuses " .. shown(text)) end
  if (json.check(text, DEPTH) == true) ~= parsed then error("check differs on " .. shown(text)) end
  return parsed, scanned
end

-- Calls visit with every text of up to 'len' of the given pieces.
local function each_text(pieces, len, visit, prefix)
  prefix = prefix or ""
  visit(prefix)
  if len == 0 then return end
  for _, piece in ipairs(pieces) do each_text(pieces, len - 1, visit, prefix .. piece) end
end

local function split(text)
  local pieces = {}
  for c in text:gmatch(".") do pieces[#pieces + 1] = c end
  return pieces
end

-- A random JSON value as text, with the events that a walk through it must give.
local function random_value(out, events, depth)
  local function event(kind, content) events[#events + 1] = { kind, content } end
  local function put(text) out[#out + 1] = text .. (" "):rep(math.random(0, 1)) end
  local choice = math.random(depth > 0 and 9 or 7)
  if choice == 1 then put "null"; event "null"
  elseif choice == 2 then put "true"; event "true"
  elseif choice == 3 then put "false"; event "false"
  elseif choice == 4 or choice == 5 then
    local n = math.random(0) >> math.random(0, 63)
    put(string.format("%d", n)); event("integer", n)
  elseif choice == 6 then
    local x = (math.random() - 0.5) * 10.0 ^ math.random(-300, 300)
    local text = string.format("%.17g", x)
    if not text:find("[.e]") then text = text .. ".0" end
    put(text); event("real", x)
  elseif choice == 7 then
    local s = ("é😀x"):rep(math.random(0, 3)) .. math.random(99)
    put('"' .. s .. '\\u00e9\\ud83d\\ude00\\n"'); event("string", s .. "é😀\n")
  elseif choice == 8 then
    put "["; event "["
    for i = 1, math.random(0, 4) do
      if i > 1 then put "," end
      random_value(out, events, depth - 1)
    end
    put "]"; event "]"
  else
    put "{"; event "{"
    for i = 1, math.random(0, 5) do
      if i > 1 then put "," end
      local key = string.char(math.random(97, 122)) .. i
      put('"' .. key .. '"'); put ":"; event("key", key)
      random_value(out, events, depth - 1)
    end
    put "}"; event "}"
  end
end

local CORPUS = {
  '{"reason":"bad password","attempt":3,"ok":false,"score":0.25,"tags":["a","b"],"geo":{"lat":52.5,"lon":-13.4}}',
  '{"a":1,"b":2,"c":{"a":1,"b":[{},{"a":null}]},"ab":-0.0,"ba":1e10,"":0}',
  '[1,-2,3.25,4e5,6E-7,[[],[[]]],"","\\n\\"\\\\\\/\\b\\f\\r\\t\\u00e9","é😀 text that is longer than eight bytes"]',
  '{"aé":1,"bé":[true , false\t,null ] ,"n":9223372036854775807,"m":-9223372036854775808}',
  '"\\ud83d\\ude00"', " 12.5e+3 ", '{"k1":{"k1":{"k1":{"k2":[1,2,3]}}}}',
  '{"a1":1,"a2":2,"a3":3,"a4":4,"a5":5,"a6":6,"a7":7,"a8":8,"a9":9,"b1":1,"b2":2,"b3":3,"b4":4,"b5":5,"b6":6,"b7":7}',
}

local PIECES = split '{}[]":,0123456789-+.eEaub\\ \n\t'
for _, piece in ipairs { "\0", "\x01", "\x1f", "\x7f", "\x80", "\xc3", "\xff", "é", "null", "true", "\\u0000",
  "\\ud800", "\\u0061", '"a":1,', ',"a":1', "999999999999999999", "e99", "e400", "0.", "[[[[", "]]]]" } do
  PIECES[#PIECES + 1] = piece
end

local function mutate(text)
  local at = math.random(0, #text)
  local behind = math.min(#text, at + math.random(0, 3))
  local choice = math.random(5)
  if choice == 1 then return text:sub(1, at) .. text:sub(behind + 1) end
  if choice == 2 then return text:sub(1, at) .. PIECES[math.random(#PIECES)] .. text:sub(at + 1) end
  if choice == 3 then return text:sub(1, at) .. PIECES[math.random(#PIECES)] .. text:sub(behind + 1) end
  if choice == 4 then -- a slice of it once more: the usual way to a duplicate key
    local from = math.random(1, #text + 1)
    return text:sub(1, at) .. text:sub(from, from + math.random(0, 12)) .. text:sub(at + 1)
  end
  local other = CORPUS[math.random(#CORPUS)]
  return text:sub(1, at) .. other:sub(math.random(#other))
end

describe("json", function()
  setup(function()
    math.randomseed(seed)
    print(string.format("json_spec: TRAIL_SEED=%d", seed))
  end)

  -- Goal: every rule of json.h is enforced, and the message says which and where.
  -- Method: one text for each rule, with the whole message expected.
  it("refuses what details must not hold, and says what and where", function()
    local cases = {
      { "", "empty text is not JSON" },
      { " \n", "JSON ends too early at byte 2" },
      { '{"a":1,"b":2,"a":3}', 'duplicate key "a" at byte 13' },
      { '{"a":1, "\\u0061" :3}', 'duplicate key "\\u0061" at byte 8' },
      { '[{"é":{"é":1},"é":3}]', 'duplicate key "é" at byte 16' },
      { '{"\\"":1,"\\"":2}', 'duplicate key "\\"" at byte 8' },
      { '["a\0b"]', "NUL at byte 3" },
      { "\0", "NUL at byte 0" },
      { "1\0", "NUL at byte 1" },
      { '"a\nb"', "control character in a string at byte 2" },
      { '"\x1f"', "control character in a string at byte 1" },
      { '["\xff"]', "invalid UTF-8 at byte 2" },
      { '["\xed\xa0\x80"]', "invalid UTF-8 at byte 3" },
      { '["\xc3', "invalid UTF-8 at byte 3" },
      { '[ "x\\u0000"]', "\\u0000 in the string at byte 2" },
      { '{"\\u0000":1}', "\\u0000 in the string at byte 1" },
      { '"\\ud800"', "half a surrogate pair in the string at byte 0" },
      { '[1,"\\udc00"]', "half a surrogate pair in the string at byte 3" },
      { '"\\ud800\\u0041"', "half a surrogate pair in the string at byte 0" },
      { "[9223372036854775808]", "number out of range at byte 1" },
      { "[-9223372036854775809]", "number out of range at byte 1" },
      { "[0, 1e400]", "number out of range at byte 4" },
      { "-1e400", "number out of range at byte 0" },
      { "1e-16384", "number out of range at byte 0" },
      { "0e16384", "number out of range at byte 0" },
      { "1e99999999999999999999", "number out of range at byte 0" },
      { "0." .. ("0"):rep(16384), "number out of range at byte 0" },
      { '{"a":1', "JSON ends too early at byte 6" },
      { '"abc', "JSON ends too early at byte 4" },
      { '"abc\\', "not valid JSON at byte 4" },
      { "[1] 2", "more text behind the JSON value at byte 4" },
      { "[1,nul]", "not valid JSON at byte 3" },
      { '{"a" 1}', "not valid JSON at byte 5" },
      { '["\\x"]', "not valid JSON at byte 3" },
      { "[01]", "not valid JSON at byte 1" },
      { "\xEF\xBB\xBF1", "not valid JSON at byte 0" },
    }
    for _, case in ipairs(cases) do
      for _, check in ipairs { json.check, json.check_closely, json.walk } do
        local ok, message, word = check(case[1])
        assert.is_nil(ok, shown(case[1]))
        assert.equal(case[2], message, shown(case[1]))
        assert.equal("invalid", word)
      end
      assert.is_false(json.scan(case[1]), shown(case[1]))
    end
  end)

  -- Goal: the edges of what is allowed are allowed.
  -- Method: the last good text before each limit above.
  it("accepts what is just inside the rules", function()
    for _, text in ipairs { "9223372036854775807", "-9223372036854775808", "1.7976931348623157e308", "1e-400",
      "1e-16383", "0e16383", "0." .. ("0"):rep(16383), "-0", "-0.0", '""', '"\x7f"', '"\\ud83d\\ude00"',
        '"\xEF\xBF\xBF"',
      "\t[ ]\r\n", '{"a":{"a":{}}}', '{"a":1,"A":2,"":3}', "null" } do
      assert.is_true(verdict(text), shown(text))
      assert(json.walk(text))
    end
  end)

  -- Goal: the scan is worth having: what applications usually send needs no parser.
  -- Method: plain texts that the scan itself must accept.
  it("knows plain texts without the parser", function()
    for _, text in ipairs { "{}", "[]", "0", "-12", "1.5", "1e10", '"é\\n\\u00e9"', "true", " null ",
      CORPUS[1], CORPUS[2],
      CORPUS[3], CORPUS[7], CORPUS[8] } do
      assert.is_true(json.scan(text), shown(text))
      assert.is_true(verdict(text), shown(text))
    end
  end)

  -- Goal: the depth is counted in brackets, exactly, by both.
  -- Method: for each limit up to 100, texts of that depth and one more; brackets in strings
  -- and side by side must not count.
  it("counts depth exactly", function()
    for depth = 0, 100 do
      local good = ("["):rep(depth) .. '"]]{{[["' .. ("]"):rep(depth)
      local mixed = ('{"a":['):rep(depth // 2) .. "[],{}" .. ("]}"):rep(depth // 2)
      assert.is_true(json.check(good, depth))
      assert.is_true(json.check_closely(good, depth))
      assert.equal(depth <= 64, json.scan(good, depth))
      local ok, message = json.check("[" .. good .. "]", depth)
      assert.is_nil(ok)
      assert.equal("nested deeper than " .. depth .. " at byte " .. depth, message)
      assert.is_nil(json.check_closely("[" .. good .. "]", depth))
      assert.is_false(json.scan("[" .. good .. "]", depth))
      if depth >= 2 then assert.is_true(json.check_closely(mixed, depth // 2 * 2 + 1)) end
    end
    assert(json.walk(("["):rep(128) .. ("]"):rep(128)))
    local _, message = json.walk(("["):rep(129) .. ("]"):rep(129))
    assert.equal("nested deeper than 128 at byte 128", message)
  end)

  -- Goal: no hostile text costs the stack or much time.
  -- Method: very deep and very long texts, closed and open; all of them refused, each within
  -- a tenth of a second (it takes milliseconds; the rest is for sanitizers).
  it("refuses deep and long texts at once", function()
    local texts = { ("["):rep(100000), ('{"a":'):rep(100000), ("["):rep(100000) .. ("]"):rep(100000),
      ("["):rep(10000000),
      "[" .. ("1,"):rep(5000000) .. "1]", '"' .. ("\\\\"):rep(5000000) .. '"', (" "):rep(10000000),
        ("1"):rep(10000000) }
    for i, text in ipairs(texts) do
      for name, check in pairs { check = json.check, closely = json.check_closely } do
        local before = os.clock()
        assert.is_nil(check(text), name .. " of text " .. i)
        assert.is_true(os.clock() - before < 0.1, name .. " of text " .. i .. " takes " .. os.clock() - before)
      end
    end
    local _, message = json.check(texts[5])
    assert.equal("JSON of 10000003 bytes, the limit is 1048576", message)
    _, message = json.walk((" "):rep(16 * 1024 * 1024 + 1))
    assert.equal("JSON of 16777217 bytes, the limit is 16777216", message)
  end)

  -- Goal: a text of the full length allowed is judged, not feared.
  -- Method: exactly 1 MiB of JSON, plain and with something only the parser can judge.
  it("accepts a text of exactly the limit", function()
    local limit = 1048576
    assert.is_true(verdict('"' .. ("x"):rep(limit - 2) .. '"'))
    assert.is_true(verdict('"\\ud83d\\ude00' .. ("x"):rep(limit - 14) .. '"'))
    local _, message = json.check('"' .. ("x"):rep(limit - 1) .. '"')
    assert.equal("JSON of 1048577 bytes, the limit is 1048576", message)
  end)

  -- Goal: scan, parser and a judge written from the RFC agree on every small text.
  -- Method: all texts of a few pieces over alphabets that cover structure, numbers, strings
  -- and white space.
  it("judges every small text as the RFC does", function()
    local alphabets = {
      { split '{}[]":,1a ', 4 },
      { split '{}"a:,1', 6 },
      { split "-+.eE019", 6 },
      { { '"', "\\", "u", "0", "d", "n", "\n", "é", "\xc3" }, 5, '"' },
      { { "\\ud83d", "\\ude00", "\\u0000", "\\u0061", "a", '"' }, 5, '"' },
      { { '"a"', '"b"', '"\\u0061"', ":", ",", "{", "}", "1" }, 5, "{" },
      { { '"a":1', '"b":2', '"":3', '"\\u0061":1', ",", "{", "}" }, 5, "{" },
      { { "null", "true", "false", "nul", "[", "]", ",", " " }, 4 },
    }
    local accepted, scanned = 0, 0
    for _, a in ipairs(alphabets) do
      each_text(a[1], a[2], function(text)
        local good, plain = verdict(text)
        if good ~= reference.accepts(text, DEPTH) then
          error((good and "accepted: " or "refused: ") .. shown(text))
        end
        accepted = accepted + (good and 1 or 0)
        scanned = scanned + (plain and 1 or 0)
      end, a[3])
    end
    assert.is_true(accepted > 2000 and scanned > accepted / 2, accepted .. " accepted, " .. scanned .. " by the scan")
  end)

  -- Goal: no byte is treated differently by scan, parser and judge.
  -- Method: each of the 256 bytes alone, in a string, as an escape, between tokens, after text.
  it("judges every single byte as the RFC does", function()
    for byte = 0, 255 do
      local c = string.char(byte)
      for _, text in ipairs { c, '"' .. c .. '"', '"longer than eight' .. c .. 'bytes"', '"\\' .. c .. '"',
        "[1" .. c .. "2]",
        "[" .. c .. "]", "1" .. c, '{"' .. c .. '":1}', '"\\u' .. c .. '111"' } do
        assert.equal(reference.accepts(text, DEPTH), (verdict(text)), shown(text))
      end
    end
  end)

  -- Goal: the scan never says yes where the parser says no.
  -- Method: 200,000 good texts with one to four random mutations, compared verdict by verdict;
  -- every tenth also with the judge.
  it("never lets the scan accept what the parser refuses", function()
    local accepted, scanned = 0, 0
    for i = 1, 200000 do
      local text = CORPUS[math.random(#CORPUS)]
      for _ = 1, math.random(4) do text = mutate(text) end
      local good, plain = verdict(text)
      accepted = accepted + (good and 1 or 0)
      scanned = scanned + (plain and 1 or 0)
      if i % 10 == 0 then assert.equal(reference.accepts(text, DEPTH), good, shown(text)) end
    end
    assert.is_true(scanned > 5000 and accepted < 195000, accepted .. " accepted, " .. scanned .. " by the scan")
  end)

  -- Goal: duplicates are found in objects of any size, whichever two keys are equal.
  -- Method: objects of up to 40 keys, every pair made equal in turn; long
  -- keys that differ in the middle only must not be taken for equal.
  it("finds every duplicate key", function()
    for count = 1, 40 do
      local keys = {}
      for i = 1, count do keys[i] = ("k"):rep(9) .. i .. ("z"):rep(9) end
      local function object() return '{"' .. table.concat(keys, '":0,"') .. '":0}' end
      assert.is_true(verdict(object()))
      assert.is_true(json.scan(object()))
      for i = 1, count do
        for j = i + 1, count, 3 do
          local kept = keys[j]
          keys[j] = keys[i]
          assert.is_false(verdict(object()), shown(object()))
          keys[j] = kept
        end
      end
    end
  end)

  -- Goal: the scan's room for keys is no limit of what is accepted, and inner objects give
  -- theirs back.
  -- Method: 250 to 300 keys, flat, nested and side by side.
  it("accepts objects of any size", function()
    for count = 250, 300 do
      local members = {}
      for i = 1, count do members[i] = '"k' .. i .. '":{"k1":[{"k1":1}],"k2":2}' end
      local text = "{" .. table.concat(members, ",") .. "}"
      local _, scanned = verdict(text)
      assert.equal(count <= 254, scanned)
      assert.is_true(json.check(text))
      assert.is_false(verdict(text:sub(1, -2) .. ',"k1":1}'))
      local inner = '{"a":{"b":1}}'
      assert.is_true(json.scan("[" .. (inner .. ","):rep(count) .. "1]"))
    end
  end)

  -- Goal: a walk gives every value exactly, in the order of the text.
  -- Method: 5,000 random values written together with the events they must give.
  it("walks through exactly what was written", function()
    for _ = 1, 5000 do
      local out, events = {}, {}
      random_value(out, events, 5)
      local text = table.concat(out)
      local seen = assert(json.walk(text))
      assert.equal(#events, #seen, shown(text))
      for i, event in ipairs(events) do
        assert.equal(event[1], seen[i][1], shown(text))
        assert.equal(event[2], seen[i][2], shown(text))
        assert.equal(math.type(event[2]), math.type(seen[i][2]), shown(text))
      end
    end
  end)

  -- Goal: integers keep 64 bits, reals keep their sign and kind.
  -- Method: the values at the edges, compared with type and sign.
  it("keeps numbers exact", function()
    local function number(text)
      local seen = assert(json.walk(text))
      return seen[1][2], seen[1][1]
    end
    assert.same({ math.maxinteger, "integer" }, { number "9223372036854775807" })
    assert.same({ math.mininteger, "integer" }, { number "-9223372036854775808" })
    assert.same({ 9007199254740993, "integer" }, { number "9007199254740993" })
    assert.same({ 0, "integer" }, { number "-0" })
    assert.same({ 1.0, "real" }, { number "1.0" })
    assert.same({ 100000.0, "real" }, { number "1E5" })
    local zero, kind = number "-0.0"
    assert.equal("real", kind)
    assert.equal(-math.huge, 1 / zero)
    assert.equal(math.huge, 1 / number "0.0")
  end)

  -- Goal: a visitor can stop, and that is no error.
  -- Method: stop after each number of events in turn.
  it("stops where the visitor wants", function()
    local text = '{"a":[1,{"b":null}],"c":"d"}'
    local all = assert(json.walk(text))
    assert.equal(12, #all)
    for count = 1, #all do assert.equal(count, #assert(json.walk(text, count))) end
  end)

  -- Goal: the host's locale changes nothing. With a decimal point of two bytes jansson alone
  -- stops the process on an assertion.
  -- Method: build a locale that writes 1٫5, and read reals under it in a process of its own.
  it("reads reals the same under every locale", function()
    local dir = os.tmpname()
    os.remove(dir)
    assert(os.execute("mkdir -p " .. dir))
    local function put(name, text)
      local file = assert(io.open(dir .. "/" .. name, "w"))
      file:write(text)
      file:close()
    end
    local definition = 'LC_NUMERIC\ndecimal_point "<U066B>"\nthousands_sep ""\ngrouping -1\nEND LC_NUMERIC\n'
    for _, category in ipairs { "CTYPE", "COLLATE", "TIME", "MONETARY", "MESSAGES" } do
      definition = definition .. string.format('LC_%s\ncopy "POSIX"\nEND LC_%s\n', category, category)
    end
    put("definition", "comment_char %\nescape_char /\n" .. definition)
    put("program.lua", string.format([[
      if not os.setlocale("xx_XX.UTF-8") then print "no locale" os.exit() end
      assert(string.format("%%.1f", 1.5) == "1٫5")
      package.cpath = %q
      local json = require("trail.testing").json
      local seen = assert(json.walk("[1.5,-2.25e2]"))
      assert(seen[2][2] * 4 == 6 and seen[3][2] == -225)
      assert(json.check_closely("[1.5,\"\\ud83d\\ude00\"]"))
      assert(not json.check("[1,5.]") and not json.check("1٫5"))
      assert(string.format("%%.1f", 1.5) == "1٫5", "the host's locale is back")
      print "good"]], package.cpath))
    os.execute(string.format("cd %s && localedef -c -i ./definition -f UTF-8 ./xx_XX.UTF-8 >/dev/null 2>&1", dir))
    local pipe = assert(io.popen(string.format("LOCPATH=%s lua5.4 %s/program.lua 2>&1", dir, dir)))
    local said = pipe:read("a")
    pipe:close()
    os.execute("rm -rf " .. dir)
    if said == "no locale\n" then
      pending("localedef cannot build a locale here")
    else
      assert.equal("good\n", said)
    end
  end)
end)
