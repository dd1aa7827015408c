-- map_spec.lua - the two maps in examples/, function by function: odd lines, odd records, ids.
-- Level: test; the maps run here in this Lua, with the module trail.
-- SPDX-License-Identifier: MIT

local support = require "spec.support"

if _VERSION ~= "Lua 5.4" then
  describe("the maps in examples/", function()
    pending("maps are Lua 5.4, this is " .. _VERSION .. ": NOT checked here")
  end)
  return
end

local trail = require "trail"

local function context(set)
  return { set = set or {}, trail = trail, file = "test", line = 0 }
end

-- All events of a list of lines, as the importer would call the map.
local function map_lines(lines, set)
  local map, where, events = dofile("examples/import_sshd.lua"), context(set), {}
  if map.start then assert.is_nil(map.start(where)) end
  for i, line in ipairs(lines) do
    where.line = i
    for _, event in ipairs(map.map(line, where) or {}) do events[#events + 1] = event end
  end
  return events
end

local function sshd(message, time)
  return (time or "Mar 14 03:52:05") .. " gate01 sshd[77]: " .. message
end

-- The one event of one message.
local function attempt(message, time, set)
  local events = map_lines({ sshd(message, time) }, set or { year = "2026" })
  assert.equal(1, #events, message)
  return events[1]
end

describe("examples/import_sshd.lua", function()
  -- Goal: every field of an attempt is right.
  it("reads a failed attempt of an invalid user", function()
    local event = attempt "Failed password for invalid user bo from 192.0.2.7 port 4711 ssh2"
    event.id = nil
    assert.same({
      event_type = "auth_attempt", action = "login", resource_type = "host", resource_id = "gate01",
      result = "failure", user_id = "bo", ip_address = "192.0.2.7", timestamp = "2026-03-14T03:52:05Z",
      details = { method = "password", port = 4711, pid = 77, host = "gate01", invalid_user = true },
    }, event)
  end)

  it("reads an accepted key, IPv6, and the name of newer processes", function()
    local event = attempt "Accepted publickey for bo from 2001:db8::7 port 22 ssh2: ED25519 SHA256:abc"
    assert.same({ "success", "2001:db8::7", false, "ED25519 SHA256:abc", "publickey" },
      { event.result, event.ip_address, event.details.invalid_user, event.details.key, event.details.method })
    local line = "2026-03-14T03:52:05.123456+01:00 gate01 sshd-session[77]: Accepted none for bo from ::1 port 22 ssh2"
    assert.equal("2026-03-14T03:52:05.123456+01:00", map_lines({ line })[1].timestamp)
  end)

  -- Goal: who can choose a user name cannot choose what the log says about him.
  -- Method: names that look like the rest of the line.
  it("is not deceived by names", function()
    local event = attempt(
      "Failed password for invalid user root from 192.0.2.1 port 22 ssh2 from 203.0.113.9 port 99 ssh2")
    assert.same({ "root from 192.0.2.1 port 22 ssh2", "203.0.113.9", 99 },
      { event.user_id, event.ip_address, event.details.port })
    event = attempt "Failed password for invalid user invalid user x from 192.0.2.1 port 22 ssh2"
    assert.equal("invalid user x", event.user_id)
    event = attempt "Failed password for invalid user  0101 from 192.0.2.1 port 22 ssh2"
    assert.equal(" 0101", event.user_id)
    event = attempt "Failed password for invalid user  from 192.0.2.1 port 22 ssh2"
    assert.is_nil(event.user_id)
    assert.same({}, map_lines { sshd "Invalid user Failed password for root from 192.0.2.1 port 22" })
  end)

  -- Goal: nothing is cut and nothing is lost when it does not fit.
  it("keeps in details what fits no field", function()
    local long = ("x"):rep(256)
    local event = attempt("Failed password for invalid user " .. long .. " from UNKNOWN port 22 ssh2")
    assert.same({ nil, long, nil, "UNKNOWN" },
      { event.user_id, event.details.user, event.ip_address, event.details.from })
    assert.equal(long, event.details.user)
    event = attempt "Failed password for invalid user \xff\x01 from 192.0.2.1 port 22 ssh2"
    assert.equal("ff01", event.details.user_hex)
    assert.is_nil(event.user_id)
  end)

  -- Goal: only addresses that the engine takes become ip_address.
  it("knows an address when it sees one", function()
    for text, is in pairs {
      ["0.0.0.0"] = true, ["255.255.255.255"] = true, ["256.0.0.1"] = false, ["1.2.3"] = false,
      ["01.2.3.4"] = false, ["::"] = true, ["::1"] = true, ["1::"] = true, ["1:2:3:4:5:6:7:8"] = true,
      ["1:2:3:4:5:6:7"] = false, ["1:2:3:4:5:6:7:8:9"] = false, ["1::2::3"] = false, [":::"] = false,
      [":1"] = false, ["1:"] = false, ["::ffff:192.0.2.1"] = true, ["1:2:3:4:5:6:192.0.2.1"] = true,
      ["192.0.2.1::"] = false, ["fe80::1%eth0"] = false, ["12345::"] = false, ["::1:2:3:4:5:6:7"] = true,
      ["::1:2:3:4:5:6:7:8"] = false, ["host.example"] = false, ["g::"] = false,
    } do
      local event = attempt("Failed password for bo from " .. text .. " port 22 ssh2")
      assert.equal(is, event.ip_address ~= nil, text)
    end
  end)

  it("counts repeats and refuses absurd ones", function()
    local inner = "[ Failed password for root from 192.0.2.1 port 22 ssh2]"
    assert.equal(5, #map_lines { sshd("message repeated 5 times: " .. inner) })
    local map = dofile("examples/import_sshd.lua")
    local where = context { year = "2026" }
    where.line = 1
    local event, reason = map.map(sshd("message repeated 99999999999 times: " .. inner), where)
    assert.is_nil(event)
    assert.matches("repeated more than 65536 times", reason)
  end)

  -- Goal: ids depend on the content of the file only, and two events never share one.
  it("derives ids from the source", function()
    local line = sshd "Failed password for bo from 192.0.2.7 port 4711 ssh2"
    local lines = { line, sshd "Connection closed", line, sshd(
      "message repeated 3 times: [ Failed password for bo from 192.0.2.7 port 4711 ssh2]") }
    local first, again, seen = map_lines(lines, { year = "2026" }), map_lines(lines, { year = "2026" }), {}
    assert.equal(5, #first)
    for i, event in ipairs(first) do
      assert.equal(event.id, again[i].id)
      assert.is_nil(seen[event.id])
      seen[event.id] = true
      assert.equal("5", event.id:sub(15, 15))
    end
    assert.equal(trail.uuid5("5b8a3c1e-7d42-4f60-9e15-2a6c8b0d4f37", line .. "\n2026\n2\n1"), first[2].id)
  end)

  it("goes into the next year where the months fall back", function()
    local failed = "Failed password for bo from 192.0.2.7 port 4711 ssh2"
    local years = {}
    for i, time in ipairs { "Dec 31 23:59:59", "Jan  1 00:00:00", "Dec 31 23:59:59", "Feb  1 00:00:00",
      "Jan 31 00:00:00", "Dec 31 00:00:00", "Jan  1 00:00:00" } do
      years[i] = sshd(failed, time)
    end
    local got = {}
    for i, event in ipairs(map_lines(years, { year = "2015" })) do got[i] = event.timestamp:sub(1, 10) end
    assert.same({ "2015-12-31", "2016-01-01", "2015-12-31", "2016-02-01", "2016-01-31", "2015-12-31",
      "2016-01-01" }, got)
  end)

  it("never puts a line without a year into the future", function()
    local now = os.time()
    for _, days in ipairs { 0, 1, 30, 200, 360 } do
      local time = os.date("!%b %d %H:%M:%S", now - days * 86400):gsub(" 0(%d) ", "  %1 ")
      local event = attempt("Failed none for bo from 192.0.2.7 port 1 ssh2", time, {})
      assert.equal(os.date("!%Y-%m-%dT%H:%M:%SZ", now - days * 86400), event.timestamp)
    end
  end)

  it("refuses wrong options", function()
    local map = dofile("examples/import_sshd.lua")
    assert.matches("four digits", map.start(context { year = "15" }))
    assert.matches("zone", map.start(context { zone = "CET" }))
    assert.is_nil(map.start(context { year = "2015", zone = "+01:00" }))
    assert.matches("%+01:00$", attempt("Failed none for bo from 192.0.2.7 port 1 ssh2", nil,
      { year = "2015", zone = "+01:00" }).timestamp)
  end)
end)

-- A CloudTrail record with what every record has; `more` is merged over it.
local function record(more)
  local base = {
    eventVersion = "1.09", eventTime = "2026-03-14T04:00:20Z", eventSource = "s3.amazonaws.com",
    eventName = "ListBuckets", eventID = "0B8CF7A1-2F8E-5D23-8B67-9D7F3F1E2C11", requestID = "r-1",
    userAgent = "cli", sourceIPAddress = "192.0.2.5", recipientAccountId = "111122223333",
    userIdentity = { type = "IAMUser", arn = "arn:aws:iam::111122223333:user/bo", userName = "bo" },
    requestParameters = trail.null,
  }
  for key, value in pairs(more or {}) do base[key] = value ~= "absent" and value or nil end
  return base
end

local function map_records(records)
  local text = trail.encode { Records = trail.array(records) }
  return assert(dofile("examples/import_cloudtrail.lua").map(text, context()))
end

local function cloud(more)
  return map_records({ record(more) })[1]
end

describe("examples/import_cloudtrail.lua", function()
  it("maps every member of a record to one place", function()
    local event = cloud()
    assert.equal("0b8cf7a1-2f8e-5d23-8b67-9d7f3f1e2c11", event.id)
    assert.same({ "2026-03-14T04:00:20Z", "s3.amazonaws.com", "ListBuckets", "success", "192.0.2.5", "cli", "r-1" },
      { event.timestamp, event.event_type, event.action, event.result, event.ip_address, event.user_agent,
        event.request_id })
    assert.equal("arn:aws:iam::111122223333:user/bo", event.user_id)
    assert.same({ "account", "111122223333" }, { event.resource_type, event.resource_id })
    assert.same({ eventVersion = "1.09", recipientAccountId = "111122223333", requestParameters = trail.null,
      userIdentity = { type = "IAMUser", userName = "bo" } }, event.details)
  end)

  it("finds who it was", function()
    assert.equal("P", cloud({ userIdentity = { principalId = "P", invokedBy = "i" } }).user_id)
    assert.equal("i", cloud({ userIdentity = { invokedBy = "i" } }).user_id)
    assert.is_nil(cloud({ userIdentity = {} }).user_id)
    assert.is_nil(cloud({ userIdentity = trail.null }).user_id)
    local long = { arn = ("x"):rep(256), principalId = "P" }
    local event = cloud({ userIdentity = long })
    assert.equal("P", event.user_id)
    assert.same({ arn = long.arn }, event.details.userIdentity)
  end)

  it("finds the resource by the rule in its header", function()
    local function resource(more)
      local event = cloud(more)
      return event.resource_type .. " " .. event.resource_id
    end
    local arn = "arn:aws:ssm:eu-central-1:1:parameter/x"
    assert.equal("ssm " .. arn, resource { resources = { { ARN = arn } } })
    assert.equal("T " .. arn, resource { resources = { { ARN = arn, type = "T" } } })
    assert.equal("T " .. arn, resource { resources = { { ARN = ("x"):rep(256) }, { ARN = arn, type = "T" } } })
    assert.equal("bucket b", resource { requestParameters = { bucketName = "b", name = "n" } })
    assert.equal("s3 n", resource { requestParameters = { name = "n" } })
    assert.equal("Parameter /p", resource { requestParameters = { resourceId = "/p", resourceType = "Parameter" } })
    assert.equal("instance i-1", resource {
      requestParameters = { filterSet = {}, instancesSet = { items = { { instanceId = "i-1" } } } } })
    assert.equal("nat-gateway n-1", resource {
      requestParameters = { DescribeNatGatewaysRequest = { NatGatewayId = { tag = 1, content = "n-1" } } } })
    assert.equal("account 111122223333", resource { requestParameters = { bucketName = ("x"):rep(256) } })
    assert.equal("service s3.amazonaws.com", resource { recipientAccountId = "absent" })
  end)

  it("tells failure from success", function()
    local function result(more)
      local event = cloud(more)
      return event.result, event.result_error, event.details.errorCode, event.details.errorMessage
    end
    assert.same({ "failure", "C: m" }, { result { errorCode = "C", errorMessage = "m" } })
    assert.same({ "failure", "C" }, { result { errorCode = "C" } })
    assert.same({ "failure", "m" }, { result { errorMessage = "m" } })
    assert.equal("success", (result { errorCode = trail.null, errorMessage = trail.null }))
    assert.equal("failure", (result { responseElements = { ConsoleLogin = "Failure" } }))
    assert.equal("success", (result { responseElements = { ConsoleLogin = "Success" } }))
    local long = ("m"):rep(65536)
    assert.same({ "failure", "C", nil, long }, { result { errorCode = "C", errorMessage = long } })
  end)

  it("keeps in details what fits no field", function()
    local event = cloud { sourceIPAddress = "AWS Internal", userAgent = ("u"):rep(4097), requestID = ("r"):rep(256) }
    assert.same({ "AWS Internal", ("u"):rep(4097), ("r"):rep(256) },
      { event.details.sourceIPAddress, event.details.userAgent, event.details.requestID })
    assert.is_true(event.ip_address == nil and event.user_agent == nil and event.request_id == nil)
  end)

  it("derives an id where there is none", function()
    local events = map_records { record { eventID = "absent" }, record { eventID = "absent" },
      record { eventID = "7" } }
    local again = map_records { record { eventID = "absent" } }
    assert.equal(events[1].id, again[1].id)
    assert.is_true(events[1].id ~= events[2].id and events[2].id ~= events[3].id)
    assert.equal("7", events[3].details.eventID)
  end)

  -- Goal: a record that does not say when, what or where never gets a value that we made up.
  it("hands incomplete records to the engine, which refuses them", function()
    local log = assert(trail.open(support.tmpdir() .. "/audit.trail"))
    for _, event in ipairs { cloud { eventTime = "absent" }, cloud { eventName = "absent" },
      cloud { eventSource = trail.null }, map_records { 7 }[1] } do
      local good, seq, message, code = pcall(log.append, log, event)
      assert.is_true(not good or (seq == nil and code == "invalid"), tostring(message))
    end
    assert(log:append(cloud()))
    log:close()
  end)

  it("says what a file is that is none of CloudTrail's", function()
    local map = dofile("examples/import_cloudtrail.lua")
    for text, words in pairs { ["{}"] = "no Records", ["[]"] = "no Records",
      ["\31\139\8"] = "gunzip", ["{"] = "not JSON", [""] = "not JSON", ['{"Records":7}'] = "no Records" } do
      local events, reason = map.map(text, context())
      assert.is_nil(events)
      assert.matches(words, reason, 1, true)
    end
  end)
end)
