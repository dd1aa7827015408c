-- escape.lua - make any bytes safe to print: nothing a terminal obeys, nothing that hides.
-- Level: pure Lua 5.1 to 5.4, requires nothing.
-- SPDX-License-Identifier: MIT
--
-- Escaped are control characters (C0, DEL, C1), line and paragraph separators, everything that
-- changes the direction of text, and what takes no room on the screen (zero-width characters,
-- fillers, variation selectors, tags): two texts that look alike must be alike.

local escape = {}

local byte, find, format = string.byte, string.find, string.format
local gsub, sub = string.gsub, string.sub

-- Pairs of first and last code point, ascending.
local UNSAFE = {
  { 0x80, 0x9F }, { 0xAD, 0xAD }, { 0x34F, 0x34F }, { 0x61C, 0x61C }, { 0x115F, 0x1160 },
  { 0x17B4, 0x17B5 }, { 0x180B, 0x180F }, { 0x200B, 0x200F }, { 0x2028, 0x202E },
  { 0x2060, 0x206F }, { 0x3164, 0x3164 }, { 0xFE00, 0xFE0F }, { 0xFEFF, 0xFEFF },
  { 0xFFA0, 0xFFA0 }, { 0xFFF0, 0xFFFB }, { 0xFFFE, 0xFFFF }, { 0x1BCA0, 0x1BCA3 },
  { 0x1D173, 0x1D17A }, { 0xE0000, 0xE0FFF },
}

local function is_unsafe(point)
  for _, range in ipairs(UNSAFE) do
    if point <= range[2] then return point >= range[1] end
  end
  return false
end

-- How many bytes a sequence has by its first byte, and the smallest code point it may encode.
local function lead_of(first)
  if first >= 0xC2 and first <= 0xDF then return 2, 0x80, first - 0xC0 end
  if first >= 0xE0 and first <= 0xEF then return 3, 0x800, first - 0xE0 end
  if first >= 0xF0 and first <= 0xF4 then return 4, 0x10000, first - 0xF0 end
  return nil
end

-- The code point at the start of a chunk (a lead byte and continuation bytes) and its length
-- in bytes; nil if it is not well-formed UTF-8.
local function decode(chunk)
  local len, smallest, point = lead_of(byte(chunk, 1))
  if not len or #chunk < len then return nil end
  for i = 2, len do
    point = point * 64 + byte(chunk, i) - 0x80
  end
  if point < smallest or point > 0x10FFFF then return nil end
  if point >= 0xD800 and point <= 0xDFFF then return nil end
  return point, len
end

escape.decode = decode

local CHUNK = "[\128-\255][\128-\191]*"
local CACHE_MAX = 20000

-- A function that escapes the bytes above 127 of a text. Chunks are remembered: texts use few
-- different characters, and the memory is bounded.
local function replacer(escape_point, escape_byte)
  local cache, count = {}, 0

  local function compute(chunk)
    local point, len = decode(chunk)
    local out = {}
    if point then
      out[1] = is_unsafe(point) and escape_point(point) or sub(chunk, 1, len)
    else
      len = 0
    end
    for i = len + 1, #chunk do
      out[#out + 1] = escape_byte(byte(chunk, i))
    end
    return table.concat(out)
  end

  local function lookup(chunk)
    local known = cache[chunk]
    if known then return known end
    known = compute(chunk)
    if #chunk <= 4 then
      if count >= CACHE_MAX then cache, count = {}, 0 end
      cache[chunk], count = known, count + 1
    end
    return known
  end

  return function(text)
    return (gsub(text, CHUNK, lookup))
  end
end

-- ---- for people ---------------------------------------------------------------------------

local text_high = replacer(
  function(point) return format("\\u{%x}", point) end,
  function(value) return format("\\x%02x", value) end)

local TEXT_CONTROLS = {}
for value = 0, 31 do TEXT_CONTROLS[string.char(value)] = format("\\x%02x", value) end
TEXT_CONTROLS["\127"] = "\\x7f"
TEXT_CONTROLS["\t"], TEXT_CONTROLS["\n"], TEXT_CONTROLS["\r"] = "\\t", "\\n", "\\r"

-- One line of printable text: "\n", "\x1b", "\u{202e}" stand for what must not be printed, and
-- "\xff" for a byte that is not UTF-8.
function escape.text(text)
  if not find(text, "[%c\128-\255]") then return text end
  text = gsub(text, "%c", TEXT_CONTROLS)
  return text_high(text)
end

-- ---- for JSON -----------------------------------------------------------------------------

local function json_unit(unit)
  return format("\\u%04x", unit)
end

local json_high = replacer(
  function(point)
    if point < 0x10000 then return json_unit(point) end
    point = point - 0x10000
    local low = point % 0x400
    return json_unit(0xD800 + (point - low) / 0x400) .. json_unit(0xDC00 + low)
  end,
  function() return "\\ufffd" end)

local JSON_CONTROLS = {}
for value = 0, 31 do JSON_CONTROLS[string.char(value)] = json_unit(value) end
JSON_CONTROLS["\127"] = json_unit(127)
JSON_CONTROLS['"'], JSON_CONTROLS["\\"] = '\\"', "\\\\"
JSON_CONTROLS["\b"], JSON_CONTROLS["\f"] = "\\b", "\\f"
JSON_CONTROLS["\n"], JSON_CONTROLS["\r"], JSON_CONTROLS["\t"] = "\\n", "\\r", "\\t"

-- The text as a JSON string with its quotes. A byte that is not UTF-8 becomes U+FFFD: JSON
-- cannot hold it.
function escape.json(text)
  if find(text, '[%c"\\\128-\255]') then
    text = gsub(text, '[%c"\\]', JSON_CONTROLS)
    text = json_high(text)
  end
  return '"' .. text .. '"'
end

local JSON_TEXT_CONTROLS = setmetatable({ ["\t"] = " ", ["\n"] = " ", ["\r"] = " " },
  { __index = JSON_CONTROLS })

-- A JSON text on one line, the same value: what is unsafe can only stand inside of strings,
-- where it is written as an escape, and line ends only between tokens.
function escape.json_text(text)
  if not find(text, "[%c\128-\255]") then return text end
  text = gsub(text, "%c", function(control) return JSON_TEXT_CONTROLS[control] end)
  return json_high(text)
end

return escape
