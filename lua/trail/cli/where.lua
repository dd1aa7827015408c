-- where.lua - the Lua expressions behind --where, asked of one record after the other.
-- Level: cli; requires trail, trail.format and the terminal.
-- SPDX-License-Identifier: MIT
--
-- In the expression the fields of the event are names: user_id == "alice" and details.gold > 100.
-- 'details' is never nil. An expression that fails on an event does not hold for it: where a value
-- is absent that goes without saying, other failures are counted and reported.

local format = require("trail.format")
local terminal = require("trail.cli.terminal")
local trail = require("trail")

local where = {}

-- Nothing here can change a file or another event's test.
local NAMES = {
  string = string, math = math, tonumber = tonumber, tostring = tostring, type = type,
  ipairs = ipairs, pairs = pairs, select = select, null = trail.null, time = trail.time,
}

local function details_of(record)
  local text = record.details
  if text == nil then return {} end
  local value, message = trail.decode(text)
  if value == nil and message then error(message, 0) end
  return value
end

-- The names an expression sees; 'state.record' is the event at hand.
local function environment(state)
  return setmetatable({}, {
    __index = function(_, name)
      if name == "details" then
        if state.details == nil then state.details = details_of(state.record) end
        return state.details
      end
      if format.is_field(name) then return state.record[name] end
      if NAMES[name] ~= nil then return NAMES[name] end
      terminal.fail(terminal.USAGE, "--where: there is no field '%s'; fields are %s",
        tostring(name), table.concat(format.FIELDS, ", "))
    end,
    __newindex = function(_, name)
      terminal.fail(terminal.USAGE, "--where: '%s' cannot be assigned to", tostring(name))
    end,
  })
end

-- "attempt to compare number with nil", "attempt to index a nil value (field 'a')" ...; but what
-- is called and is not there is a typing error.
local function is_absence(message)
  if message:find("attempt to call", 1, true) then return false end
  return message:find("nil value", 1, true) or message:find("with nil", 1, true)
    or message:find("compare nil", 1, true)
end

-- One expression: test(record) → boolean, and report(), which says on stderr on how many events
-- it failed.
local function compile_one(text)
  local state = { failed = 0 }
  local chunk, message = load("return " .. text, "=--where", "t", environment(state))
  if not chunk then
    terminal.fail(terminal.USAGE, "--where: %s", (message:gsub("^%-%-where:%d+: ", "")))
  end
  -- "return" alone is right Lua, and would find nothing.
  if not load("local _ = " .. text, "=--where", "t") then
    terminal.fail(terminal.USAGE,
      "--where is empty; it wants a Lua expression such as details.gold > 100")
  end

  local function test(record)
    state.record, state.details = record, nil
    local good, result = pcall(chunk)
    if good then return result and true or false end
    if terminal.failure(result) then error(result, 0) end
    local reason = tostring(result):gsub("^%-%-where:%d+: ", "")
    if is_absence(reason) then return false end
    state.failed = state.failed + 1
    if not state.message then state.message, state.seq = reason, record.seq end
    return false
  end

  local function report()
    if state.failed == 0 then return end
    terminal.complain(("--where could not be asked of %s event%s, taken as no (seq %s: %s)"):format(
      format.grouped(state.failed), state.failed == 1 and "" or "s", tostring(state.seq),
      state.message))
  end

  return { test = test, report = report }
end

-- Several expressions, which must all be true: the same two functions. The first one that says
-- no ends it.
function where.compile(texts)
  local conditions = {}
  for index, text in ipairs(texts) do conditions[index] = compile_one(text) end
  return {
    test = function(record)
      for _, condition in ipairs(conditions) do
        if not condition.test(record) then return false end
      end
      return true
    end,
    report = function()
      for _, condition in ipairs(conditions) do condition.report() end
    end,
  }
end

return where
