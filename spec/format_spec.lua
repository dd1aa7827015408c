-- format_spec.lua - records as text: every output compared whole, and hostile texts in all of them.
-- Level: test; needs no build.
-- SPDX-License-Identifier: MIT

local support = require "spec.support"
local escape = require "trail.escape"
local format = require "trail.format"

local HASH_A, HASH_B = ("a"):rep(64), ("b"):rep(64)

local FULL = {
  seq = 7, id = "0190a000-0000-7000-8000-000000000007",
  timestamp = 1795000000000001, recorded_at = 1795000000999999,
  event_type = "auth_attempt", user_id = "alice", action = "login", resource_type = "user",
  resource_id = "alice@example.com", result = "failure", result_error = "bad password",
  details = '{"attempt":3,"reason":"bad \\"password\\""}', ip_address = "192.0.2.1",
  user_agent = "curl/7.88", request_id = "req-1", previous_hash = HASH_A, event_hash = HASH_B,
}
local SMALL = {
  seq = 8, id = "0190a000-0000-7000-8000-000000000008",
  timestamp = 1795000001000000, recorded_at = 1795000001000000,
  event_type = "trade", action = "accept", resource_type = "item", resource_id = "sword-9",
  result = "success", previous_hash = HASH_B, event_hash = HASH_A,
}

local FULL_JSON = '{"seq":7,"id":"0190a000-0000-7000-8000-000000000007",'
  .. '"timestamp":"2026-11-18T11:06:40.000001Z","recorded_at":"2026-11-18T11:06:40.999999Z",'
  .. '"event_type":"auth_attempt","user_id":"alice","action":"login","resource_type":"user",'
  .. '"resource_id":"alice@example.com","result":"failure","result_error":"bad password",'
  .. '"details":{"attempt":3,"reason":"bad \\"password\\""},"ip_address":"192.0.2.1",'
  .. '"user_agent":"curl/7.88","request_id":"req-1","previous_hash":"' .. HASH_A
  .. '","event_hash":"' .. HASH_B .. '"}'
local SMALL_JSON = '{"seq":8,"id":"0190a000-0000-7000-8000-000000000008",'
  .. '"timestamp":"2026-11-18T11:06:41.000000Z","recorded_at":"2026-11-18T11:06:41.000000Z",'
  .. '"event_type":"trade","action":"accept","resource_type":"item","resource_id":"sword-9",'
  .. '"result":"success","previous_hash":"' .. HASH_B .. '","event_hash":"' .. HASH_A .. '"}'

local function render(kind, records, options)
  local parts = {}
  local settings = { out = function(text) parts[#parts + 1] = text end }
  for key, value in pairs(options or {}) do settings[key] = value end
  local writer = format.writer(kind, settings)
  for _, record in ipairs(records) do writer:write(record) end
  writer:finish()
  return table.concat(parts)
end

local function copy(record, changes)
  local changed = {}
  for key, value in pairs(record) do changed[key] = value end
  for key, value in pairs(changes) do changed[key] = value end
  return changed
end

describe("jsonl and json", function()
  it("print every field in the documented order, and leave out what is absent", function()
    assert.equal(FULL_JSON .. "\n" .. SMALL_JSON .. "\n", render("jsonl", { FULL, SMALL }))
  end)

  it("make an array of it", function()
    assert.equal("[\n" .. FULL_JSON .. ",\n" .. SMALL_JSON .. "\n]\n", render("json", { FULL, SMALL }))
    assert.equal("[]\n", render("json", {}))
    assert.equal("", render("jsonl", {}))
  end)

  it("print chosen fields in the order asked for", function()
    assert.equal('{"user_id":"alice","seq":7}\n{"seq":8}\n',
      render("jsonl", { FULL, SMALL }, { fields = { "user_id", "seq" } }))
  end)

  it("add what the caller adds", function()
    assert.equal(SMALL_JSON:sub(1, -2) .. ',"more":1}', format.json(SMALL, '"more":1'))
  end)

  -- Goal: a details text with line ends between its tokens stays one line and one value.
  it("keep details on one line", function()
    assert.equal('{"details":{ "a":  1 }}\n',
      render("jsonl", { { details = '{\n"a":\t\r1\n}' } }, { fields = { "details" } }))
  end)

  it("tell times apart that fall into one second, and before 1970", function()
    local fields = { fields = { "timestamp" } }
    assert.equal('{"timestamp":"2026-11-18T11:06:40.000000Z"}\n{"timestamp":"2026-11-18T11:06:40.000002Z"}\n'
      .. '{"timestamp":"1969-12-31T23:59:59.999999Z"}\n',
      render("jsonl", { { timestamp = 1795000000000000 }, { timestamp = 1795000000000002 },
        { timestamp = -1 } }, fields))
  end)
end)

describe("line", function()
  it("prints one field a line and an empty line between events", function()
    assert.equal([[
seq            8
id             0190a000-0000-7000-8000-000000000008
timestamp      2026-11-18T11:06:41.000000Z
recorded_at    2026-11-18T11:06:41.000000Z
event_type     trade
action         accept
resource_type  item
resource_id    sword-9
result         success
previous_hash  bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
event_hash     aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa

seq            8
]], render("line", { SMALL, { seq = 8 } }))
  end)
end)

describe("csv", function()
  it("has a header, also without any event, and quotes as RFC 4180 says", function()
    local fields = { "seq", "timestamp", "user_id", "details" }
    assert.equal("seq,timestamp,user_id,details\n", render("csv", {}, { fields = fields }))
    assert.equal('seq,timestamp,user_id,details\n7,2026-11-18T11:06:40.000001Z,'
      .. '"a ""b"", c","{""attempt"":3,""reason"":""bad \\""password\\""""}"\n'
      .. '8,2026-11-18T11:06:41.000000Z,,\n',
      render("csv", { copy(FULL, { user_id = 'a "b", c' }), SMALL }, { fields = fields }))
  end)

  it("has all fields if none are chosen", function()
    local head = render("csv", {})
    assert.equal("seq,id,timestamp,recorded_at,event_type,user_id,action,resource_type,resource_id,"
      .. "result,result_error,details,ip_address,user_agent,request_id,previous_hash,event_hash\n", head)
  end)

  it("disarms what a spreadsheet takes for a formula, unless told not to", function()
    local cases = {
      { "=1+1", "'=1+1" }, { "+1", "'+1" }, { "-1", "'-1" }, { "@SUM(A1)", "'@SUM(A1)" },
      { "\t=1", "'\\t=1" }, { "\r=1", "'\\r=1" }, { "\n=1", "'\\n=1" }, { "\0=1", "'\\x00=1" },
      { "\239\188\157cmd", "'\239\188\157cmd" }, { "a=1", "a=1" }, { "1-2", "1-2" },
      { '=HYPERLINK("http://x","y")', "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"" },
    }
    for _, case in ipairs(cases) do
      assert.equal("user_id\n" .. case[2] .. "\n",
        render("csv", { { user_id = case[1] } }, { fields = { "user_id" } }))
    end
    assert.equal("user_id\n=1+1\n",
      render("csv", { { user_id = "=1+1" } }, { fields = { "user_id" }, csv_raw = true }))
    assert.equal("details\n'-5\n",
      render("csv", { { details = "-5" } }, { fields = { "details" } }))
  end)
end)

describe("table", function()
  it("shows what there is, aligned, in full width", function()
    assert.equal([[
seq  time (UTC)           type          user   action  resource                result   ip         error
  7  2026-11-18 11:06:40  auth_attempt  alice  login   user:alice@example.com  failure  192.0.2.1  bad password
  8  2026-11-18 11:06:41  trade                accept  item:sword-9            success
]], render("table", { FULL, SMALL }))
  end)

  it("shortens and leaves out columns to fit the terminal", function()
    assert.equal([[
seq  time (UTC)           type          user   action  resource    result
  7  2026-11-18 11:06:40  auth_attempt  alice  login   user:alic…  failure
  8  2026-11-18 11:06:41  trade                accept  item:swor…  success
]], render("table", { FULL, SMALL }, { width = 74 }))
    assert.equal([[
seq  result
  7  failure
  8  success
]], render("table", { FULL, SMALL }, { width = 20 }))
  end)

  it("prints nothing without any event", function()
    assert.equal("", render("table", {}))
  end)

  it("counts columns, not bytes", function()
    local wide = function(point) return point > 0x2E80 and 2 or 1 end
    local rows = { { user_id = "\230\188\162\229\173\151", action = "x" },
      { user_id = "\195\169", action = "y" } }
    assert.equal("user_id  action\n\230\188\162\229\173\151     x\n\195\169        y\n",
      render("table", rows, { fields = { "user_id", "action" }, char_width = wide }))
  end)

  it("colours results and the head only if asked to", function()
    assert.equal("\27[1mseq\27[0m  \27[1mresult\27[0m\n  7  \27[31mfailure\27[0m\n  8  success\n",
      render("table", { FULL, SMALL }, { fields = { "seq", "result" }, color = true }))
  end)

  it("never exceeds the width, whatever the records are", function()
    support.seed()
    for _ = 1, 200 do
      local rows, width = {}, math.random(10, 140)
      for i = 1, math.random(1, 5) do
        rows[i] = copy(FULL, { user_id = ("u"):rep(math.random(0, 60)),
          resource_id = ("\195\169"):rep(math.random(0, 60)), seq = math.random(1, 10000000) })
      end
      for line in render("table", rows, { width = width }):gmatch("[^\n]+") do
        local length = #line:gsub("[\128-\191]", "")
        assert.is_true(length <= width, ("%d > %d: %s"):format(length, width, line))
      end
    end
  end)
end)

-- What no output may hold: C0 but "\n", DEL, C1, bidi and zero-width characters, separators,
-- bytes that are not UTF-8. Returns the first offence, or nil.
local function offence(text)
  local found = text:match("[%z\1-\9\11-\31\127]")
  if found then return ("byte %02x"):format(found:byte()) end
  for chunk in text:gmatch("[\128-\255][\128-\191]*") do
    local point, len = escape.decode(chunk)
    if not point or len ~= #chunk then return ("invalid UTF-8 in %q"):format(text) end
    local bad = point <= 0x9F or point == 0x61C or point == 0xAD or point == 0xFEFF
      or (point >= 0x200B and point <= 0x200F) or (point >= 0x2028 and point <= 0x202E)
      or (point >= 0x2060 and point <= 0x206F) or (point >= 0xE0000 and point <= 0xE0FFF)
      or (point >= 0xFE00 and point <= 0xFE0F)
    if bad then return ("U+%04X"):format(point) end
  end
  return nil
end

local HOSTILE = {
  "\27[2J\27]0;owned\7", "a\nb\rc\td\0e", "\127\8\12", "\194\155" .. "31m", "\194\128\194\159",
  "\226\128\174gnp.exe", "\226\129\166x\226\129\169", "\226\128\139zero\239\187\191",
  "\226\128\168\226\128\169", "\216\156", "\243\160\129\129tag", "a\239\184\143",
  "\255\254", "\192\128", "\237\160\128", "\244\144\128\128", "\226\130", "\128",
  '"\\/', "trail: fake\ntrail: line", "\194\173soft",
}

describe("hostile texts", function()
  local TEXTS = { "event_type", "user_id", "action", "resource_type", "resource_id", "result",
    "result_error", "user_agent", "request_id", "ip_address" }

  -- Goal: nothing stored can command a terminal or hide, in any output.
  -- Method: each hostile text in every text field, in all outputs; details as an encoder
  -- that escapes nothing would have written it.
  it("come out as escapes in every output", function()
    for _, hostile in ipairs(HOSTILE) do
      local record = copy(FULL, {})
      for _, name in ipairs(TEXTS) do record[name] = hostile end
      record.details = '{"k":"' .. hostile:gsub('[%c"\\]', "") .. '"}'
      for _, kind in ipairs({ "jsonl", "json", "csv", "line", "table" }) do
        for _, width in ipairs({ 0, 40, 100 }) do
          local text = render(kind, { record }, { width = width > 0 and width or nil })
          assert.is_nil(offence(text), kind .. " of " .. ("%q"):format(hostile))
        end
      end
    end
  end)

  it("cannot break out of their line", function()
    local record = copy(FULL, { user_id = "x\nuser_id  root\n" })
    assert.equal(1, select(2, render("jsonl", { record }):gsub("\n", "")))
    assert.equal(17, select(2, render("line", { record }):gsub("\n", "")))
    assert.equal(2, select(2, render("csv", { record }):gsub("\n", "")))
    assert.equal(2, select(2, render("table", { record }):gsub("\n", "")))
  end)

  it("are escaped as documented", function()
    assert.equal([[\x1b[31m\n\t\r\x00\x7f]], escape.text("\27[31m\n\t\r\0\127"))
    assert.equal([[\u{9b}\u{202e}\xff\xc0\x80]], escape.text("\194\155\226\128\174\255\192\128"))
    assert.equal([["\u001b\n\t\r\u0000\u007f\"\\\b\f"]], escape.json("\27\n\t\r\0\127\"\\\b\f"))
    assert.equal([["\u009b\u202e\udb40\udc41\ufffd"]],
      escape.json("\194\155\226\128\174\243\160\129\129\255"))
    assert.equal([[{"a": "\u202e"}]], escape.json_text('{"a":\n"\226\128\174"}'))
  end)

  it("leave ordinary text alone", function()
    local text = "Gr\195\188\195\159e, \230\188\162\229\173\151 \240\159\152\128 C:\\dir"
    assert.equal(text, escape.text(text))
    assert.equal('"' .. text:gsub("\\", "\\\\") .. '"', escape.json(text))
  end)

  -- Goal: no sequence of bytes gets through. Method: random bytes, mostly from nasty ranges.
  it("of random bytes come out clean", function()
    support.seed()
    local nasty = { 0, 10, 27, 34, 92, 127, 128, 155, 173, 192, 194, 216, 224, 226, 237, 239, 240,
      243, 244, 255, 139, 142, 168, 174, 191, 160, 65 }
    for _ = 1, 20000 do
      local bytes = {}
      for i = 1, math.random(1, 8) do bytes[i] = string.char(nasty[math.random(#nasty)]) end
      local text = table.concat(bytes)
      local plain, json = escape.text(text), escape.json(text)
      assert.is_nil(offence(plain), ("%q"):format(text))
      assert.is_nil(offence(json), ("%q"):format(text))
      assert.is_nil(plain:find("\n"))
    end
  end)
end)

describe("grouped", function()
  it("puts commas between thousands", function()
    local cases = { [0] = "0", [12] = "12", [123] = "123", [1234] = "1,234", [123456] = "123,456",
      [1234567] = "1,234,567" }
    for number, text in pairs(cases) do assert.equal(text, format.grouped(number)) end
  end)
end)
