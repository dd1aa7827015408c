-- face_spec.lua - `require "trail"`: whose line is blamed, what print shows, check.
-- Level: test; needs `make lib lua`.
-- SPDX-License-Identifier: MIT

-- luacheck: std lua54+busted
local support = require "spec.support"
local trail = require "trail"

local function event(changes)
  local e = { event_type = "trade", action = "accept", resource_type = "item", resource_id = "sword-9",
    user_id = "player:77", result = "success" }
  for key, value in pairs(changes or {}) do e[key] = value end
  return e
end

describe("a mistake", function()
  -- Goal: the programmer is led to his own line, in his own words, not into trail.
  -- Method: mistakes of every kind through append, the constructors, count and check; each message
  -- begins with this file and names what was called. Nothing is stored.
  it("is blamed on the line that made it", function()
    local log = support.open_sample(0)
    local function blamed(text, callback)
      local good, message = pcall(callback)
      assert.is_false(good, text)
      local place, rest = message:match("^([^\n]-face_spec%.lua:%d+): (.*)$")
      assert.is_truthy(place, message)
      assert.equal(text, rest)
    end
    local no_value = "bad argument #1 to 'append' (table expected, got no value)"
    blamed(no_value, function() local seq = log:append(); return seq end)
    blamed(no_value, function() return log:append() end)
    blamed("bad argument #1 to 'append' (table expected, got string)", function() log:append("event") end)
    blamed("unknown field 'usr'", function() log:append(event { usr = 1 }) end)
    blamed("event 2: unknown field 'usr'", function() log:append { event(), event { usr = 1 } } end)
    blamed("field 'user_id': expected a string, got number", function() log:append(event { user_id = 5 }) end)
    blamed("append takes one event or one list of events", function() log:append(event(), event()) end)
    blamed("unknown field 'usr'", function() trail.check(event { usr = 1 }) end)
    blamed("bad argument #1 to 'check' (table expected, got nil)", function() trail.check(nil) end)

    local function constructed(text, args)
      blamed(text, function() local seq = log:auth_attempt(args); return seq end)
    end
    constructed("auth_attempt: 'user_id' must be a string, not a number", { user_id = 5, result = "success" })
    constructed("details.f: a function has no JSON form",
      { user_id = "u", result = "success", details = { f = print } })
    constructed("field 'timestamp': 1.5 is not a whole number of microseconds",
      { user_id = "u", result = "success", timestamp = 1.5 })
    blamed("bad argument #1 to 'auth_attempt' (trail log expected, got table)",
      function() local seq = log.auth_attempt({}, { user_id = "u", result = "success" }); return seq end)
    blamed("bad argument #1 to 'count' (trail log expected, got table)",
      function() local count = log.count({}); return count end)
    blamed("unknown filter key 'usr'", function() local count = log:count { usr = 1 }; return count end)
    trail.define("face_sale", { action = "sell", resource_type = "item", required = { "resource_id", "gold" },
      details = { "gold" }, defaults = { result = "success" }, check = function(args) return args.gold > 0 end })
    blamed("face_sale: check must return a message or nil, not a boolean",
      function() local seq = log:face_sale { resource_id = "s", gold = 1 }; return seq end)
    assert.equal(1, log:head().seq)
    log:close()
  end)

  -- Goal: the ways out that are no mistakes have as many values as the manual says.
  -- Method: count the results of append, of a constructor and of count.
  it("is not a failure", function()
    local log = support.open_sample(0)
    assert.equal(2, select("#", log:append(event())))
    assert.equal(2, select("#", log:auth_attempt { user_id = "u", result = "success" }))
    assert.equal(1, select("#", log:count()))
    assert.equal(3, select("#", log:append(event { result = "no" })))
    assert.equal(3, select("#", log:auth_attempt { user_id = "u", result = "no" }))
    assert.equal(3, log:head().seq)
    log:close()
  end)
end)

describe("check", function()
  -- Goal: what check says append does, and check stores nothing.
  -- Method: right and wrong events and lists, with times in words among them; the same answer of
  -- both, and after all checks an empty trail.
  it("judges as append does", function()
    local log = support.open_sample(0)
    local wrong = { event { result = "no" }, event { user_id = ("x"):rep(256) }, event { timestamp = "rubbish" },
      event { timestamp = "2026-02-30" }, event { id = "x" }, event { event_type = "trail.x" },
      event { details = 0 / 0 }, event { ip_address = "no" }, { event(), event { timestamp = "25:00" } },
      { event(), event { result = "no" } } }
    for _, one in ipairs(wrong) do
      local checked = { trail.check(one) }
      assert.same({ nil, "invalid" }, { checked[1], checked[3] })
      assert.same(checked, { log:append(one) })
    end
    local words = event { timestamp = "1 hour ago" }
    for _, one in ipairs { event(), words, { event(), words }, trail.event("system_event", { action = "boot" }) } do
      assert.same({ true }, { trail.check(one) })
    end
    assert.equal("1 hour ago", words.timestamp)
    assert.equal(1, log:head().seq)
    log:close()
  end)
end)

describe("print", function()
  local log, receipt

  setup(function()
    log = support.open_sample(0)
    receipt = select(2, log:append(event { timestamp = 1795514400123456, id = "0190a000-0000-7000-8000-000000000001",
      details = { a = 1 } }))
  end)

  teardown(function() log:close() end)

  -- Goal: what a log hands out says on one line what it is; a head in the form that
  -- `trail verify --expect-head` takes.
  -- Method: compare each, also after its values were changed to nonsense.
  it("shows receipts, heads and records on one line", function()
    local head = log:head()
    assert.equal("2:" .. receipt.event_hash, tostring(head))
    assert.equal(tostring(head), tostring(log:info().head))
    assert.equal(tostring(head), tostring(log:verify { in_process = true }.head))
    local text = "seq 2, id 0190a000-0000-7000-8000-000000000001, event_hash " .. receipt.event_hash
    assert.equal(text, tostring(receipt))
    local _, again = log:append(event { timestamp = 1795514400123456, id = receipt.id, details = { a = 1 } })
    assert.equal(text .. ", was there already", tostring(again))
    local _, list = log:append { event { user_id = "a\nb", result = "failure", result_error = "no\27[1m gold",
      timestamp = 0 } }
    assert.matches("^seq 3, id ", tostring(list[1]))

    assert.equal("seq 2: 2026-11-24T10:00:00.123456Z trade player:77 accept item sword-9 success",
      tostring(log:get(2)))
    assert.equal("seq 3: 1970-01-01T00:00:00.000000Z trade a\\nb accept item sword-9 failure (no\\x1b[1m gold)",
      tostring(log:query()()))
    assert.matches("^seq 1: .* trail.created %- create trail ", tostring(log:get(1)))

    local record = log:get(2)
    record.timestamp, record.user_id, record.seq = "x", {}, nil
    assert.matches("^seq %-: x trade table: ", tostring(record))
    record.readable = false
    assert.equal("seq -: unreadable", tostring(record))
    assert.equal("trail receipt", getmetatable(receipt).__name)
  end)

  -- Goal: they stay plain tables for everything but print.
  -- Method: pairs, comparing, encoding, a metatable of one's own.
  it("does not make objects of them", function()
    local record, keys = log:get(2), {}
    for key in pairs(record) do keys[key] = true end
    assert.is_true(keys.seq and keys.details and keys.event_hash)
    assert.is_nil(record.no_such_field)
    local plain = {}
    for key, value in pairs(record) do plain[key] = value end
    assert.same(plain, record)
    assert.equal(trail.encode(plain), trail.encode(record))
    assert.equal(trail.encode(log:head()), trail.encode(log:info().head))
    local mine = {}
    assert.equal(mine, getmetatable(setmetatable(record, mine)))
    assert.is_nil(getmetatable(log:get(2).details))
  end)

  -- Goal: a query says where it stands.
  -- Method: before, in the middle, at the end.
  it("shows a query", function()
    local found = log:query { seq = { 1, 2 }, order = "oldest" }
    assert.equal("trail query (open, at seq -, 0 entries looked at)", tostring(found))
    found()
    assert.matches("^trail query %(open, at seq 1, %d+ entries looked at%)$", tostring(found))
    found:all()
    assert.equal("trail query (ended, at seq 2, 2 entries looked at)", tostring(found))
  end)
end)

describe("a second require", function()
  -- Goal: a program that loads trail anew (as an editor or a game does) has the same trail.
  -- Method: forget the modules but not the core, load again, and ask in every way that is wrapped.
  it("changes nothing", function()
    local log = support.open_sample(20)
    for name in pairs(package.loaded) do
      if name:match "^trail" and name ~= "trail.core" then package.loaded[name] = nil end
    end
    local again = require "trail"
    local filter = { seq = { "2..5", { 9, 9 }, ["not"] = 3 }, event_type = { ["not"] = "nothing" } }
    assert.equal(4, log:count(filter))
    assert.equal(4, log:count(again.filter(filter)))
    assert.equal(4, #log:query(filter):all())
    assert.equal(4, log:count { seq = filter.seq, where = function() return true end })
    assert.equal(22, (log:append(event { timestamp = "now" })))
    assert.equal(23, (log:system_event { action = "boot" }))
    log:close()
  end)
end)
