-- format.lua - records as text: jsonl, json, csv, line by line, and a table for people.
-- Level: pure; requires trail.escape and trail.time. Writers hand their text to a function.
-- SPDX-License-Identifier: MIT
--
-- A record comes from log:query with details as JSON text. Nothing in it is trusted: whatever
-- is printed went through trail.escape, so no output holds a byte that a terminal obeys
-- (colours, if asked for, are the only escape sequences, and they are ours).

local escape = require("trail.escape")
local time = require("trail.time")

local format = {}

local concat, find, gsub, sub = table.concat, string.find, string.gsub, string.sub

-- Every field of a record, in the order in which it is printed everywhere.
format.FIELDS = {
  "seq", "id", "timestamp", "recorded_at", "event_type", "user_id", "action", "resource_type",
  "resource_id", "result", "result_error", "details", "ip_address", "user_agent", "request_id",
  "previous_hash", "event_hash",
}

local IS_FIELD = {}
for _, name in ipairs(format.FIELDS) do IS_FIELD[name] = true end

function format.is_field(name)
  return IS_FIELD[name] == true
end

-- ---- JSON ---------------------------------------------------------------------------------

local function json_integer(value)
  return string.format("%d", value)
end

-- Events come in bunches: most of them fall into the second of the one before.
local cached_second, cached_text

local function time_text(value)
  local micros = value % 1000000
  if value - micros ~= cached_second then
    cached_text = sub(time.format(value), 1, 20)
    cached_second = value - micros
  end
  return cached_text .. string.format("%06dZ", micros)
end

local function json_time(value)
  return '"' .. time_text(value) .. '"'
end

-- For what the engine makes out of bytes: hexadecimal digits and hyphens.
local function json_plain(value)
  return '"' .. value .. '"'
end

local TO_JSON = {
  seq = json_integer, timestamp = json_time, recorded_at = json_time, details = escape.json_text,
  id = json_plain, previous_hash = json_plain, event_hash = json_plain,
}
for _, name in ipairs(format.FIELDS) do TO_JSON[name] = TO_JSON[name] or escape.json end

-- One field after another: '"seq":', its converter, its name.
local function json_plan(fields)
  local plan = {}
  for index, name in ipairs(fields) do
    plan[index] = { name = name, head = '"' .. name .. '":', convert = TO_JSON[name] }
  end
  return plan
end

local whole_plan = json_plan(format.FIELDS)

-- The record as one JSON object on one line, without a line end. 'plan' is from json_plan;
-- 'more' is put before the closing brace.
local function json_object(record, plan, more)
  local parts, count = {}, 0
  for i = 1, #plan do
    local step = plan[i]
    local value = record[step.name]
    if value ~= nil then
      count = count + 1
      parts[count] = step.head .. step.convert(value)
    end
  end
  if more then
    count = count + 1
    parts[count] = more
  end
  return "{" .. concat(parts, ",", 1, count) .. "}"
end

function format.json(record, more)
  return json_object(record, whole_plan, more)
end

local function jsonl_writer(options)
  local plan, out = json_plan(options.fields or format.FIELDS), options.out
  return {
    write = function(_, record) out(json_object(record, plan) .. "\n") end,
    finish = function() end,
  }
end

local function json_writer(options)
  local plan, out = json_plan(options.fields or format.FIELDS), options.out
  local separator = "[\n"
  return {
    write = function(_, record)
      out(separator .. json_object(record, plan))
      separator = ",\n"
    end,
    finish = function() out(separator == "[\n" and "[]\n" or "\n]\n") end,
  }
end

-- ---- values for people --------------------------------------------------------------------

-- A field as printable text; nil if it is absent.
function format.value(record, field)
  local value = record[field]
  if value == nil then return nil end
  if field == "timestamp" or field == "recorded_at" then return time_text(value) end
  if field == "seq" then return json_integer(value) end
  if field == "details" then return escape.json_text(value) end
  return escape.text(value)
end

local value_of = format.value

local function line_writer(options)
  local fields, out = options.fields or format.FIELDS, options.out
  local width, first = 0, true
  for _, name in ipairs(fields) do width = math.max(width, #name) end
  return {
    write = function(_, record)
      local lines = {}
      for _, name in ipairs(fields) do
        local text = value_of(record, name)
        if text then
          lines[#lines + 1] = name .. (" "):rep(width - #name) .. "  " .. text .. "\n"
        end
      end
      out((first and "" or "\n") .. concat(lines))
      first = false
    end,
    finish = function() end,
  }
end

-- ---- CSV ----------------------------------------------------------------------------------

-- What a spreadsheet takes for the start of a formula, also in full width.
local FULL_WIDTH = { ["\239\188\157"] = true, ["\239\188\139"] = true, ["\239\188\141"] = true,
  ["\239\188\160"] = true }

local function is_formula(text)
  return find(text, "^[=+%-@%c]") ~= nil or FULL_WIDTH[sub(text, 1, 3)] == true
end

-- A cell after RFC 4180. 'raw' is what the text was before it was made printable: a tab at its
-- start is a formula for a spreadsheet although it is printed as "\t".
function format.csv_cell(text, raw, unguarded)
  if not unguarded and is_formula(raw or text) then text = "'" .. text end
  if find(text, '[,"\n ]') then
    return '"' .. gsub(text, '"', '""') .. '"'
  end
  return text
end

-- Fields whose values we make ourselves.
local OURS = { seq = true, timestamp = true, recorded_at = true }

local function csv_writer(options)
  local fields, out, unguarded = options.fields or format.FIELDS, options.out, options.csv_raw
  local headed = false

  local function head()
    if not headed then out(concat(fields, ",") .. "\n") end
    headed = true
  end

  return {
    write = function(_, record)
      head()
      local cells = {}
      for index, name in ipairs(fields) do
        local text = value_of(record, name)
        cells[index] = text and format.csv_cell(text, not OURS[name] and record[name] or text,
          unguarded) or ""
      end
      out(concat(cells, ",") .. "\n")
    end,
    finish = head,
  }
end

-- ---- table --------------------------------------------------------------------------------

local function short_time(record, field)
  local text = value_of(record, field)
  return text and (gsub(sub(text, 1, 19), "T", " "))
end

local function resource(record)
  local kind, id = value_of(record, "resource_type"), value_of(record, "resource_id")
  if kind and id then return kind .. ":" .. id end
  return kind or id
end

-- 'least' is the width a column may be cut to, 'usual' the one it gets before its values are
-- known; of columns that do not fit, the one with the
-- highest 'drop' goes first.
local COLUMNS = {
  { name = "seq", least = 1, usual = 6, drop = 1, right = true },
  { name = "timestamp", head = "time (UTC)", least = 19, usual = 19, drop = 2, get = short_time },
  { name = "event_type", head = "type", least = 12, usual = 18, drop = 3 },
  { name = "user_id", head = "user", least = 10, usual = 16, drop = 4 },
  { name = "action", least = 8, usual = 10, drop = 6 },
  { name = "resource", least = 10, usual = 20, drop = 5, get = resource },
  { name = "result", least = 7, usual = 15, drop = 0 },
  { name = "ip_address", head = "ip", least = 10, usual = 15, drop = 7 },
  { name = "result_error", head = "error", least = 10, usual = 20, drop = 8 },
}

local function columns_for(fields)
  if not fields then return COLUMNS end
  local columns = {}
  for index, name in ipairs(fields) do
    columns[index] = { name = name, least = name == "seq" and 1 or 8, drop = index,
      usual = name == "seq" and 6 or 16, right = name == "seq" }
  end
  return columns
end

-- Columns of the screen that a text takes. 'char_width' knows code points beyond ASCII.
local function display_width(text, char_width)
  if not find(text, "[\128-\255]") then return #text end
  local width = 0
  for chunk in text:gmatch("[%z\1-\127\194-\244][\128-\191]*") do
    width = width + (#chunk == 1 and 1 or math.max(0, char_width(escape.decode(chunk))))
  end
  return width
end

-- The text cut to 'width' columns; what is cut off is shown by an ellipsis.
local function shorten(text, width, char_width)
  if display_width(text, char_width) <= width then return text end
  local kept, used = {}, 0
  for chunk in text:gmatch("[%z\1-\127\194-\244][\128-\191]*") do
    local chunk_width = #chunk == 1 and 1 or math.max(0, char_width(escape.decode(chunk)))
    if used + chunk_width > width - 1 then break end
    kept[#kept + 1], used = chunk, used + chunk_width
  end
  return concat(kept) .. "\226\128\166"
end

format.display_width, format.shorten = display_width, shorten

local GAP = "  "

local function total_width(columns, field)
  local total = #GAP * (#columns - 1)
  for _, column in ipairs(columns) do total = total + column[field] end
  return total
end

-- Take columns out until the rest, cut to the least, fits.
local function drop_columns(columns, width)
  while #columns > 1 and total_width(columns, "floor") > width do
    local worst = 1
    for index, column in ipairs(columns) do
      if column.drop > columns[worst].drop then worst = index end
    end
    table.remove(columns, worst)
  end
end

-- Cut the widest columns until all of them fit.
local function narrow_columns(columns, width)
  local excess = total_width(columns, "width") - width
  while excess > 0 do
    local widest
    for _, column in ipairs(columns) do
      if column.width > column.floor and (not widest or column.width > widest.width) then
        widest = column
      end
    end
    if not widest then return end
    widest.width, excess = widest.width - 1, excess - 1
  end
end

-- Columns with their widths for the rows at hand. Columns without any value are left out, unless
-- more rows come later.
local function layout(wanted, rows, options)
  local width, char_width = options.width, options.char_width
  local columns = {}
  for index, column in ipairs(wanted) do
    local natural, used = options.endless and column.usual or 0, options.endless
    for _, row in ipairs(rows) do
      if row[index] ~= "" then used = true end
      natural = math.max(natural, display_width(row[index], char_width))
    end
    if used then
      natural = math.max(natural, #(column.head or column.name))
      columns[#columns + 1] = { cell = index, name = column.name, right = column.right,
        head = column.head or column.name, width = natural, drop = column.drop,
        floor = math.min(natural, math.max(column.least, #(column.head or column.name))) }
    end
  end
  if width then
    drop_columns(columns, width)
    narrow_columns(columns, width)
  end
  return columns
end

local BOLD, RED, YELLOW, PLAIN = "\27[1m", "\27[31m", "\27[33m", "\27[0m"
local RESULT_COLOR = { failure = RED, partial_success = YELLOW }

local function paint(text, color)
  return color and color .. text .. PLAIN or text
end

local function render(columns, row, options, color_of)
  local parts = {}
  for index, column in ipairs(columns) do
    local text = row[column.cell]
    if options.width then text = shorten(text, column.width, options.char_width) end
    local room = (" "):rep(column.width - display_width(text, options.char_width))
    text = paint(text, options.color and color_of(column, text))
    if column.right then
      text = room .. text
    elseif index < #columns then
      text = text .. room
    end
    parts[index] = text
  end
  return (gsub(concat(parts, GAP), " +$", "")) .. "\n"
end

local function head_row(columns)
  local row = {}
  for _, column in ipairs(columns) do row[column.cell] = column.head end
  return row
end

-- Widths are decided on the first rows, so that a long result can be printed as it comes.
local ROWS_FOR_LAYOUT = 200

local function table_writer(options)
  local wanted, out = columns_for(options.fields), options.out
  local rows, columns = {}, nil
  options = { width = options.width, color = options.color, endless = options.endless,
    char_width = options.char_width or function() return 1 end }

  local function print_row(row)
    out(render(columns, row, options, function(column, text)
      return column.name == "result" and RESULT_COLOR[text] or nil
    end))
  end

  local function start()
    if columns or #rows == 0 then return end
    columns = layout(wanted, rows, options)
    out(render(columns, head_row(columns), options, function() return BOLD end))
    for _, row in ipairs(rows) do print_row(row) end
    rows = {}
  end

  return {
    write = function(_, record)
      local row = {}
      for index, column in ipairs(wanted) do
        row[index] = (column.get or value_of)(record, column.name) or ""
      end
      if columns then return print_row(row) end
      rows[#rows + 1] = row
      if options.endless or #rows >= ROWS_FOR_LAYOUT then start() end
    end,
    finish = start,
  }
end

-- ---- the writers --------------------------------------------------------------------------

local WRITERS = {
  jsonl = jsonl_writer, json = json_writer, csv = csv_writer, line = line_writer,
  table = table_writer,
}

-- A writer with write(self, record) and finish(self). Options: out (a function that takes text;
-- required), fields (a list of names; default all, for a table what fits), width (columns of
-- the terminal; nil: no limit), endless (a table prints each row at once), color, char_width (code
-- point → columns), csv_raw (cells that look like formulas stay as they are).
function format.writer(kind, options)
  local make = WRITERS[kind] or error("no output format '" .. tostring(kind) .. "'", 2)
  return make(options)
end

-- 1234567 → "1,234,567"
function format.grouped(number)
  local text = json_integer(number):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""):gsub("^%-,", "-"))
end

return format
