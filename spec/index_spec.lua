-- index_spec.lua - the index is killed, erased, replaced, damaged and starved: the answers stay right.
-- Level: test; forks and kills children; needs `make testing`.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local attack = require "spec.attack"
local small = require "spec.small_index"
local support = require "spec.support"

local testing = small.testing
local fault, process, trail = testing.fault, testing.process, small.trail
local in_child = attack.in_child
local SANITIZED = support.B:find "sanitize" ~= nil
local ROOT = process.uid() == 0
local NOBODY = 65534
local BEGAN = 1795000000 * 1000000
local MANUAL = { indexing = "manual", index = { "region" } }

---- events that follow from their number, and the answers that follow from how many there are ----

local function event(n)
  return {
    event_type = "kind-" .. n % 3, action = "act", resource_type = "thing", resource_id = "thing-" .. n,
    result = n % 7 == 0 and "failure" or "success", result_error = n % 7 == 0 and "no" or nil,
    user_id = n % 5 > 0 and "user-" .. n % 5 or nil, timestamp = BEGAN + n * 60000000,
    details = n % 2 == 0 and { region = "r" .. n % 4 } or nil,
  }
end

-- Events number 'first' to 'last'.
local function append(log, first, last)
  local batch = {}
  for n = first, last do
    batch[#batch + 1] = event(n)
    if #batch == 50 or n == last then
      assert(log:append(batch))
      batch = {}
    end
  end
end

local QUESTIONS = {
  { { event_type = "kind-1" }, function(n) return n % 3 == 1 end },
  { { user_id = "user-2", result = "success" }, function(n) return n % 5 == 2 and n % 7 ~= 0 end },
  { { user_id = { ["not"] = "user-*" }, event_type = "kind-*" }, function(n) return n % 5 == 0 end },
  { { ["details.region"] = "r2" }, function(n) return n % 4 == 2 end },
  { { since = BEGAN + 50 * 60000000, ["until"] = BEGAN + 90 * 60000000 }, function(n) return n >= 50 and n < 90 end },
  { { resource_id = { "thing-7", "thing-77" } }, function(n) return n == 7 or n == 77 end },
}

-- What the trail says when it has events 1 to 'last': nil, or what is wrong.
local function wrong_with(log, last)
  assert(log:head().seq == last + 1, "other events are there")
  for i, question in ipairs(QUESTIONS) do
    local seqs = {}
    for n = 1, last do
      if question[2](n) then seqs[#seqs + 1] = n + 1 end
    end
    local count, message = log:count(question[1])
    if count ~= #seqs then return ("question %d: count %s, not %d %s"):format(i, count, #seqs, message or "") end
    local filter = { order = "oldest" }
    for key, value in pairs(question[1]) do filter[key] = value end
    local at = 0
    for e in log:query(filter) do
      at = at + 1
      if e.seq ~= seqs[at] then return ("question %d: seq %s, not %s"):format(i, e.seq, seqs[at]) end
    end
    if at ~= #seqs then return ("question %d: %d rows, not %d"):format(i, at, #seqs) end
  end
  local top = assert(log:top("user_id", { event_type = "kind-*" }))
  if top.events ~= last or top.absent ~= last // 5 then return "top: " .. top.events .. " " .. top.absent end
  local by_hour = assert(log:histogram("hour", { event_type = "kind-*" }))
  if by_hour.events ~= last then return "histogram: " .. by_hour.events end
end

local function assert_right(path, last)
  local log <close> = assert(trail.open(path, MANUAL))
  assert.is_nil(wrong_with(log, last))
end

-- The index is complete, and its file holds nothing that no segment needs.
local function assert_complete(path)
  do
    local log <close> = assert(trail.open(path, MANUAL))
    assert(log:maintain())
    local index = assert(log:index())
    assert.is_true(index.present)
    assert.is_true(index.head_seq - index.index_seq < index.levels[1].span)
  end
  local state = testing.index.state(path)
  assert.equal(0, state.merging)
  assert.equal(0, state.dead)
  local live, next_seq = {}, 1
  for _, segment in ipairs(state) do
    assert.equal(next_seq, segment.seq_first)
    next_seq = segment.seq_last + 1
    live[segment.number] = true
  end
  assert.equal(state.seq + 1, next_seq)
  for _, row in ipairs(testing.kv.rows(path, "blocks")) do
    assert.is_true(live[string.unpack(">I8", row.key)], "a block of a segment that is no more")
  end
end

local function new_trail(last, options)
  local path = support.tmpdir() .. "/audit.trail"
  local log <close> = assert(trail.open(path, options or MANUAL))
  append(log, 1, last)
  return path
end

local function maintained(path, options)
  local log <close> = assert(trail.open(path, MANUAL))
  assert(log:maintain(options))
end

local function copy(from, to) assert(os.execute("cp " .. from .. " " .. to .. ".new && mv " .. to .. ".new " .. to)) end

describe("the index", function()
  before_each(function() small.shape(4, 2, 5) end)
  after_each(function() small.shape() end)

  -- Goal: killed anywhere, the indexer leaves right answers, the next one goes on, and no block
  -- that nobody needs stays behind.
  -- Method: children that maintain are killed at their N-th commit, or when they have written so
  -- many rows; after each death all questions; more events come in between.
  it("survives the death of its indexer at each commit and in the middle of its steps", function()
    support.seed()
    for _, point in ipairs { "build/commit", "kv/commit", "kv/put" } do
      local last, deaths, finished = 100, 0, 0
      local path = new_trail(last)
      for round = 1, SANITIZED and 25 or 60 do
        local calls = round % 5 + 1
        if point == "kv/put" then calls = round % 5 == 0 and 1 << 30 or math.random(round * 4) end
        local how, number, text = process.run(function()
          local log = assert(trail.open(path, MANUAL))
          fault.arm(point, calls, 1)
          fault.deadly()
          assert(log:maintain { anew = round % 20 == 0 })
        end)
        if how == "signal" then
          assert.equal(9, number)
          deaths = deaths + 1
        else
          assert.equal(0, number, text)
          finished = finished + 1
          local log <close> = assert(trail.open(path, MANUAL))
          append(log, last + 1, last + 30)
          last = last + 30
        end
        assert_right(path, last)
      end
      assert.is_true(deaths > 5 and finished > 0, point .. ": " .. deaths .. " died, " .. finished .. " finished")
      assert_complete(path)
      assert_right(path, last)
    end
  end)

  -- Goal: the same for the thread beside the appends; what was acknowledged is found.
  -- Method: children that append, whose indexing thread kills them at its N-th step.
  it("survives the death of a process that appends and indexes", function()
    local path = new_trail(10)
    local last, deaths = 10, 0
    for round = 1, SANITIZED and 10 or 25 do
      for _, indexing in ipairs { "background", "inline" } do
        local how, number, text = process.run(function()
          local log = assert(trail.open(path, { indexing = indexing }))
          fault.arm("build/commit", round % 6 + 1, 1)
          fault.deadly()
          for n = last + 1, last + 200 do assert(log:append(event(n))) end
        end)
        assert.equal(0, how == "signal" and number - 9 or number, text)
        deaths = deaths + (how == "signal" and 1 or 0)
        local log <close> = assert(trail.open(path, MANUAL))
        last = log:head().seq - 1
        assert.is_nil(wrong_with(log, last))
      end
    end
    assert.is_true(deaths > 10, deaths .. " died")
    assert_complete(path)
    assert_right(path, last)
  end)

  -- Goal: an index that is older or newer than the log, or made of events that are not in it, is
  -- no danger. Method: files copied back, the trail closed or open; trails that part ways.
  it("may be of another time", function()
    local path = new_trail(100)
    maintained(path)
    local dir = support.tmpdir()
    copy(path .. "/index.mdb", dir .. "/index.100")
    copy(path .. "/log.mdb", dir .. "/log.100")
    local log = assert(trail.open(path, MANUAL))
    append(log, 101, 230)
    assert(log:maintain())
    assert.is_nil(wrong_with(log, 230))
    copy(dir .. "/index.100", path .. "/index.mdb") -- while it is open
    assert.is_nil(wrong_with(log, 230))
    assert.equal(101, log:index().index_seq)
    assert(log:maintain())
    assert.is_nil(wrong_with(log, 230))
    log:close()
    assert_complete(path)
    copy(dir .. "/index.100", path .. "/index.mdb")
    assert_right(path, 230)
    assert_complete(path)
    -- The log is the older one now, and goes another way.
    copy(dir .. "/log.100", path .. "/log.mdb")
    assert_right(path, 100)
    log = assert(trail.open(path, MANUAL))
    assert.is_false(log:index().present)
    assert.matches("another log", log:index().why)
    for n = 101, 260 do
      assert(log:append { event_type = "x", action = "y", resource_type = "z", resource_id = "n" .. n % 3,
        result = "success" })
    end
    assert.equal(34, log:count { event_type = "kind-1" })
    assert.equal(160, log:count { event_type = "x" })
    assert.is_false(log:index().present)
    assert(log:maintain())
    assert.is_true(log:index().present)
    assert.equal(160, log:count { event_type = "x" })
    assert.equal(53, log:count { resource_id = "n0" })
    log:close()
    assert_complete(path)
  end)

  it("may be another trail's, or of another shape", function()
    local path, other = new_trail(120), new_trail(150, { indexing = "manual" })
    maintained(path)
    maintained(other)
    copy(other .. "/index.mdb", path .. "/index.mdb")
    assert_right(path, 120)
    do
      local log <close> = assert(trail.open(path, MANUAL))
      assert.is_false(log:index().present)
      assert.matches("not made for this trail", log:index().why)
    end
    assert_complete(path)
    assert_right(path, 120)
    small.shape(8, 4, 3)
    assert_right(path, 120)
    assert_complete(path)
    assert_right(path, 120)
    local log <close> = assert(trail.open(path, MANUAL))
    assert.equal(32, log:index().levels[2].span)
  end)
end)

describe("an index.mdb that is damaged", function()
  local path, sound

  before_each(function() small.shape(4, 2, 5) end)

  setup(function()
    small.shape(4, 2, 5)
    path = new_trail(200)
    maintained(path)
    sound = support.read_file(path .. "/index.mdb")
  end)

  teardown(function() small.shape() end)

  local function damage(bytes)
    support.write_file(path .. "/index.mdb.new", bytes)
    assert(os.execute(("mv %s/index.mdb.new %s/index.mdb"):format(path, path)))
  end

  local function assert_mends()
    in_child(function()
      local log = assert(trail.open(path, MANUAL))
      assert(log:maintain { anew = true })
      assert(wrong_with(log, 200) == nil)
    end)
    assert_complete(path)
    assert_right(path, 200)
  end

  -- Goal: a file that is short, empty or no index at all is passed over, and the next indexer
  -- replaces it. Method: each way, looked at by a child that must not die.
  it("is passed over when it is cut or no index at all", function()
    local junk = {}
    math.randomseed(support.seed())
    for i = 1, #sound do junk[i] = string.char(math.random(0, 255)) end
    local cases = { ["junk"] = table.concat(junk), ["zeros"] = ("\0"):rep(#sound), ["text"] = "no index\n" }
    for _, len in ipairs { 0, 1, 100, 4095, 4096, 8191, 8192, 8193, 12288, #sound // 8192 * 4096, #sound - 4096,
      #sound - 1 } do
      cases["cut to " .. len] = sound:sub(1, len)
    end
    for name, bytes in pairs(cases) do
      damage(bytes)
      local how, code, text = process.run(function()
        local log = assert(trail.open(path, MANUAL))
        local wrong = wrong_with(log, 200)
        log:close()
        return wrong or ""
      end)
      assert.equal("exit 0 ", how .. " " .. code .. " " .. text, name)
      assert.has_no_error(function()
        in_child(function()
          local log = assert(trail.open(path, MANUAL))
          assert(log:maintain())
          assert(wrong_with(log, 200) == nil)
        end)
      end, name)
    end
    assert_mends()
  end)

  -- Goal: random damage never kills the command line, and building anew mends all of it. (A bit of
  -- a posting that changed may hide an event from a question: that is what verify is for.)
  -- Method: random bytes changed; the trail's own program asks, which reads in a shielded child;
  -- a child of ours asks too, and may die as the library documents it; what it is given matches.
  it("does not kill the command line, and is mended by building anew", function()
    math.randomseed(support.seed())
    local cli = support.B .. "/trail "
    small.shape()
    local shaped = new_trail(1200)
    maintained(shaped)
    local whole = support.read_file(shaped .. "/index.mdb")
    for round = 1, SANITIZED and 15 or 40 do
      local bytes = { whole:byte(1, 0) }
      local changes = {}
      for _ = 1, math.random(1, 30) do changes[math.random(#whole)] = math.random(0, 255) end
      local at = 1
      local places = {}
      if round == 1 then
        for place = 8193, #whole do changes[place] = math.random(0, 255) end
      end
      for place in pairs(changes) do places[#places + 1] = place end
      table.sort(places)
      for _, place in ipairs(places) do
        bytes[#bytes + 1] = whole:sub(at, place - 1)
        bytes[#bytes + 1] = string.char(changes[place])
        at = place + 1
      end
      bytes[#bytes + 1] = whole:sub(at)
      support.write_file(shaped .. "/index.mdb", table.concat(bytes))
      for _, words in ipairs { "count %s --type kind-1", "log %s --user user-2 --json", "top %s user_id", "stat %s" } do
        local code, out, err = support.run(cli .. words:format(shaped))
        assert.is_true(code <= 5, ("seed %d round %d: %s: exit %d %s"):format(support.seed_value, round, words, code,
          err))
        if words:match "^log" then
          for line in out:gmatch "[^\n]+" do assert.matches('"user_id":"user-2"', line) end
        end
      end
      local _, code, text = process.run(function()
        process.redirect "/dev/null"
        local log = assert(trail.open(shaped, MANUAL))
        for e in log:query { event_type = "kind-1", user_id = "user-*" } do
          assert(e.event_type == "kind-1" and e.user_id, "an event that was not asked for")
        end
      end)
      assert.is_false(code == 97 and text:find("not asked for", 1, true) ~= nil, text)
    end
    local code, _, err = support.run(cli .. "reindex --anew " .. shaped)
    assert.equal(0, code, err)
    assert_right(shaped, 1200)
  end)

  -- Goal: a posting that somebody takes out or puts in is one that building anew mends.
  it("loses a posting that was taken out, until it is built anew", function()
    assert_mends()
    local number = testing.index.state(path)[1].number
    local segment = testing.index.take(path, number)
    for _, posting in ipairs(segment) do
      if posting.term == "user-2" then table.remove(posting.offsets) end
    end
    assert(testing.index.put(path, number, segment))
    do
      local log <close> = assert(trail.open(path, MANUAL))
      assert.matches("question 2", wrong_with(log, 200))
    end
    assert_mends()
  end)
end)

describe("the index of a trail in use", function()
  before_each(function() small.shape(4, 2, 5) end)
  after_each(function() small.shape() end)

  -- Goal: what was acknowledged is found at once by another process, however far the index is and
  -- whoever moves it. Method: a child appends and notes each receipt; for each note we ask.
  it("finds each acknowledged event at once from another process", function()
    local path, notes = new_trail(5), support.tmpdir() .. "/notes"
    local ours = assert(trail.open(path, { indexing = "background" }))
    local pid
    do
      -- The child opens the trail itself; our handle is not for it.
      pid = process.fork(function()
        local log = assert(trail.open(path, { indexing = "background" }))
        local file = assert(io.open(notes, "w"))
        for n = 6, SANITIZED and 300 or 900 do
          file:write(assert(log:append(event(n))), " ", n, "\n")
          file:flush()
          if n % 50 == 0 then assert(log:maintain()) end
        end
        log:close()
        file:close()
      end)
    end
    local noted, how, code = 0, nil, nil
    repeat
      how, code = process.wait(pid, true)
      local file = io.open(notes)
      local text = file and file:read "a" or ""
      if file then file:close() end
      local pending = {}
      for seq, n in text:gmatch "(%d+) (%d+)\n" do pending[#pending + 1] = { tonumber(seq), n } end
      for i = noted + 1, #pending do
        local seq, n = pending[i][1], pending[i][2]
        local found = ours:query({ resource_id = "thing-" .. n }):all()
        assert.equal(1, #found, "event " .. n)
        assert.equal(seq, found[1].seq)
        assert.is_true(ours:count { user_id = { ["not"] = "nobody" } } >= seq)
        if i % 20 == 0 then
          local done, message, word = ours:maintain()
          assert.is_true(done or word == "busy", message)
        end
        noted = i
      end
    until how and noted == #pending
    assert.equal("exit 0", how .. " " .. code)
    assert.equal(SANITIZED and 295 or 895, noted)
    ours:close()
    assert_complete(path)
    assert_right(path, noted + 5)
  end)

  -- Goal: whoever notices that the file was erased does not take it from under the thread's hands.
  -- (A reader closed it in the middle of a commit: the process died.)
  -- Method: a child appends while its thread indexes, erases the file, and asks, again and again.
  it("may be erased while it is written", function()
    local path = new_trail(5)
    local text = in_child(function()
      local log = assert(trail.open(path, { indexing = "background", index = { "region" } }))
      local last = 5
      for _ = 1, SANITIZED and 150 or 600 do
        append(log, last + 1, last + 9)
        last = last + 9
        process.sleep_us(math.random(0, 400))
        os.remove(path .. "/index.mdb")
        assert(log:count { event_type = "kind-*" } == last)
      end
      local wrong = wrong_with(log, last)
      assert(log:maintain())
      wrong = wrong or wrong_with(log, last)
      log:close()
      return wrong or ""
    end)
    assert.equal("", text)
    assert_complete(path)
  end)

  it("is read, and not touched, by those who only read", function()
    local path = new_trail(100)
    maintained(path)
    local log = assert(trail.open(path, { read_only = true }))
    assert.is_nil(wrong_with(log, 100))
    assert.equal("denied", select(3, log:maintain()))
    assert.is_true(log:index().present)
    log:close()
    if not ROOT then return pending "needs root, to become somebody else" end
    support.run(("chmod 755 %s/.. %s; chmod 644 %s/*; chmod 666 %s/*-lock; cp -rp %s %s2; rm %s2/index.mdb*;"
      .. "cp -rp %s %s3; chmod 644 %s3/index.mdb-lock"):format(path, path, path, path, path, path, path, path, path,
      path))
    for _, place in ipairs { path, path .. "2", path .. "3" } do
      in_child(function()
        process.become(NOBODY)
        local reader = assert(trail.open(place, { read_only = true }))
        local wrong = wrong_with(reader, 100)
        assert(wrong == nil, wrong)
        assert(select(3, reader:maintain()) == "denied")
      end)
    end
  end)

  -- Goal: no room for the index is no reason to refuse an event, or to give a wrong answer.
  -- Method: writes that fail while it is built; then a small tmpfs that a file fills.
  it("may have no room", function()
    local path = new_trail(60)
    local log = assert(trail.open(path, MANUAL))
    for _, first in ipairs { 1, 2, 3, 4 } do
      fault.arm("kv/commit", first, 1 << 30)
      local done, message, code = log:maintain()
      fault.arm(nil, 1, 0)
      assert.is_nil(done)
      assert.equal("full", code, message)
      assert.is_nil(wrong_with(log, log:head().seq - 1))
      append(log, log:head().seq, log:head().seq + 20)
    end
    assert(log:maintain())
    assert.is_nil(wrong_with(log, log:head().seq - 1))
    log:close()
    assert_complete(path)
  end)

  it("may be on a disk that is full", function()
    local dir = support.tmpdir()
    if not ROOT or support.run("mount -t tmpfs -o size=2m tmpfs " .. dir) ~= 0 then
      return pending "needs root and mount"
    end
    finally(function() support.run("umount " .. dir) end)
    local path = dir .. "/audit.trail"
    local log = assert(trail.open(path, MANUAL))
    append(log, 1, 1000)
    support.run("head -c 2m /dev/zero > " .. dir .. "/ballast")
    local done, message, code = log:maintain()
    assert.is_nil(done)
    assert.equal("full", code, message)
    assert.is_nil(wrong_with(log, 1000))
    -- There is a little room: for events, not for the index.
    support.run("truncate -s -100k " .. dir .. "/ballast")
    for _, indexing in ipairs { "inline", "background" } do
      log:close()
      log = assert(trail.open(path, { indexing = indexing }))
      local before = log:head().seq
      append(log, before, before + 19)
      assert.is_nil(wrong_with(log, log:head().seq - 1))
    end
    os.remove(dir .. "/ballast")
    assert(log:maintain())
    assert.is_nil(wrong_with(log, log:head().seq - 1))
    log:close()
    assert_complete(path)
  end)

  -- Goal: a child of a fork has no thread of ours and no index: it is told so, and can open anew;
  -- the parent goes on.
  it("is not the child's after a fork", function()
    local path = new_trail(5, { indexing = "manual" })
    local log = assert(trail.open(path, { indexing = "background" }))
    append(log, 6, 100)
    in_child(function()
      for _, name in ipairs { "count", "index", "maintain", "explain" } do
        local result, _, code = log[name](log, name == "count" and { event_type = "kind-1" } or nil)
        assert(result == nil and code == "forked", name)
      end
      assert(select(3, log:top("user_id")) == "forked")
      assert(select(3, log:histogram("hour")) == "forked")
      log:close()
      local anew = assert(trail.open(path, { indexing = "background" }))
      append(anew, 101, 200)
      assert(anew:maintain())
      local wrong = wrong_with(anew, 200)
      assert(wrong == nil, wrong)
      anew:close()
    end)
    append(log, 201, 300)
    assert(log:maintain())
    assert.is_nil(wrong_with(log, 300))
    log:close()
    assert_complete(path)
  end)
end)
