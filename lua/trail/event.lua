-- event.lua - events with a name: the twelve typed constructors, and define for your own.
-- Level: pure; requires nothing. A constructor turns named arguments into an event table.
-- SPDX-License-Identifier: MIT

local event = {}

-- Names in the order of docs/events.md, then those that were defined later.
event.names = {}
local definitions = {}
-- By event_type; of several definitions for one type the first.
local by_type = {}

-- What marks a list as an array, which matters when it is empty; the face puts trail.array here.
event.array = function(list) return list end

local EVENT_FIELDS = {
  event_type = true, user_id = true, action = true, resource_type = true, resource_id = true,
  result = true, result_error = true, details = true, ip_address = true, user_agent = true,
  request_id = true, timestamp = true, id = true,
  details_json = true, -- details as JSON text, which log:append takes too
}
local RESULTS = { success = true, failure = true, partial_success = true }
-- What the door asks of every event.
local FILLED = { "action", "resource_type", "resource_id", "result" }
-- What every constructor takes besides its own arguments.
local COMMON = {
  "user_id", "ip_address", "user_agent", "request_id", "timestamp", "id", "result_error", "details",
}

-- Checks of details arguments: the value to store, or nil and what it must be.

local function milliseconds(value)
  if type(value) == "number" and value >= 0 and value < math.huge then return value end
  return nil, "must be a number of milliseconds, at least 0"
end

local function strings(value)
  local message = "must be a list of strings"
  if type(value) ~= "table" then return nil, message end
  local count, list = 0, {}
  for _ in pairs(value) do count = count + 1 end
  for i = 1, count do
    if type(value[i]) ~= "string" then return nil, message end
    list[i] = value[i]
  end
  return event.array(list)
end

local function text(value)
  if type(value) == "string" then return value end
  return nil, "must be a string"
end

-- What the words of a command line mean where a constructor wants no string.
local FROM_TEXT = {
  duration_ms = tonumber,
  scopes = function(words)
    local list = {}
    for word in words:gmatch("[^,%s]+") do list[#list + 1] = word end
    return list
  end,
  allowed = function(word)
    if word == "true" then return true end
    if word == "false" then return false end
    return word
  end,
}

local function copy(source)
  local target = {}
  for key, value in pairs(source) do target[key] = value end
  return target
end

local function set_of(...)
  local set = {}
  for i = 1, select("#", ...) do
    for _, name in ipairs((select(i, ...))) do set[name] = true end
  end
  return set
end

local function keys_of(map)
  local list = {}
  for key in pairs(map) do list[#list + 1] = key end
  table.sort(list)
  return list
end

-- A definition is a spec in the form that building an event wants: 'accepts' holds every
-- argument there may be, 'required' those that must be, in the order they are asked for.
local function compile(name, spec)
  local definition = {
    name = name,
    event_type = spec.event_type or name,
    fixed = {},
    required = {},
    defaults = copy(spec.defaults or {}),
    details = copy(spec.details or {}),
    types = spec.types or {},
    check = spec.check,
    prepare = spec.prepare,
  }
  local required = spec.required or {}
  local accepts = set_of(COMMON, required, spec.optional or {}, definition.details,
    keys_of(definition.defaults))
  for _, argument in ipairs(required) do
    definition.required[#definition.required + 1] = argument
  end
  for _, field in ipairs(FILLED) do
    definition.fixed[field] = spec[field]
    if spec[field] == nil and definition.defaults[field] == nil and not set_of(required)[field] then
      definition.required[#definition.required + 1] = field
      accepts[field] = true
    end
  end
  definition.accepts = accepts
  return definition
end

-- Takes the place of what has the same name.
local function add(name, spec)
  if not definitions[name] then event.names[#event.names + 1] = name end
  definitions[name] = compile(name, spec)
  by_type = {}
  for i = #event.names, 1, -1 do
    local definition = definitions[event.names[i]]
    by_type[definition.event_type] = definition
  end
end

-- The arguments with defaults, or nil and what is wrong with their names.
local function accept(definition, args)
  local known = copy(definition.defaults)
  for key, value in pairs(args) do
    if not definition.accepts[key] then
      return nil, string.format("%s: unknown argument '%s'", definition.name, tostring(key))
    end
    known[key] = value
  end
  return known
end

local function missing(definition, args)
  for _, argument in ipairs(definition.required) do
    if args[argument] == nil then
      return string.format("%s: '%s' is missing", definition.name, argument)
    end
  end
  return nil
end

-- details as given, with the named arguments among them.
local function merge_details(definition, args)
  local merged, given = nil, args.details
  if given ~= nil and type(given) ~= "table" then
    return nil, definition.name .. ": 'details' must be a table"
  end
  for _, key in ipairs(definition.details) do
    local value = args[key]
    if value ~= nil then
      if given and given[key] ~= nil then
        return nil, string.format("%s: '%s' is given twice, also in details", definition.name, key)
      end
      local check = definition.types[key]
      if check then
        local checked, message = check(value)
        if checked == nil then
          return nil, string.format("%s: '%s' %s", definition.name, key, message)
        end
        value = checked
      end
      merged = merged or copy(given or {})
      merged[key] = value
    end
  end
  return merged or given
end

-- The event of a definition from its arguments; what was given stands, the rest is filled in.
-- nil and a message if an argument is not what it must be; the engine would see that too, but a
-- field that is computed of it would take the blame.
local function fill(definition, args)
  local filled = { event_type = definition.event_type }
  for field in pairs(EVENT_FIELDS) do
    local value = args[field]
    if value ~= nil and type(value) ~= "string" and field ~= "details" and field ~= "timestamp" then
      return nil, string.format("%s: '%s' must be a string, not a %s", definition.name, field,
        type(value))
    end
    if value ~= nil then filled[field] = value end
  end
  for field, value in pairs(definition.fixed) do
    if type(value) == "function" then value = value(args) end
    if filled[field] == nil then filled[field] = value end
  end
  local details, message = merge_details(definition, args)
  if message then return nil, message end
  filled.details = details
  return filled
end

-- What the check function of the definition says: nil if nothing; else the message, and true if
-- it is the function that is wrong. What it means by true or false nobody can know.
local function run_check(definition, args)
  if not definition.check then return nil end
  local message, more = definition.check(args)
  if type(message) == "string" then return definition.name .. ": " .. message, false end
  if message == nil and more == nil then return nil end
  local found = "a " .. type(message)
  if message == nil then found = "nil and a " .. type(more) end
  return definition.name .. ": check must return a message or nil, not " .. found, true
end

-- Build an event. Returns it; or nil, message and true for a mistake in the program (an unknown,
-- a missing or an ill-typed argument), false for data that the check function refuses.
local function build(definition, args)
  if type(args) ~= "table" then
    return nil, definition.name .. ": a table of arguments is missing", true
  end
  local known, message = accept(definition, args)
  if not known then return nil, message, true end
  if definition.prepare then
    message = definition.prepare(known)
    if message then return nil, definition.name .. ": " .. message, true end
  end
  message = missing(definition, known)
  if message then return nil, message, true end
  local filled, mistake
  filled, message = fill(definition, known)
  if not filled then return nil, message, true end
  message, mistake = run_check(definition, known)
  if message then return nil, message, mistake end
  return filled
end

-- The event that the constructor 'name' makes of 'args', without storing it. Throws for a
-- mistake in the program, 'level' calls up; nil, message, "invalid" for data refused by a check.
function event.build(name, args, level)
  level = level and level + 1 or 2
  local definition = definitions[name]
  if not definition then error("unknown event '" .. tostring(name) .. "'", level) end
  local filled, message, mistake = build(definition, args)
  if filled then return filled end
  if mistake then error(message, level) end
  return nil, message, "invalid"
end

-- Fill in what a flat event leaves out, if its event_type is one known here; other events
-- come back as they are. For words from a command line: numbers may come as text, every field
-- of an event may be given. 'fields' is not changed. Throws nothing of its own:
-- nil, message, "invalid" if an argument is unknown, or missing and nothing else stands for it.
function event.complete(fields)
  local definition = by_type[fields.event_type]
  if not definition then return fields end
  local given, own = {}, {}
  for key, value in pairs(fields) do
    if type(value) == "string" and FROM_TEXT[key] and definition.accepts[key] then
      local converted = FROM_TEXT[key](value)
      if converted ~= nil then value = converted end
    end
    if EVENT_FIELDS[key] and not definition.accepts[key] then
      own[key] = value
    else
      given[key] = value
    end
  end
  local known, message = accept(definition, given)
  if not known then return nil, message, "invalid" end
  for key, value in pairs(own) do known[key] = value end
  message = definition.prepare and definition.prepare(known)
  if message then return nil, definition.name .. ": " .. message, "invalid" end

  local filled
  filled, message = fill(definition, known)
  if not filled then return nil, message, "invalid" end
  for _, field in ipairs(FILLED) do
    if filled[field] == nil then
      return nil, missing(definition, known) or
        string.format("%s: '%s' is missing", definition.name, field), "invalid"
    end
  end
  message = not missing(definition, known) and run_check(definition, known)
  if message then return nil, message, "invalid" end
  return filled
end

function event.is_defined(name)
  return definitions[name] ~= nil
end

---- define ------------------------------------------------------------------------------------

local SPEC_KEYS = {
  event_type = true, action = true, resource_type = true, resource_id = true, result = true,
  required = true, optional = true, defaults = true, details = true, check = true,
}

-- Words of Lua cannot be called as log:word{...}.
local RESERVED = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat
  return then true until while]]):gmatch("%a+") do RESERVED[word] = true end

local function is_identifier(name)
  return type(name) == "string" and name:match("^%a[%w_]*$") ~= nil and #name <= 100
    and not RESERVED[name]
end

-- What is wrong with a list of argument names, or nil.
local function check_names(key, list)
  if list == nil then return nil end
  if type(list) ~= "table" then return key .. " must be a list of argument names" end
  local count, seen = 0, {}
  for _ in pairs(list) do count = count + 1 end
  for i = 1, count do
    local name = list[i]
    if not is_identifier(name) then
      return string.format("%s[%d] must be the name of an argument", key, i)
    end
    if name == "event_type" then return key .. ": event_type is part of the definition" end
    if seen[name] then return string.format("%s: '%s' stands there twice", key, name) end
    seen[name] = true
  end
  return nil
end

local function check_defaults(spec)
  if spec.defaults == nil then return nil end
  if type(spec.defaults) ~= "table" then return "defaults must be a table" end
  for name in pairs(spec.defaults) do
    if not is_identifier(name) or name == "event_type" then
      return string.format("defaults: '%s' is not the name of an argument", tostring(name))
    end
  end
  for _, name in ipairs(spec.required or {}) do
    if spec.defaults[name] ~= nil then
      return string.format("'%s' is required and has a default", name)
    end
  end
  return nil
end

-- Every argument must end up somewhere: in a field of the event or in details.
local function check_places(spec)
  local details = set_of(spec.details or {})
  local lists = { required = spec.required or {}, optional = spec.optional or {},
    defaults = keys_of(spec.defaults or {}) }
  for _, key in ipairs({ "required", "optional", "defaults" }) do
    for _, name in ipairs(lists[key]) do
      if EVENT_FIELDS[name] == nil and not details[name] then
        return string.format("%s: '%s' is neither a field of an event nor in details", key, name)
      end
      if EVENT_FIELDS[name] and spec[name] ~= nil then
        return string.format("%s: '%s' is an argument, but the definition fixes it", key, name)
      end
    end
  end
  for name in pairs(details) do
    if EVENT_FIELDS[name] then
      return string.format("details: '%s' is a field of the event", name)
    end
  end
  return nil
end

-- What the engine would refuse every time.
local function check_fixed(spec)
  local event_type = spec.event_type
  if event_type ~= nil then
    if type(event_type) ~= "string" then return "event_type must be a string" end
    local _, count = event_type:gsub("[^\128-\191]", "")
    if count < 1 or count > 100 then return "event_type must have 1 to 100 characters" end
    if event_type:find("^trail%.") then return "event_type: 'trail.' is the engine's own prefix" end
  end
  local result = spec.result or (spec.defaults and spec.defaults.result)
  if type(result) == "string" and not RESULTS[result] then
    return string.format("result is '%s', must be success, failure or partial_success",
      result:sub(1, 100))
  end
  return nil
end

local function check_spec(spec)
  if type(spec) ~= "table" then return "the definition must be a table" end
  for key in pairs(spec) do
    if not SPEC_KEYS[key] then return string.format("unknown key '%s'", tostring(key)) end
  end
  for _, field in ipairs(FILLED) do
    local kind = type(spec[field])
    if kind ~= "nil" and kind ~= "string" and kind ~= "function" then
      return field .. " must be a string or a function of the arguments"
    end
  end
  if spec.check ~= nil and type(spec.check) ~= "function" then return "check must be a function" end
  return check_names("required", spec.required) or check_names("optional", spec.optional)
    or check_names("details", spec.details) or check_defaults(spec) or check_places(spec)
    or check_fixed(spec)
end

-- Define the event 'name'. 'methods' (may be nil) holds names that are taken. Defining a name
-- again replaces what define made of it before; the twelve that come with trail stay.
-- Throws, 'level' calls up, if name or spec is not right: both are part of a program.
local builtin = {}

function event.define(name, spec, methods, level)
  level = level and level + 1 or 2
  if not is_identifier(name) then
    error(string.format(
      "define: '%s' must be a letter and up to 99 letters, digits or _, and no word of Lua "
      .. "(any other type goes into event_type)", tostring(name)), level)
  end
  local taken = builtin[name] or (methods and methods[name] ~= nil and not definitions[name])
  if taken then error(string.format("define: '%s' is already a method of a log", name), level) end
  local message = check_spec(spec)
  if message then error(string.format("define '%s': %s", name, message), level) end
  add(name, spec)
end

---- the twelve --------------------------------------------------------------------------------

local SUCCESS = "success"

add("auth_attempt", {
  resource_type = "user",
  resource_id = function(args) return args.user_id end,
  required = { "user_id", "result" },
  defaults = { action = "login" },
})

add("authorization", {
  action = function(args) return args.permission end,
  required = { "user_id", "permission", "resource_id", "result" },
  optional = { "allowed" },
  defaults = { resource_type = "resource" },
  prepare = function(args)
    if args.allowed == nil then
      if args.result == nil then return "'allowed' or 'result' is missing" end
      return nil
    end
    if type(args.allowed) ~= "boolean" then return "'allowed' must be true or false" end
    if args.result ~= nil then return "give 'allowed' or 'result', not both" end
    args.result = args.allowed and SUCCESS or "failure"
    return nil
  end,
})

for _, verb in ipairs({ "create", "update", "delete" }) do
  add("workflow_" .. verb, {
    resource_type = "workflow",
    required = { "resource_id", "user_id" },
    defaults = { action = verb, result = SUCCESS },
    details = verb == "update" and { "changes" } or nil,
  })
end

add("workflow_execution", {
  resource_type = "workflow",
  required = { "resource_id", "user_id", "result" },
  defaults = { action = "execute" },
  details = { "duration_ms" },
  types = { duration_ms = milliseconds },
})

add("step_execution", {
  resource_type = "step",
  required = { "resource_id", "workflow_id", "user_id", "result" },
  defaults = { action = "execute" },
  details = { "workflow_id", "duration_ms" },
  types = { workflow_id = text, duration_ms = milliseconds },
})

add("secret_access", {
  resource_type = "secret",
  required = { "resource_id", "user_id" },
  defaults = { action = "read", result = SUCCESS },
})

add("config_change", {
  resource_type = "configuration",
  required = { "resource_id", "user_id", "new_value" },
  defaults = { action = "update", result = SUCCESS },
  details = { "old_value", "new_value" },
})

add("api_key_create", {
  resource_type = "api_key",
  required = { "resource_id", "user_id", "scopes" },
  defaults = { action = "create", result = SUCCESS },
  details = { "scopes" },
  types = { scopes = strings },
})

add("api_key_revoke", {
  resource_type = "api_key",
  required = { "resource_id", "user_id", "reason" },
  defaults = { action = "revoke", result = SUCCESS },
  details = { "reason" },
  types = { reason = text },
})

add("system_event", {
  resource_type = "system",
  required = { "action" },
  defaults = { resource_id = "system", result = SUCCESS },
})

for _, name in ipairs(event.names) do builtin[name] = true end

return event
