-- filter_spec.lua - filters: what is accepted, what is refused, and the builder.
-- Level: test; only the last part needs `make lib lua`.
-- SPDX-License-Identifier: MIT

require "spec.support"
local filter = require "trail.filter"

local NOW = 1795514400000000 -- 2026-11-24T10:00:00Z

local function throws(text, given)
  -- Not a tail call: those have no line to blame.
  local good, message = pcall(function() local plain = filter.normalise(given, NOW); return plain end)
  assert.is_false(good, "expected an error: " .. text)
  assert.is_truthy(tostring(message):find("filter_spec.lua:%d+: "), message)
  assert.is_truthy(tostring(message):find(text, 1, true), tostring(message) .. " does not contain " .. text)
end

local function refused(text, given)
  local plain, message, code = filter.normalise(given, NOW)
  assert.is_nil(plain)
  assert.equal("invalid", code)
  assert.is_truthy(message:find(text, 1, true), message .. " does not contain " .. text)
end

describe("filter.normalise", function()
  -- Goal: every key of docs/lua.md reaches the core in the form the core takes.
  -- Method: a filter that uses all of them; it must stay as it was.
  it("brings a filter into the form of the core", function()
    local where = function() return true end
    local types = { "a", "b" }
    local given = {
      id = "0190a000-0000-7000-8000-000000000001", event_type = types, user_id = { ["not"] = "u" },
      action = "login", resource_type = { ["not"] = { "x", "y" } }, resource_id = "r",
      result = { "failure", "partial_success" }, request_id = "q", ip_address = "::1",
      since = "1 hour ago", ["until"] = NOW, seq = { 5, 9 }, limit = 10, order = "oldest", after = 3,
      where = where,
    }
    local plain, condition = filter.normalise(given, NOW)
    assert.equal(where, condition)
    assert.same({
      id = "0190a000-0000-7000-8000-000000000001", event_type = { "a", "b" }, user_id = { ["not"] = "u" },
      action = "login", resource_type = { ["not"] = { "x", "y" } }, resource_id = "r",
      result = { "failure", "partial_success" }, request_id = "q", ip_address = "::1",
      since = NOW - 3600000000, ["until"] = NOW, seq_first = 5, seq_last = 9, limit = 10, order = "oldest", after = 3,
    }, plain)
    assert.are_not.equal(types, plain.event_type)
    assert.equal("1 hour ago", given.since)
    assert.same({}, (filter.normalise(nil)))
    assert.same({ seq_first = 7, seq_last = 7 }, (filter.normalise({ seq = 7 })))
    assert.same({ seq_last = 7 }, (filter.normalise({ seq = { nil, 7 } })))
    assert.same({ seq_first = 7 }, (filter.normalise({ seq = { 7 } })))
    assert.same(plain, (filter.normalise(plain, NOW)))
  end)

  -- Goal: on Lua 5.4 counts and times are integers, whatever they came as.
  -- Method: floats with integral values.
  it("makes integers of integral floats", function()
    local kind = rawget(math, "type")
    if not kind then return end
    local plain = filter.normalise({ limit = 10.0, after = 3.0, since = 1.795e15, seq = { 1.0, 2.0 } })
    for key, value in pairs(plain) do assert.equal("integer", kind(value), key) end
  end)

  -- Goal: what only a program can get wrong throws, at the caller's line.
  -- Method: unknown keys and wrong types, one of each.
  it("throws for unknown keys and wrong types", function()
    throws("unknown filter key 'usr'", { usr = "alice" })
    throws("unknown filter key '1'", { "alice" })
    throws("filter 'user_id' must be a string, a list of strings or { [\"not\"] = ... }, not a number", { user_id = 5 })
    throws("filter 'user_id' must be a string", { user_id = { 5 } })
    throws("filter 'user_id' must be a string", { user_id = { "a", nil, "c" } })
    throws("filter 'user_id' must be a string", { user_id = { x = "a" } })
    throws("filter 'user_id' must be a string", { user_id = { ["not"] = true } })
    throws("filter 'user_id' has a \"not\" inside a \"not\"", { user_id = { ["not"] = { ["not"] = "a" } } })
    throws("filter 'where' must be a function, not a string", { where = "details.gold > 1" })
    throws("filter 'limit' must be a number, not a string", { limit = "10" })
    throws("filter 'order' is 'latest', must be newest or oldest", { order = "latest" })
    throws("filter 'since' must be a time in words or in microseconds, not a boolean", { since = true })
    throws("a filter is a table, not a string", "alice")
  end)

  -- Goal: data that makes no sense is refused, so that it does not find nothing.
  -- Method: misspelt results, empty lists, times and numbers out of range.
  it("refuses values that make no sense", function()
    refused("filter 'result' is 'fail', must be success, failure or partial_success", { result = "fail" })
    refused("filter 'result' is 'ok', must be", { result = { "success", "ok" } })
    refused("filter 'result' is 'Failure', must be", { result = { ["not"] = "Failure" } })
    refused("filter 'event_type' is an empty list", { event_type = {} })
    refused("filter 'since': 'rubbish' is not a time", { since = "rubbish" })
    refused("filter 'until': '2026-02-30' is not a time: 2026-02 has 28 days", { ["until"] = "2026-02-30" })
    refused("filter 'limit' is -1, must be at least 0", { limit = -1 })
    refused("filter 'limit' is 1.5, must be a whole number", { limit = 1.5 })
    refused("filter 'limit' is 1e+20, must be a whole number", { limit = 1e20 })
    refused("filter 'after' is 0, must be at least 1", { after = 0 })
    refused("filter 'seq' is 0, must be at least 1", { seq = 0 })
    -- None of nothing is no condition.
    assert.same({}, (filter.normalise({ event_type = { ["not"] = {} } })))
    assert.same({ event_type = { "a" } }, (filter.normalise({ event_type = { "a", ["not"] = {} } })))
  end)
end)

describe("conditions on details", function()
  -- Goal: the keys that begin with "details." are conditions as all others, with more types.
  -- Method: every form of table and builder; what comes out may go in again.
  it("are values, lists, or not", function()
    local given = { ["details.region"] = "eu-*", ["details.gold"] = { 500, 1.5, "x" }, ["details.vip"] = false,
      ["details.a.b"] = { true, ["not"] = { false, 7 } }, ["details.n"] = { ["not"] = 0 } }
    local plain = assert(filter.normalise(given, NOW))
    assert.same(given, plain)
    assert.same(given, (filter.normalise(plain, NOW)))
    assert.same(given, (filter.normalise(filter.builder():details("region", "eu-*"):details("gold", { 500, 1.5, "x" })
      :details("vip", false):details("a.b", true):not_details("a.b", { false, 7 }):not_details("details.n", 0), NOW)))
    assert.same(given, (filter.normalise(filter.builder(filter.builder(given)), NOW)))
    assert.same({}, (filter.normalise({ ["details.n"] = { ["not"] = {} } })))
    assert.same({ ["details.n"] = { ["not"] = false } }, (filter.normalise({ ["details.n"] = { ["not"] = false } })))
  end)

  -- Goal: whatever else is written there is an error, and not everything or nothing.
  -- Method: one of each mistake throws; numbers that no event holds are refused.
  it("are nothing else", function()
    local wrong = "filter 'details.gold' must be a string, a number, a boolean, a list of them or"
    throws(wrong, { ["details.gold"] = print })
    throws(wrong, { ["details.gold"] = { {} } })
    throws(wrong, { ["details.gold"] = { 5, nil, 6 } })
    throws("filter 'details.gold' has a \"not\" inside", { ["details.gold"] = { ["not"] = { ["not"] = 5 } } })
    throws("filter 'details' needs a path: [\"details.region\"] = ...", { details = { region = "eu" } })
    throws("filter 'details.' names no path", { ["details."] = 5 })
    throws("unknown filter key 'detailsx'", { detailsx = 5 })
    refused("filter 'details.gold' is an empty list", { ["details.gold"] = {} })
    refused("filter 'details.gold' is inf, which no event can hold", { ["details.gold"] = 1 / 0 })
    refused("filter 'details.gold' is -", { ["details.gold"] = { 5, -1 / 0 } })
    assert.has_error(function() filter.builder():details() end,
      "details takes a path, such as \"region\", and a value")
    assert.has_error(function() filter.builder():details("region") end, "filter 'details.region': a value is missing")
    assert.has_error(function() filter.builder():details("region", "a", "b") end,
      "filter 'details.region' takes one value, not 2; give a list: {...}")
    assert.has_error(function() filter.builder():details("a", 1):details("details.a", 2) end,
      "filter 'details.a' is given twice")
    assert.has_error(function()
      local builder = filter.builder()
      builder["details.a"] = 5
    end, "filter 'details.a' cannot be assigned: use :details(...)")
    assert.equal('trail.filter{ ["details.a\\n"] = { true, ["not"] = 5 }, user_id = "u*" }',
      tostring(filter.builder():details("a\n", true):not_details("a\n", 5):user("u*")))
  end)

  -- Goal: a prefix is not taken where there is none.
  -- Method: stars for id, and for result, which has three values.
  it("and prefixes: id and result have none", function()
    refused("filter 'id' is '0190*': an id is looked for as a whole, not by how it begins", { id = "0190*" })
    refused("filter 'id' is '*': an id", { id = { ["not"] = { "*" } } })
    refused("filter 'result' is 'succ*', must be", { result = "succ*" })
    refused("filter 'result' is 'success**', must be", { result = { ["not"] = "success**" } })
    assert.same({ user_id = { "a", "svc-*", ["not"] = "svc-x**" } },
      (filter.normalise({ user_id = { "a", "svc-*", ["not"] = "svc-x**" } })))
  end)
end)

describe("the filter seq", function()
  local function plain(seq, more)
    local given = { seq = seq }
    for key, value in pairs(more or {}) do given[key] = value end
    return (assert(filter.normalise(given, NOW)))
  end

  -- Goal: one value, any of a list, or none of one, as with every other key; a single range keeps
  -- the form the engine is fastest with.
  -- Method: every way to write it, and what becomes of it; what comes out may go in again.
  it("is a value, a list, or not", function()
    for text, range in pairs({ ["5"] = { 5, 5 }, ["5..9"] = { 5, 9 }, ["5.."] = { 5 }, ["..9"] = { nil, 9 },
      ["007"] = { 7, 7 } }) do
      assert.same({ seq_first = range[1], seq_last = range[2] }, plain(text))
      assert.same({ seq_first = range[1], seq_last = range[2] }, plain({ text }))
      assert.same({ not_ranges = { { range[1] or 0, range[2] or 0 } } }, plain({ ["not"] = text }))
    end
    assert.same({ seq_first = 5, seq_last = 9 }, plain({ 5, 9 }))
    assert.same({ seq_first = 5, seq_last = 9 }, plain({ { 5, 9 } }))
    assert.same({ ranges = { { 1, 3 }, { 7, 7 }, { 10, 12 }, { 20, 0 }, { 0, 2 } } },
      plain({ "1..3", 7, { 10, 12 }, { 20 }, { nil, 2 } }))
    assert.same({ not_ranges = { { 5, 5 } } }, plain({ ["not"] = 5 }))
    assert.same({ not_ranges = { { 5, 9 } } }, plain({ ["not"] = { 5, 9 } }))
    assert.same({ not_ranges = { { 5, 5 }, { 7, 9 } } }, plain({ ["not"] = { "5", { 7, 9 } } }))
    local both = plain({ "1..9", { 20, 30 }, ["not"] = { "5", "22.." } })
    assert.same({ ranges = { { 1, 9 }, { 20, 30 } }, not_ranges = { { 5, 5 }, { 22, 0 } } }, both)
    assert.same({ ranges = { { 5, 9 } }, not_ranges = { { 7, 7 } } }, plain({ 5, 9, ["not"] = 7 }))
    assert.same(both, (filter.normalise(both, NOW)))
    -- None of nothing is no condition.
    assert.same({}, plain({ ["not"] = {} }))
    assert.same({ seq_first = 5, seq_last = 5 }, plain({ "5", ["not"] = {} }))
  end)

  -- Goal: whatever else is written there is an error and not everything, or nothing.
  -- Method: one of each mistake throws; text, which may come from outside, is refused.
  it("is nothing else", function()
    local two = "filter 'seq' takes numbers as { first, last }"
    throws(two, { seq = { first = 1 } })
    throws(two, { seq = { 1, 2, 3 } })
    throws(two, { seq = { "5", { 1, 2, 3 } } })
    throws(two, { seq = { "5", { a = 1 } } })
    throws("filter 'seq' must be a number, not a string", { seq = { { "1", "3" } } })
    local wrong = "filter 'seq' must be a number, a string such as \"5..9\", { first, last }, a list of those"
    throws(wrong, { seq = true })
    throws(wrong, { seq = { "5", false } })
    throws(wrong, { seq = { "5", nil, "7" } })
    throws(wrong, { seq = { ["not"] = false } })
    throws("filter 'seq' has a \"not\" inside a \"not\"", { seq = { ["not"] = { ["not"] = 5 } } })
    throws("filter 'seq' has a \"not\" inside a list", { seq = { "5", { ["not"] = 6 } } })
    throws("filter 'seq' is given twice", { seq = 5, seq_first = 3 })
    for _, text in ipairs({ "", "..", "5...9", "5-9", "a..b", "-5", " 5", "5..9..", "1.5" }) do
      refused("filter 'seq' is '" .. text .. "', must be such as 5, 5..9, 5.. or ..9", { seq = text })
      refused("filter 'seq' is '" .. text .. "', must be", { seq = { ["not"] = { "7", text } } })
    end
    refused("filter 'seq' is 0, must be at least 1", { seq = "0..5" })
    refused("filter 'seq' is 0, must be at least 1", { seq = { "5", { 0, 3 } } })
    refused("filter 'seq' is 1e+30, must be a whole number below 9e15", { seq = "1" .. ("0"):rep(30) })
    refused("filter 'seq' is 1.5, must be a whole number", { seq = { 1.5, 3 } })
    refused("filter 'seq' is an empty list, which nothing can match", { seq = {} })
  end)
end)

describe("trail.filter()", function()
  -- Goal: the builder and the table say the same.
  -- Method: both forms of one filter give the same core filter, each method once.
  it("builds what a table says", function()
    local built = filter.builder():user("u"):type({ "a", "b" }):action("x"):resource_type("t"):resource_id("r")
      :result("failure"):request_id("q"):ip("::1"):id("i"):since("7 days ago"):until_("now"):limit(100)
      :order("oldest"):after(5):seq(1, 9)
    assert.same(filter.normalise({
      user_id = "u", event_type = { "a", "b" }, action = "x", resource_type = "t", resource_id = "r",
      result = "failure", request_id = "q", ip_address = "::1", id = "i", since = "7 days ago", ["until"] = "now",
      limit = 100, order = "oldest", after = 5, seq = { 1, 9 },
    }, NOW), filter.normalise(built, NOW))
    local excluded = filter.builder():not_user("u"):not_type({ "a" }):not_action("x"):not_resource_type("t")
      :not_resource_id("r"):not_result("failure"):not_request_id("q"):not_ip("::1"):not_id("i"):seq(4)
    local plain = filter.normalise(excluded)
    for _, field in ipairs({ "user_id", "action", "resource_type", "resource_id", "result", "request_id",
      "ip_address", "id" }) do
      assert.equal("string", type(plain[field]["not"]), field)
    end
    assert.same({ ["not"] = { "a" } }, plain.event_type)
    assert.same({ user_id = { "a", ["not"] = { "b" } } },
      (filter.normalise(filter.builder():not_user({ "b" }):user("a"))))
    assert.equal(4, plain.seq_first)
    assert.equal(4, plain.seq_last)
  end)

  -- Goal: seq has the same forms in both ways of writing.
  -- Method: each call and the table it stands for.
  it("takes seq in every form", function()
    local function same(seq, builder)
      assert.same((filter.normalise({ seq = seq }, NOW)), (filter.normalise(builder, NOW)))
    end
    same(5, filter.builder():seq(5))
    same({ 5, 9 }, filter.builder():seq(5, 9))
    same({ nil, 9 }, filter.builder():seq(nil, 9))
    same({ 5 }, filter.builder():seq(5, nil))
    same({ 5, 9 }, filter.builder():seq({ 5, 9 }))
    same({ "1..3", 7 }, filter.builder():seq({ "1..3", 7 }))
    same({ ["not"] = 5 }, filter.builder():not_seq(5))
    same({ ["not"] = { 5, 9 } }, filter.builder():not_seq(5, 9))
    same({ ["not"] = { nil, 9 } }, filter.builder():not_seq(nil, 9))
    same({ ["not"] = { "5", "7" } }, filter.builder():not_seq({ "5", "7" }))
    same({ ["not"] = "5.." }, filter.builder():seq({ ["not"] = "5.." }))
    same({ "5", ["not"] = "7" }, filter.builder():seq(5):not_seq(7))
    same({ 5, 9, ["not"] = { "7" } }, filter.builder():not_seq({ "7" }):seq(5, 9))
    for _, method in ipairs({ "seq", "not_seq" }) do
      local function call(text, ...)
        local given, count = { ... }, select("#", ...)
        assert.has_error(function()
          local builder = filter.builder()
          builder[method](builder, (table.unpack or unpack)(given, 1, count))
        end, text)
      end
      call("filter 'seq': a value is missing")
      call("filter 'seq': a value is missing", nil, nil)
      call("filter 'seq' takes one value, not 3; give a list: {...}", 1, 2, 3)
      call("filter 'seq' takes two numbers, the first and the last; give a list: {...}", "1..3", 7)
      assert.has_error(function()
        local builder = filter.builder({ seq = { 5, ["not"] = 6 } })
        builder[method](builder, 7)
      end, "filter 'seq' is given twice")
    end
  end)

  -- Goal: no condition is lost between a table and a builder: losing one finds too much.
  -- Method: start with a table, and with a builder; add to both; the origin stays as it was.
  it("begins with a filter", function()
    local where = function() return true end
    local given = { user_id = "u5", event_type = { "a", ["not"] = "b" }, since = 5, ["until"] = 9, limit = 3,
      seq = { "1..3", 9, ["not"] = 2 }, where = where, order = "oldest", after = 1 }
    local plain, condition = filter.normalise(given, NOW)
    local built, built_condition = filter.normalise(filter.builder(given), NOW)
    assert.same(plain, built)
    assert.equal(where, condition)
    assert.equal(where, built_condition)
    assert.same(plain, (filter.normalise(filter.builder(filter.builder(given)), NOW)))

    local first = filter.builder({ user_id = "u5" })
    local second = filter.builder(first):result("failure"):not_user("u6")
    assert.same({ user_id = "u5" }, (filter.normalise(first)))
    assert.same({ user_id = { "u5", ["not"] = "u6" }, result = "failure" }, (filter.normalise(second)))
    assert.same({ user_id = { "u7", ["not"] = "u6" } },
      (filter.normalise(filter.builder({ user_id = { ["not"] = "u6" } }):user("u7"))))
    -- Both halves in one call, as in a table.
    assert.same({ user_id = { "a", ["not"] = "b" } },
      (filter.normalise(filter.builder():user({ "a", ["not"] = "b" }))))
    local function twice(given_table, method)
      assert.has_error(function()
        local builder = filter.builder(given_table)
        builder[method](builder, "x")
      end, "filter 'user_id' is given twice")
    end
    twice({ user_id = "u5" }, "user")
    twice({ user_id = { ["not"] = "u5" } }, "not_user")
    twice({ user_id = { "a", ["not"] = "u5" } }, "not_user")
    assert.has_error(function() filter.builder({ limit = 5 }):limit(6) end, "filter 'limit' is given twice")
    assert.has_error(function() filter.builder({ usr = "u5" }) end, "unknown filter key 'usr'")
    assert.has_error(function() filter.builder({ user_id = 5 }) end)
    assert.has_error(function() filter.builder("u5") end, "a filter is a table, not a string")
    assert.has_error(function() filter.builder({}, {}) end, "trail.filter takes one filter table")
    refused("filter 'result' is 'fail'", filter.builder({ result = "fail" }))
  end)

  -- Goal: what looks like a condition is one, or an error at its line.
  -- Method: assignments and arguments that would be ignored.
  it("ignores nothing", function()
    local function line_throws(text, callback)
      local good, message = pcall(callback)
      assert.is_false(good, text)
      assert.is_truthy(message:find("filter_spec.lua:%d+: ") and message:find(text, 1, true), message)
    end
    local builder = filter.builder()
    line_throws("unknown filter key 'usr'", function() builder.usr = "a" end)
    line_throws("unknown filter key 'filter'", function() builder.filter = {} end)
    line_throws("unknown filter key '1'", function() builder[1] = "a" end)
    line_throws("filter 'user_id' cannot be assigned: use :user(...)", function() builder.user_id = "a" end)
    line_throws("filter 'until' cannot be assigned: use :until_(...)", function() builder["until"] = "a" end)
    line_throws("filter 'limit' cannot be assigned: use :limit(...)", function() builder.limit = 5 end)
    line_throws("filter 'seq' cannot be assigned: use :seq(...)", function() builder.seq = 5 end)
    for _, method in ipairs({ "user", "type", "not_user", "not_id" }) do
      line_throws("takes one value, not 2; give a list: {...}", function() builder[method](builder, "a", "b") end)
    end
    line_throws("filter 'limit' takes one value, not 2", function() builder:limit(1, 2) end)
    line_throws("filter 'where' takes one value, not 2", function() builder:where(print, print) end)
    line_throws("filter 'user_id': a value is missing", function() builder:user() end)
    assert.same({}, (filter.normalise(builder)))
  end)

  -- Goal: a builder can be looked at.
  -- Method: tostring of an empty one, of one with everything, and of a long list.
  it("prints its conditions on one line", function()
    assert.equal("trail.filter{}", tostring(filter.builder()))
    assert.equal('trail.filter{ ["until"] = "now", event_type = { ["not"] = { "a", "b\\n" } }, limit = 5, '
      .. 'seq = { nil, 9, ["not"] = 7 }, user_id = "u5", where = function }',
      tostring(filter.builder({ user_id = "u5" }):not_type({ "a", "b\n" }):until_("now"):limit(5):seq(nil, 9)
        :not_seq(7):where(print)))
    local many = {}
    for i = 1, 11 do many[i] = "u" end
    assert.equal('trail.filter{ user_id = { ' .. ('"u", '):rep(10) .. '... } }',
      tostring(filter.builder():user(many)))
  end)

  -- Goal: several where conditions must all hold, and the second is not asked when the first says no.
  -- Method: two conditions that count their calls.
  it("adds up where conditions", function()
    local asked = 0
    local _, where = filter.normalise(filter.builder()
      :where(function(e) return e.a end)
      :where(function(e) asked = asked + 1; return e.b end))
    assert.is_truthy(where({ a = true, b = true }))
    assert.is_falsy(where({ a = true, b = false }))
    assert.is_falsy(where({ a = false, b = true }))
    assert.equal(2, asked)
  end)

  -- Goal: a builder finds mistakes as a table does.
  -- Method: a field given twice, nil, an unknown method, a result that is none.
  it("refuses what a table would refuse", function()
    assert.has_error(function() filter.builder():user("a"):user("b") end, "filter 'user_id' is given twice")
    assert.has_error(function() filter.builder():not_user("a"):not_user("b") end, "filter 'user_id' is given twice")
    assert.has_error(function() filter.builder():user(nil) end, "filter 'user_id': a value is missing")
    assert.has_error(function() filter.builder():not_user(nil) end)
    assert.has_error(function() filter.builder():where("x") end)
    assert.has_error(function() filter.builder():usr("a") end)
    refused("filter 'result' is 'fail'", filter.builder():result("fail"))
  end)
end)

describe("a filter and the engine", function()
  -- Goal: one style for every message, so that a reader knows which key it is about.
  -- Method: what only the engine checks, asked through log:count; what cannot be stored cannot be
  -- looked for either, and must not look like "nothing found".
  it("say which key makes no sense", function()
    local support = require "spec.support"
    local log = support.open_sample(3)
    local function engine_refuses(key, value, more)
      local given = { [key] = value }
      for k, v in pairs(more or {}) do given[k] = v end
      local count, message, code = log:count(given)
      assert.is_nil(count, key)
      assert.equal("invalid", code)
      assert.equal("filter '" .. key .. "'", message:match("^filter '[%l_]+'"), message)
      assert.has_error(function() log:query(given) end)
    end
    for _, key in ipairs({ "event_type", "user_id", "action", "resource_type", "resource_id", "request_id" }) do
      for _, value in ipairs({ "a\0b", "\255", "\237\160\128" }) do
        engine_refuses(key, value)
        engine_refuses(key, { "fine", value })
        engine_refuses(key, { ["not"] = value })
      end
      assert.equal(4, log:count({ [key] = { ["not"] = "d\195\169tail" } }))
    end
    engine_refuses("id", "a\0b")
    engine_refuses("ip_address", "192.0.2.1\0")
    engine_refuses("seq", "9..5")
    engine_refuses("seq", { "1", { 9, 5 } })
    engine_refuses("seq", { ["not"] = { 9, 5 } })
    engine_refuses("since", 9, { ["until"] = 5 })
    log:close()
  end)
end)
