-- time_spec.lua - times in words against fixed answers and against two programs on the machine.
-- Level: test; needs no build.
-- SPDX-License-Identifier: MIT

local support = require "spec.support"
local time = require "trail.time"

local NOW = 1795514400000000 -- 2026-11-24T10:00:00Z, a Tuesday
-- Not under the sanitizers' library: it and faketime's wait for each other for ever.
local FROZEN = "LD_PRELOAD= TZ=UTC faketime -f '2026-11-24 10:00:00' "

-- Beyond 2255 the doubles of Lua 5.1 and LuaJIT no longer hold every microsecond.
local YEAR_MAX = rawget(math, "type") and 2399 or 2254

local function has(command)
  return (support.run("command -v " .. command)) == 0
end

-- One random time word and what GNU date understands by it (nil: it does not know the form).
local function random_words(random)
  local units = { "second", "minute", "hour", "day", "week" }
  local kind = random(6)
  local year, month, day = random(1970, YEAR_MAX), random(12), random(28)
  local hour, minute, second = random(0, 23), random(0, 59), random(0, 59)
  local date = string.format("%04d-%02d-%02d", year, month, day)
  local clock = string.format("%02d:%02d:%02d", hour, minute, second)
  if kind == 1 then return date end
  if kind == 2 then return date .. " " .. clock:sub(1, 5) end
  if kind == 3 then
    local zone = string.format("%s%02d:%02d", random(2) == 1 and "+" or "-", random(0, 14), random(0, 59))
    return date .. "T" .. clock .. zone
  end
  if kind == 4 then return date .. " " .. clock .. "." .. string.format("%06d", random(0, 999999)) end
  local count, unit = random(0, 5000), units[random(#units)]
  if kind == 5 then return string.format("%d %ss ago", count, unit) end
  return string.format("+%d %s", count, unit)
end

describe("time.parse", function()
  -- Goal: every form that docs/lua.md names means what it says.
  -- Method: a fixed present and a table of words with their RFC 3339 answers.
  it("understands every documented form", function()
    for words, expected in pairs({
      ["now"] = "2026-11-24T10:00:00.000000Z",
      ["today"] = "2026-11-24T00:00:00.000000Z",
      ["yesterday"] = "2026-11-23T00:00:00.000000Z",
      ["tomorrow"] = "2026-11-25T00:00:00.000000Z",
      ["Yesterday 10:30"] = "2026-11-23T10:30:00.000000Z",
      ["10:30"] = "2026-11-24T10:30:00.000000Z",
      ["10:30:05.25"] = "2026-11-24T10:30:05.250000Z",
      ["10:30 +02:00"] = "2026-11-24T08:30:00.000000Z",
      ["2026-11-24"] = "2026-11-24T00:00:00.000000Z",
      ["2026-11-24 10:30"] = "2026-11-24T10:30:00.000000Z",
      ["2026-11-24 10:30:05"] = "2026-11-24T10:30:05.000000Z",
      ["2026-11-24 10:30:05.123456"] = "2026-11-24T10:30:05.123456Z",
      ["2026-11-24T10:00:00Z"] = "2026-11-24T10:00:00.000000Z",
      ["2026-11-24t10:00:00z"] = "2026-11-24T10:00:00.000000Z",
      ["2026-11-24T10:00:00+01:00"] = "2026-11-24T09:00:00.000000Z",
      ["2026-11-24T10:00:00-0530"] = "2026-11-24T15:30:00.000000Z",
      ["2026-11-24 10:00 UTC"] = "2026-11-24T10:00:00.000000Z",
      ["2026-11-24T10:00:00.1234569Z"] = "2026-11-24T10:00:00.123456Z", -- cut, not rounded
      ["-15min"] = "2026-11-24T09:45:00.000000Z",
      ["+2h"] = "2026-11-24T12:00:00.000000Z",
      ["-1h 30min"] = "2026-11-24T08:30:00.000000Z",
      ["90 seconds ago"] = "2026-11-24T09:58:30.000000Z",
      ["1 hour ago"] = "2026-11-24T09:00:00.000000Z",
      ["1h 30min ago"] = "2026-11-24T08:30:00.000000Z",
      ["2 weeks ago"] = "2026-11-10T10:00:00.000000Z",
      ["1 month ago"] = "2026-10-24T23:30:00.000000Z",
      ["1 year ago"] = "2025-11-24T04:00:00.000000Z",
      ["5us ago"] = "2026-11-24T09:59:59.999995Z",
      ["250 ms ago"] = "2026-11-24T09:59:59.750000Z",
      ["1.5 Hours ago"] = "2026-11-24T08:30:00.000000Z",
      ["@1795000000"] = "2026-11-18T11:06:40.000000Z",
      ["@1795000000.5"] = "2026-11-18T11:06:40.500000Z",
      ["  2026-11-24  "] = "2026-11-24T00:00:00.000000Z",
      ["1795514400000001"] = "2026-11-24T10:00:00.000001Z",
    }) do
      local us, message = time.parse(words, NOW)
      assert.is_truthy(us, message)
      assert.equal(expected, time.format(us), words)
    end
  end)

  -- Goal: what is no time is refused with a reason, never guessed at (systemd takes
  -- 2026-02-30 for the 2nd of March).
  -- Method: nonsense of every kind, with the text that the message must contain.
  it("refuses nonsense and says why", function()
    for words, reason in pairs({
      ["2026-02-30"] = "2026-02 has 28 days",
      ["2026-02-29"] = "2026-02 has 28 days",
      ["2100-02-29"] = "2100-02 has 28 days",
      ["2026-13-01"] = "there is no month 13",
      ["2026-00-01"] = "there is no month 00",
      ["2026-01-00"] = "2026-01 has 31 days",
      ["25:00"] = "there is no hour 25",
      ["24:00"] = "there is no hour 24",
      ["10:60"] = "there is no minute 60",
      ["10:30:61"] = "there is no second 61",
      ["2016-12-31T23:59:60Z"] = "leap seconds",
      ["2026-11-24T10:00:00+25:00"] = "a zone looks like +01:00",
      ["2026-11-24 10"] = "a time of day looks like 10:30",
      ["10:30:05."] = "a time of day looks like",
      ["2 hours"] = "say '2 hours ago', or '+2 hours'",
      ["1M ago"] = "'M' is no unit of time",
      ["3 parsecs ago"] = "'parsecs' is no unit of time",
      ["2026"] = "a date looks like 2026-11-24",
      ["1795000000"] = "seconds since 1970 like @1795000000",
      ["@12x"] = "seconds since 1970 look like",
      ["999999999999999 years ago"] = "too far away",
      ["2026-11-24x"] = "is not a time",
      ["24.11.2026"] = "is not a time",
      ["last tuesday"] = "is not a time",
      [""] = "is not a time",
      [("9"):rep(500)] = "is not a time",
    }) do
      local us, message = time.parse(words, NOW)
      assert.is_nil(us, words)
      assert.is_truthy(message:find(reason, 1, true), words .. ": " .. tostring(message))
    end
    for _, value in ipairs({ 1.5, 1 / 0, -1 / 0, 0 / 0, true, {} }) do
      assert.is_nil((time.parse(value, NOW)))
    end
  end)

  -- Goal: times are integers wherever Lua has them; a float would print as 1.79e+15.
  -- Method: one word of each kind, and a float with an integral value.
  it("gives integers", function()
    if not rawget(math, "type") then return end
    for _, words in ipairs({ "now", "today", "1.5h ago", "@1.5", "10:30", "2026-11-24T10:00:00.5Z",
      "1 month ago", 1.795e15, "1795514400000001" }) do
      assert.equal("integer", rawget(math, "type")(time.parse(words, NOW + 0.0)), words)
    end
  end)

  -- Goal: dates and clock times agree with GNU date, an independent implementation.
  -- Method: 300 random words, all answered by one `date -f` under a frozen clock.
  it("agrees with GNU date", function()
    if not has("faketime") then return pending("faketime is not installed: GNU date not asked") end
    support.seed()
    local words = {}
    for i = 1, 300 do words[i] = random_words(math.random) end
    local code, stdout, stderr = support.run(FROZEN .. "date -u -f - +%s%6N", table.concat(words, "\n") .. "\n")
    assert.equal(0, code, stderr)
    local i = 0
    for line in stdout:gmatch("%-?%d+") do
      i = i + 1
      assert.equal(line, string.format("%d", assert(time.parse(words[i], NOW))), words[i])
    end
    assert.equal(#words, i)
  end)

  -- Goal: units and sums of them agree with systemd, from whom the words are.
  -- Method: every unit with random counts, alone and combined, in one call of
  -- `systemd-analyze timestamp` under a frozen clock.
  it("agrees with systemd-analyze timestamp", function()
    if not (has("faketime") and has("systemd-analyze")) then
      return pending("systemd-analyze or faketime is not installed: systemd not asked")
    end
    support.seed()
    local words, quoted = {}, {}
    for _, unit in ipairs({ "us", "ms", "s", "sec", "second", "seconds", "m", "min", "minute", "minutes",
      "h", "hr", "hour", "hours", "d", "day", "days", "w", "week", "weeks", "month", "months",
      "y", "year", "years" }) do
      words[#words + 1] = math.random(40) .. " " .. unit .. " ago"
      words[#words + 1] = "-" .. math.random(40) .. unit
      words[#words + 1] = "+" .. math.random(40) .. unit .. " 3min"
      words[#words + 1] = math.random(9) .. "." .. math.random(99) .. unit .. " 2h ago"
    end
    for _, text in ipairs({ "now", "today", "yesterday", "tomorrow", "10:30", "2024-02-29 23:59:59",
      "@1795000000.5" }) do
      words[#words + 1] = text
    end
    for i, text in ipairs(words) do quoted[i] = support.quote(text) end
    local code, stdout, stderr = support.run(FROZEN .. "systemd-analyze timestamp -- " .. table.concat(quoted, " "))
    assert.equal(0, code, stderr)
    local i = 0
    for line in stdout:gmatch("UNIX seconds: @([%d.]+)") do
      i = i + 1
      local us = assert(time.parse("@" .. line))
      assert.equal(time.format(us), time.format(assert(time.parse(words[i], NOW))), words[i])
    end
    assert.equal(#words, i)
  end)
end)

describe("time.format", function()
  -- Goal: what is printed reads back as the same microsecond.
  -- Method: 2,000 random times from 1970 to 2255 (beyond, LuaJIT's numbers have gaps).
  it("is read back exactly", function()
    support.seed()
    for _ = 1, 2000 do
      local us = math.random(0, 8999999999) * 1000000 + math.random(0, 999999)
      local text = time.format(us)
      assert.truthy(text:match("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d%d%d%dZ$"), text)
      assert.equal(us, time.parse(text), text)
    end
  end)

  -- Goal: the edges of what a trail can hold print right.
  -- Method: first and last microsecond; the leap days around 2000 and 2100.
  it("prints the edges", function()
    assert.equal("1970-01-01T00:00:00.000000Z", time.format(0))
    assert.equal("1969-12-31T23:59:59.999999Z", time.format(-1))
    if rawget(math, "type") then
      assert.equal("9999-12-31T23:59:59.999999Z", time.format(253402300799999999))
      assert.equal(253402300799999999, time.parse("9999-12-31T23:59:59.999999Z"))
    end
    assert.equal("2000-02-29T12:00:00.000000Z", time.format(951825600 * 1000000))
    assert.equal("2100-03-01T00:00:00.000000Z", time.format(time.parse("2100-02-28") + 86400000000))
    assert.has_error(function() time.format(1e18) end)
    assert.has_error(function() time.format("now") end)
  end)

  -- Goal: the calendar has no gap and no double day.
  -- Method: walk through every day of 0000 to 9999, both ways.
  it("counts every day once", function()
    local year, month, day = 0, 1, 1
    local first = time.days_from_civil(0, 1, 1)
    for days = first, first + 3652424 do
      local y, m, d = time.civil_from_days(days)
      if y ~= year or m ~= month or d ~= day or time.days_from_civil(y, m, d) ~= days then
        error(string.format("day %d is %04d-%02d-%02d", days, y, m, d))
      end
      local next_y, next_m, next_d = time.civil_from_days(days + 1)
      local follows = (next_y == y and next_m == m and next_d == d + 1)
        or (next_d == 1 and d >= 28 and (next_y == y and next_m == m + 1
          or next_y == y + 1 and m == 12 and next_m == 1))
      if not follows then error(string.format("after %04d-%02d-%02d", y, m, d)) end
      year, month, day = next_y, next_m, next_d
    end
    assert.equal(10000, year)
  end)
end)
