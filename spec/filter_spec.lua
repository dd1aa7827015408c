-- filter_spec.lua - filters: what is accepted, what is refused, and the builder.
-- Level: test; needs no build.
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
    throws("filter 'seq' is a number or { first, last }", { seq = { first = 1 } })
    throws("a filter is a table, not a string", "alice")
  end)

  -- Goal: data that makes no sense is refused, so that it does not find nothing.
  -- Method: misspelt results, empty lists, times and numbers out of range.
  it("refuses values that make no sense", function()
    refused("result is 'fail', must be success, failure or partial_success", { result = "fail" })
    refused("result is 'ok', must be", { result = { "success", "ok" } })
    refused("result is 'Failure', must be", { result = { ["not"] = "Failure" } })
    refused("event_type is an empty list", { event_type = {} })
    refused("since: 'rubbish' is not a time", { since = "rubbish" })
    refused("until: '2026-02-30' is not a time: 2026-02 has 28 days", { ["until"] = "2026-02-30" })
    refused("limit is -1, must be at least 0", { limit = -1 })
    refused("limit is 1.5, must be a whole number", { limit = 1.5 })
    refused("after is 0, must be at least 1", { after = 0 })
    refused("seq is 0, must be at least 1", { seq = 0 })
    -- None of nothing is no condition.
    assert.same({}, (filter.normalise({ event_type = { ["not"] = {} } })))
    assert.same({ event_type = { "a" } }, (filter.normalise({ event_type = { "a", ["not"] = {} } })))
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
    refused("result is 'fail'", filter.builder():result("fail"))
  end)
end)
