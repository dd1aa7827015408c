-- index_binding_spec.lua - what Lua can ask of the index: prefixes, details, top, histogram, explain.
-- Level: test; needs `make lib lua`.
-- SPDX-License-Identifier: MIT

-- luacheck: std lua54+busted
local core = require "trail.core"
local support = require "spec.support"
local trail = require "trail"

local function event(changes)
  local e = { event_type = "trade", action = "accept", resource_type = "item", resource_id = "sword-9",
    result = "success" }
  for key, value in pairs(changes or {}) do e[key] = value end
  return e
end

local function new_log(options)
  local path = support.tmpdir() .. "/audit.trail"
  return assert(trail.open(path, options)), path
end

local function thrown(f, ...)
  local good, message = pcall(f, ...)
  assert.is_false(good, "nothing was thrown")
  return tostring(message)
end

-- The seqs that a filter finds, oldest first, as one text; count must agree.
local function found(log, filter)
  local seqs = {}
  for e in log:query(filter) do table.insert(seqs, 1, e.seq) end
  assert.equal(#seqs, log:count(filter))
  return table.concat(seqs, " ")
end

describe("prefixes", function()
  -- Goal: "svc-*" finds what begins with "svc-", two stars are a real one, on every field.
  -- Method: texts that differ only where a prefix could go wrong, alone, in lists and under not.
  it("find what begins so", function()
    local log = new_log()
    for _, user in ipairs { "svc-a", "svc-b", "svc", "alice", "svc-*", "*", "a*" } do
      assert(log:append(event { user_id = user, ip_address = user == "svc" and "10.1.2.3" or "2001:db8::7" }))
    end
    assert(log:append(event())) -- 9: nobody
    assert.equal("2 3 6", found(log, { user_id = "svc-*" }))
    assert.equal("2 3 4 6", found(log, { user_id = "svc*" }))
    assert.equal("6", found(log, { user_id = "svc-**" }))
    assert.equal("7", found(log, { user_id = "**" }))
    assert.equal("8", found(log, { user_id = "a**" }))
    assert.equal("5 8", found(log, { user_id = "a*" }))
    assert.equal("2 3 4 5 6 7 8", found(log, { user_id = "*" }))
    assert.equal("1 9", found(log, { user_id = { ["not"] = "*" } }))
    assert.equal("2 5 6", found(log, { user_id = { "alice", "svc-*", ["not"] = "svc-b" } }))
    assert.equal("5 7 8", found(log, { user_id = { "*", ["not"] = { "svc*" } } }))
    assert.equal("4", found(log, { ip_address = "10.1.*" }))
    assert.equal("2 3 5 6 7 8", found(log, trail.filter():ip("2001:db8:*"):user("*")))
    assert.equal("1", found(log, { event_type = "trail.*" }))
    assert.equal("2", found(log, { resource_type = "it*", action = "acc*", resource_id = "sword*",
      user_id = "svc-a*" }))
    log:close()
  end)

  it("are none for id and result", function()
    local log = new_log()
    for _, filter in ipairs { { id = "0*" }, { result = "succ*" }, { result = "*" } } do
      assert.equal("invalid", select(3, log:count(filter)))
      assert.equal("invalid", select(3, log:top("user_id", filter)))
      assert.equal("invalid", select(3, log:explain(filter)))
    end
    log:close()
  end)
end)

describe("conditions on details", function()
  -- Goal: a value is found as what it is: text, number and boolean are three things, 5 and 5.0 one.
  -- Method: details with each of them, at paths of each kind, and what must not be found.
  it("find what stands at a path", function()
    local log = new_log { index = { "region", "details.gold" } }
    for _, details in ipairs {
      { region = "eu-1", gold = 500 },                  -- 2
      { region = "eu-2", gold = "500" },                -- 3
      { region = "us", gold = 500.5 },                  -- 4
      { region = { "eu-1", "us" }, vip = true },        -- 5: any of an array
      { actor = { name = "x", age = 7 }, vip = false }, -- 6
      { list = { { n = 1 }, { n = 2 } }, vip = "true" }, -- 7
      { gold = 9007199254740993, region = "e\"\\\n\195\169" }, -- 8
      { gold = -3, region = "" },                       -- 9
    } do
      assert(log:append(event { details = details }))
    end
    local function is(seqs, key, value)
      assert.equal(seqs, found(log, { ["details." .. key] = value }), key .. " " .. tostring(value))
    end
    is("2 5", "region", "eu-1")
    is("2 3 5", "region", "eu-*")
    is("2 4 5", "region", { "eu-1", "us" })
    is("3", "region", { "eu*", ["not"] = "eu-1" })
    is("8", "region", "e\"\\\n\195\169")
    is("8", "region", "e\"*")
    is("9", "region", "")
    is("2 3 4 5 8 9", "region", "*")
    is("2", "gold", 500)
    is("2", "gold", 500.0)
    is("3", "gold", "500")
    is("4", "gold", 500.5)
    is("8", "gold", 9007199254740993)
    is("9", "gold", -3)
    is("2 3", "gold", { 500, "500" })
    is("5", "vip", true)
    is("6", "vip", false)
    is("7", "vip", "true")
    is("1 2 3 4 7 8 9", "vip", { ["not"] = { true, false } })
    is("6", "actor.name", "x")
    is("6", "actor.age", 7)
    is("", "actor", "x")
    is("", "name", "x")
    is("2", "region", { "eu-1", ["not"] = "us" })
    assert.equal("2", found(log, { ["details.region"] = "eu-*", ["details.gold"] = 500, event_type = "trade" }))
    assert.equal("5", found(log, trail.filter { ["details.region"] = "us" }:not_details("gold", { 500.5 })))
    assert.equal("", found(log, { ["details.no"] = 1 }))
    log:close()
  end)

  -- Goal: none of the memory behind a filter is lost while it is read.
  -- Method: more keys, longer values and more values than fit the stack of C; and finalizers that
  -- empty the tables meanwhile, with the collector at its most aggressive.
  it("may be many and long, and may change while they are read", function()
    local log = new_log()
    assert(log:append(event { details = { k1 = ("x"):rep(5000), k2 = 2 } }))
    local filter = { event_type = "trade" }
    for i = 3, 60 do filter["details.k" .. i] = { ["not"] = { i, ("y"):rep(i * 10), true } } end
    filter["details.k1"] = { ("x"):rep(5000), "z", ["not"] = ("x"):rep(4999) }
    filter["details.k2"] = 2
    assert.equal("2", found(log, filter))
    filter["details.k2"] = { 3, ["not"] = 2 }
    assert.equal("", found(log, filter))
    local pause, step = collectgarbage("setpause", 0), collectgarbage("setstepmul", 1000)
    for round = 1, 200 do
      local list, changing = {}, {}
      for i = 1, 20 do list[i] = ("v"):rep(round) .. i end
      for i = 1, 10 do changing["details." .. round .. "." .. i] = { list[i], ["not"] = list } end
      changing.user_id = list
      setmetatable({}, { __gc = function()
        for key in pairs(changing) do changing[key] = nil end
        for i = 1, 20 do list[i] = nil end
      end })
      pcall(core.log_methods.count, log, changing)
      pcall(core.count_explained, log, changing)
    end
    collectgarbage("setpause", pause)
    collectgarbage("setstepmul", step)
    assert.equal("2", found(log, { ["details.k2"] = 2 }))
    log:close()
  end)

  it("are refused, with the key, where they make no sense", function()
    local log = new_log()
    for _, value in ipairs { "a\0b", "\255", { "fine", "\237\160\128" } } do
      local count, message, code = log:count { ["details.region"] = value }
      assert.is_nil(count)
      assert.equal("invalid", code)
      assert.equal("filter 'details.region'", message:match "^filter '[%l_.]+'", message)
    end
    local counted = core.log_methods.cursor
    assert.matches("filter 'details.x': expected a string, a number or a boolean, got table",
      thrown(counted, log, { ["details.x"] = { {} } }), 1, true)
    assert.matches("filter 'details.x': an empty list", thrown(counted, log, { ["details.x"] = {} }))
    assert.matches("filter 'details.x': unknown key in its list", thrown(counted, log, { ["details.x"] = { a = 1 } }))
    log:close()
  end)
end)

describe("top and histogram", function()
  -- Goal: the engine counts as a loop over the events would, and as the loop behind 'where' does.
  -- Method: random filters over many events; all three answers.
  it("count as a loop does", function()
    support.seed()
    local log = new_log { index = { "n", "text", "list" } }
    local batch = {}
    for i = 1, 1500 do
      batch[i] = support.sample_event(i)
      if batch[i].details then batch[i].details.n = i % 23 end
    end
    assert(log:append(batch))
    local fields = { "event_type", "user_id", "action", "resource_type", "resource_id", "result", "request_id",
      "details.n", "details.list", "details.text" }
    local function yes() return true end
    for _ = 1, 30 do
      local filter = {}
      if math.random(2) == 1 then filter.user_id = "user-" .. math.random(3) .. "*" end
      if math.random(2) == 1 then filter.result = { ["not"] = "failure" } end
      if math.random(3) == 1 then filter.seq = { math.random(500), math.random(501, 1500) } end
      if math.random(3) == 1 then filter["details.n"] = { math.random(23), math.random(23) } end
      if math.random(3) == 1 then filter.since = (1795000000 + math.random(90000)) * 1000000 end
      local field, rows = fields[math.random(#fields)], math.random(20)
      local counted = assert(log:top(field, filter, rows))
      assert.equal(log:count(filter), counted.events)
      local slow = trail.filter(filter):where(yes)
      assert.same(counted, assert(log:top(field, slow, rows)), field .. " " .. tostring(slow))
      local interval = ({ "minute", "hour", "day", 1000 * math.random(1000000, 100000000) })[math.random(4)]
      local by_time = assert(log:histogram(interval, filter))
      assert.equal(counted.events, by_time.events)
      assert.same(by_time, assert(log:histogram(interval, slow)), interval .. " " .. tostring(slow))
    end
    log:close()
  end)

  it("have the form the manual says", function()
    local log = new_log { index = { "region" } }
    for i, user in ipairs { "bob", "alice", "bob", "carol" } do
      assert(log:append(event { user_id = user, timestamp = i * 1800000000,
        details = { region = i > 1 and { "eu", "eu", i } or nil } }))
    end
    assert.same({ events = 5, absent = 1, distinct = 3, { value = "bob", count = 2 }, { value = "alice", count = 1 } },
      (log:top("user_id", nil, 2)))
    assert.same({ events = 4, absent = 1, distinct = 4, { value = "eu", count = 3 }, { value = 2, count = 1 },
      { value = 3, count = 1 }, { value = 4, count = 1 } }, (log:top("details.region", { event_type = "trade" })))
    assert.same({ events = 4, { time = 0, count = 1 }, { time = 3600000000, count = 2 },
      { time = 7200000000, count = 1 } }, (log:histogram("hour", { event_type = "trade" })))
    assert.same({ events = 0, absent = 0, distinct = 0 }, (log:top("user_id", { user_id = "nobody" })))
    assert.same({ events = 0 }, (log:histogram("day", { user_id = "nobody" })))
    -- limit, after and order are no matter.
    local all = { event_type = "trade", limit = 1, after = 3, order = "oldest" }
    assert.equal(4, log:top("user_id", all).events)
    assert.equal(4, log:histogram("day", trail.filter(all):where(function() return true end)).events)
    log:close()
  end)

  it("throw for mistakes and return what can happen", function()
    local function yes() return true end
    local log = new_log { index = { "region" } }
    assert.matches("top wants the name of a field, not a number$", thrown(function() return log:top(5) end))
    assert.matches("unknown field 'usr'$", thrown(function() return log:top("usr") end))
    assert.matches("argument 'n': must be at least 1$", thrown(function() return log:top("user_id", {}, 0) end))
    assert.matches("unknown filter key 'usr'$", thrown(function() return log:top("user_id", { usr = 1 }) end))
    assert.matches('microseconds, not "week"$', thrown(function() return log:histogram("week") end))
    assert.matches("microseconds, not nil$", thrown(function() return log:histogram() end))
    for _, case in ipairs { { log:top("id") }, { log:top("details.gold") }, { log:top("user_id", { result = "x" }) },
      { log:top("details.gold", { where = yes }) }, { log:histogram(999) }, { log:histogram(-5, { where = yes }) },
      { log:histogram("day", { since = "never" }) } } do
      assert.is_nil(case[1])
      assert.equal("invalid", case[3])
    end
    assert.equal("mine", thrown(log.top, log, "user_id", { where = function() error("mine", 0) end }))
    log:close()
    assert.same({ nil, "the trail is closed", "closed" }, { log:top("user_id") })
    assert.same({ nil, "the trail is closed", "closed" }, { log:histogram("hour") })
    assert.same({ nil, "the trail is closed", "closed" }, { log:explain() })
    assert.same({ nil, "the trail is closed", "closed" }, { log:index() })
    assert.same({ nil, "the trail is closed", "closed" }, { log:maintain() })
  end)
end)

describe("explain", function()
  local KEYS = { "index_seq", "head_seq", "segments", "segments_skipped", "lookups", "candidates", "records_read",
    "records_tail", "time_us", "found" }

  -- Goal: what was done is told, of a query at any step, of a count, and under 'where'.
  -- Method: each of them; found is what the query finds.
  it("tells how an answer was found", function()
    local log = support.open_sample(100)
    local function check(how, expected)
      assert.equal("string", type(how.plan))
      for _, key in ipairs(KEYS) do
        assert.is_true(how[key] >= 0 and how[key] % 1 == 0, key)
      end
      assert.equal(expected, how.found)
    end
    local filter = { user_id = "user-3" }
    local count = log:count(filter)
    check(log:explain(filter), count)
    check(log:explain(filter, { count = true }), count)
    check(log:explain { user_id = "user-3", limit = 2 }, 2)
    check(log:explain { limit = 0 }, 0)
    check(log:explain { limit = 3, where = function(e) return e.user_id == "user-3" end }, 3)
    check(log:explain({ where = function(e) return e.user_id == "user-3" end }, { count = true }), count)
    check(log:explain(nil, { count = true }), 101)
    local query <close> = log:query(filter)
    assert.is_true(query:explain().records_read <= 101)
    query()
    local some = query:explain().records_read
    assert.equal(count - 1, #query:all())
    assert.is_true(query:explain().records_read >= some)
    assert.equal(query:explain().plan, query:explain().plan)
    log:close()
  end)
end)

describe("the index", function()
  it("is described, maintained, and built anew", function()
    local log = new_log { index = { "region", "details.actor.name" }, indexing = "manual" }
    for i = 1, 10 do assert(log:append(event { details = { region = "r" .. i } })) end
    local before = assert(log:index())
    assert.same({ "region", "actor.name" }, before.paths)
    assert.equal(11, before.head_seq)
    local calls = {}
    assert.is_true(log:maintain { progress = function(done, total) calls[#calls + 1] = { done, total } end })
    for _, call in ipairs(calls) do assert.is_true(call[1] <= call[2]) end
    local index = assert(log:index())
    assert.is_true(index.present)
    assert.is_nil(index.why)
    assert.equal(11, index.index_seq)
    assert.equal(1, index.segments)
    assert.same({ segments = 1, span = 256 }, index.levels[1])
    assert.same({ segments = 0, span = 4096 }, index.levels[2])
    assert.is_true(index.used_len > 0 and index.used_len <= index.file_len)
    assert.is_true(log:maintain { anew = true })
    assert.is_true(log:maintain())
    assert.equal(11, log:index().index_seq)
    log:close()
  end)

  it("can be stopped, and survives what its progress function does", function()
    local log = new_log { indexing = "manual" }
    assert(log:append(event()))
    local stopped = { log:maintain { anew = true, progress = function() return false end } }
    assert.is_nil(stopped[1])
    assert.equal("stopped", stopped[3])
    assert.equal("mine", thrown(log.maintain, log, { anew = true, progress = function() error("mine", 0) end }))
    assert.is_true(log:maintain())
    log:maintain { anew = true, progress = function() log:close() end }
    assert.equal("closed", select(3, log:maintain()))
  end)

  it("cannot be maintained by one who only reads", function()
    local log, path = new_log()
    log:close()
    local reader = assert(trail.open(path, { read_only = true }))
    assert.equal("denied", select(3, reader:maintain()))
    reader:close()
  end)

  it("throws on options that make no sense", function()
    local dir = support.tmpdir()
    local function refused(text, options)
      assert.matches(text, thrown(trail.open, dir .. "/t", options), 1, true)
    end
    refused("option 'index': expected a list of paths, got string", { index = "region" })
    refused("option 'index': expected a list of strings, got number in it", { index = { 5 } })
    refused("option 'index': a path has a NUL byte", { index = { "a\0b" } })
    local many = {}
    for i = 1, 17 do many[i] = "p" .. i end
    refused("option 'index': 17 paths, the limit is 16", { index = many })
    refused("option 'indexing': expected \"background\", \"inline\" or \"manual\"", { indexing = "later" })
    refused("option 'indexing': expected", { indexing = true })
    local log = assert(trail.open(dir .. "/t"))
    assert.matches("unknown option 'now'", thrown(log.maintain, log, { now = true }))
    assert.matches("option 'anew': expected a boolean", thrown(log.maintain, log, { anew = 1 }))
    assert.matches("option 'progress': expected a function", thrown(log.maintain, log, { progress = 5 }))
    for _, word in ipairs { "background", "inline", "manual" } do
      assert(trail.open(dir .. "/" .. word, { indexing = word })):close()
    end
    log:close()
  end)

  it("refuses paths that are none", function()
    local dir = support.tmpdir()
    for index, paths in ipairs { { "" }, { "details." }, { "\255" }, { ("x"):rep(201) } } do
      local log, _, code = trail.open(dir .. "/t" .. index, { index = paths })
      assert.is_nil(log)
      assert.equal("invalid", code)
    end
  end)
end)
