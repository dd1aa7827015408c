-- import_cloudtrail.lua - a map for `trail import`: records of AWS CloudTrail become events.
-- Example: made to be copied; uses only what docs/import.md promises. Lua 5.4.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--
--     trail import DIR --map examples/import_cloudtrail.lua *.json        (gunzip them first)
--
-- A file is {"Records":[ ... ]}; each record becomes one event:
--
--     id             eventID; if it is missing or no UUID: see below
--     timestamp      eventTime
--     event_type     eventSource               ("s3.amazonaws.com")
--     action         eventName                 ("DeleteBucket")
--     user_id        userIdentity.arn, else userIdentity.principalId, else userIdentity.invokedBy
--     resource_type,
--     resource_id    see below
--     result         "failure" if there is an errorCode or an errorMessage, or if a ConsoleLogin
--                    says that it failed (AWS gives those no errorCode); else "success"
--     result_error   "errorCode: errorMessage", or the one of them that is there
--     ip_address     sourceIPAddress, if it is an address ("AWS Internal" is none)
--     user_agent     userAgent
--     request_id     requestID
--     details        the rest of the record, value for value
--
-- The rest: a member of the record that became a field in full is taken out of details, and so is
-- the one member of userIdentity that became user_id (it then stands in one place only, the part
-- that can be erased for a person). Everything else stays, `resources` and `requestParameters` too,
-- of which the event's resource is only a pointer. What is too long for its field (255 characters,
-- 4,096 for user_agent, 65,536 bytes for result_error) is never cut: it stays in details, and the
-- field takes the next candidate or stays absent.
--
-- The resource is the first of these that exists and fits:
--   1. `resources`: the first one with an ARN. resource_id is the ARN; resource_type is its `type`
--      ("AWS::S3::Bucket"), else the service in the ARN ("ssm").
--   2. `requestParameters`: the first name of the list PARAMETERS below that holds a text;
--      resource_type is the word beside it. Before all of them `resourceId`, whose type is
--      `resourceType`; after all of them `name`, whose type is the service ("cloudtrail").
--   3. `requestParameters`: EC2's lists, {"xSet":{"items":[{"yId":"..."}]}}, their first item, and
--      its wrapped requests, {"XRequest":{"YId":"..."}} or {"XRequest":{"YId":{"content":"..."}}}:
--      in alphabetical order the first member whose name ends in "Id" and that holds a text;
--      resource_type is the name without "Id" ("nat-gateway").
--   4. The account: resource_type "account", resource_id recipientAccountId, else
--      userIdentity.accountId. 5. The service: resource_type "service", resource_id eventSource.
--
-- The id without a usable eventID: a UUID v5 in the namespace NAMESPACE below of the whole record
-- as JSON with sorted keys (trail.encode), "\n", and how often this record occurred in its file so
-- far, from 1. So importing again stores nothing twice, and two equal records are two events.
--
-- A record without a proper eventTime, eventSource or eventName, or with more than 1 MiB of
-- details, is refused by the engine and reported by its number; the others are stored.

local map = { files = true }

local NAMESPACE = "c2d9f8a4-31b7-4e6e-8f0d-96a1e4b57c23"

-- More telling names first; "name" fits everything and comes last: its type is the service.
local PARAMETERS = {
  { "bucketName", "bucket" }, { "functionName", "function" }, { "secretId", "secret" },
  { "tableName", "table" }, { "dBInstanceIdentifier", "db-instance" },
  { "dBSnapshotIdentifier", "db-snapshot" }, { "dBClusterIdentifier", "db-cluster" },
  { "instanceId", "instance" }, { "volumeId", "volume" }, { "snapshotId", "snapshot" },
  { "imageId", "image" }, { "networkInterfaceId", "network-interface" },
  { "internetGatewayId", "internet-gateway" }, { "routeTableId", "route-table" },
  { "subnetId", "subnet" }, { "groupId", "group" }, { "vpcId", "vpc" },
  { "accessKeyId", "access-key" }, { "userName", "user" }, { "roleName", "role" },
  { "roleArn", "role" }, { "groupName", "group" }, { "instanceProfileName", "instance-profile" },
  { "policyArn", "policy" }, { "policyName", "policy" }, { "keyId", "key" },
  { "trailName", "trail" }, { "logGroupName", "log-group" }, { "topicArn", "topic" },
  { "queueUrl", "queue" }, { "stackName", "stack" }, { "clusterName", "cluster" },
  { "repositoryName", "repository" }, { "documentName", "document" },
  { "resourceArn", "resource" }, { "resourceARN", "resource" }, { "resourceName", "resource" },
  { "name" },
}

local ID_CHARS, TYPE_CHARS, AGENT_CHARS, ERROR_LEN = 255, 50, 4096, 65536

-- ---- values ------------------------------------------------------------------------------------

-- The value if it is a text of 1 to `limit` characters, else nil.
local function fitting(value, limit)
  if type(value) ~= "string" or value == "" then return nil end
  local chars = utf8.len(value)
  return chars and chars <= limit and value or nil
end

-- The value if it is a JSON object, else an empty table, so that looking into it is always fine.
local function object(value)
  return type(value) == "table" and value or {}
end

-- Is there really something, neither null nor empty?
local function stated(value)
  return type(value) == "number" or (type(value) == "string" and value ~= "")
end

local function is_uuid(value)
  return type(value) == "string" and #value == 36
    and value:find("^%x+%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x+$") ~= nil and value:find("-") == 9
end

local function copy(source)
  local target = {}
  for key, value in pairs(source) do target[key] = value end
  return target
end

local function sorted_keys(source)
  local keys = {}
  for key in pairs(source) do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

-- ---- the resource ------------------------------------------------------------------------------

local function from_resources(record)
  for _, resource in ipairs(object(record.resources)) do
    resource = object(resource)
    local arn = fitting(resource.ARN or resource.arn, ID_CHARS)
    if arn then
      local service = arn:match("^arn:[^:]*:([^:]+):")
      return fitting(resource.type, TYPE_CHARS) or fitting(service, TYPE_CHARS) or "resource", arn
    end
  end
end

local function from_known_parameters(parameters, service)
  local id = fitting(parameters.resourceId, ID_CHARS)
  if id then return fitting(parameters.resourceType, TYPE_CHARS) or "resource", id end
  for _, known in ipairs(PARAMETERS) do
    id = fitting(parameters[known[1]], ID_CHARS)
    if id then return known[2] or service, id end
  end
end

-- "NatGateway" to "nat-gateway".
local function with_hyphens(name)
  return (name:gsub("(%l)(%u)", "%1-%2"):lower())
end

-- The first member "somethingId" of a table: "something" and its value.
local function from_members(members)
  for _, key in ipairs(sorted_keys(members)) do
    local kind, value = key:match("^(.+)Id$"), members[key]
    local id = fitting(type(value) == "table" and value.content or value, ID_CHARS)
    if kind and id then return fitting(with_hyphens(kind), TYPE_CHARS) or "resource", id end
  end
end

local function from_nested_parameters(parameters)
  for _, key in ipairs(sorted_keys(parameters)) do
    local inner, kind, id = object(parameters[key]), nil, nil
    if key:match("Set$") then
      kind, id = from_members(object(object(inner.items)[1]))
    elseif key:match("Request$") then
      kind, id = from_members(inner)
    end
    if id then return kind, id end
  end
end

local function from_account(record)
  local account = fitting(record.recipientAccountId, ID_CHARS)
    or fitting(object(record.userIdentity).accountId, ID_CHARS)
  if account then return "account", account end
  return "service", fitting(record.eventSource, ID_CHARS)
end

-- resource_type and resource_id, by the rule in the header.
local function resource_of(record)
  local parameters = object(record.requestParameters)
  local kind, id = from_resources(record)
  if not id then
    local service = fitting(record.eventSource, TYPE_CHARS) or "resource"
    kind, id = from_known_parameters(parameters, (service:gsub("%..*$", "")))
  end
  if not id then kind, id = from_nested_parameters(parameters) end
  if not id then kind, id = from_account(record) end
  return kind, id
end

-- ---- the event ---------------------------------------------------------------------------------

-- Take a member out of `rest` if it fits into a field of the event.
local function take(rest, name, limit)
  local value = fitting(rest[name], limit)
  if value then rest[name] = nil end
  return value
end

-- Take the member that says who it was out of the copy of userIdentity in `rest`.
local function take_user(rest)
  if type(rest.userIdentity) ~= "table" then return nil end
  local identity = copy(rest.userIdentity)
  for _, name in ipairs { "arn", "principalId", "invokedBy" } do
    local user = take(identity, name, ID_CHARS)
    if user then
      rest.userIdentity = identity
      return user
    end
  end
end

-- result and result_error. A code that holds ": " stays in details as well, since the joined text
-- would not say where it ends.
local function take_result(rest)
  local code, message = fitting(rest.errorCode, ERROR_LEN), fitting(rest.errorMessage, ERROR_LEN)
  if not stated(rest.errorCode) and not stated(rest.errorMessage) then
    local failed = object(rest.responseElements).ConsoleLogin == "Failure"
    return failed and "failure" or "success", nil
  end
  local text = code and message and code .. ": " .. message or code or message
  if text and #text > ERROR_LEN then text = code end
  if not text or #text > ERROR_LEN then return "failure", nil end
  if text ~= code then rest.errorMessage = nil end
  if code and not code:find(": ", 1, true) then rest.errorCode = nil end
  return "failure", text
end

-- The id of a record, and how often equal records without one occurred in this file.
local function take_id(rest, record, seen, trail)
  if is_uuid(rest.eventID) then
    rest.eventID = nil
    return record.eventID:lower()
  end
  local text = trail.encode(record)
  seen[text] = (seen[text] or 0) + 1
  return trail.uuid5(NAMESPACE, text .. "\n" .. seen[text])
end

local function event_of(record, seen, trail)
  local rest = copy(record)
  local event = { user_id = take_user(rest) }
  event.id = take_id(rest, record, seen, trail)
  event.resource_type, event.resource_id = resource_of(record)
  event.result, event.result_error = take_result(rest)
  -- Never the engine's own clock: a record that does not say when is refused.
  event.timestamp = take(rest, "eventTime", ID_CHARS) or "no eventTime"
  event.event_type = rest.eventSource
  event.action = rest.eventName
  event.user_agent = take(rest, "userAgent", AGENT_CHARS)
  event.request_id = take(rest, "requestID", ID_CHARS)
  if type(rest.sourceIPAddress) == "string" and trail.is_address(rest.sourceIPAddress) then
    event.ip_address = take(rest, "sourceIPAddress", ID_CHARS)
  end
  rest.eventSource, rest.eventName = nil, nil
  event.details = rest
  return event
end

function map.map(text, context)
  local trail = context.trail
  if text:sub(1, 2) == "\31\139" then return nil, "compressed: gunzip it first" end
  local content, problem = trail.decode(text)
  if type(content) ~= "table" then return nil, "not JSON: " .. tostring(problem) end
  if type(content.Records) ~= "table" then return nil, "not a CloudTrail file: no Records" end

  local events, seen = {}, {}
  for i, record in ipairs(content.Records) do
    -- A record that is no object gives an empty event: the engine refuses it under its number.
    events[i] = type(record) == "table" and event_of(record, seen, trail) or {}
  end
  return events
end

return map
