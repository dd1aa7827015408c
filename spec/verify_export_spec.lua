-- verify_export_spec.lua - examples/verify_export.py says of every export what is true.
-- Level: test; runs python3; the part that compares with `trail verify` needs build/trail.
-- SPDX-License-Identifier: MIT

local support = require "spec.support"

-- pyenv and the like put a slow script in front of python3; a spec starts it fifty times.
local PYTHON = io.open("/usr/bin/python3") and "/usr/bin/python3" or "python3"
local ENTRIES = 20
local B = support.B

-- An export that no code of trail has touched: made by the encoder of spec/format_vectors.py.
local function good_lines()
  local code, out, err = support.run(PYTHON .. " spec/format_vectors.py --export " .. ENTRIES)
  assert(code == 0, err)
  local lines = {}
  for line in out:gmatch("[^\n]+") do lines[#lines + 1] = line end
  assert.equal(ENTRIES + 1, #lines)
  return lines -- lines[seq + 1] is the record seq
end

-- Run the verifier on lines (or a text): exit code, its words.
local function verify(lines, arguments)
  local text = type(lines) == "table" and table.concat(lines, "\n") .. "\n" or lines
  local code, out, err = support.run(PYTHON .. " examples/verify_export.py " .. (arguments or "-"), text)
  return code, out .. err
end

local function assert_fault(kind, seq, lines, arguments)
  local code, words = verify(lines, arguments)
  assert.equal(3, code, words)
  assert.equal("failed: " .. kind .. " at seq " .. seq .. ":", words:match("^failed: [%l ]+[%d]*:"), words)
  return words
end

-- Replace the one occurrence of a text in a line; it must be there.
local function replace(lines, seq, old, new)
  local first, last = lines[seq + 1]:find(old, 1, true)
  assert(first, old .. " is not in " .. lines[seq + 1])
  lines[seq + 1] = lines[seq + 1]:sub(1, first - 1) .. new .. lines[seq + 1]:sub(last + 1)
end

local function hash_of(line)
  return (line:match('"event_hash":"(%x+)"'))
end

describe("examples/verify_export.py", function()
  local lines

  before_each(function() lines = good_lines() end)

  -- Goal: a good export is called good, its head named, and what was not checked is said aloud.
  -- Method: an export of our independent encoder, by name and on stdin.
  it("accepts a good export", function()
    local code, words = verify(lines)
    assert.equal(0, code, words)
    assert.matches("^ok: 20 entries, head 20:" .. hash_of(lines[21]), words)
    assert.matches("not checked: whether the end was cut off", words)

    local path = support.tmpdir() .. "/good.jsonl"
    support.write_file(path, table.concat(lines, "\n") .. "\n")
    assert.equal(0, (support.run(PYTHON .. " examples/verify_export.py " .. path)))
    assert.equal(0, (support.run("cd / && " .. PYTHON .. " - " .. path .. " <" ..
      support.quote(os.getenv("PWD") .. "/examples/verify_export.py"))))
  end)

  -- Goal: each kind of damage gets the word that trail verify has for it, at the right seq.
  -- Method: one damage of each kind, made by hand.
  it("calls a lost line missing", function()
    table.remove(lines, 8)
    assert_fault("missing", 7, lines)
  end)

  it("calls a lost end missing", function()
    lines[21] = nil
    assert_fault("missing", 20, lines)
  end)

  it("calls exchanged lines reordered", function()
    lines[6], lines[7] = lines[7], lines[6]
    assert_fault("reordered", 5, lines)
  end)

  it("calls a repeated line reordered", function()
    table.insert(lines, 10, lines[9])
    assert_fault("reordered", 9, lines)
  end)

  it("calls a record under another seq reordered", function()
    lines[6], lines[7] = lines[7], lines[6]
    replace(lines, 5, '"seq":6', '"seq":5')
    replace(lines, 6, '"seq":5', '"seq":6')
    assert_fault("reordered", 5, lines)
  end)

  it("calls an entry of another log a broken link", function()
    replace(lines, 0, "6b1d3a52", "6b1d3a53")
    assert_fault("broken link", 1, lines)
  end)

  it("calls another event_hash an altered entry", function()
    local hash = hash_of(lines[13])
    replace(lines, 12, hash, hash_of(lines[14]))
    assert_fault("altered entry", 12, lines)
  end)

  it("calls a who part of another entry an altered part", function()
    replace(lines, 7, lines[8]:match('"who":"[^"]+"'), lines[9]:match('"who":"[^"]+"'))
    assert_fault("altered part", 7, lines)
  end)

  it("calls an entry without its details part an altered entry", function()
    replace(lines, 9, lines[10]:match(',"details_part":"[^"]+"'), "")
    assert_fault("altered entry", 9, lines)
  end)

  -- Goal: what people read in a line is what the hashed bytes say.
  -- Method: change, remove and add shown fields; the bytes beside them stay right.
  it("finds shown fields that differ from the bytes", function()
    replace(lines, 3, '"user_id":"alice@example.com"', '"user_id":"bob@example.com"')
    assert_fault("altered part", 3, lines)
    lines = good_lines()
    replace(lines, 3, '"attempt":3', '"attempt":3.0')
    assert_fault("altered part", 3, lines)
    lines = good_lines()
    replace(lines, 3, '"result_error":"wrong password",', "")
    assert_fault("altered part", 3, lines)
    lines = good_lines()
    replace(lines, 3, '"result":"failure"', '"result":"success"')
    assert_fault("altered entry", 3, lines)
    lines = good_lines()
    replace(lines, 2, '"action":"login"', '"action":"login","user_id":"mallory"')
    assert_fault("altered part", 2, lines)
    lines = good_lines()
    replace(lines, 2, '"action":"login"', '"action":"login","comment":"approved"')
    assert_fault("altered entry", 2, lines)
  end)

  -- Goal: an entry that trail could not read is judged by its stored bytes.
  -- Method: state bytes and hashes of an invented stored value.
  it("judges unreadable records", function()
    lines[5] = '{"seq":4,"unreadable":true,"stored":"AQID"}'
    assert_fault("altered entry", 4, lines)
    lines[5] = '{"seq":4,"unreadable":true,"stored":"%%%"}'
    assert_fault("altered entry", 4, lines)
  end)

  -- Goal: a cut tail with a header that was made to fit, and the same for --expect-head.
  -- Method: drop the last five records and let the header tell of the fifteenth.
  it("finds a cut tail only with a head noted earlier", function()
    local head = "20:" .. hash_of(lines[21])
    for i = 21, 17, -1 do
      if i > 16 then lines[i] = nil end
    end
    lines[1] = lines[1]:gsub('"head":{.-}',
      '"head":{"seq":15,"event_hash":"' .. hash_of(lines[16]) .. '"}')
    assert.equal(0, (verify(lines)))
    assert_fault("missing", 16, lines, "--expect-head " .. head)
    assert.equal(0, (verify(lines, "--expect-head 15:" .. hash_of(lines[16]))))
    assert_fault("head", 15, lines, "--expect-head 15:" .. head:sub(4))
  end)

  -- Goal: a filtered export is checked as far as it can be, and the rest is said aloud.
  -- Method: keep every third record of a good export.
  it("checks parts and entries of a filtered export", function()
    local some = { (lines[1]:gsub('"complete":true,"filter":null', '"complete":false,"filter":{"n":3}')) }
    for seq = 3, ENTRIES, 3 do some[#some + 1] = lines[seq + 1] end
    local code, words = verify(some)
    assert.equal(0, code, words)
    assert.matches("6 records", words)
    assert.matches("not checked: the chain", words, 1, true)
    some[4] = some[4]:gsub('"who":"....', '"who":"AAAA')
    assert.equal(3, (verify(some)))
    assert.equal(4, (verify(some, "--expect-head 20:" .. hash_of(lines[21]))))
  end)

  -- Goal: what is no export gets no verdict (exit 4), and wrong usage is exit 2.
  -- Method: empty input, other files, half a line, doubled keys, missing files, bad arguments.
  it("tells no export from a bad one", function()
    local text = table.concat(lines, "\n") .. "\n"
    for name, input in pairs {
      empty = "", ["no JSON"] = "hello\n", ["no header"] = text:match("\n(.*)$"),
      ["half a line"] = text:sub(1, -20), ["no last newline"] = text:sub(1, -2),
      ["another version"] = text:gsub('"trail_export":1', '"trail_export":2', 1),
      ["doubled key"] = text:gsub('"seq":3', '"seq":3,"seq":3', 1),
      ["not UTF-8"] = text:gsub("alice", "al\255ce", 1),
      ["unknown header field"] = text:gsub('"format":1', '"format":1,"x":1', 1),
      ["deep"] = lines[1] .. "\n" .. ("["):rep(100000) .. "\n",
    } do
      local code, words = verify(input)
      assert.equal(4, code, name .. ": " .. words)
      assert.is_nil(words:find("Traceback", 1, true), name)
    end
    assert.equal(4, (support.run(PYTHON .. " examples/verify_export.py /nonexistent")))
    for _, arguments in ipairs { "--nonsense", "a b", "--expect-head", "--expect-head 5",
      "--expect-head 5:abc", "--expect-head 0:" .. ("0"):rep(64) } do
      assert.equal(2, (support.run(PYTHON .. " examples/verify_export.py " .. arguments)), arguments)
    end
  end)

  -- Goal: no changed byte of an export goes unnoticed, and the blame falls on its record.
  -- Method: thousands of single-byte changes at random places. A change passes only if the line
  -- still says the same (another way of writing the same JSON).
  it("notices every changed byte", function()
    local path = support.tmpdir() .. "/export.jsonl"
    support.write_file(path, table.concat(lines, "\n") .. "\n")
    local code, out, err = support.run((PYTHON .. " spec/verify_export_check.py mutate %s 4000 %d")
      :format(path, support.seed()))
    assert.equal(0, code, out .. err)
    assert.matches("altered entry=%d", out)
  end)
end)

describe("examples/verify_export.py beside trail verify", function()
  local trail = B .. "/trail"

  local function built_trail(dir)
    local path = dir .. "/audit.trail"
    local code, out, err = support.run(("%s init %s && %s import %s --map examples/import_sshd.lua" ..
      " --set year=2026 examples/data/sshd.log && %s import %s --map examples/import_cloudtrail.lua" ..
      " examples/data/cloudtrail.json"):format(trail, path, trail, path, trail, path))
    assert(code == 0, out .. err)
    return path
  end

  -- Goal: two programs that share no code come to the same verdict, seq and exit code.
  -- Method: a trail of real commands; flip random bits of stored values in its file, export the
  -- damaged trail, and compare both verdicts.
  it("agrees on good and on damaged trails", function()
    local path = built_trail(support.tmpdir())
    local code, out, err = support.run((PYTHON .. " spec/verify_export_check.py agree %s %s 60 %d")
      :format(trail, path, support.seed()))
    assert.equal(0, code, out .. err)
    assert.matches("altered", out)
  end)

  -- Goal: every byte of a real export counts.
  -- Method: as above, on what `trail export` prints.
  it("notices every changed byte of a real export", function()
    local dir = support.tmpdir()
    local path = built_trail(dir)
    assert.equal(0, (support.run(("%s export %s >%s/export.jsonl"):format(trail, path, dir))))
    local code, out, err = support.run((PYTHON .. " spec/verify_export_check.py mutate %s/export.jsonl 150 %d")
      :format(dir, support.seed()))
    assert.equal(0, code, out .. err)
  end)
end)
