-- error_spec.lua - is every message one printable line that fits, and has every status its word.
-- Test: trail.testing's error.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local err = require("trail.testing").error

local seed = math.tointeger(tonumber(os.getenv("TRAIL_SEED"))) or os.time()
local INVALID, BUSY, IO = 1, 2, 11
local ROOM = err.text_max - 1

-- What a message must be whatever went into it.
local function is_printable_line(text)
  if #text > ROOM or not utf8.len(text) then return false end
  for _, code in utf8.codes(text) do
    if code < 0x20 or (code >= 0x7F and code < 0xA0) or code == 0x2028 or code == 0x2029 then return false end
  end
  return true
end

describe("error", function()
  setup(function()
    math.randomseed(seed)
    print(string.format("error_spec: TRAIL_SEED=%d", seed))
  end)

  -- Goal: the words are those of the manual, and any other number has one as well.
  -- Method: all of them, and numbers outside.
  it("has a word for every status", function()
    local words = { [0] = "ok", "invalid", "busy", "full", "queue_full", "closed", "corrupt", "exists",
      "forked", "denied",
      "not_found", "io", "no_memory" }
    for status, word in pairs(words) do assert.equal(word, err.status_name(status)) end
    for _, status in ipairs { 13, -1, 1000000 } do assert.equal("unknown", err.status_name(status)) end
  end)

  -- Goal: text that is fine stays as it is, with the status beside it.
  -- Method: plain, accented and empty messages; an argument that is the old message itself.
  it("passes on printable text", function()
    for _, message in ipairs { "field 'actor' is 300 bytes, the limit is 255", "é😀", "", "100%s %d",
      "back\\slash" } do
      local text, word = err.set(BUSY, message)
      assert.equal(message, text)
      assert.equal("busy", word)
    end
    local text, word = err.set_self("it")
    assert.equal("before it after", text)
    assert.equal("corrupt", word)
  end)

  -- Goal: nothing in an argument can break the line or reach a terminal.
  -- Method: each byte from 1 to 255 alone and between letters; C1 controls, line separators,
  -- surrogates, overlong and half characters.
  it("shows controls and broken UTF-8 as \\xNN", function()
    for byte = 1, 255 do
      local c = string.char(byte)
      local wanted = (byte >= 0x20 and byte < 0x7F) and c or string.format("\\x%02x", byte)
      assert.equal(wanted, (err.set(IO, c)))
      assert.equal("a" .. wanted .. "z", (err.set(IO, "a" .. c .. "z")))
    end
    local cases = {
      ["\xC2\x80"] = "\\xc2\\x80", ["\xC2\x9B31m"] = "\\xc2\\x9b31m", ["\xC2\xA0"] = "\xC2\xA0",
      ["\xE2\x80\xA8"] = "\\xe2\\x80\\xa8", ["\xE2\x80\xA9"] = "\\xe2\\x80\\xa9", ["\xED\xA0\x80"] = "\\xed\\xa0\\x80",
      ["\xC0\x80"] = "\\xc0\\x80", ["\xE0\x80\x80"] = "\\xe0\\x80\\x80", ["\xF4\x90\x80\x80"] = "\\xf4\\x90\\x80\\x80",
      ["\xF0\x80\x80\x80"] = "\\xf0\\x80\\x80\\x80", ["\xE2\x82"] = "\\xe2\\x82", ["\xF0\x9F\x98"] = "\\xf0\\x9f\\x98",
      ["\xE2\x82x"] = "\\xe2\\x82x", ["a\nb\tc\27[0m"] = "a\\x0ab\\x09c\\x1b[0m",
    }
    for given, wanted in pairs(cases) do assert.equal(wanted, (err.set(IO, given))) end
  end)

  -- Goal: what does not fit is cut between two characters, and the cut is marked.
  -- Method: messages of every length around the limit, of characters of one to four bytes and
  -- of escapes, shifted by zero to four bytes.
  it("cuts long messages between characters", function()
    for _, unit in ipairs { "x", "é", "€", "😀", "\n" } do
      local width = unit == "\n" and 4 or #unit
      for shift = 0, 4 do
        for count = (ROOM - shift) // width - 3, (ROOM - shift) // width + 3 do
          local text = err.set(INVALID, ("s"):rep(shift) .. unit:rep(count))
          assert.is_true(is_printable_line(text))
          local whole = shift + width * count <= ROOM
          assert.equal(not whole, text:sub(-3) == "…")
          if whole then
            assert.equal(shift + width * count, #text)
          else
            assert.is_true(#text > ROOM - 3 - width)
            assert.is_nil(text:match("\\x?0?…$"))
          end
        end
      end
    end
    assert.is_true(is_printable_line((err.set(INVALID, ("x"):rep(100000)))))
  end)

  -- Goal: no argument whatever gives anything but a printable line that fits.
  -- Method: 20,000 random byte strings, as message and as prefix.
  it("always gives one printable line", function()
    local function random(len_max)
      local out = {}
      for i = 1, math.random(0, len_max) do
        out[i] = math.random(3) == 1 and utf8.char(math.random(1, 0xFFFF)) or string.char(math.random(1, 255))
      end
      return table.concat(out)
    end
    for i = 1, 20000 do
      local len = i % 100 == 0 and 3000 or 60
      local text = err.set(INVALID, random(len), i % 2 == 0 and random(len) or nil)
      if not is_printable_line(text) then error(string.format("%q (TRAIL_SEED=%d)", text, seed)) end
    end
  end)

  -- Goal: a prefix goes in front, is cleaned itself, and does not clean the rest again.
  -- Method: plain, with controls, and too long for both.
  it("puts a prefix before the message", function()
    local text, word = err.set(INVALID, "field 'id' is no UUID", "event 3: ")
    assert.equal("event 3: field 'id' is no UUID", text)
    assert.equal("invalid", word)
    assert.equal("a\\x0a: b\\x0a", (err.set(INVALID, "b\n", "a\n: ")))
    text = err.set(INVALID, ("x"):rep(600), "event 3: ")
    assert.equal("event 3: " .. ("x"):rep(ROOM - 12) .. "…", text)
    text = err.set(INVALID, "message", ("é"):rep(5000))
    assert.equal(("é"):rep(254) .. "…", text)
  end)

  -- Goal: nobody has to want the message, and success is left alone.
  -- Method: NULL for the place, and a prefix after TRAIL_OK.
  it("works without a place for the message", function()
    assert.same({ "busy", "not_found", "untouched" }, { err.without_place() })
  end)

  -- Goal: a failed system call gets the status a program can act on, and the reason in English.
  -- Method: each errno that has a status of its own, and others.
  it("turns errno into a status and a reason", function()
    local words = { ENOSPC = "full", EDQUOT = "full", EFBIG = "full", EACCES = "denied", EPERM = "denied",
      EROFS = "denied",
      ENOENT = "not_found", ENOMEM = "no_memory", EEXIST = "exists", EIO = "io", EINVAL = "io" }
    for name, wanted in pairs(words) do
      local text, word = err.errno(err.errnos[name], "cannot open 'x'")
      assert.equal(wanted, word, name)
      assert.is_truthy(text:match("^cannot open 'x': %u[%a /-]+$"), text)
    end
    assert.equal("cannot open 'x': No space left on device", (err.errno(err.errnos.ENOSPC, "cannot open 'x'")))
    assert.is_truthy(err.errno(99999, "doing"):match("^doing: Unknown error 99999$"))
  end)

  -- Goal: however long the path, the reason is still there.
  -- Method: paths of up to 5,000 bytes.
  it("cuts the path, not the reason", function()
    for _, len in ipairs { 400, 480, 490, 511, 600, 5000 } do
      local text = err.errno(err.errnos.EACCES, "cannot open '" .. ("é"):rep(len // 2) .. "'")
      assert.is_true(is_printable_line(text))
      assert.is_truthy(text:match(": Permission denied$"), text)
    end
  end)
end)
