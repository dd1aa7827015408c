-- filter.lua - what to look for: checks a filter and brings it into the form the core takes.
-- Level: pure; requires trail.time. Also the builder behind trail.filter().
-- SPDX-License-Identifier: MIT

local time = require "trail.time"

local filter = {}

local FIELDS = {
  "id", "event_type", "user_id", "action", "resource_type", "resource_id", "result", "request_id",
  "ip_address",
}
local IS_FIELD = {}
for _, field in ipairs(FIELDS) do IS_FIELD[field] = true end

-- "details.region" → "region"
local function path_of(key)
  return type(key) == "string" and key:match("^details%.(.*)$") or nil
end

local function is_matched(key)
  return IS_FIELD[key] or path_of(key) ~= nil
end

local RESULTS = { success = true, failure = true, partial_success = true }
local ORDERS = { newest = true, oldest = true }

local tointeger = rawget(math, "tointeger") or function(number) return number end

-- Two kinds of fault: what only a program can get wrong (a key, a type) is raised as this table
-- and becomes an error; what comes from outside (a word, a time) becomes nil, message, "invalid".
local Fault = {}

local function mistake(...)
  error(setmetatable({ message = string.format(...), throw = true }, Fault), 0)
end

local function refuse(...)
  error(setmetatable({ message = string.format(...), throw = false }, Fault), 0)
end

---- one key after the other -------------------------------------------------------------------

local DETAILS_TYPES = { string = true, number = true, boolean = true }

local function check_detail(key, value)
  if not DETAILS_TYPES[type(value)] then
    mistake("filter '%s' must be a string, a number, a boolean, a list of them or "
      .. "{ [\"not\"] = ... }, not a %s", key, type(value))
  end
  if type(value) == "number" and value - value ~= 0 then
    refuse("filter '%s' is %s, which no event can hold", key, tostring(value))
  end
  return value
end

local function check_value(key, value)
  if path_of(key) then return check_detail(key, value) end
  if type(value) ~= "string" then
    mistake("filter '%s' must be a string, a list of strings or { [\"not\"] = ... }, not a %s",
      key, type(value))
  end
  if key == "result" and not RESULTS[value] then
    -- To find nothing would look like good news.
    refuse("filter 'result' is '%s', must be success, failure or partial_success",
      value:sub(1, 100))
  end
  if key == "id" and value:sub(-1) == "*" then
    refuse("filter 'id' is '%s': an id is looked for as a whole, not by how it begins",
      value:sub(1, 100))
  end
  return value
end

local function refuse_empty(key)
  refuse("filter '%s' is an empty list, which nothing can match", key)
end

local function check_not(key, excluded)
  if type(excluded) == "table" and excluded["not"] ~= nil then
    mistake("filter '%s' has a \"not\" inside a \"not\"", key)
  end
end

-- A string as it is, or the list part of a table as a list of its own.
local function values(key, given)
  if type(given) ~= "table" then return check_value(key, given) end
  local count, list = 0, {}
  for other in pairs(given) do
    if other ~= "not" then count = count + 1 end
  end
  for i = 1, count do list[i] = check_value(key, given[i]) end
  return list
end

-- any of, none of, or both: { "a", "b", ["not"] = "c" }
local function match(key, given)
  local matched = values(key, given)
  if type(given) ~= "table" then return matched end
  local excluded = given["not"]
  if excluded == nil then
    if #matched == 0 then refuse_empty(key) end
    return matched
  end
  check_not(key, excluded)
  excluded = values(key, excluded)
  if type(excluded) == "table" and excluded[1] == nil then
    excluded = nil -- none of nothing
    if #matched == 0 then return nil end
  end
  matched["not"] = excluded
  return matched
end

local function whole(key, given, least)
  local number = given
  if type(given) == "number" and given == given and given % 1 == 0
    and given > -9e15 and given < 9e15 then
    number = tointeger(given)
  elseif type(given) == "number" then
    refuse("filter '%s' is %s, must be a whole number below 9e15", key, tostring(given))
  else
    mistake("filter '%s' must be a number, not a %s", key, type(given))
  end
  if number < least then
    refuse("filter '%s' is %d, must be at least %d", key, number, least)
  end
  return number
end

local function instant(key, given, now_us)
  if type(given) ~= "number" and type(given) ~= "string" then
    mistake("filter '%s' must be a time in words or in microseconds, not a %s", key, type(given))
  end
  local us, message = time.parse(given, now_us)
  if not us then refuse("filter '%s': %s", key, message) end
  return us
end

---- ranges of seqs; 0 stands for an open end ---------------------------------------------------

-- "5", "5..9", "5..", "..9"
local function range_of_text(text)
  local first, last = text:match("^(%d*)%.%.(%d*)$")
  if not first then
    first = text:match("^%d+$") or ""
    last = first
  end
  if first == "" and last == "" then
    refuse("filter 'seq' is '%s', must be such as 5, 5..9, 5.. or ..9", text:sub(1, 100))
  end
  return { first == "" and 0 or whole("seq", tonumber(first), 1),
    last == "" and 0 or whole("seq", tonumber(last), 1) }
end

-- The numbers in { first, last }; either may be nil.
local function range_of_pair(pair)
  for key in pairs(pair) do
    if key ~= 1 and key ~= 2 and key ~= "not" then
      mistake("filter 'seq' takes numbers as { first, last }; "
        .. "in a list each is a string, or a range of its own: { \"5\", { 7, 9 } }")
    end
  end
  return { pair[1] == nil and 0 or whole("seq", pair[1], 1),
    pair[2] == nil and 0 or whole("seq", pair[2], 1) }
end

local function range_of(given)
  if type(given) == "number" then return range_of_pair({ given, given }) end
  if type(given) == "string" then return range_of_text(given) end
  if type(given) ~= "table" then
    mistake("filter 'seq' must be a number, a string such as \"5..9\", { first, last }, "
      .. "a list of those or { [\"not\"] = ... }, not a %s", type(given))
  end
  if given["not"] ~= nil then mistake("filter 'seq' has a \"not\" inside a list") end
  return range_of_pair(given)
end

-- What is given besides "not" as a list of ranges. Two plain numbers are one range; a string or
-- a table among them makes it a list.
local function ranges_of(given)
  if type(given) ~= "table" then return { range_of(given) } end
  local count, is_list = 0, false
  for key, value in pairs(given) do
    if key ~= "not" then
      count = count + 1
      is_list = is_list or type(value) ~= "number"
    end
  end
  if count == 0 then return {} end
  if not is_list then return { range_of_pair(given) } end
  local ranges = {}
  for i = 1, count do ranges[i] = range_of(given[i]) end
  return ranges
end

local function read_seq(plain, given)
  local ranges, excluded = ranges_of(given), nil
  if type(given) == "table" then excluded = given["not"] end
  if excluded ~= nil then
    check_not("seq", excluded)
    local not_ranges = ranges_of(excluded)
    plain.not_ranges = #not_ranges > 0 and not_ranges or nil
  elseif #ranges == 0 then
    refuse_empty("seq")
  end
  if #ranges == 1 and not plain.not_ranges then
    plain.seq_first = ranges[1][1] > 0 and ranges[1][1] or nil
    plain.seq_last = ranges[1][2] > 0 and ranges[1][2] or nil
  elseif #ranges > 0 then
    plain.ranges = ranges
  end
end

---- the other keys ----------------------------------------------------------------------------

local READERS = {
  seq = read_seq,
  -- What became of seq, for a filter that is normalised twice.
  ranges = function(plain, given) plain.ranges = given end,
  not_ranges = function(plain, given) plain.not_ranges = given end,
  seq_first = function(plain, given) plain.seq_first = whole("seq_first", given, 1) end,
  seq_last = function(plain, given) plain.seq_last = whole("seq_last", given, 1) end,
  limit = function(plain, given) plain.limit = whole("limit", given, 0) end,
  after = function(plain, given) plain.after = whole("after", given, 1) end,
  since = function(plain, given, now_us) plain.since = instant("since", given, now_us) end,
  ["until"] = function(plain, given, now_us) plain["until"] = instant("until", given, now_us) end,
  order = function(plain, given)
    if not ORDERS[given] then
      mistake("filter 'order' is '%s', must be newest or oldest", tostring(given))
    end
    plain.order = given
  end,
  unreadable = function(plain, given)
    if type(given) ~= "boolean" then mistake("filter 'unreadable' must be true or false") end
    plain.unreadable = given
  end,
}

local function read_all(given, now_us)
  local plain, where = {}, nil
  for key, value in pairs(given) do
    if is_matched(key) then
      if path_of(key) == "" then mistake("filter 'details.' names no path") end
      plain[key] = match(key, value)
    elseif key == "details" then
      mistake("filter 'details' needs a path: [\"details.region\"] = ...")
    elseif key == "where" then
      if type(value) ~= "function" then
        mistake("filter 'where' must be a function, not a %s", type(value))
      end
      where = value
    elseif READERS[key] then
      READERS[key](plain, value, now_us)
    else
      mistake("unknown filter key '%s'", tostring(key))
    end
  end
  if given.seq ~= nil and (given.seq_first or given.seq_last) then
    mistake("filter 'seq' is given twice")
  end
  return plain, where
end

---- the builder -------------------------------------------------------------------------------

local STATE = {} -- the key under which a builder keeps what it was given
local methods = {}
local Builder = { __index = methods }
local METHOD_OF = {} -- key of a filter → name of the method

-- Put a condition into one of the three tables of the state; what is given twice would hide one
-- of the two. Throws 'level' calls up.
local function add(builder, slot, key, value, level)
  local state = builder[STATE][slot]
  if value == nil then error(("filter '%s': a value is missing"):format(key), level + 1) end
  if state[key] ~= nil then error(("filter '%s' is given twice"):format(key), level + 1) end
  state[key] = value
end

-- Add what may have a "not" in it, as its two halves.
local function add_match(builder, key, given, level)
  if type(given) ~= "table" or given["not"] == nil then
    add(builder, "matched", key, given, level + 1)
    return
  end
  local matched = {}
  for k, value in pairs(given) do
    if k ~= "not" then matched[k] = value end
  end
  if next(matched) ~= nil then add(builder, "matched", key, matched, level + 1) end
  add(builder, "excluded", key, given["not"], level + 1)
end

local LIST_HINT = "; give a list: {...}"

local function check_count(key, count, count_max, hint, level)
  if count <= count_max then return end
  error(("filter '%s' takes one value, not %d%s"):format(key, count, hint), level + 1)
end

local function put(key)
  return function(self, ...)
    check_count(key, select("#", ...), 1, "", 2)
    add(self, "single", key, (...), 2)
    return self
  end
end

-- One more value of a condition, or of its "not"; errors are the fault of two calls up.
local function put_condition(self, key, negate, ...)
  check_count(key, select("#", ...), 1, LIST_HINT, 3)
  if negate then
    add(self, "excluded", key, (...), 3)
  else
    add_match(self, key, (...), 3)
  end
end

-- The conditions of a field: :user{...} sets the list, :not_user{...} its "not".
local function put_match(key, negate)
  return function(self, ...)
    put_condition(self, key, negate, ...)
    return self
  end
end

-- :details("region", "eu"), :not_details("region", {"eu", "us"})
local function put_details(negate)
  return function(self, path, ...)
    if type(path) ~= "string" or path == "" then
      error("details takes a path, such as \"region\", and a value", 2)
    end
    put_condition(self, path_of(path) and path or "details." .. path, negate, ...)
    return self
  end
end

-- :seq(5), :seq("5..9"), :seq{...}; with two arguments the first and the last, nil for an open end
local function put_seq(negate)
  return function(self, ...)
    local count, first, last = select("#", ...), ...
    check_count("seq", count, 2, LIST_HINT, 2)
    local value = first
    if count == 2 then
      for _, bound in pairs({ first, last }) do
        if type(bound) ~= "number" then
          error("filter 'seq' takes two numbers, the first and the last; give a list: {...}", 2)
        end
      end
      value = { first, last }
      if next(value) == nil then value = nil end
    end
    if negate then
      add(self, "excluded", "seq", value, 2)
    else
      add_match(self, "seq", value, 2)
    end
    return self
  end
end

for method, key in pairs({
  user = "user_id", type = "event_type", action = "action", resource_type = "resource_type",
  resource_id = "resource_id", result = "result", request_id = "request_id", ip = "ip_address",
  id = "id",
}) do
  methods[method] = put_match(key, false)
  methods["not_" .. method] = put_match(key, true)
  METHOD_OF[key] = method
end
methods.seq, methods.not_seq = put_seq(false), put_seq(true)
methods.details, methods.not_details = put_details(false), put_details(true)
for _, key in ipairs({ "since", "limit", "order", "after" }) do methods[key] = put(key) end
methods.until_ = put("until")
METHOD_OF["until"] = "until_"

-- Several conditions must all hold; the first one that says no ends it.
function methods:where(...)
  local condition = ...
  check_count("where", select("#", ...), 1, "", 2)
  if type(condition) ~= "function" then
    error("filter 'where' must be a function, not a " .. type(condition), 2)
  end
  local state = self[STATE].single
  local before = state.where
  state.where = before and function(e) return before(e) and condition(e) end or condition
  return self
end

-- An assignment would change nothing, and a filter that is not there finds everything.
function Builder.__newindex(_, key)
  local method = METHOD_OF[key] or (path_of(key) and "details")
    or (type(key) == "string" and methods[key] and key)
  if not method then error(("unknown filter key '%s'"):format(tostring(key)), 2) end
  error(("filter '%s' cannot be assigned: use :%s(...)"):format(key, method), 2)
end

-- What the builder was given, as a filter table.
local function built(builder)
  local state, given = builder[STATE], {}
  for key, value in pairs(state.single) do given[key] = value end
  for key, value in pairs(state.matched) do given[key] = value end
  for key, value in pairs(state.excluded) do
    local matched = given[key]
    local both = { ["not"] = value }
    if type(matched) == "table" then
      for k, v in pairs(matched) do both[k] = v end
    elseif key == "seq" and type(matched) == "number" then
      both[1] = { matched, matched } -- a number alone would be the first of a range
    else
      both[1] = matched
    end
    given[key] = both
  end
  return given
end

-- A value as Lua would write it; of a long list the beginning.
local function show(value)
  if type(value) == "string" then return (("%q"):format(value):gsub("\\\n", "\\n")) end
  if type(value) ~= "table" then
    return type(value) == "function" and "function" or tostring(value)
  end
  local parts, last = {}, 0
  for key in pairs(value) do last = type(key) == "number" and key > last and key or last end
  for i = 1, math.min(last, 10) do parts[i] = show(value[i]) end
  if last > 10 then parts[11] = "..." end
  if value["not"] ~= nil then parts[#parts + 1] = "[\"not\"] = " .. show(value["not"]) end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

function Builder:__tostring()
  local given, parts = built(self), {}
  for key, value in pairs(given) do
    local name = key:match("^[%l_]+$") and key ~= "until" and key or "[" .. show(key) .. "]"
    parts[#parts + 1] = name .. " = " .. show(value)
  end
  if #parts == 0 then return "trail.filter{}" end
  table.sort(parts)
  return "trail.filter{ " .. table.concat(parts, ", ") .. " }"
end

---- the door ----------------------------------------------------------------------------------

-- A filter (table, builder or nil) in the form the core takes, and the 'where' function if there
-- is one. 'given' is not changed. Relative times count from 'now_us' (default: the present).
-- Throws, 'level' calls up, for an unknown key or a wrong type; nil, message, "invalid" for a
-- value that makes no sense.
function filter.normalise(given, now_us, level)
  level = level and level + 1 or 2
  if given == nil then return {} end
  if type(given) ~= "table" then error("a filter is a table, not a " .. type(given), level) end
  if getmetatable(given) == Builder then given = built(given) end
  local good, plain, where = pcall(read_all, given, now_us)
  if good then return plain, where end
  local fault = plain
  if getmetatable(fault) ~= Fault then error(fault, 0) end
  if fault.throw then error(fault.message, level) end
  return nil, fault.message, "invalid"
end

-- A builder that begins with a filter table, or as a copy of another builder, or empty. Every
-- method returns it, and it goes wherever a filter table goes. Throws what a program got wrong.
function filter.builder(given, ...)
  if select("#", ...) > 0 then error("trail.filter takes one filter table", 2) end
  filter.normalise(given, nil, 2)
  local builder = setmetatable({ [STATE] = { single = {}, matched = {}, excluded = {} } }, Builder)
  if getmetatable(given) == Builder then given = built(given) end
  for key, value in pairs(given or {}) do
    if is_matched(key) or key == "seq" then
      add_match(builder, key, value, 2)
    else
      builder[STATE].single[key] = value
    end
  end
  return builder
end

return filter
