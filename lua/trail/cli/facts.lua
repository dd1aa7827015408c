-- facts.lua - a handful of named values: aligned lines for people, one JSON object for programs.
-- Level: cli; requires trail.escape and the terminal.
-- SPDX-License-Identifier: MIT

local escape = require("trail.escape")
local terminal = require("trail.cli.terminal")

local facts = {}

-- A value is a text, a number, a boolean, a head { seq, event_hash }, or a list { list = ... } of
-- values: texts, or tables { text = for people, json = for programs }.
local as_json, as_text

function as_json(value)
  if type(value) == "table" and value.list then
    local parts = {}
    for index, item in ipairs(value.list) do parts[index] = as_json(item) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  if type(value) == "table" and value.json then return value.json end
  if type(value) == "table" then
    return ('{"seq":%d,"event_hash":%s}'):format(value.seq, escape.json(value.event_hash))
  end
  if type(value) == "string" then return escape.json(value) end
  return tostring(value)
end

function as_text(value)
  if type(value) == "table" and value.list then
    local parts = {}
    for index, item in ipairs(value.list) do parts[index] = as_text(item) end
    return #parts == 0 and "none" or table.concat(parts, ", ")
  end
  if type(value) == "table" and value.text then return escape.text(value.text) end
  if type(value) == "table" then return ("%d:%s"):format(value.seq, value.event_hash) end
  return escape.text(tostring(value))
end

-- The list of { name, value } as a JSON object; what has no value is left out.
function facts.json(list)
  local parts = {}
  for _, fact in ipairs(list) do
    if fact[2] ~= nil then
      parts[#parts + 1] = '"' .. fact[1] .. '":' .. as_json(fact[2])
    end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

function facts.lines(list)
  local width, lines = 0, {}
  for _, fact in ipairs(list) do
    if fact[2] ~= nil then width = math.max(width, #fact[1]) end
  end
  for _, fact in ipairs(list) do
    if fact[2] ~= nil then
      lines[#lines + 1] = fact[1] .. (" "):rep(width - #fact[1]) .. "  " .. as_text(fact[2]) .. "\n"
    end
  end
  return table.concat(lines)
end

-- Print them: 'kind' is "line" or "json" (or "jsonl"); nil: lines on a terminal, else JSON.
function facts.print(list, kind)
  kind = kind or (terminal.is_terminal(1) and "line" or "jsonl")
  terminal.out(kind == "line" and facts.lines(list) or facts.json(list) .. "\n")
end

return facts
