-- query_spec.lua - log:query, log:count and log:append against a model in plain Lua.
-- Level: test; needs `make lib lua`.
-- SPDX-License-Identifier: MIT

local support = require "spec.support"
local trail = require "trail"

local FIELDS = {
  "id", "event_type", "user_id", "action", "resource_type", "resource_id", "result", "request_id", "ip_address",
}

---- the model: what a filter means, without any engine ------------------------------------------

local function is_one_of(value, listed)
  if type(listed) == "string" then return value == listed end
  for _, one in ipairs(listed) do
    if value == one then return true end
  end
  return false
end

local function in_range(seq, range)
  if type(range) == "number" then return seq == range end
  if type(range) == "string" then
    local first, last = range:match("^(%d*)%.%.(%d*)$")
    return seq >= (tonumber(first or range) or 0) and seq <= (tonumber(last or range) or math.huge)
  end
  return seq >= (range[1] or 0) and seq <= (range[2] or math.huge)
end

local function in_any(seq, given)
  if type(given) ~= "table" then return in_range(seq, given) end
  local is_list = false
  for key, value in pairs(given) do is_list = is_list or (key ~= "not" and type(value) ~= "number") end
  if not is_list then return in_range(seq, given) end
  for _, range in ipairs(given) do
    if in_range(seq, range) then return true end
  end
  return false
end

local function model_seq(seq, given)
  if type(given) ~= "table" or given["not"] == nil then return in_any(seq, given) end
  return in_any(seq, given) and not in_any(seq, given["not"])
end

local function model_matches(record, filter)
  for _, field in ipairs(FIELDS) do
    local condition = filter[field]
    if type(condition) == "table" and condition["not"] ~= nil then
      if is_one_of(record[field], condition["not"]) then return false end
      if #condition > 0 and not is_one_of(record[field], condition) then return false end
    elseif condition ~= nil and not is_one_of(record[field], condition) then
      return false
    end
  end
  if filter.since and record.timestamp < filter.since then return false end
  if filter["until"] and record.timestamp >= filter["until"] then return false end
  if filter.seq and not model_seq(record.seq, filter.seq) then return false end
  return not filter.where or filter.where(record)
end

-- The seqs that a filter finds, in its order. 'records' is sorted by seq.
local function model_query(records, filter)
  local found = {}
  local oldest = filter.order == "oldest"
  for step = 1, #records do
    local record = records[oldest and step or #records + 1 - step]
    local behind = not filter.after or (oldest and record.seq > filter.after)
      or (not oldest and record.seq < filter.after)
    if behind and model_matches(record, filter) then
      if filter.limit and #found >= filter.limit then break end
      found[#found + 1] = record.seq
    end
  end
  return found
end

local function seqs(list)
  local numbers = {}
  for i, record in ipairs(list) do numbers[i] = record.seq end
  return numbers
end

---- random filters ------------------------------------------------------------------------------

-- Mostly values that are there, sometimes one that is not.
local function random_value(records, field)
  if math.random(8) == 1 then
    if field == "result" then return "partial_success" end
    if field == "id" then return "00000000-0000-7000-8000-00000000ffff" end
    if field == "ip_address" then return "203.0.113.77" end
    return "nobody"
  end
  local value
  repeat value = records[math.random(#records)][field] until value ~= nil
  return value
end

local function random_match(records, field)
  local function some()
    if math.random(2) == 1 then return random_value(records, field) end
    local list = {}
    for i = 1, math.random(4) do list[i] = random_value(records, field) end
    return list
  end
  local kind = math.random(8)
  if kind <= 5 then return some() end
  if kind <= 7 then return { ["not"] = some() } end
  return { random_value(records, field), random_value(records, field), ["not"] = some() }
end

local function random_range(records)
  local first, last = math.random(#records), math.random(#records)
  if first > last then first, last = last, first end
  local kind = math.random(7)
  if kind == 1 then return first end
  if kind == 2 then return { first, last } end
  if kind == 3 then return tostring(first) .. ".." .. tostring(last) end
  if kind == 4 then return tostring(first) end
  if kind == 5 then return { first, math.min(#records, first + math.random(0, 5)) } end
  if kind == 6 then return ({ { first }, { nil, last } })[math.random(2)] end
  return ({ first .. "..", ".." .. last })[math.random(2)]
end

-- A value, a list, not, or both.
local function random_seq(records)
  local function some()
    if math.random(2) == 1 then return random_range(records) end
    local list = { random_range(records) }
    if type(list[1]) == "number" then list[1] = tostring(list[1]) end
    for i = 2, math.random(6) do list[i] = random_range(records) end
    return list
  end
  local kind = math.random(4)
  if kind <= 2 then return some() end
  if kind == 3 then return { ["not"] = some() } end
  local both = some()
  if type(both) ~= "table" then both = { tostring(both) } end
  both["not"] = some()
  return both
end

local function random_filter(records)
  local filter = {}
  for _ = 1, math.random(0, 3) do
    local field = FIELDS[math.random(#FIELDS)]
    filter[field] = random_match(records, field)
  end
  if math.random(4) == 1 then filter.since = records[math.random(#records)].timestamp end
  if math.random(4) == 1 then
    filter["until"] = records[math.random(#records)].timestamp
    if filter.since and filter.since > filter["until"] then
      filter.since, filter["until"] = filter["until"], filter.since
    end
    if filter.since == filter["until"] then filter.since = nil end
  end
  if math.random(4) == 1 then filter.seq = random_seq(records) end
  if math.random(4) == 1 then
    local modulus = math.random(2, 5)
    filter.where = function(record) return record.seq % modulus == 0 end
  end
  if math.random(2) == 1 then filter.order = math.random(2) == 1 and "oldest" or "newest" end
  return filter
end

local function show(value)
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for key, inner in pairs(value) do parts[#parts + 1] = tostring(key) .. "=" .. show(inner) end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function describe_filter(filter)
  return "TRAIL_SEED=" .. support.seed_value .. " " .. show(filter)
end

local function copy(source)
  local target = {}
  for key, value in pairs(source) do target[key] = value end
  return target
end

describe("a query", function()
  local log, path, records

  setup(function()
    support.seed()
    log, path = support.open_sample(700)
    records = log:query({ order = "oldest" }):all()
  end)

  teardown(function() log:close() end)

  -- Goal: everything that was stored is read back as it was handed in.
  -- Method: 700 sample events, every field of every record against its event.
  it("gives back every event", function()
    assert.equal(701, #records) -- seq 1 is the creation of the trail
    for i = 1, 700 do
      local record, event = records[i + 1], support.sample_event(i)
      assert.equal(i + 1, record.seq)
      for field, value in pairs(event) do assert.same(value, record[field], field .. " of event " .. i) end
      for field in pairs(record) do
        assert.is_truthy(event[field] ~= nil or field == "seq" or field == "recorded_at" or field == "id"
          or field == "previous_hash" or field == "event_hash", field)
      end
      assert.equal(records[i].event_hash, record.previous_hash)
    end
  end)

  -- Goal: the engine finds exactly what the words of the filter mean, in order, and counts it.
  -- Method: 400 random filters, answered by the engine and by the model above.
  it("finds what the model finds", function()
    for _ = 1, 400 do
      local filter = random_filter(records)
      local expected = model_query(records, filter)
      assert.same(expected, seqs(log:query(filter):all()), describe_filter(filter))
      assert.equal(#expected, log:count(filter), describe_filter(filter))
    end
  end)

  -- Goal: pages neither lose nor repeat an event, whatever the filter and the order.
  -- Method: page through random filters with limit and cursor(), also on a second handle.
  it("continues page by page", function()
    local second = assert(trail.open(path, { read_only = true }))
    for round = 1, 100 do
      local filter = random_filter(records)
      local expected = model_query(records, filter)
      local page, paged = copy(filter), {}
      page.limit = math.random(1, 40)
      repeat
        local found = (round % 2 == 0 and log or second):query(page)
        local list = found:all()
        assert.is_true(#list <= page.limit)
        for _, seq in ipairs(seqs(list)) do paged[#paged + 1] = seq end
        page.after = found:cursor()
      until #list < page.limit
      assert.same(expected, paged, describe_filter(filter))
    end
    second:close()
  end)

  -- Goal: limit and after together give the page the model gives; count does not care.
  -- Method: random filters with both, limit 0 among them.
  it("takes limit and after together", function()
    for _ = 1, 200 do
      local filter = random_filter(records)
      local all = #model_query(records, filter)
      filter.limit = math.random(0, 20)
      if math.random(2) == 1 then filter.after = math.random(#records) end
      assert.same(model_query(records, filter), seqs(log:query(filter):all()), describe_filter(filter))
      assert.equal(all, log:count(filter), describe_filter(filter))
    end
  end)

  -- Goal: the builder finds what the table finds.
  -- Method: one filter both ways, to query and to count.
  it("takes a builder", function()
    local table_form = { user_id = { ["not"] = "user-3" }, result = { "failure", "partial_success" }, limit = 25,
      where = function(record) return record.seq % 2 == 0 end }
    local built = trail.filter():not_user("user-3"):result({ "failure", "partial_success" }):limit(25)
      :where(table_form.where)
    assert.same(seqs(log:query(table_form):all()), seqs(log:query(built):all()))
    assert.equal(log:count(table_form), log:count(built))
  end)

  -- Goal: cursor() says where the query stands, from before the first step to after the last.
  -- Method: one query step by step; a where that drops records; a where that fails.
  it("knows where it stands", function()
    local found = log:query({ order = "oldest", seq = { 10, 14 } })
    assert.is_nil(found:cursor())
    assert.equal(10, found().seq)
    assert.equal(10, found:cursor())
    assert.same({ 11, 12, 13, 14 }, seqs(found:all()))
    assert.equal(14, found:cursor())
    assert.is_nil(found())
    assert.equal(14, found:cursor())
    assert.equal(500, log:query({ after = 500 }):cursor())

    found = log:query({ seq = { 10, 14 }, where = function(record) return record.seq > 13 end })
    assert.same({ 14 }, seqs(found:all()))
    assert.equal(10, found:cursor())
    assert.is_true(found:scanned() >= 5)

    found = log:query({ order = "oldest", seq = { 10, 14 }, where = function(record)
      if record.seq == 12 then error("twelve") end
      return true
    end })
    assert.same({ 10, 11 }, { found().seq, found().seq })
    assert.has_error(function() found() end)
    assert.equal(11, found:cursor())
  end)

  -- Goal: a loop may end early, and the rest is still there or can be given back.
  -- Method: break, go on with all(), close in the middle.
  it("can be left and closed", function()
    local found = log:query({ order = "oldest", limit = 5 })
    for record in found do
      if record.seq == 2 then break end
    end
    assert.same({ 3, 4, 5 }, seqs(found:all()))
    found = log:query()
    found()
    found:close()
    found:close()
    assert.is_nil(found())
    assert.same({}, found:all())
  end)

  -- Goal: a query sees what was stored when it began.
  -- Method: append between two steps; the newest-first and the oldest-first query ignore it.
  it("does not see what comes later", function()
    local head = log:head().seq
    local newest, oldest = log:query({ user_id = "late" }), log:query({ order = "oldest", seq = { head } })
    assert(log:append({ event_type = "late", action = "a", resource_type = "t", resource_id = "r", user_id = "late",
      result = "success" }))
    assert.is_nil(newest())
    assert.same({ head }, seqs(oldest:all()))
    assert.equal(1, log:count({ user_id = "late" }))
    records = log:query({ order = "oldest" }):all()
  end)

  -- Goal: the view of the core reaches the records.
  -- Method: details as text.
  it("passes view options on", function()
    local record = log:query({ event_type = "config_change", limit = 1,
      where = function(e) return e.details ~= nil end }, { details = "text" })()
    assert.equal("string", type(record.details))
    assert.equal(trail.encode(log:get(record.seq).details), record.details)
  end)

  -- Goal: what is wrong with a filter is never an empty answer.
  -- Method: query throws at the caller's line; count throws for mistakes and explains data.
  it("refuses a wrong filter", function()
    local function query_throws(text, filter)
      local good, message = pcall(function() local found = log:query(filter); return found end)
      assert.is_false(good)
      assert.is_truthy(message:find("query_spec.lua:%d+: "), message)
      assert.is_truthy(message:find(text, 1, true), message)
    end
    query_throws("unknown filter key 'usr'", { usr = "alice" })
    query_throws("filter 'result' is 'fail', must be success, failure or partial_success", { result = "fail" })
    query_throws("filter 'since': 'rubbish' is not a time", { since = "rubbish" })
    assert.has_error(function() log:count({ usr = "alice" }) end)
    local count, message, code = log:count({ result = "fail" })
    assert.is_nil(count)
    assert.equal("filter 'result' is 'fail', must be success, failure or partial_success", message)
    assert.equal("invalid", code)
    count, message, code = log:count({ id = "no uuid" })
    assert.is_nil(count)
    assert.equal("string", type(message))
    assert.equal("invalid", code)
    query_throws("uuid", { id = "no uuid" })
  end)
end)

describe("a log", function()
  -- Goal: a timestamp in words is stored as microseconds, in one event and in a list, and the
  -- caller's tables stay as they were.
  -- Method: append both ways and read back; refuse nonsense with the number of the event.
  it("takes timestamps in words", function()
    local log = support.open_sample(0)
    local function event(timestamp)
      return { event_type = "e", action = "a", resource_type = "t", resource_id = "r", result = "success",
        timestamp = timestamp }
    end
    local one = event("2026-11-24T10:00:00+01:00")
    assert.equal(1795510800000000, log:get((assert(log:append(one)))).timestamp)
    assert.equal("2026-11-24T10:00:00+01:00", one.timestamp)

    local list = { event(5), event("@7.5"), event(nil) }
    local stored = assert(log:append(list))
    assert.equal(5, log:get(stored[1]).timestamp)
    assert.equal(7500000, log:get(stored[2]).timestamp)
    assert.equal("@7.5", list[2].timestamp)
    local before = trail.now()
    local record = log:get((assert(log:append(event("1 hour ago")))))
    assert.is_true(record.timestamp >= before - 3600000000 and record.timestamp <= trail.now() - 3600000000)

    local head = log:head().seq
    local seq, message, code = log:append(event("2026-02-30"))
    assert.is_nil(seq)
    assert.equal("field 'timestamp': '2026-02-30' is not a time: 2026-02 has 28 days", message)
    assert.equal("invalid", code)
    seq, message = log:append({ event(1), event("25:00") })
    assert.is_nil(seq)
    assert.equal("event 2: field 'timestamp': '25:00' is not a time: there is no hour 25", message)
    assert.equal(head, log:head().seq)
    assert.has_error(function() log:append({ usr = 1 }) end)
    assert.has_error(function() log:append("event") end)
    log:close()
  end)

  -- Goal: the constructors store; what they refuse is not stored.
  -- Method: the examples of the design, define on an open log, a failing check, an empty scope list.
  it("has the typed constructors as methods", function()
    local log = support.open_sample(0)
    local seq, receipt = log:auth_attempt({ user_id = "alice@example.com", result = "failure",
      ip_address = "192.168.1.1" })
    assert.equal(2, seq)
    assert.equal(seq, receipt.seq)
    local record = log:get(seq)
    assert.same({ "auth_attempt", "login", "user", "alice@example.com", "failure", "192.168.1.1" },
      { record.event_type, record.action, record.resource_type, record.resource_id, record.result, record.ip_address })
    seq = log:workflow_execution({ resource_id = "workflow-123", user_id = "user-456", result = "success",
      duration_ms = 500, timestamp = "2 hours ago" })
    assert.same({ duration_ms = 500 }, log:get(seq).details)
    seq = log:api_key_create({ resource_id = "k", user_id = "u", scopes = {} })
    assert.equal('{"scopes":[]}', trail.encode(log:get(seq).details))

    trail.define("trade", { action = "accept", resource_type = "item",
      required = { "user_id", "resource_id", "gold" }, defaults = { result = "success" }, details = { "gold" },
      check = function(args) if args.gold < 0 then return "gold must not be negative" end end })
    assert.equal(500, log:get((log:trade({ user_id = "p", resource_id = "s", gold = 500 }))).details.gold)
    local head = log:head().seq
    local none, message, code = log:trade({ user_id = "p", resource_id = "s", gold = -1 })
    assert.same({ "trade: gold must not be negative", "invalid" }, { message, code })
    assert.is_nil(none)
    none, message, code = log:auth_attempt({ user_id = "u", result = "maybe" })
    assert.is_nil(none)
    assert.equal("invalid", code)
    assert.is_truthy(message:find("result", 1, true))
    local good
    good, message = pcall(function() log:auth_attempt({ result = "failure" }) end)
    assert.is_false(good)
    assert.is_truthy(message:match("query_spec.lua:%d+: auth_attempt: 'user_id' is missing$"), message)
    for _, name in ipairs({ "append", "query", "cursor", "path", "auth_attempt" }) do
      assert.has_error(function() trail.define(name, {}) end)
    end
    assert.equal(head, log:head().seq)
    assert.same({ event_type = "system_event", action = "boot", resource_type = "system", resource_id = "system",
      result = "success" }, trail.event("system_event", { action = "boot" }))
    log:close()
  end)

  -- Goal: the examples of docs/events.md work.
  -- Method: run every Lua block of the page on one log and count what it stored.
  it("runs the examples of the manual", function()
    local log = support.open_sample(0)
    local blocks = 0
    for block in support.read_file("docs/events.md"):gmatch("```lua\n(.-)```") do
      local run = assert((rawget(_G, "loadstring") or load)("local log, trail = ...\n" .. block, "=docs/events.md"))
      run(log, trail)
      blocks = blocks + 1
    end
    assert.equal(3, blocks)
    assert.equal(1 + 4 + 1 + 2, log:head().seq)
    assert.equal(1, log:count({ event_type = "player.ban", action = "ban" }))
    assert.equal(1, log:count({ event_type = "authorization", result = "failure" }))
    log:close()
  end)

  -- Goal: a closed log says so, and a loop over it does not end quietly.
  -- Method: every way to ask a closed log.
  it("says that it is closed", function()
    local log = support.open_sample(3)
    local found = log:query()
    found()
    log:close()
    for _, ask in ipairs({
      function() return log:append(support.sample_event(1)) end,
      function() return log:count() end,
      function() return log:count({ where = function() return true end }) end,
      function() return log:system_event({ action = "a" }) end,
    }) do
      local value, message, code = ask()
      assert.is_nil(value)
      assert.equal("the trail is closed", message)
      assert.equal("closed", code)
    end
    assert.has_error(function() log:query() end)
    assert.has_error(function() found() end)

    -- A fault in the middle of a count keeps its code; here the condition itself closes the log.
    log = support.open_sample(3)
    local count, message, code = log:count({ where = function() log:close() return true end })
    assert.same({ "the trail is closed", "closed" }, { message, code })
    assert.is_nil(count)
  end)
end)

describe("the face", function()
  -- Goal: the names of docs/lua.md are there and do what they say.
  -- Method: each of the small ones once.
  it("has what the manual lists", function()
    for _, name in ipairs({ "open", "define", "event", "filter", "array", "encode", "decode", "time", "format_time",
      "now", "uuid5", "verify" }) do
      assert.equal("function", type(trail[name]), name)
    end
    assert.is_truthy(trail.null)
    assert.equal("string", type(trail._VERSION))
    assert.equal(1795514400000000, trail.time("2026-11-24T10:00:00Z"))
    assert.equal(1795510800000000, trail.time("1 hour ago", 1795514400000000))
    assert.equal("2026-11-24T10:00:00.123456Z", trail.format_time(1795514400123456))
    assert.same({ nil, "'rubbish' is not a time", "invalid" }, { trail.time("rubbish") })
    assert.has_error(function() trail.time({}) end)
    assert.is_true(math.abs(trail.now() / 1e6 - os.time()) < 5)
    assert.equal("886313e1-3b8a-5372-9b90-0c9aee199e5d",
      trail.uuid5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "python.org"))
  end)
end)
