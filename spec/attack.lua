-- attack.lua - what the specs that play the attacker share: take stored values apart, make new
-- ones, put a chain together, verify a trail in this process.
-- Level: test; `require "spec.attack"`. Uses trail and trail.testing, never on the same trail at
-- the same time: they are two copies of the library.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54

local support = require "spec.support"
local testing = require "trail.testing"
local trail = require "trail"

local attack = {}

-- A directory for trails that need not survive anything: in memory, if the machine has that.
function attack.tmpdir()
  local file = io.open("/dev/shm/.trail-spec", "w")
  if not file then return support.tmpdir() end
  file:close()
  os.remove("/dev/shm/.trail-spec")
  return support.tmpdir("/dev/shm")
end

-- Event number n with 'len' bytes of details, 1,000 unless given.
function attack.sized_event(n, len)
  return { event_type = "x", action = "y", resource_type = "z", resource_id = tostring(n),
    result = "success", details = ("d"):rep(len or 1000) }
end

-- What a child returned; an error, or a death, of the child is an error here.
function attack.in_child(body)
  local how, code, text = testing.process.run(body)
  if how ~= "exit" or code ~= 0 then
    error(("the child ended with %s %s: %s"):format(how, tostring(code), tostring(text)), 2)
  end
  return text
end

-- Put a trail at 'path': the bytes of a log.mdb, nothing else.
function attack.place(path, bytes)
  local file = io.open(path .. "/log.mdb", "wb")
  if not file then
    os.execute("mkdir -p " .. support.quote(path))
    file = assert(io.open(path .. "/log.mdb", "wb"))
  end
  assert(file:write(bytes))
  assert(file:close())
end

function attack.bytes(path)
  return support.read_file(path .. "/log.mdb")
end

-- The report on a trail, made in this process. A trail that cannot even be opened counts as
-- unreadable, as in trail.verify. The second result is the error message, if any.
function attack.verdict(path, expect_head)
  local log, message, code = trail.open(path, { read_only = true, create = false })
  if not log then
    assert(code == "corrupt", message)
    return { fault = "unreadable", first_bad_seq = 0, last_good_seq = 0, ok = false,
      text = message }, message
  end
  local report, text, status, bad =
    log:verify { in_process = true, expect_head = expect_head }
  log:close()
  assert(report or status == "corrupt", text)
  return report or bad, text
end

local function unhex(text)
  return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

function attack.hex(bytes)
  return (bytes:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

-- A key of the table 'entries'.
function attack.key(seq)
  return string.pack(">I8", seq)
end

-- The id of a record as the 16 bytes that are stored.
function attack.id_bytes(text)
  return unhex((text:gsub("-", "")))
end

-- Every record of a trail as what entry.encode takes, and with its stored bytes: a list by seq.
function attack.events(path)
  local log = assert(trail.open(path, { read_only = true, create = false }))
  local list = {}
  for e in log:query({ order = "oldest" }, { bytes = true, details = "text" }) do
    e.id = attack.id_bytes(e.id)
    e.previous_hash = unhex(e.previous_hash)
    e.event_hash = unhex(e.event_hash)
    e.who_salt = e.who:sub(3, 18)
    e.details_salt = e.details_part and e.details_part:sub(3, 18) or ("\0"):rep(16)
    list[#list + 1] = e
  end
  log:close()
  return list
end

-- The stored value of an event as attack.events gives it; its event_hash is set anew.
function attack.encode(event)
  local made = testing.entry.encode(event)
  event.event_hash = made.event_hash
  return made.stored
end

-- Changes for kv.change that write the events from seq 'first' on, each linked to the one before.
function attack.chain(events, first)
  local changes = {}
  for seq = first, #events do
    local event = events[seq]
    event.seq = seq
    if seq > 1 then event.previous_hash = events[seq - 1].event_hash end
    changes[#changes + 1] =
      { table = "entries", key = attack.key(seq), value = attack.encode(event) }
  end
  return changes
end

-- An unsigned number as CBOR, major type 0 unless another is given.
local function cbor_head(number, major)
  local top = (major or 0) << 5
  if number < 24 then return string.char(top + number) end
  if number < 256 then return string.pack(">BB", top + 24, number) end
  if number < 65536 then return string.pack(">BI2", top + 25, number) end
  if number < 1 << 32 then return string.pack(">BI4", top + 26, number) end
  return string.pack(">BI8", top + 27, number)
end

-- The row 'head' of meta that fits an event; kv.change sets the number of the transaction.
function attack.head_value(event)
  return cbor_head(4, 4) .. cbor_head(event.seq) .. cbor_head(event.recorded_at)
    .. cbor_head(32, 2) .. event.event_hash .. cbor_head(0)
end

function attack.head_change(event)
  return { table = "meta", key = "head", value = attack.head_value(event) }
end

-- Where the items of a CBOR array begin and what they are: { { at =, head_len =, len = }, ... };
-- the first one is the array itself. Offsets from 0. 'len' is that of the content.
function attack.items(bytes)
  local items, at = {}, 0
  while at < #bytes do
    local first = bytes:byte(at + 1)
    local major, info = first >> 5, first & 31
    local extra = info < 24 and 0 or info <= 27 and 1 << (info - 24) or 0
    local number = extra > 0 and string.unpack(">I" .. extra, bytes, at + 2) or info
    local len = (major == 2 or major == 3) and number or 0
    items[#items + 1] = { at = at, major = major, number = number, head_len = 1 + extra, len = len }
    at = at + 1 + extra + len
  end
  return items
end

-- The number of the transaction that wrote the head.
function attack.txn(path)
  for _, row in ipairs(assert(testing.kv.rows(path, "meta"))) do
    if row.key == "head" then
      local items = attack.items(row.value)
      return items[#items].number
    end
  end
end

return attack
