-- chart.lua - counts as rows with bars for people, as json, jsonl or csv for programs.
-- Level: cli; requires trail.escape, trail.format and the terminal.
-- SPDX-License-Identifier: MIT

local escape = require("trail.escape")
local format = require("trail.format")
local terminal = require("trail.cli.terminal")

local chart = {}

-- ---- bars ---------------------------------------------------------------------------------

local FULL = "\226\150\136" -- U+2588, a whole block; the blocks of 1/8 to 7/8 end in \143 to \137
local BAR_MAX, BAR_MIN, LABEL_MIN = 60, 5, 8

-- A bar of 'part' of 'whole' in at most 'width' columns. What is not nothing can be seen.
function chart.bar(part, whole, width, blocks)
  if part == 0 or whole == 0 then return "" end
  local eighths = math.floor(part / whole * width * 8 + 0.5)
  if not blocks then return ("#"):rep(math.max(1, math.floor(eighths / 8 + 0.5))) end
  eighths = math.max(1, eighths)
  local rest = eighths % 8
  return FULL:rep(eighths // 8) .. (rest > 0 and "\226\150" .. string.char(144 - rest) or "")
end

-- ---- for people ---------------------------------------------------------------------------

local GAP = "  "

-- Columns that the labels may take of 'width', so that count, share and a bar fit beside them.
local function label_width(rows, head, width, others)
  local widest = #head
  for _, row in ipairs(rows) do
    widest = math.max(widest, format.display_width(row.label or "", terminal.char_width))
  end
  if not width then return widest end
  local room = math.min(width - others - #GAP - BAR_MIN, math.max(20, width // 2))
  return math.min(widest, math.max(LABEL_MIN, room))
end

local function padded(text, width)
  if format.display_width(text, terminal.char_width) > width then
    text = format.shorten(text, width, terminal.char_width)
  end
  return text .. (" "):rep(width - format.display_width(text, terminal.char_width))
end

local BOLD, PLAIN = "\27[1m", "\27[0m"

-- 'rows' are { label, count } or { gap = text }; 'total' is what 100 % stands for.
local function print_rows(rows, head, total, color)
  local width = terminal.drawing_width()
  local largest = 0
  for _, row in ipairs(rows) do largest = math.max(largest, row.count or 0) end
  local count_width = math.max(#"events", #format.grouped(largest))
  local others = #GAP + count_width + #GAP + #"100.0%"
  local labels = label_width(rows, head, width, others)
  local room = width and math.min(BAR_MAX, width - labels - others - #GAP) or 0
  local blocks = terminal.is_utf8()
  local title = padded(head, labels) .. GAP .. ("%" .. count_width .. "s"):format("events")
  terminal.out((color and BOLD .. title .. PLAIN or title) .. "\n")
  for _, row in ipairs(rows) do
    if row.gap then
      terminal.out(row.gap .. "\n")
    else
      local line = padded(row.label, labels) .. GAP
        .. ("%" .. count_width .. "s"):format(format.grouped(row.count))
      if row.count > 0 then
        line = line .. GAP .. ("%5.1f%%"):format(100 * row.count / total)
          .. (room >= BAR_MIN and GAP .. chart.bar(row.count, largest, room, blocks) or "")
      end
      terminal.out(line .. "\n")
    end
  end
end

-- ---- for programs -------------------------------------------------------------------------

-- Rows here are { name, cell, value as JSON, count }; 'summary' are names and counts.
local function row_json(row, name)
  return ('{"%s":%s,"count":%d}'):format(name, row.json, row.count)
end

local function print_json(given)
  local parts = {}
  for index, row in ipairs(given.rows) do parts[index] = row_json(row, given.name) end
  local head = {}
  for index, fact in ipairs(given.summary) do
    local value = type(fact[2]) == "number" and ("%d"):format(fact[2]) or escape.json(fact[2])
    head[index] = ('"%s":%s'):format(fact[1], value)
  end
  local rows = #parts > 0 and "\n" .. table.concat(parts, ",\n") .. "\n" or ""
  terminal.out('{' .. table.concat(head, ",") .. ',"rows":[' .. rows .. "]}\n")
end

local function print_jsonl(given)
  for _, row in ipairs(given.rows) do terminal.out(row_json(row, given.name) .. "\n") end
end

local function print_csv(given)
  terminal.out(given.name .. ",count\n")
  for _, row in ipairs(given.rows) do
    terminal.out(("%s,%d\n"):format(format.csv_cell(row.cell, row.raw, given.csv_raw), row.count))
  end
end

-- ---- the door -----------------------------------------------------------------------------

chart.FORMATS = { "table", "jsonl", "json", "csv" }

-- Print 'given': name (of the value: "value" or "time"), rows ({ json, cell, raw, count }),
-- summary (a list of { name, count or text } for json), head (of the first column), total, and
-- table_rows(), which makes the rows of a table. 'args' are the flags.
function chart.print(given, args)
  local kind = args.output or (terminal.is_terminal(1) and "table" or "jsonl")
  given.csv_raw = args.csv_raw
  if kind == "json" then
    print_json(given)
  elseif kind == "jsonl" then
    print_jsonl(given)
  elseif kind == "csv" then
    print_csv(given)
  else
    print_rows(given.table_rows(), given.head, given.total,
      terminal.wants_color(args.color or "auto"))
    return true
  end
  return false
end

return chart
