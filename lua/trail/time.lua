-- time.lua - times in words to microseconds since 1970 UTC, and back.
-- Level: pure; requires trail.core, for the present only. UTC unless a zone is written; no locale,
-- no os.date.
-- SPDX-License-Identifier: MIT

local time = {}

local floor, fmod = math.floor, math.fmod
local SECOND, MINUTE, HOUR, DAY = 1000000, 60000000, 3600000000, 86400000000
-- No relative time reaches further: 31,688 years, and still exact in 64 bits.
local SPAN_MAX = 1000000000000000000

local UNITS = {}
for word, us in pairs({
  ["us usec"] = 1,
  ["ms msec"] = 1000,
  ["s sec secs second seconds"] = SECOND,
  ["m min mins minute minutes"] = MINUTE,
  ["h hr hrs hour hours"] = HOUR,
  ["d day days"] = DAY,
  ["w week weeks"] = 7 * DAY,
  ["month months"] = 2629800 * SECOND, -- a twelfth of a year: 30.4375 days, as in systemd
  ["y year years"] = 31557600 * SECOND, -- 365.25 days
}) do
  for unit in word:gmatch("%a+") do UNITS[unit] = us end
end

local MONTH_DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

-- a modulo b for b > 0, exact also for doubles beyond 2^53 (LuaJIT's % is not).
local function mod(a, b)
  local rest = fmod(a, b)
  if rest < 0 then rest = rest + b end
  return rest
end

-- a divided by b, rounded down. a / b would round a to a double first; what is left to round
-- here is less than a thousandth, so the nearest integer is the right one.
local function div(a, b)
  return floor((a - mod(a, b)) / b + 0.5)
end

local tointeger = rawget(math, "tointeger") or function(number) return number end

-- An integral number of at most 18 digits as an integer where Lua has integers; else nil.
local function integer(number)
  if not (number > -SPAN_MAX and number < SPAN_MAX) or fmod(number, 1) ~= 0 then return nil end
  return tointeger(number)
end

local function is_leap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

local function days_in_month(year, month)
  if month == 2 and is_leap(year) then return 29 end
  return MONTH_DAYS[month]
end

-- Days from 1970-01-01 to a date of the Gregorian calendar, for years from 0. The year is
-- counted from March, so that the leap day comes last and the month lengths follow 153/5.
local function days_from_civil(year, month, day)
  if month <= 2 then year = year - 1 end
  local era = floor(year / 400)
  local year_of_era = year - era * 400
  local day_of_year = floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
  local day_of_era = year_of_era * 365 + floor(year_of_era / 4) - floor(year_of_era / 100)
    + day_of_year
  return era * 146097 + day_of_era - 719468
end

-- The inverse: year, month, day.
local function civil_from_days(days)
  days = days + 719468
  local era = floor(days / 146097)
  local day_of_era = days - era * 146097
  local year_of_era = floor((day_of_era - floor(day_of_era / 1460) + floor(day_of_era / 36524)
    - floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era
    - (365 * year_of_era + floor(year_of_era / 4) - floor(year_of_era / 100))
  local shifted = floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - floor((153 * shifted + 2) / 5) + 1
  local month = shifted < 10 and shifted + 3 or shifted - 9
  local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
  return year, month, day
end

-- ".5" as microseconds; digits behind the sixth are cut off.
local function fraction_us(digits)
  return tonumber((digits .. "000000"):sub(1, 6))
end

local function number(digits)
  return integer(tonumber(digits, 10))
end

local function date_us(year, month, day)
  year, month, day = number(year), number(month), number(day)
  if month < 1 or month > 12 then
    return nil, string.format("there is no month %02d", month)
  end
  if day < 1 or day > days_in_month(year, month) then
    return nil, string.format("%04d-%02d has %d days", year, month, days_in_month(year, month))
  end
  return days_from_civil(year, month, day) * DAY
end

-- "10:30", "10:30:05", "10:30:05.25" as microseconds since midnight.
local function clock_us(text)
  local hour, minute, rest = text:match("^(%d%d):(%d%d)(.*)$")
  if not hour then return nil, "a time of day looks like 10:30 or 10:30:05" end
  local second, digits = "0", ""
  if rest ~= "" then
    second, digits = rest:match("^:(%d%d)%.?(%d*)$")
    if not second or (digits == "") ~= (rest:find(".", 1, true) == nil) then
      return nil, "a time of day looks like 10:30 or 10:30:05.25"
    end
  end
  if number(hour) > 23 then return nil, "there is no hour " .. hour end
  if number(minute) > 59 then return nil, "there is no minute " .. minute end
  if number(second) == 60 then return nil, "leap seconds (:60) cannot be stored, write :59" end
  if number(second) > 59 then return nil, "there is no second " .. second end
  return number(hour) * HOUR + number(minute) * MINUTE + number(second) * SECOND
    + fraction_us(digits)
end

-- Take the zone off the end of a time of day: the rest, and the zone's distance from UTC.
local function split_zone(text)
  local rest = text:match("^(.-)%s*[zZ]$") or text:match("^(.-)%s*[uU][tT][cC]$")
  if rest then return rest, 0 end
  local before, sign, hour, minute = text:match("^(.-)%s*([+-])(%d%d):?(%d%d)$")
  if not before then before, sign, hour = text:match("^(.-)%s*([+-])(%d%d)$") end
  if not before then return text, 0 end
  minute = minute or "0"
  if number(hour) > 23 or number(minute) > 59 then
    return nil, "a zone looks like +01:00 and is less than a day"
  end
  local distance = number(hour) * HOUR + number(minute) * MINUTE
  return before, sign == "-" and -distance or distance
end

-- A day and the text behind it: midnight if there is none, else a time of day with a zone.
local function day_and_clock(day_us, text)
  if text == "" then return day_us end
  local rest, distance_us = split_zone(text)
  if not rest then return nil, distance_us end
  if rest == "" then return day_us - distance_us end
  local us, message = clock_us(rest)
  if not us then return nil, message end
  return day_us + us - distance_us
end

local function unit_us(word)
  -- One letter is taken as written: systemd's M means months, and must not become minutes.
  return UNITS[word] or (#word > 1 and UNITS[word:lower()]) or nil
end

-- "1h 30min", "2 weeks" as microseconds; nil without a message if it does not look like that.
local function span_us(text)
  local sum, rest = 0, text
  repeat
    local digits, point, decimals, word, behind = rest:match("^(%d+)(%.?)(%d*)%s*(%a+)%s*(.*)$")
    if not digits or (point == "") ~= (decimals == "") then return nil end
    local unit = unit_us(word)
    if not unit then return nil, "'" .. word .. "' is no unit of time" end
    if #digits > 15 or #decimals > 15 or tonumber(digits) > SPAN_MAX / unit then
      return nil, "that is too far away"
    end
    sum = sum + number(digits) * unit
    for digit in decimals:gmatch("%d") do
      unit = floor(unit / 10) -- what is less than a microsecond is cut off
      sum = sum + number(digit) * unit
    end
    if sum > SPAN_MAX then return nil, "that is too far away" end
    rest = behind
  until rest == ""
  return sum
end

local function relative(words, now_us)
  local sign, span = words:match("^([+-])%s*(%d.*)$")
  if not sign then
    span = words:match("^(%d.-)%s+[aA][gG][oO]$")
    sign = "-"
  end
  if not span then
    if span_us(words) then
      return nil, "say '" .. words .. " ago', or '+" .. words .. "'"
    end
    return nil
  end
  local us, message = span_us(span)
  if not us then return nil, message end
  return sign == "-" and now_us() - us or now_us() + us
end

local function epoch(words)
  local digits, point, decimals = words:match("^@(%d+)(%.?)(%d*)$")
  if not digits or (point == "") ~= (decimals == "") then
    return nil, "seconds since 1970 look like @1795000000 or @1795000000.5"
  end
  if #digits > 12 then return nil, "that is too far away" end
  return number(digits) * SECOND + fraction_us(decimals)
end

local DAY_WORDS = { yesterday = -DAY, today = 0, tomorrow = DAY }

-- 'now_us' is a function: a time that does not ask for the present needs no clock.
local function parse_words(words, now_us)
  if words:lower() == "now" then return now_us() end
  if words:sub(1, 1) == "@" then return epoch(words) end

  local year, month, day, rest = words:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  if year then
    local day_us, message = date_us(year, month, day)
    if not day_us then return nil, message end
    local behind = rest:match("^[tT](%d.*)$") or rest:match("^%s+(.+)$") or rest
    if behind ~= "" and behind == rest and not rest:match("^[zZ]$") then return nil end
    return day_and_clock(day_us, behind)
  end

  local word, behind = words:match("^(%a+)%s*(.*)$")
  if words:match("^%d%d:") then word, behind = "today", words end
  if word and DAY_WORDS[word:lower()] then
    local now = now_us()
    return day_and_clock(now - mod(now, DAY) + DAY_WORDS[word:lower()], behind)
  end

  if words:match("^%d+$") then
    -- So many digits can only be microseconds; "2026" would be 1970 and find everything.
    if #words >= 14 and #words <= 18 then return number(words) end
    return nil, "a date looks like 2026-11-24, seconds since 1970 like @1795000000"
  end
  return relative(words, now_us)
end

-- The present, for callers who gave none. The engine's clock comes from the C core, which is
-- not needed before the first relative time.
local function present_us()
  return require("trail.core").now()
end

-- A time in words (or a number of microseconds) as microseconds since 1970 UTC.
-- 'now_us' is what relative times count from; default: the present.
-- Returns nil and a message if the words are no time.
function time.parse(words, now_us)
  if type(words) == "number" then
    local us = integer(words)
    if not us then return nil, tostring(words) .. " is not a whole number of microseconds" end
    return us
  end
  if type(words) ~= "string" then
    return nil, "a time is a string or a number, not a " .. type(words)
  end
  local trimmed = words:match("^%s*(.-)%s*$")
  local us, message
  if #trimmed <= 100 then
    us, message = parse_words(trimmed, function() return integer(now_us or present_us()) end)
  end
  if us then return us end
  return nil, string.format("'%s' is not a time%s", words:sub(1, 100),
    message and ": " .. message or "")
end

-- RFC 3339 in UTC with six digits: "2026-11-24T10:00:00.123456Z".
-- Throws if 'us' is no number or lies outside the years 0 to 9999.
function time.format(us)
  if type(us) ~= "number" then
    error("a time is a number of microseconds, not a " .. type(us), 2)
  end
  if not (us >= -62167219200000000 and us <= 253402300799999999) then
    error(tostring(us) .. " lies outside the years 0 to 9999", 2)
  end
  us = integer(us) or floor(us)
  local in_day = mod(us, DAY)
  local year, month, day = civil_from_days(div(us, DAY))
  local second, fraction = div(in_day, SECOND), mod(in_day, SECOND)
  return string.format("%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", year, month, day,
    floor(second / 3600), floor(second / 60) % 60, second % 60, fraction)
end

time.days_from_civil = days_from_civil
time.civil_from_days = civil_from_days

return time
