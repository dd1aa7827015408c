-- event_spec.lua - the twelve typed constructors, define and complete.
-- Level: test; needs no build.
-- SPDX-License-Identifier: MIT

local support = require "spec.support"
local event = require "trail.event"

-- name = arguments, the event expected of them (event_type left out).
local EXAMPLES = {
  auth_attempt = { { user_id = "alice", result = "failure" },
    { user_id = "alice", action = "login", resource_type = "user", resource_id = "alice", result = "failure" } },
  authorization = { { user_id = "bob", permission = "workflow:run", resource_id = "workflow-1", allowed = false },
    { user_id = "bob", action = "workflow:run", resource_type = "resource", resource_id = "workflow-1",
      result = "failure" } },
  workflow_create = { { resource_id = "w1", user_id = "u" },
    { user_id = "u", action = "create", resource_type = "workflow", resource_id = "w1", result = "success" } },
  workflow_update = { { resource_id = "w1", user_id = "u", changes = { steps = 3 } },
    { user_id = "u", action = "update", resource_type = "workflow", resource_id = "w1", result = "success",
      details = { changes = { steps = 3 } } } },
  workflow_delete = { { resource_id = "w1", user_id = "u" },
    { user_id = "u", action = "delete", resource_type = "workflow", resource_id = "w1", result = "success" } },
  workflow_execution = { { resource_id = "w1", user_id = "u", result = "success", duration_ms = 500 },
    { user_id = "u", action = "execute", resource_type = "workflow", resource_id = "w1", result = "success",
      details = { duration_ms = 500 } } },
  step_execution = { { resource_id = "s1", workflow_id = "w1", user_id = "u", result = "failure", duration_ms = 1.5 },
    { user_id = "u", action = "execute", resource_type = "step", resource_id = "s1", result = "failure",
      details = { workflow_id = "w1", duration_ms = 1.5 } } },
  secret_access = { { resource_id = "db-password", user_id = "u", timestamp = 5 },
    { user_id = "u", action = "read", resource_type = "secret", resource_id = "db-password", result = "success",
      timestamp = 5 } },
  config_change = { { resource_id = "log.level", user_id = "u", old_value = "info", new_value = false },
    { user_id = "u", action = "update", resource_type = "configuration", resource_id = "log.level",
      result = "success", details = { old_value = "info", new_value = false } } },
  api_key_create = { { resource_id = "k1", user_id = "u", scopes = { "read", "write" } },
    { user_id = "u", action = "create", resource_type = "api_key", resource_id = "k1", result = "success",
      details = { scopes = { "read", "write" } } } },
  api_key_revoke = { { resource_id = "k1", user_id = "u", reason = "leaked" },
    { user_id = "u", action = "revoke", resource_type = "api_key", resource_id = "k1", result = "success",
      details = { reason = "leaked" } } },
  system_event = { { action = "started" },
    { action = "started", resource_type = "system", resource_id = "system", result = "success" } },
}

local function throws(text, callback, ...)
  local good, message = pcall(callback, ...)
  assert.is_false(good, "expected an error: " .. text)
  assert.is_truthy(tostring(message):find(text, 1, true), tostring(message) .. " does not contain " .. text)
end

local function with(args, more)
  local all = {}
  for key, value in pairs(args) do all[key] = value end
  for key, value in pairs(more) do all[key] = value end
  return all
end

describe("the twelve constructors", function()
  -- Goal: each of the twelve types of the old system can be made, with what docs/events.md says.
  -- Method: one full example each, compared as a whole; the arguments stay untouched.
  it("fill in what their table says", function()
    local count = 0
    for name, example in pairs(EXAMPLES) do
      local before = with(example[1], {})
      assert.same(with(example[2], { event_type = name }), event.build(name, example[1]))
      assert.same(before, example[1])
      count = count + 1
    end
    assert.equal(12, count)
    for i = 1, 12 do assert.is_truthy(EXAMPLES[event.names[i]], event.names[i]) end
  end)

  -- Goal: a forgotten argument never becomes an event with a hole.
  -- Method: take each argument of each example away that is not a detail or a default.
  it("throw and name the argument that is missing", function()
    local optional = { duration_ms = true, old_value = true, changes = true, timestamp = true, allowed = true }
    for name, example in pairs(EXAMPLES) do
      for argument in pairs(example[1]) do
        if not optional[argument] then
          local args = with(example[1], {})
          args[argument] = nil
          throws(name .. ": '" .. argument .. "' is missing", event.build, name, args)
        end
      end
    end
    throws("authorization: 'allowed' or 'result' is missing", event.build, "authorization",
      { user_id = "u", permission = "p", resource_id = "r" })
  end)

  -- Goal: a misspelt argument is an error, not a silent loss.
  -- Method: an unknown name for each of the twelve; positional arguments; no table at all.
  it("throw for an unknown argument", function()
    for name, example in pairs(EXAMPLES) do
      throws(name .. ": unknown argument 'usr'", event.build, name, with(example[1], { usr = "x" }))
      throws(name .. ": unknown argument 'event_type'", event.build, name, with(example[1], { event_type = "x" }))
      throws(name .. ": a table of arguments is missing", event.build, name, "alice")
    end
    throws("auth_attempt: unknown argument '1'", event.build, "auth_attempt", { "alice", true })
    throws("workflow_create: unknown argument 'resource_type'", event.build, "workflow_create",
      with(EXAMPLES.workflow_create[1], { resource_type = "user" }))
    throws("unknown event 'login'", event.build, "login", {})
  end)

  -- Goal: the common fields go through every constructor, and details are merged.
  -- Method: add all of them to each example and look for them in the event.
  it("take the common fields and merge details", function()
    local common = { ip_address = "192.0.2.1", user_agent = "curl", request_id = "r1", timestamp = "now",
      id = "0190a000-0000-7000-8000-000000000001", result_error = "because" }
    for name, example in pairs(EXAMPLES) do
      local made = event.build(name, with(example[1], with(common, { details = { extra = 1 } })))
      for field, value in pairs(common) do assert.equal(value, made[field]) end
      assert.same(with(example[2].details or {}, { extra = 1 }), made.details)
    end
    throws("'duration_ms' is given twice", event.build, "workflow_execution",
      with(EXAMPLES.workflow_execution[1], { details = { duration_ms = 1 } }))
    throws("workflow_create: 'details' must be a table", event.build, "workflow_create",
      with(EXAMPLES.workflow_create[1], { details = "text" }))
  end)

  -- Goal: details that have a type are checked where they are made.
  -- Method: wrong values for duration_ms, scopes, reason, workflow_id and allowed.
  it("check the types of details", function()
    for _, bad in ipairs({ -1, 0 / 0, 1 / 0, "500", true }) do
      throws("workflow_execution: 'duration_ms' must be a number of milliseconds, at least 0", event.build,
        "workflow_execution", with(EXAMPLES.workflow_execution[1], { duration_ms = bad }))
    end
    for _, bad in ipairs({ "read", { 1 }, { a = "read" }, { "a", nil, "c" }, 5 }) do
      throws("api_key_create: 'scopes' must be a list of strings", event.build, "api_key_create",
        with(EXAMPLES.api_key_create[1], { scopes = bad }))
    end
    throws("api_key_revoke: 'reason' must be a string", event.build, "api_key_revoke",
      with(EXAMPLES.api_key_revoke[1], { reason = 5 }))
    throws("authorization: 'allowed' must be true or false", event.build, "authorization",
      with(EXAMPLES.authorization[1], { allowed = "yes" }))
    throws("authorization: give 'allowed' or 'result', not both", event.build, "authorization",
      with(EXAMPLES.authorization[1], { result = "success" }))
    assert.equal("success", event.build("authorization", with(EXAMPLES.authorization[1], { allowed = true })).result)
  end)

  -- Goal: an argument of the wrong type is named, not a field that is computed of it.
  -- Method: a number where the resource_id is taken from; every text field of one constructor.
  it("name the argument that is ill-typed", function()
    throws("auth_attempt: 'user_id' must be a string, not a number", event.build, "auth_attempt",
      { user_id = 5, result = "success" })
    for _, field in ipairs({ "user_id", "result", "result_error", "ip_address", "user_agent", "request_id", "id" }) do
      throws("workflow_create: '" .. field .. "' must be a string, not a boolean", event.build, "workflow_create",
        with(EXAMPLES.workflow_create[1], { [field] = false }))
    end
  end)

  -- Goal: the error points at the line that made the mistake.
  -- Method: the message begins with this file's name.
  it("blame the caller", function()
    local _, message = pcall(function() event.build("auth_attempt", {}) end)
    assert.truthy(message:match("event_spec.lua:%d+: auth_attempt: 'user_id' is missing$"), message)
  end)
end)

describe("define", function()
  local TRADE = {
    action = "accept", resource_type = "item",
    required = { "user_id", "resource_id", "gold" },
    defaults = { result = "success" },
    details = { "gold", "count" },
    check = function(args) if args.gold < 0 then return "gold must not be negative" end end,
  }

  -- Goal: the example of docs/lua.md works as written there.
  -- Method: define it, build with and without optional arguments, and against the check.
  it("makes the trade of the manual", function()
    event.define("trade", TRADE)
    assert.same({ event_type = "trade", action = "accept", resource_type = "item", resource_id = "sword-9",
      user_id = "player:77", result = "success", details = { gold = 500 } },
      event.build("trade", { user_id = "player:77", resource_id = "sword-9", gold = 500 }))
    assert.equal("failure",
      event.build("trade", { user_id = "p", resource_id = "s", gold = 1, result = "failure" }).result)
    throws("trade: 'gold' is missing", event.build, "trade", { user_id = "p", resource_id = "s" })
    throws("trade: unknown argument 'silver'", event.build, "trade",
      { user_id = "p", resource_id = "s", gold = 1, silver = 2 })
    local made, message, code = event.build("trade", { user_id = "p", resource_id = "s", gold = -1 })
    assert.is_nil(made)
    assert.equal("trade: gold must not be negative", message)
    assert.equal("invalid", code)
  end)

  -- Goal: a check function that means "not right" by a boolean does not let everything pass, and
  -- one that means "right" by one does not make a message of it.
  -- Method: every kind of answer but a message or nothing throws at the caller's line, on build;
  -- complete, which throws nothing, refuses.
  it("takes nothing but a message from check", function()
    local answer
    event.define("sale", { action = "a", resource_type = "t", resource_id = "r", result = "success",
      check = function() return answer() end })
    for found, returns in pairs({
      ["a boolean"] = function() return false end, ["a number"] = function() return 0 end,
      ["a table"] = function() return {} end, ["nil and a string"] = function() return nil, "no" end,
    }) do
      answer = returns
      local good, message = pcall(function() local made = event.build("sale", {}); return made end)
      local text = "sale: check must return a message or nil, not " .. found
      assert.is_false(good)
      assert.is_truthy(message:match("event_spec.lua:%d+: (.*)$") == text, message)
      assert.same({ nil, text, "invalid" }, { event.complete({ event_type = "sale" }) })
    end
    answer = function() return true end
    throws("check must return a message or nil, not a boolean", event.build, "sale", {})
    answer = function() end
    assert.equal("sale", event.build("sale", {}).event_type)
    answer = function() return "" end
    assert.same({ nil, "sale: ", "invalid" }, { event.build("sale", {}) })
  end)

  -- Goal: a type whose name is no identifier can have a constructor.
  -- Method: a dotted type; built, completed, defined again under another type; one of the twelve
  -- keeps its own type whatever is defined for it.
  it("has a type besides its name", function()
    local spec = { event_type = "player.ban", action = "ban", resource_type = "player", result = "success",
      required = { "user_id", "resource_id" } }
    event.define("ban", spec)
    local ban = { event_type = "player.ban", action = "ban", resource_type = "player", resource_id = "p",
      user_id = "u", result = "success" }
    assert.same(ban, event.build("ban", { user_id = "u", resource_id = "p" }))
    assert.same(ban, event.complete({ event_type = "player.ban", user_id = "u", resource_id = "p" }))
    throws("ban: 'user_id' is missing", event.build, "ban", {})
    local other = { event_type = "ban", usr = 1 }
    assert.equal(other, event.complete(other))

    spec.event_type = "player.expel"
    event.define("ban", spec)
    other = { event_type = "player.ban", usr = 1 }
    assert.equal(other, event.complete(other))
    assert.equal("ban", event.complete({ event_type = "player.expel", user_id = "u", resource_id = "p" }).action)

    event.define("my_login", { event_type = "auth_attempt", action = "x", resource_type = "y", resource_id = "z",
      result = "success" })
    assert.equal("auth_attempt", event.build("my_login", {}).event_type)
    assert.equal("login", event.complete({ event_type = "auth_attempt", user_id = "u", result = "failure" }).action)
  end)

  -- Goal: a definition may be made again (a script is reloaded), but cannot be changed from afar.
  -- Method: define twice with another default; change the table after defining.
  it("replaces its own definition and keeps a copy", function()
    local spec = { action = "a", resource_type = "t", resource_id = "r", defaults = { result = "success" } }
    event.define("twice", spec)
    spec.defaults.result = "failure"
    assert.equal("success", event.build("twice", {}).result)
    event.define("twice", spec)
    assert.equal("failure", event.build("twice", {}).result)
  end)

  -- Goal: whatever a definition leaves open among the required fields becomes an argument.
  -- Method: an empty definition asks for all four; a function computes one from the others.
  it("asks for what the definition leaves open", function()
    event.define("bare", {})
    throws("bare: 'action' is missing", event.build, "bare", {})
    throws("bare: 'result' is missing", event.build, "bare",
      { action = "a", resource_type = "t", resource_id = "r" })
    event.define("computed", { action = "a", resource_type = "t", result = "success", required = { "user_id" },
      resource_id = function(args) return "of-" .. args.user_id end })
    assert.equal("of-u", event.build("computed", { user_id = "u" }).resource_id)
  end)

  -- Goal: a wrong definition is found where it is written.
  -- Method: one of each mistake, with the text that names it.
  it("refuses a definition that makes no sense", function()
    local function refused(text, name, spec) throws(text, event.define, name, spec, { append = true }) end
    for _, name in ipairs({ "", "1st", "trail.x", "a b", "end", "_x", ("x"):rep(101), 5, {} }) do
      refused("must be a letter and up to 99 letters, digits or _", name, {})
    end
    refused("'append' is already a method of a log", "append", {})
    refused("'auth_attempt' is already a method of a log", "auth_attempt", {})
    refused("define 'x': the definition must be a table", "x", nil)
    refused("define 'x': unknown key 'require'", "x", { require = {} })
    refused("define 'x': action must be a string or a function", "x", { action = 5 })
    refused("define 'x': check must be a function", "x", { check = true })
    refused("define 'x': required must be a list", "x", { required = "user_id" })
    refused("define 'x': required[1] must be the name", "x", { required = { 5 } })
    refused("define 'x': required: 'a' stands there twice", "x", { required = { "a", "a" }, details = { "a" } })
    refused("define 'x': required: 'gold' is neither a field of an event nor in details", "x",
      { required = { "gold" } })
    refused("define 'x': defaults: 'gold' is neither", "x", { defaults = { gold = 1 } })
    refused("define 'x': 'user_id' is required and has a default", "x",
      { required = { "user_id" }, defaults = { user_id = "u" } })
    refused("define 'x': required: 'action' is an argument, but the definition fixes it", "x",
      { action = "a", required = { "action" } })
    refused("define 'x': details: 'user_id' is a field of the event", "x", { details = { "user_id" } })
    refused("(any other type goes into event_type)", "player.ban", {})
    refused("define 'x': event_type must be a string", "x", { event_type = function() return "a.b" end })
    refused("define 'x': event_type must have 1 to 100 characters", "x", { event_type = "" })
    refused("define 'x': event_type must have 1 to 100 characters", "x", { event_type = ("\195\169"):rep(101) })
    refused("define 'x': event_type: 'trail.' is the engine's own prefix", "x", { event_type = "trail.x" })
    -- What the engine would refuse every time.
    local wrong = "define 'x': result is 'ok', must be success, failure or partial_success"
    refused(wrong, "x", { result = "ok" })
    refused(wrong, "x", { defaults = { result = "ok" } })
    refused("define 'x': required: event_type is part of the definition", "x", { required = { "event_type" } })
    assert.is_false(event.is_defined("x"))
  end)
end)

describe("complete", function()
  -- Goal: a command line may leave out what a constructor would fill in.
  -- Method: the examples of the design, as flat text.
  it("fills in what is left out", function()
    assert.same({ event_type = "auth_attempt", user_id = "alice", result = "failure", ip_address = "192.168.1.1",
      action = "login", resource_type = "user", resource_id = "alice" },
      event.complete({ event_type = "auth_attempt", user_id = "alice", result = "failure",
        ip_address = "192.168.1.1" }))
    assert.same({ duration_ms = 500 }, event.complete({ event_type = "workflow_execution", resource_id = "w",
      user_id = "u", result = "success", duration_ms = "500" }).details)
    assert.same({ scopes = { "read", "write" } }, event.complete({ event_type = "api_key_create", resource_id = "k",
      user_id = "u", scopes = "read,write" }).details)
    assert.equal("failure", event.complete({ event_type = "authorization", user_id = "u", permission = "p",
      resource_id = "r", allowed = "false" }).result)
  end)

  -- Goal: an event that is complete by itself goes through as it is, as with log:append.
  -- Method: full events of known and unknown types, and sample events.
  it("leaves complete and unknown events alone", function()
    local unknown = { event_type = "other", usr = 1 }
    assert.equal(unknown, event.complete(unknown))
    local full = { event_type = "workflow_execution", action = "retry", resource_type = "job", resource_id = "j",
      result = "success" }
    assert.same(full, event.complete(full))
    for i = 1, 60 do
      local sample = support.sample_event(i)
      if sample.event_type ~= "trade" then assert.same(sample, event.complete(sample)) end
    end
  end)

  -- Goal: what cannot be completed is explained and never throws.
  -- Method: a missing argument, an unknown one, a wrong one, and data that a check refuses.
  it("explains what it cannot complete", function()
    local function refused(text, fields)
      local completed, message, code = event.complete(fields)
      assert.is_nil(completed)
      assert.equal(text, message)
      assert.equal("invalid", code)
    end
    refused("auth_attempt: 'user_id' is missing", { event_type = "auth_attempt", result = "failure" })
    refused("auth_attempt: unknown argument 'usr'", { event_type = "auth_attempt", usr = "alice" })
    refused("workflow_execution: 'duration_ms' must be a number of milliseconds, at least 0",
      { event_type = "workflow_execution", resource_id = "w", user_id = "u", result = "success", duration_ms = "fast" })
    event.define("checked", { action = "a", resource_type = "t", resource_id = "r", result = "success",
      check = function() return "no" end })
    refused("checked: no", { event_type = "checked" })
  end)
end)
