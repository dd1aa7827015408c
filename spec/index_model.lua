-- index_model.lua - random events, filters and accidents of the index against a model in plain Lua;
-- for index_model_spec.
--     lua5.4 spec/index_model.lua SEED ROUNDS UNIT FAN LEVELS
-- Level: test; a process of its own, so that a crash is seen. Exit code 0: all answers were right.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54

local support = require "spec.support"
local small = require "spec.small_index"
local trail = small.trail

local SEED, ROUNDS = tonumber(arg[1]), tonumber(arg[2])
math.randomseed(SEED)
small.shape(tonumber(arg[3]), tonumber(arg[4]), tonumber(arg[5]))

local random = math.random
local PATHS = { "region", "n", "actor.name", "flag", "tags", "deep.a" }
local OTHER_PATHS = { "other", "actor.role", "deep" }
local FIELDS = { "event_type", "user_id", "action", "resource_type", "resource_id", "result", "request_id",
  "ip_address" }
local BEGAN = 1795000000 * 1000000
local LONG = ("long "):rep(205) -- terms are known to the index by 1,024 bytes

-- The whole model: event number seq is events[seq].
local events = {}

local function pick(list) return list[random(#list)] end

---- events --------------------------------------------------------------------------------------

-- As it is given, and the one way to write it.
local ADDRESSES = {
  { "192.0.2.7", "192.0.2.7" }, { "::ffff:192.0.2.7", "192.0.2.7" }, { "::FFFF:c000:207", "192.0.2.7" },
  { "::1", "::1" }, { "0:0:0:0:0:0:0:1", "::1" }, { "2001:db8::7", "2001:db8::7" },
  { "2001:DB8:0:0::7", "2001:db8::7" }, { "2001:db8::70", "2001:db8::70" }, { "10.1.2.3", "10.1.2.3" },
  { "10.1.2.30", "10.1.2.30" }, { "192.0.2.70", "192.0.2.70" },
}
local VALUES = {
  event_type = { "auth", "auth_attempt", "auth.x", "trade" },
  user_id = { "svc-a", "svc-b", "svc", "svc-*", "alice", "bob", "b\195\182b", "u" .. ("x"):rep(90), "*" },
  action = { "read", "update", "login" },
  resource_type = { "item", "it", "user" },
  resource_id = {},
  result = { "success", "failure", "partial_success" },
  request_id = { "req-1", "req-10", "req-2" },
}
for i = 1, 40 do VALUES.resource_id[i] = "r" .. i end
local STRINGS = { "eu", "eu-1", "eu-2", "us", "", "1", "true", "a\"b\\c\n", LONG, LONG .. "a", LONG .. "b",
  "s\195\188d", "*", ("k"):rep(1023), ("k"):rep(1024), ("k"):rep(1022) }
local NUMBERS = { 0, 1, 1.0, -1, 2.5, 500, 1e300, 1 << 53, -9007199254740993, 0.1, 5e15 }

local function scalar()
  local kind = random(6)
  if kind <= 3 then return pick(STRINGS) end
  if kind <= 5 then return pick(NUMBERS) end
  return random(2) == 1
end

local function maybe(chance, value)
  if random() < chance then return value end
end

local function random_details()
  return {
    region = maybe(0.7, pick(STRINGS)), n = maybe(0.7, pick(NUMBERS)), flag = maybe(0.4, random(2) == 1),
    actor = maybe(0.5, { name = scalar(), role = maybe(0.5, pick(STRINGS)) }),
    tags = maybe(0.4, random(2) == 1 and { scalar(), scalar(), { scalar() } } or { "x", "x" }),
    deep = maybe(0.3, random(2) == 1 and { { a = scalar() }, { a = scalar(), b = 1 } } or { a = { scalar() } }),
    other = maybe(0.3, scalar()),
  }
end

-- What the model knows of an event, besides what is handed in: its address in one way.
local function random_event(seq)
  local address = maybe(0.6, pick(ADDRESSES))
  local e = {
    event_type = pick(VALUES.event_type), action = pick(VALUES.action),
    resource_type = pick(VALUES.resource_type), resource_id = pick(VALUES.resource_id),
    result = pick(VALUES.result), user_id = maybe(0.8, pick(VALUES.user_id)),
    request_id = maybe(0.3, pick(VALUES.request_id)), ip_address = address and address[1],
    details = maybe(0.6, random_details()),
    timestamp = BEGAN + seq * 60000000 + random(-300, 300) * 1000000 + (random(50) == 1 and -86400000000 or 0),
    id = random(5) == 1 and string.format("0190a000-0000-7000-8000-%012x", seq) or nil,
  }
  if e.result ~= "success" then e.result_error = "why not" end
  return e, address and address[2]
end

-- JSON that no Lua value gives, and what it means.
local RAW = {
  { '{"n":1}', { n = 1 } }, { '{"n":1.0}', { n = 1 } }, { '{"n":1e0}', { n = 1 } }, { '{"n":10e-1}', { n = 1 } },
  { '{"n":-0.0}', { n = 0 } }, { '{"n":-0}', { n = 0 } }, { '{"n":5E+2}', { n = 500 } },
  { '{"n":0.10}', { n = 0.1 } }, { '{"n":1e300}', { n = 1e300 } }, { '{"n":5000000000000000.0}', { n = 5e15 } },
  { '{"region":"\\u0065u"}', { region = "eu" } }, { '{"region":null,"flag":true}', { flag = true } },
  { '{"region":["eu",["us",[]],{}]}', { region = { "eu", { "us" } } } }, { '"eu"', nil }, { "[]", nil },
  { '{"deep":[{"b":{"a":7}},{"a":[{"a":8},"eu"]}]}', { deep = { { b = { a = 7 } }, { a = { "eu" } } } } },
  { '{"actor":{"name":"eu","name2":"us"}, "a":{"actor":{"name":"us"}}}', { actor = { name = "eu" } } },
}

---- what a filter means -------------------------------------------------------------------------

local function term_of(value)
  if type(value) == "string" then return "s" .. value end
  if type(value) == "boolean" then return "b" .. tostring(value) end
  if math.type(value) == "integer" then return "n" .. value end
  if value == math.floor(value) and math.abs(value) <= 9e15 then return string.format("n%d", value) end
  return string.format("n%.17g", value)
end

-- The values at a path, by their terms.
local function collect(value, path, at, found)
  if type(value) ~= "table" then
    if at == path and value ~= nil then found[term_of(value)] = value end
    return
  end
  for key, inner in pairs(value) do
    if type(key) == "number" then
      collect(inner, path, at, found)
    else
      collect(inner, path, at == "" and key or at .. "." .. key, found)
    end
  end
end

local function details_at(e, path)
  local found = {}
  if type(e.details) == "table" then collect(e.details, path, "", found) end
  return found
end

-- The terms of an event in a field: { [term] = value }, kept once they are known.
local function terms_at(e, field)
  if not e.terms[field] then
    local path, found = field:match "^details%.(.*)$", {}
    if path then
      found = details_at(e, path)
    elseif field == "ip_address" then
      if e.address then found[e.address] = e.address end
    elseif e[field] ~= nil then
      found[e[field]] = e[field]
    end
    e.terms[field] = found
  end
  return e.terms[field]
end

-- One value of a condition: { term, prefix }.
local function has_any(e, field, wanted)
  local found = terms_at(e, field)
  for _, one in ipairs(wanted) do
    if one.prefix then
      for term in pairs(found) do
        if term:sub(1, #one.term) == one.term then return true end
      end
    elseif found[one.term] ~= nil then
      return true
    end
  end
  return false
end

local function in_any(seq, ranges)
  for _, range in ipairs(ranges) do
    if seq >= (range[1] or 1) and seq <= (range[2] or math.huge) then return true end
  end
  return false
end

-- A question is { conditions, ranges, not_ranges, since, until_ }; 'filter' is how the engine is asked.
local function matches(e, q)
  if q.since and e.timestamp < q.since or q.until_ and e.timestamp >= q.until_ then return false end
  if q.ranges and not in_any(e.seq, q.ranges) or q.not_ranges and in_any(e.seq, q.not_ranges) then return false end
  for _, c in ipairs(q.conditions) do
    if has_any(e, c.field, c.wanted) == c.negate then return false end
  end
  return true
end

-- All events up to 'last' that a question finds, oldest first.
local function answer(q, last)
  local found = {}
  for seq = 1, last or #events do
    if matches(events[seq], q) then found[#found + 1] = events[seq] end
  end
  return found
end

---- random questions ----------------------------------------------------------------------------

-- A value as the engine is asked for it, and as the model is.
local function random_value(field)
  local path = field:match "^details%.(.*)$"
  if field == "id" then
    local e = pick(events)
    return e.id, { term = e.id }
  end
  if path then
    local value = scalar()
    if type(value) ~= "string" then return value, { term = term_of(value) } end
    if random(3) == 1 then
      local cut = value:sub(1, random(0, math.min(#value, random(2) == 1 and 4 or 2000)))
      while utf8.len(cut) == nil do cut = cut:sub(1, -2) end
      return cut == "" and "*" or cut .. "*", { term = "s" .. cut, prefix = true }
    end
    return value:sub(-1) == "*" and value .. "*" or value, { term = "s" .. value }
  end
  local value = field == "ip_address" and pick(ADDRESSES) or pick(VALUES[field])
  local asked, term = value, value
  if field == "ip_address" then asked, term = value[1], value[2] end
  if random(10) == 1 and field ~= "result" and field ~= "ip_address" then return "nobody", { term = "nobody" } end
  if field ~= "result" and random(4) == 1 then
    local cut = term:sub(1, random(0, #term))
    while utf8.len(cut) == nil do cut = cut:sub(1, -2) end
    return cut .. "*", { term = cut, prefix = true }
  end
  return asked:sub(-1) == "*" and asked .. "*" or asked, { term = term }
end

local function random_values(field, as_list)
  local value, wanted = random_value(field)
  if not as_list then return value, { wanted } end
  local list, all = { value }, { wanted }
  for i = 2, random(4) do list[i], all[i] = random_value(field) end
  return list, all
end

local function add_condition(q, field)
  if q.filter[field] ~= nil then return end
  local kind = random(8)
  local value, wanted = random_values(field, kind % 2 == 0)
  if kind <= 5 then
    q.filter[field] = value
    q.conditions[#q.conditions + 1] = { field = field, wanted = wanted, negate = false }
  elseif kind <= 7 then
    q.filter[field] = { ["not"] = value }
    q.conditions[#q.conditions + 1] = { field = field, wanted = wanted, negate = true }
  else
    local excluded, unwanted = random_values(field, true)
    value["not"] = excluded
    q.filter[field] = value
    q.conditions[#q.conditions + 1] = { field = field, wanted = wanted, negate = false }
    q.conditions[#q.conditions + 1] = { field = field, wanted = unwanted, negate = true }
  end
end

local function random_ranges()
  local list, asked = {}, {}
  for i = 1, random(3) do
    local first, last = random(#events + 3), random(#events + 3)
    if random(2) == 1 then last = first + random(0, 9) end
    if first > last then first, last = last, first end
    if random(6) == 1 then first = nil elseif random(6) == 1 then last = nil end
    list[i], asked[i] = { first, last }, (first or "") .. ".." .. (last or "")
  end
  return list, asked
end

local function random_question()
  local q = { conditions = {}, filter = {} }
  for _ = 1, pick { 0, 1, 1, 1, 2, 2, 3 } do add_condition(q, pick(FIELDS)) end
  for _ = 1, pick { 0, 0, 1, 1, 2 } do
    add_condition(q, "details." .. pick(random(4) == 1 and OTHER_PATHS or PATHS))
  end
  if random(12) == 1 then add_condition(q, "id") end
  if random(4) == 1 then q.ranges, q.filter.seq = random_ranges() end
  if random(6) == 1 then
    local asked
    q.not_ranges, asked = random_ranges()
    q.filter.seq = q.filter.seq or {}
    q.filter.seq["not"] = asked
  end
  local first, last = pick(events).timestamp, pick(events).timestamp
  if first > last then first, last = last, first end
  if random(4) == 1 then q.since, q.filter.since = first, first end
  if random(4) == 1 and (last > first or not q.since) then q.until_, q.filter["until"] = last, last end
  return q
end

---- the engine against the model ----------------------------------------------------------------

local log, path, mode

local function show(value)
  if type(value) == "string" then return #value < 60 and string.format("%q", value) or "<" .. #value .. " bytes>" end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for key, inner in pairs(value) do parts[#parts + 1] = tostring(key) .. "=" .. show(inner) end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function fail(q, what, expected, got)
  local index = log:index()
  io.write(string.format("%s: expected %s, got %s\nfilter %s\n%d events, indexed to %s, %s\nrepeat: lua5.4 %s %s\n",
    what, show(expected), show(got), show(q.filter), #events, show(index and index.index_seq), mode,
    arg[0], table.concat(arg, " ")))
  os.exit(1, true)
end

local function expect(q, what, expected, got)
  if expected ~= got then fail(q, what, expected, got) end
end

local function expect_rows(q, what, expected, got)
  expect(q, what .. ": rows", #expected, #got)
  for i, e in ipairs(expected) do expect(q, what .. ": row " .. i, e.seq, got[i].seq) end
end

local function reversed(list)
  local other = {}
  for i = #list, 1, -1 do other[#other + 1] = list[i] end
  return other
end

local function asked(q, changes)
  local filter = {}
  for key, value in pairs(q.filter) do filter[key] = value end
  for key, value in pairs(changes) do filter[key] = value end
  return filter
end

local function check_pages(q, expected, order)
  local size, after, got = random(1, 40), nil, {}
  if #expected > 400 then size = 150 end
  repeat
    local page = log:query(asked(q, { order = order, limit = size, after = after })):all()
    for _, e in ipairs(page) do got[#got + 1] = e end
    after = page[#page] and page[#page].seq
  until #page < size
  expect_rows(q, "pages of " .. size .. " " .. order, expected, got)
end

local function check_top(q, found)
  local field = random(2) == 1 and pick(FIELDS) or "details." .. pick(PATHS)
  local rows, row_of, absent = {}, {}, 0
  for _, e in ipairs(found) do
    local any = false
    for term, value in pairs(terms_at(e, field)) do
      any = true
      if not row_of[term] then
        row_of[term] = { term = term, value = value, count = 0 }
        rows[#rows + 1] = row_of[term]
      end
      row_of[term].count = row_of[term].count + 1
    end
    if not any then absent = absent + 1 end
  end
  table.sort(rows, function(a, b) return a.count > b.count or (a.count == b.count and a.term < b.term) end)
  local n = random(1, 12)
  local top = assert(log:top(field, q.filter, n))
  local what = "top " .. n .. " " .. field
  expect(q, what .. ": events", #found, top.events)
  expect(q, what .. ": absent", absent, top.absent)
  expect(q, what .. ": distinct", #rows, top.distinct)
  expect(q, what .. ": rows", math.min(n, #rows), #top)
  for i, row in ipairs(top) do
    expect(q, what .. ": count " .. i, rows[i].count, row.count)
    expect(q, what .. ": value " .. i, rows[i].value, row.value)
  end
end

local function check_histogram(q, found)
  local interval = pick { 60000000, 3600000000, 86400000000, 7 * 60000000 }
  local counts, distinct = {}, 0
  for _, e in ipairs(found) do
    local begin = e.timestamp // interval * interval
    distinct = distinct + (counts[begin] and 0 or 1)
    counts[begin] = (counts[begin] or 0) + 1
  end
  local histogram = assert(log:histogram(interval, q.filter))
  expect(q, "histogram: events", #found, histogram.events)
  expect(q, "histogram: buckets", distinct, #histogram)
  for i, bucket in ipairs(histogram) do
    expect(q, "histogram: bucket " .. i, counts[bucket.time], bucket.count)
    expect(q, "histogram: order", true, i == 1 or histogram[i - 1].time < bucket.time)
  end
end

local function check(q)
  local found = answer(q)
  expect(q, "count", #found, assert(log:count(q.filter)))
  local order = pick { "newest", "oldest" }
  local expected = order == "newest" and reversed(found) or found
  local kind = random(4)
  if kind == 1 then
    check_pages(q, expected, order)
  elseif kind == 2 then
    local how = assert(log:explain(q.filter, { count = true }))
    expect(q, "explain: found", #found, how.found)
    expect(q, "explain: head", #events, how.head_seq)
  elseif kind == 3 then
    check_histogram(q, found)
  else
    check_top(q, found)
  end
  if kind ~= 1 and #expected <= 300 then
    expect_rows(q, order, expected, log:query(asked(q, { order = order })):all())
  end
end

---- what happens --------------------------------------------------------------------------------

local function keep(e, address)
  e.seq, e.address, e.terms = #events + 1, address, {}
  events[e.seq] = e
end

local function append()
  if random(4) == 1 then
    local raw, at = pick(RAW), BEGAN + #events * 60000000
    local seq = assert(small.testing.index.append(log, raw[1], at))
    keep({ event_type = "raw", action = "append", resource_type = "json", resource_id = "text", result = "success",
      details = raw[2], timestamp = at, id = assert(log:get(seq)).id })
    return
  end
  local batch, addresses = {}, {}
  for i = 1, random(1, 3) == 1 and random(60) or random(6) do
    batch[i], addresses[i] = random_event(#events + i)
  end
  local _, receipts = assert(log:append(batch))
  for i, e in ipairs(batch) do
    e.id = receipts[i].id
    keep(e, addresses[i])
    assert(receipts[i].seq == #events)
  end
end

local function open()
  mode = pick { "background", "inline", "manual" }
  log = assert(trail.open(path, { indexing = mode, index = PATHS }))
end

-- Read half of an answer, let things happen, read the rest: nothing that came later is in it.
local function across(accident)
  local q, last = random_question(), #events
  local order = pick { "newest", "oldest" }
  local found = answer(q, last)
  local got, query = {}, log:query(asked(q, { order = order }))
  for _ = 1, random(0, #found) do got[#got + 1] = query() end
  accident()
  for e in query do got[#got + 1] = e end
  expect_rows(q, "across " .. order, order == "newest" and reversed(found) or found, got)
end

local HAPPENINGS = {
  function() assert(log:maintain()) end,
  function() assert(log:maintain { anew = true }) end,
  function()
    local left = random(0, 3)
    log:maintain { progress = function()
      left = left - 1
      return left >= 0
    end }
  end,
  function() os.execute("rm -f " .. path .. "/index.mdb") end,
  function() os.execute("rm -f " .. path .. "/index.mdb*") end,
  function()
    log:close()
    open()
  end,
  append, append, append, append, append, append, append,
}

path = support.tmpdir() .. "/audit.trail"
open()
do
  local e = assert(log:get(1))
  keep(e, e.ip_address)
end
for _ = 1, ROUNDS do
  local happening = pick(HAPPENINGS)
  if log and happening ~= HAPPENINGS[6] and random(4) == 1 then across(happening) else happening() end
  for _ = 1, 4 do check(random_question()) end
end
assert(log:maintain())
local index = log:index()
for _ = 1, 40 do check(random_question()) end
assert(log:verify { in_process = true })
log:close()
io.write(string.format("%d events, indexed to %d, %d segments\n", #events, index.index_seq, index.segments))
os.exit(0, true)
