-- json_reference.lua - an independent judge of JSON texts for json_spec: slow and plain.
-- Test: knows nothing of the library; written from RFC 8259 and the rules in src/json.h.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local M = {}

local value -- forward: value(text, at, depth) -> the position behind it, or nil

local function space(text, at)
  return text:match("^[ \t\r\n]*()", at)
end

local function utf8_bytes(code)
  return utf8.char(code)
end

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local function hex4(text, at)
  local digits = text:match("^\\u(%x%x%x%x)", at)
  return digits and tonumber(digits, 16)
end

-- One \uXXXX or a pair of them: what it stands for, and the position behind.
local function unicode(text, at)
  local code = hex4(text, at)
  if not code or code == 0 or (code >= 0xDC00 and code <= 0xDFFF) then return nil end
  if code < 0xD800 or code > 0xDFFF then return utf8_bytes(code), at + 6 end
  local low = hex4(text, at + 6)
  if not low or low < 0xDC00 or low > 0xDFFF then return nil end
  return utf8_bytes(0x10000 + (code - 0xD800) * 0x400 + (low - 0xDC00)), at + 12
end

-- The content of the string at 'at', and the position behind it; or nil.
local function str(text, at)
  if text:sub(at, at) ~= '"' then return nil end
  local out = {}
  at = at + 1
  while true do
    local c = text:sub(at, at)
    if c == "" or c:byte() < 0x20 then return nil end
    if c == '"' then return table.concat(out), at + 1 end
    if c ~= "\\" then
      out[#out + 1], at = c, at + 1
    elseif ESCAPES[text:sub(at + 1, at + 1)] then
      out[#out + 1], at = ESCAPES[text:sub(at + 1, at + 1)], at + 2
    else
      local bytes, behind = unicode(text, at)
      if not bytes then return nil end
      out[#out + 1], at = bytes, behind
    end
  end
end

local function integer_fits(digits)
  return math.type(math.tointeger(tonumber(digits))) ~= nil and digits:find("^%-?%d+$") ~= nil
    and math.type(tonumber(digits)) == "integer"
end

local function number(text, at)
  local whole, behind = text:match("^(%-?%d+)()", at)
  if not whole or whole:find("^%-?0%d") then return nil end
  local fraction, exponent, rest = "", "", behind
  if text:sub(rest, rest) == "." then
    fraction, rest = text:match("^%.(%d+)()", rest)
    if not fraction then return nil end
  end
  if text:find("^[eE]", rest) then
    exponent, rest = text:match("^[eE]([+-]?%d+)()", rest)
    if not exponent then return nil end
  end
  if rest == behind then return integer_fits(whole) and rest or nil end
  local power = tonumber(exponent) or 0
  if power > 16383 or #fraction - power > 16383 then return nil end
  local real = tonumber(text:sub(at, rest - 1))
  return real ~= math.huge and real ~= -math.huge and rest or nil
end

local function array(text, at, depth)
  at = space(text, at + 1)
  if text:sub(at, at) == "]" then return at + 1 end
  while true do
    at = value(text, at, depth)
    if not at then return nil end
    at = space(text, at)
    local c = text:sub(at, at)
    if c == "]" then return at + 1 end
    if c ~= "," then return nil end
    at = at + 1
  end
end

local function object(text, at, depth)
  local seen = {}
  at = space(text, at + 1)
  if text:sub(at, at) == "}" then return at + 1 end
  while true do
    local key, behind = str(text, space(text, at))
    if not key or seen[key] then return nil end
    seen[key] = true
    at = space(text, behind)
    if text:sub(at, at) ~= ":" then return nil end
    at = value(text, at + 1, depth)
    if not at then return nil end
    at = space(text, at)
    local c = text:sub(at, at)
    if c == "}" then return at + 1 end
    if c ~= "," then return nil end
    at = at + 1
  end
end

function value(text, at, depth)
  at = space(text, at)
  local c = text:sub(at, at)
  if c == '"' then
    local content, behind = str(text, at)
    return content and behind
  elseif c == "[" or c == "{" then
    if depth == 0 then return nil end
    return (c == "[" and array or object)(text, at, depth - 1)
  end
  local word, behind = text:match("^(%l+)()", at)
  if word then return (word == "true" or word == "false" or word == "null") and behind or nil end
  return number(text, at)
end

-- Is the text JSON as src/json.h wants it?
function M.accepts(text, depth)
  if not utf8.len(text) then return false end
  local behind = value(text, 1, depth)
  return behind ~= nil and space(text, behind) == #text + 1
end

return M
