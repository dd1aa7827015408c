-- real_data_spec.lua - the main job on real input: a real sshd log and real CloudTrail files.
-- Level: test; needs build/trail, and ../shared/data, which is never copied into the project.
-- SPDX-License-Identifier: MIT

local support = require "spec.support"

local DATA = "../shared/data"
local SSHD = DATA .. "/openssh/OpenSSH_2k.log"
local CLOUDTRAIL = DATA .. "/cloudtrail/*.json"
local PYTHON = io.open("/usr/bin/python3") and "/usr/bin/python3" or "python3"
local TRAIL = support.B .. "/trail"

local SSHD_MAP = " --map examples/import_sshd.lua --set year=2015 "
local CLOUDTRAIL_MAP = " --map examples/import_cloudtrail.lua "

-- Run a command that must succeed: its output, its messages.
local function must(command)
  local code, out, err = support.run(command)
  assert.equal(0, code, command .. "\n" .. out .. err)
  return out, err
end

local function number(command)
  return tonumber((must(command):match("^%s*(%d+)%s*$")))
end

local function new_trail()
  local path = support.tmpdir() .. "/audit.trail"
  must(TRAIL .. " init " .. path)
  return path
end

local function count(path, filter)
  return number(TRAIL .. " count " .. path .. " " .. (filter or ""))
end

-- What the importer says it stored and found already there.
local function import(path, arguments)
  local out, err = must(TRAIL .. " import " .. path .. arguments)
  local words = out .. err
  local function before(word)
    return tonumber((words:match("([%d,]+) " .. word):gsub(",", "")))
  end
  return before("stored"), before("already there"), before("refused")
end

local function records_file(path)
  local file = support.tmpdir() .. "/records.jsonl"
  must(TRAIL .. " log " .. path .. " -o jsonl > " .. file)
  return file
end

local present = io.open(SSHD)
if present then present:close() end

describe("the main job on real input", function()
  if not present then
    pending("needs " .. DATA .. ", which is not here: the real files were NOT imported")
    return
  end

  describe("a real sshd log", function()
    -- What grep and awk say: lines that are attempts, and how often the repeated ones count.
    local ATTEMPTS = [[sed -E 's/\r$//' ]] .. SSHD .. [[ | awk '
      /: (Failed|Accepted) [^ ]+ for .* from [^ ]+ port [0-9]+/ { n++ }
      /: message repeated [0-9]+ times: \[ (Failed|Accepted) / { n += $8 } END { print n }']]

    -- Goal: as many events as the log has attempts, each with the right fields.
    -- Method: totals by grep and awk; every field of every event by a Python program that cuts the
    -- lines in another way than the map.
    it("becomes the events that are in it", function()
      local path = new_trail()
      local stored, already, refused = import(path, SSHD_MAP .. SSHD)
      local expected = number(ATTEMPTS)
      assert.equal(533, expected) -- fixed by the file, so that awk itself cannot be wrong unseen
      assert.same({ expected, 0, 0 }, { stored, already, refused })
      assert.equal(expected, count(path, "--type auth_attempt"))
      assert.equal(1, count(path, "--result success"
        .. " --type auth_attempt"))
      assert.equal(number("grep -c 'Accepted .* for ' " .. SSHD), count(path, "--user fztu"))
      -- 10 root logins stand in two lines that say "repeated 5 times".
      assert.equal(number("grep -v repeated " .. SSHD .. " | grep -c 'Failed .* for root from '") + 10,
        count(path, "--user root --result failure"))
      local out = must(PYTHON .. " spec/real_data_check.py sshd " .. records_file(path) .. " 2015 " .. SSHD)
      assert.matches("^events=533 failure=532 success=1 ", out)
      must(TRAIL .. " verify " .. path)
    end)

    -- Goal: importing again stores nothing, and after the file has grown only what is new.
    -- Method: the first half of the lines, then the whole file, then the whole file again, also
    -- under another name and from stdin.
    it("can be imported again after it has grown", function()
      local path, half = new_trail(), support.tmpdir() .. "/half.log"
      must("head -n 1000 " .. SSHD .. " > " .. half)
      local first = import(path, SSHD_MAP .. half)
      assert.is_true(first > 0 and first < 533)
      assert.same({ 533 - first, first, 0 }, { import(path, SSHD_MAP .. SSHD) })
      assert.same({ 0, 533, 0 }, { import(path, SSHD_MAP .. SSHD) })
      assert.same({ 0, first, 0 }, { import(path, SSHD_MAP .. half) })
      assert.same({ 0, 533, 0 }, { import(path, SSHD_MAP .. "- < " .. SSHD) })
      assert.equal(533, count(path, "--type auth_attempt"))
    end)
  end)

  describe("real CloudTrail files", function()
    -- Goal: one event a record, each with the right fields, and nothing of a record lost.
    -- Method: totals by grep; every field, and details against the rest of the record, by a
    -- Python program.
    it("become the events that are in them", function()
      local path = new_trail()
      local stored, already, refused = import(path, CLOUDTRAIL_MAP .. CLOUDTRAIL)
      local expected = number([[cat ]] .. CLOUDTRAIL .. [[ | grep -o '"eventID":"[^"]*"' | sort -u | wc -l]])
      assert.equal(1233, expected)
      assert.same({ expected, 0, 0 }, { stored, already, refused })
      -- Not grep: an errorCode may also stand deeper in a record, where it means something else.
      local errors = number(PYTHON .. [[ -c 'import json, sys
print(sum("errorCode" in r for f in sys.argv[1:] for r in json.load(open(f))["Records"]))' ]] .. CLOUDTRAIL)
      assert.equal(errors, count(path, "--result failure"))
      local sources = number([[cat ]] .. CLOUDTRAIL .. [[ | grep -o '"eventSource":"s3.amazonaws.com"' | wc -l]])
      assert.equal(sources, count(path, "--type s3.amazonaws.com"))
      local out = must(PYTHON .. " spec/real_data_check.py cloudtrail " .. records_file(path) .. " " .. CLOUDTRAIL)
      assert.matches("^events=1233 failure=136 success=1097 ", out)
      must(TRAIL .. " verify " .. path)
    end)

    -- Goal: importing again, in any order of files, stores nothing.
    -- Method: some files, all files, all files in reverse order.
    it("can be imported again", function()
      local path = new_trail()
      local first = import(path, CLOUDTRAIL_MAP .. DATA .. "/cloudtrail/*T1205Z*.json")
      assert.is_true(first > 0)
      local rest, already = import(path, CLOUDTRAIL_MAP .. CLOUDTRAIL)
      assert.same({ 1233 - first, first }, { rest, already })
      assert.same({ 0, 1233, 0 }, { import(path, CLOUDTRAIL_MAP .. "$(ls -r " .. CLOUDTRAIL .. ")") })
    end)
  end)

  -- Goal: the export of a trail with all of it is good for a program that shares no code with us.
  -- Method: both imports into one trail; export; examples/verify_export.py with the head.
  it("can be checked by an auditor without trail", function()
    local path = new_trail()
    import(path, SSHD_MAP .. SSHD)
    import(path, CLOUDTRAIL_MAP .. CLOUDTRAIL)
    local out = must(TRAIL .. " export " .. path .. " | " .. PYTHON .. " examples/verify_export.py -")
    assert.matches("^ok: 1767 entries", out)
  end)
end)
