-- lua_binding_spec.lua - the C module trail.core: what it takes, gives, refuses and survives.
-- Level: test; over trail.core.
-- SPDX-License-Identifier: MIT

-- luacheck: std lua54+busted
local support = require "spec.support"

-- Goal: test C alone, although `require "trail"` in another spec adds Lua methods to its logs.
-- Method: a second copy of the binding (the same file under another name), which has a class of
-- its own. The first one must be there before, because the copy finds its library through it.
require "trail.core"
local core_path = assert(package.searchpath("trail.core", package.cpath))

local function load_copy()
  local copy = support.tmpdir() .. "/core.so"
  support.write_file(copy, support.read_file(core_path))
  return assert(package.loadlib(copy, "luaopen_trail_core")), copy
end

local open_core, loaded_core = load_copy()
local core = open_core()

local function new_log(options)
  local path = support.tmpdir() .. "/audit.trail"
  return assert(core.open(path, options)), path
end

local function event(changes)
  local e = { event_type = "trade", action = "accept", resource_type = "item", resource_id = "sword-9",
    user_id = "player:77", result = "success" }
  for key, value in pairs(changes or {}) do e[key] = value end
  return e
end

local function events(count)
  local list = {}
  for i = 1, count do list[i] = event { request_id = "r" .. i } end
  return list
end

local function seqs_of(cursor)
  local seqs = {}
  for record in cursor.next, cursor do seqs[#seqs + 1] = record.seq end
  return seqs
end

-- The message that f throws.
local function thrown(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok, "nothing was thrown")
  return tostring(message)
end

describe("open", function()
  it("creates, opens, and tells why it cannot", function()
    local log, path = new_log { origin = "here", map_size = 2 ^ 30, busy_ms = 500, create = "new" }
    assert.equal("here", log:info().origin)
    assert.equal(path, log:path())
    assert.equal("trail (" .. path .. ", 1 event, open)", tostring(log))
    log:append { event(), event() }
    assert.equal("trail (" .. path .. ", 3 events, open)", tostring(log))
    assert.is_true(log:close())
    assert.equal("trail (" .. path .. ", closed)", tostring(log))

    assert.equal("exists", (select(3, core.open(path, { create = "new" }))))
    assert.equal("not_found", (select(3, core.open(path .. ".other", { create = false }))))
    local read_only = assert(core.open(path, { read_only = true }))
    assert.equal("denied", (select(3, read_only:append(event()))))
    read_only:close()
  end)

  it("throws on anything it does not know", function()
    local path = support.tmpdir() .. "/audit.trail"
    assert.matches("unknown option 'readonly'", thrown(core.open, path, { readonly = true }))
    assert.matches("unknown option '1'", thrown(core.open, path, { "x" }))
    assert.matches("unknown option %(a boolean%)", thrown(core.open, path, { [true] = 1 }))
    assert.matches("option 'read_only': expected a boolean, got number",
      thrown(core.open, path, { read_only = 1 }))
    assert.matches("option 'create': expected true, false or \"new\"",
      thrown(core.open, path, { create = "old" }))
    assert.matches("option 'origin': expected a string", thrown(core.open, path, { origin = 5 }))
    assert.matches("option 'map_size': must be at least 0", thrown(core.open, path, { map_size = -1 }))
    assert.matches("option 'size_max': 1.5 is not a whole", thrown(core.open, path, { size_max = 1.5 }))
    assert.matches("option 'busy_ms': expected an integer", thrown(core.open, path, { busy_ms = "1" }))
    assert.matches("table expected", thrown(core.open, path, 5))
    assert.matches("string expected", thrown(core.open, 5))
    assert.matches("string expected", thrown(core.open))
    assert.matches("NUL", thrown(core.open, "a\0b"))
    assert.equal("not_found", (select(3, core.open(path, { create = false }))))
  end)
end)

describe("append", function()
  it("gives seq and receipt, or lists of them", function()
    local log = new_log()
    local seq, receipt = log:append(event())
    assert.equal(2, seq)
    assert.equal(2, receipt.seq)
    assert.matches("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-7%x%x%x%-%x%x%x%x%-%x+$", receipt.id)
    assert.equal(64, #receipt.event_hash)
    assert.equal("integer", math.type(receipt.recorded_at))
    assert.is_false(receipt.duplicate)

    local seqs, receipts = log:append(events(1000))
    assert.equal(1000, #seqs)
    assert.equal(1000, #receipts)
    for i = 1, 1000 do
      assert.equal(i + 2, seqs[i])
      assert.equal(i + 2, receipts[i].seq)
    end
    assert.equal(receipts[1000].event_hash, log:head().event_hash)
    assert.equal(1002, log:head().seq)
  end)

  it("stores every field as it was given", function()
    local log = new_log()
    local given = event { result = "failure", result_error = "no gold", ip_address = "192.0.2.1",
      user_agent = "agent/1", request_id = "r", timestamp = 1795000000123456.0,
      id = "0190A000-0000-7000-8000-000000000001",
      details = { gold = 500, list = core.array {}, none = core.null, big = math.maxinteger } }
    local seq, receipt = log:append(given)
    local record = assert(log:get(seq))
    for key, value in pairs(given) do
      if key ~= "details" and key ~= "id" then assert.equal(value, record[key]) end
    end
    assert.equal(given.id:lower(), record.id)
    assert.equal("integer", math.type(record.timestamp))
    assert.equal(core.encode(given.details), core.encode(record.details))
    assert.equal(receipt.event_hash, record.event_hash)
    assert.equal(receipt.recorded_at, record.recorded_at)
    assert.equal(log:get(1).event_hash, record.previous_hash)
    assert.same(record, log:get(given.id))

    local again, second = log:append(given)
    assert.equal(seq, again)
    assert.is_true(second.duplicate)
    given.action = "other"
    assert.equal("exists", (select(3, log:append(given))))
  end)

  it("takes any JSON value as details, or its text", function()
    local log = new_log()
    for _, details in ipairs { 5, "text", true, false, core.null, 1.5 } do
      local seq = assert(log:append(event { details = details }))
      assert.equal(details, log:get(seq).details)
    end
    local text = ' { "b" : 1.0, "a" : [ ] } '
    local seq = assert(log:append(event { details_json = text }))
    assert.equal(text, log:get(seq, { details = "text" }).details)
    assert.equal("invalid", (select(3, log:append(event { details_json = "{" }))))
    assert.matches("'details' and 'details_json' exclude each other",
      thrown(log.append, log, event { details_json = "1", details = 1 }))
  end)

  it("throws on mistakes, and names them", function()
    local log = new_log()
    local function refused(pattern, changes)
      assert.matches(pattern, thrown(core.check, event(changes)))
      assert.matches("event 2: " .. pattern, thrown(core.check, { event(), event(changes) }))
    end
    refused("unknown field 'userid'", { userid = "x" })
    refused("unknown field '7'", { [7] = "x" })
    refused("unknown field %(a boolean%)", { [true] = "x" })
    refused("unknown field 'user_id\\x00'", { ["user_id\0"] = "x" })
    refused("field 'user_id': expected a string, got number", { user_id = 5 })
    refused("field 'action': expected a string, got table", { action = {} })
    refused("field 'id': expected a string, got number", { id = 5 })
    refused("field 'timestamp': expected an integer %(microseconds%), got string", { timestamp = "5" })
    refused("field 'timestamp': 1.5 is not a whole number", { timestamp = 1.5 })
    refused("field 'timestamp': .* is not a whole number", { timestamp = 1e300 })
    refused("field 'timestamp': .* is not a whole number", { timestamp = 0 / 0 })
    refused("details.a: a function has no JSON form", { details = { a = print } })
    for name, call in pairs { append = function(...) return log:append(...) end, check = core.check } do
      assert.matches(name .. " takes one event or one list of events", thrown(call, event(), event()))
    end
    assert.matches("table expected", thrown(log.append, log, "x"))
    assert.matches("table expected", thrown(log.append, log))
    assert.matches("event 2: expected a table, got string", thrown(core.check, { event(), "x" }))
    assert.matches("a list of events: unknown field 'user_id'",
      thrown(core.check, { event(), user_id = "x" }))
    assert.equal(1, log:head().seq)
  end)

  it("returns nil, message, 'invalid' for what is wrong with data, and stores nothing", function()
    local log = new_log()
    local function refused(pattern, changes)
      local results = { core.check(event(changes)) }
      assert.is_nil(results[1])
      assert.matches(pattern, results[2])
      assert.equal("invalid", results[3])
      local seq, message, code = log:append { event(), event(changes) }
      assert.is_nil(seq)
      assert.matches("^event 2: .*" .. pattern, message)
      assert.equal("invalid", code)
    end
    refused("'id'.*not a UUID", { id = "x" })
    refused("'user_id'", { user_id = ("x"):rep(256) })
    refused("'user_id'", { user_id = "\xff" })
    refused("'timestamp'", { timestamp = math.mininteger })
    refused("'timestamp'", { timestamp = math.maxinteger })
    refused("details.a: invalid UTF%-8", { details = { a = "\xff" } })
    refused("details: NaN", { details = 0 / 0 })
    local deep = {}
    for _ = 1, 32 do deep = { deep } end
    refused("nested more than 32 deep", { details = deep })
    assert.is_true(core.check(event { details = deep[1] }))
    refused("more than 1048576 bytes", { details = { ("x"):rep(1048576) } })
    assert.is_true(core.check(event { details = ("x"):rep(1048574) }))
    assert.equal("invalid", (select(3, log:append {})))
    assert.equal("invalid", (select(3, log:append(events(65537)))))
    assert.equal(1, log:head().seq)
  end)

  -- Goal: times in words are read by whoever is set for it, who may say no, throw, or be of no use.
  -- Method: parsers of each kind in a copy of the binding, with an event and with a list.
  it("reads times in words with a function of Lua", function()
    local other = load_copy()()
    local log = assert(other.open(support.tmpdir() .. "/audit.trail"))
    assert.matches("expected an integer %(microseconds%), got string", thrown(other.check, event { timestamp = "x" }))
    local answer
    other.set_time_parser(function(words) return answer(words) end)
    answer = function(words) return #words end
    assert.equal(5, log:get((log:append(event { timestamp = "words" }))).timestamp)
    local seqs = assert(log:append { event { timestamp = 7 }, event { timestamp = "three" }, event() })
    assert.same({ 7, 5 }, { log:get(seqs[1]).timestamp, log:get(seqs[2]).timestamp })
    for _, returned in ipairs { { nil, "no time" }, {}, { 1.5 } } do
      answer = function() return returned[1], returned[2] end
      assert.same({ nil, "event 2: field 'timestamp': " .. (returned[2] or "the words are no time"), "invalid" },
        { log:append { event(), event { timestamp = "x" } } })
    end
    answer = function() error("mine", 0) end
    assert.equal("mine", thrown(log.append, log, event { timestamp = "x" }))
    assert.equal(5, log:head().seq)
    assert.matches("function expected", thrown(other.set_time_parser, "x"))
  end)

  -- Goal: a table of many megabytes is refused before its text is built.
  -- Method: one string a thousand times, a gigabyte as JSON; the memory must not be asked for.
  it("gives up on details that are too long, early", function()
    local big, list = ("x"):rep(1048576), {}
    for i = 1, 1000 do list[i] = big end
    collectgarbage() collectgarbage()
    collectgarbage "stop"
    local before = collectgarbage "count"
    local _, message = core.check(event { details = list })
    local used = collectgarbage "count" - before
    collectgarbage "restart"
    assert.matches("more than 1048576 bytes", message)
    assert(used < 4096, used .. " KiB")
  end)
end)

describe("get, head, info, count", function()
  it("read", function()
    local log, path = new_log()
    log:append(events(10))
    local head, info = log:head(), log:info()
    assert.same(head, info.head)
    assert.equal(log:get(head.seq).event_hash, head.event_hash)
    for _, key in ipairs { "log_id", "origin", "format", "head", "created_at", "file_len", "used_len",
      "map_size", "size_max", "foreign_ids", "readers", "readers_max" } do
      assert.is_not_nil(info[key], key)
    end
    assert.equal(path, log:path())
    assert.equal(11, log:count())
    assert.equal(10, log:count { event_type = "trade" })
    assert.equal("not_found", (select(3, log:get(99))))
    assert.equal("not_found", (select(3, log:get "0190a000-0000-7000-8000-000000000001")))
    assert.equal("invalid", (select(3, log:get "5")))
    assert.matches("'seq': must be at least 0", thrown(log.get, log, -1))
    assert.matches("'seq': 1.5 is not a whole", thrown(log.get, log, 1.5))
    assert.matches("a seq or an id expected", thrown(log.get, log))
    assert.matches("unknown option 'byte'", thrown(log.get, log, 1, { byte = true }))
    assert.matches("option 'details': expected \"value\" or \"text\"",
      thrown(log.get, log, 1, { details = "json" }))
  end)

  it("give the stored bytes when they are asked for", function()
    local log = new_log()
    log:append(event { details = { a = 1 } })
    local plain, full = log:get(2), log:get(2, { bytes = true, details = "value" })
    for _, key in ipairs { "stored", "entry", "who", "details_part" } do
      assert.is_nil(plain[key])
      assert.is_string(full[key])
    end
    assert.is_truthy(full.stored:find(full.entry, 1, true))
    assert.is_truthy(full.who:find("player:77", 1, true))
    assert.is_truthy(full.details_part:find('{"a":1}', 1, true))
    assert.same({ a = 1 }, full.details)
  end)
end)

describe("filters", function()
  local log

  setup(function()
    log = new_log()
    for i = 1, 20 do
      assert(log:append(event { user_id = "u" .. i % 4, timestamp = 1795000000000000 + i,
        request_id = i % 2 == 0 and "even" or nil }))
    end
  end)

  local function found(filter)
    local cursor = assert(log:cursor(filter))
    local seqs = seqs_of(cursor)
    assert.equal(#seqs, filter.limit or filter.after and #seqs or log:count(filter))
    return table.concat(seqs, " ")
  end

  it("find what they name", function()
    assert.equal("20 16 12 8 4", found { user_id = "u3" })
    assert.equal("21 20 17 16 13 12 9 8 5 4", found { user_id = { "u3", "u0" } })
    assert.equal("4 5 8 9", found { user_id = { "u3", "u0" }, order = "oldest", limit = 4 })
    assert.equal("21 20", found { user_id = { ["not"] = { "u1", "u2" } }, limit = 2 })
    assert.equal("20 16 12 8 4", found { user_id = { "u3", "u0", ["not"] = "u0" } })
    assert.equal("1", found { event_type = { ["not"] = "trade" } })
    assert.equal("20 18 16", found { seq_first = 15, request_id = { ["not"] = "even" } })
    assert.equal("4 3", found { since = 1795000000000002, ["until"] = 1795000000000004,
      event_type = "trade" })
    assert.equal("7 6", found { seq_first = 6, seq_last = 7.0 })
    assert.equal("18 17", found { after = 19, limit = 2 })
    assert.equal(21, select(2, found({}):gsub("%d+", "")))
  end)

  it("hold more values than fit the stack of C", function()
    local many = {}
    for i = 1, 500 do many[i] = "x" .. i end
    many[501] = "u3"
    many["not"] = many
    assert.matches("unknown key in its list", thrown(log.count, log, { user_id = many }))
    many["not"] = { "a", "u1" }
    assert.equal(5, log:count { user_id = many })
  end)

  it("throw on what they do not know", function()
    local function refused(pattern, filter)
      assert.matches(pattern, thrown(log.count, log, filter))
      assert.matches(pattern, thrown(log.cursor, log, filter))
    end
    refused("unknown filter 'user'", { user = "x" })
    refused("unknown filter '1'", { "x" })
    refused("filter 'user_id': an empty list", { user_id = {} })
    refused("filter 'user_id': an empty list", { user_id = { ["not"] = {} } })
    refused("filter 'user_id': expected a string, got number", { user_id = 5 })
    refused("filter 'user_id': expected a string, got number", { user_id = { 5 } })
    refused("filter 'user_id': expected a string, got boolean", { user_id = { ["not"] = true } })
    refused("filter 'user_id': expected a string, got table", { user_id = { ["not"] = { {} } } })
    refused("filter 'user_id': unknown key in its list", { user_id = { no = "x" } })
    refused("filter 'user_id': unknown key in its list", { user_id = { ["not"] = { ["not"] = "x" } } })
    refused("filter 'limit': must be at least 0", { limit = -1 })
    refused("filter 'limit': 1.5 is not a whole", { limit = 1.5 })
    refused("filter 'after': expected an integer, got string", { after = "5" })
    refused("filter 'since': expected an integer, got string", { since = "yesterday" })
    refused("filter 'order'", { order = "up" })
    refused("filter 'unreadable': expected a boolean", { unreadable = 1 })
    refused("table expected", 5)
  end)
end)

describe("a cursor", function()
  it("sees what was there when it began, counts, and ends for good", function()
    local log = new_log()
    log:append(events(600))
    local cursor = assert(log:cursor({ order = "oldest" }, { details = "text" }))
    log:append(events(5))
    local seqs = seqs_of(cursor)
    assert.equal(601, #seqs)
    for i = 1, 601 do assert.equal(i, seqs[i]) end
    assert.equal(601, cursor:scanned())
    assert.is_nil(cursor:next())
    assert.equal("trail cursor (at the end)", tostring(cursor))
    assert.is_true(cursor:close())
    assert.is_true(cursor:close())
    assert.equal(601, cursor:scanned())
    assert.equal("the cursor is closed", thrown(cursor.next, cursor))
  end)

  it("is closed with its log, and throws then", function()
    local log = new_log()
    log:append(events(10))
    local first, second, third = log:cursor(), log:cursor(), log:cursor()
    assert.equal(11, first:next().seq)
    assert.equal(11, second:next().seq)
    second:close()
    log:close()
    for _, cursor in ipairs { first, second, third } do
      assert.equal("the trail is closed", thrown(cursor.next, cursor))
      assert.is_true(cursor:close())
    end
    assert.equal("number", type(first:scanned()))
  end)

  it("keeps its log alive", function()
    local log = new_log()
    log:append(events(300))
    local cursor = assert(log:cursor())
    log = nil -- luacheck: ignore
    for _ = 1, 3 do collectgarbage() end
    assert.equal(301, #seqs_of(cursor))
  end)
end)

describe("a closed log", function()
  it("says so", function()
    local log = new_log()
    log:close()
    assert.is_true(log:close())
    for _, call in ipairs {
      function() return log:append(event()) end, function() return log:append { event() } end,
      function() return log:get(1) end, function() return log:head() end, function() return log:info() end,
      function() return log:count() end, function() return log:cursor() end, function() return log:path() end,
      function() return log:verify() end, function() return log:verify { in_process = true } end,
    } do
      local results = { call() }
      assert.is_nil(results[1])
      assert.equal("the trail is closed", results[2])
      assert.equal("closed", results[3])
    end
  end)

  it("closes at the end of its scope, and by the collector", function()
    local log, path = new_log()
    do
      local scope = load "local log <close> = ...; return log:head().seq"
      assert.equal(1, scope(log))
    end
    assert.equal("closed", (select(3, log:head())))
    for _ = 1, 50 do assert(core.open(path)):head() end
    collectgarbage() collectgarbage()
    local again = assert(core.open(path))
    assert(again:info().readers < 40, again:info().readers)
  end)
end)

describe("wrong objects", function()
  -- Goal: no value in the place of a log or a cursor can do harm.
  -- Method: every method with every kind of value as self.
  it("are refused", function()
    local log = new_log()
    local cursor = log:cursor()
    local values = { false, 5, "x", {}, print, io.stdout, coroutine.create(print), core.null,
      setmetatable({}, { __index = core.log_methods }) }
    for _, methods in ipairs { core.log_methods, core.cursor_methods } do
      for _, method in pairs(methods) do
        for _, value in ipairs(values) do assert.is_false((pcall(method, value))) end
        assert.is_false((pcall(method, nil)))
        assert.is_false((pcall(method, methods == core.log_methods and cursor or log)))
      end
    end
    assert.matches("trail log expected, got no value", thrown(core.log_methods.head))
    assert.matches("trail cursor expected, got table", thrown(core.cursor_methods.next, {}))
    assert.is_false(getmetatable(log))
  end)
end)

describe("verify", function()
  -- A child reports progress ten times a second: whether it comes to that depends on the
  -- machine. In this process it is sure.
  local log, path, head
  local count = 20000

  setup(function()
    log, path = new_log()
    for _ = 1, count / 5000 do assert(log:append(events(5000))) end
    head = log:head()
  end)

  it("reports, in this process and in a child", function()
    for _, check in ipairs {
      function(options) return log:verify(options) end,
      function(options) options.in_process = true return log:verify(options) end,
      function(options) return core.verify_path(path, options) end,
    } do
      local calls = 0
      local options = { expect_head = head, progress = function(done, total)
        calls = calls + 1
        assert(done <= total)
      end }
      local report = assert(check(options))
      assert.is_true(report.ok)
      assert.is_true(report.complete)
      assert.is_true(report.head_expected)
      assert.equal("none", report.fault)
      assert.equal(0, report.first_bad_seq)
      assert.equal(count + 1, report.entries)
      assert.equal(count + 1, report.last_good_seq)
      assert.same(head, report.head)
      assert.equal(report.text, tostring(report))
      assert(calls > 0 or not options.in_process)

      local wrong = { seq = 10, event_hash = head.event_hash:upper() }
      local good, message, code, bad = check { expect_head = wrong }
      assert.is_nil(good)
      assert.equal("corrupt", code)
      assert.equal(message, bad.text)
      assert.is_false(bad.ok)
      assert.not_equal("none", bad.fault)
      assert.equal("invalid", (select(3, check { expect_head = { seq = 1, event_hash = "zz" } })))

      -- assert must not take a check that was stopped for a yes. A child that is asked to stop may
      -- have come to its end just then.
      local whole, text, word, stopped = check { progress = function() return false end }
      assert(whole == nil or whole.ok and whole.complete and not options.in_process)
      if not whole then
        assert.equal("stopped", word)
        assert.matches("^stopped at entry %d+ of " .. count + 1 .. ": right so far$", text)
        assert.equal(text, tostring(stopped))
        assert.same({ false, false, "none" }, { stopped.ok, stopped.complete, stopped.fault })
      end
    end
    assert.equal("not_found", (select(3, core.verify_path(path .. ".other"))))
  end)

  it("throws what the progress function throws, after the check has ended", function()
    local mine = {}
    for i, check in ipairs {
      function(progress) return log:verify { progress = progress, in_process = true } end,
      function(progress) return log:verify { progress = progress } end,
      function(progress) return core.verify_path(path, { progress = progress }) end,
    } do
      local called = i == 1
      local ok, err = pcall(check, function() called = true error(mine) end)
      assert.equal(not called, ok)
      if called then
        assert.equal(mine, err)
        -- It cannot yield either: C is in the middle.
        assert.matches("yield", select(2, coroutine.resume(coroutine.create(function()
          check(coroutine.yield)
        end))))
      end
    end
    assert(log:head())
  end)

  -- Goal: closing a log in the middle of its own check waits for the check.
  it("survives a progress function that closes the log", function()
    local closing = new_log()
    closing:append(events(10))
    local report = assert(closing:verify { in_process = true,
      progress = function() closing:close() end })
    assert.is_true(report.ok)
    assert.equal("closed", (select(3, closing:head())))
  end)

  it("throws on options it does not know", function()
    for pattern, options in pairs {
      ["unknown option 'x'"] = { x = 1 },
      ["option 'progress': expected a function"] = { progress = 1 },
      ["option 'expect_head': expected a table"] = { expect_head = "x" },
      ["option 'expect_head.seq': expected an integer"] = { expect_head = {} },
      ["option 'expect_head.seq': must be at least 1"] = { expect_head = { seq = 0 } },
      ["option 'expect_head.event_hash': expected a string"] = { expect_head = { seq = 1 } },
      ["table expected"] = 5,
    } do
      assert.matches(pattern, thrown(log.verify, log, options))
      assert.matches(pattern, thrown(core.verify_path, path, options))
    end
    assert.matches("'in_process'", thrown(core.verify_path, path, { in_process = true }))
  end)
end)

describe("the module", function()
  it("knows words, time and UUIDs", function()
    assert.equal("invalid", core.statuses[1])
    assert.equal("no_memory", core.statuses[#core.statuses])
    assert.equal("id", core.fields[1])
    assert.equal("ip_address", core.fields[#core.fields])
    assert(math.abs(math.floor(core.now() / 1000000) - os.time()) <= 1)
    -- RFC 9562, appendix A.4: www.example.com in the DNS namespace.
    assert.equal("2ed6657d-e927-568b-95e1-2665a8aea6a2",
      core.uuid5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com"))
    assert.equal("invalid", (select(3, core.uuid5("x", "y"))))
    assert.has_error(function() core.uuid5(5, "y") end)
  end)

  -- Goal: two copies of the binding in one state do not take each other's objects.
  -- Method: one more copy; each object given to the methods of the other.
  it("can be there twice", function()
    local other = load_copy()()
    local log, path = new_log()
    local other_log = assert(other.open(path))
    assert.matches("trail log expected", thrown(core.log_methods.head, other_log))
    assert.matches("trail log expected", thrown(other.log_methods.head, log))
    assert(other_log:append(event()))
    assert.equal(2, log:head().seq)
    assert.equal("[]", core.encode(other.array {}))
    assert.equal(core.null, other.null)
    -- Loading a copy again changes nothing about what is there.
    local again = assert(package.loadlib(loaded_core, "luaopen_trail_core"))()
    assert.equal(core.log_methods, again.log_methods)
    assert.equal(2, again.log_methods.head(log).seq)
  end)

  it("works from coroutines, and across their switches", function()
    local log = new_log()
    log:append(events(40))
    local workers, total = {}, 0
    for i = 1, 20 do
      workers[i] = coroutine.wrap(function()
        local cursor = assert(log:cursor { seq_first = 2 })
        for _ = 1, 40 do
          assert(cursor:next())
          total = total + 1
          coroutine.yield()
        end
        assert.is_nil(cursor:next())
        return assert(log:append(event()))
      end)
    end
    for _ = 1, 41 do
      for i = 1, 20 do workers[i]() end
    end
    assert.equal(800, total)
    assert.equal(61, log:head().seq)
  end)
end)

describe("the collector", function()
  -- Goal: nothing dangles, whenever the collector runs and whatever finalizers do.
  -- Method: the collector at its most aggressive, and a finalizer that closes the log or the
  -- cursor, from within whatever call happens to allocate just then.
  local pause, step

  before_each(function()
    pause, step = collectgarbage("setpause", 0), collectgarbage("setstepmul", 1000)
  end)

  after_each(function()
    collectgarbage("setpause", pause)
    collectgarbage("setstepmul", step)
  end)

  local function finalizer(f)
    setmetatable({}, { __gc = f })
  end

  it("may run at any time", function()
    local log, path = new_log()
    for round = 1, 30 do
      local list = {}
      for i = 1, 50 do
        list[i] = support.sample_event(i)
        list[i].id = nil
        list[i].details = { round = round, text = ("x"):rep(round * 10), list = { {}, {}, { i } } }
      end
      assert(log:append(list))
      local count = 0
      local cursor = assert(log:cursor({ seq_first = 2 }, { bytes = true }))
      for record in cursor.next, cursor do
        count = count + 1
        assert(record.details.round <= round)
      end
      assert.equal(round * 50, count)
      assert(core.open(path)):cursor()
    end
    assert(log:verify())
  end)

  it("may close the log in the middle of a call", function()
    local closed = 0
    for round = 1, 200 do
      local log = new_log()
      assert(log:append(event { details = { a = { 1, 2, 3 }, b = ("y"):rep(500) } }))
      local cursor = assert(log:cursor())
      local target = round % 2 == 0 and log or cursor
      finalizer(function() target:close() end)
      local ok = pcall(function()
        for i = 1, 20 do
          if not log:append(event { details = { i = i, t = { tostring(i) } } }) then error "closed" end
          cursor:next()
          log:get(2)
          log:count { user_id = { "a", "b" .. i } }
        end
      end)
      if not ok then closed = closed + 1 end
      log:close()
    end
    assert(closed > 0, "no finalizer came in time")
  end)

  -- The tables an event is read from change under the reader's hands.
  it("may change the tables that are being read", function()
    local log = new_log()
    for round = 1, 300 do
      local list, details = events(20), {}
      for i = 1, 30 do details["key" .. round .. "_" .. i] = ("v"):rep(60) .. i end
      list[7].details = details
      finalizer(function()
        for key in pairs(details) do details[key] = nil end
        for key in pairs(list[3]) do list[3][key] = nil end
        list[9] = nil
      end)
      pcall(log.append, log, list)
      pcall(core.encode, details)
    end
    assert(log:verify())
  end)
end)
