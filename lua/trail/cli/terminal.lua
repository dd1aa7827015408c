-- terminal.lua - where a command's words go: data to stdout, talk to stderr, failures upwards.
-- Level: cli; requires trail.host (inside the command only) and trail.escape.
-- SPDX-License-Identifier: MIT

local escape = require("trail.escape")
local host = require("trail.host")

local terminal = {}

-- Exit codes, the same for every command.
terminal.OK, terminal.NOTHING, terminal.USAGE, terminal.FAILED = 0, 1, 2, 3
terminal.NO_TRAIL, terminal.IO, terminal.INTERRUPTED = 4, 5, 130

-- A failure that ends the command; main() prints it and returns its code.
local Failure = {}

function terminal.fail(code, ...)
  error(setmetatable({ code = code, message = string.format(...) }, Failure), 0)
end

-- End the command with a code; everything was said.
function terminal.quit(code)
  error(setmetatable({ code = code }, Failure), 0)
end

-- The code and the message if 'value' was raised by fail().
function terminal.failure(value)
  if getmetatable(value) == Failure then return value.code, value.message end
  return nil
end

-- What a status word of the engine means for the exit code.
local CODE_OF = {
  invalid = terminal.IO, exists = terminal.IO, full = terminal.IO, io = terminal.IO,
  no_memory = terminal.IO, queue_full = terminal.IO,
}

function terminal.code_of(status)
  return CODE_OF[status] or terminal.NO_TRAIL
end

function terminal.fail_status(status, message)
  terminal.fail(terminal.code_of(status), "%s", message)
end

-- An error message of Lua without the place in our own source.
function terminal.plain_error(message)
  return (tostring(message):gsub("^trail[%w_/]*%.lua:%d+: ", ""))
end

-- Only with a terminal that shows more than plain text.
function terminal.is_terminal(fd)
  return host.isatty(fd)
end

function terminal.width()
  return host.width()
end

terminal.char_width = host.char_width

-- How wide a drawing may be: as the terminal, or as COLUMNS says; nil: there is none to draw on.
function terminal.drawing_width()
  local columns = os.getenv("COLUMNS")
  if host.isatty(1) or (columns and columns ~= "") then return host.width() end
  return nil
end

-- Does the user's locale say that the terminal shows more than ASCII?
function terminal.is_utf8()
  for _, name in ipairs({ "LC_ALL", "LC_CTYPE", "LANG" }) do
    local value = os.getenv(name)
    if value and value ~= "" then return value:lower():find("utf%-?8") ~= nil end
  end
  return false
end

-- 'when' is always, never or auto.
function terminal.wants_color(when)
  if when == "always" then return true end
  if when == "never" then return false end
  local no_color = os.getenv("NO_COLOR")
  if no_color and no_color ~= "" then return false end
  return host.isatty(1) and os.getenv("TERM") ~= "dumb"
end

-- Data. A full disk ends the command with a message.
function terminal.out(text)
  local done, message = io.stdout:write(text)
  if not done then
    terminal.fail(terminal.IO, "cannot write to standard output: %s", message)
  end
end

function terminal.flush()
  local done, message = io.stdout:flush()
  if not done then
    terminal.fail(terminal.IO, "cannot write to standard output: %s", message)
  end
end

local progress_shown = false

local function clear_progress()
  if progress_shown then io.stderr:write("\r\27[K") end
  progress_shown = false
end

-- One line to stderr. The text is ours, or went through escape.text.
function terminal.say(text)
  clear_progress()
  io.stderr:write(text, "\n")
end

-- "trail: message": one line, whatever is in it.
function terminal.complain(message)
  terminal.say("trail: " .. escape.text(message))
end

-- A line on stderr that the next one overwrites; nothing if stderr is no terminal.
function terminal.progress(text)
  if not host.isatty(2) or os.getenv("TERM") == "dumb" then return end
  progress_shown = true
  io.stderr:write("\r", text, "\27[K")
end

terminal.clear_progress = clear_progress

-- "0:07", "12:34", "1:02:03"
function terminal.duration(seconds)
  seconds = math.floor(seconds + 0.5)
  local s, m = seconds % 60, math.floor(seconds / 60) % 60
  local h = math.floor(seconds / 3600)
  if h > 0 then return ("%d:%02d:%02d"):format(h, m, s) end
  return ("%d:%02d"):format(m, s)
end

return terminal
