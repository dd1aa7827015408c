-- store.lua - open the trail of a command, and say in its words why that did not work.
-- Level: cli; requires trail, trail.host, the terminal and the shared flags.
-- SPDX-License-Identifier: MIT

local escape = require("trail.escape")
local host = require("trail.host")
local options = require("trail.cli.options")
local terminal = require("trail.cli.terminal")
local trail = require("trail")

local store = {}

-- From here on a damaged page ends the command with this line instead of a core dump.
local function guard(dir)
  local shown = escape.text(dir):sub(1, 1000)
  host.guard(("trail: %s is damaged: reading it crashed; run: trail verify %s\n"):format(shown,
    shown))
end

-- Is nothing at this path? "/." makes that a question about a directory, which never waits.
local function is_free(path)
  local ENOENT = 2
  local handle, _, errno = io.open(path .. "/.", "rb")
  if handle then handle:close() end
  return not handle and errno == ENOENT
end

-- End the command, because there is no trail that could be opened or verified.
function store.fail_open(dir, message, status)
  if status == "not_found" and is_free(dir) then
    message = message .. " (trail init " .. dir .. " makes one)"
  end
  terminal.fail(terminal.NO_TRAIL, "%s", message)
end

-- A log that exists, for reading; or for appending too. Ends the command if it cannot be opened.
-- 'indexing' (default: in the background) is for what is appended.
function store.open(dir, writable, indexing)
  guard(dir)
  local log, message, status = trail.open(dir, { create = false, read_only = not writable,
    indexing = indexing })
  if not log then store.fail_open(dir, message, status) end
  return log
end

-- What the engine calls an option of a new trail, and the flag that gave it.
local FLAG_OF = {
  { "^field 'origin'", "--origin" }, { "^open: size_max", "--size-max" },
  { "^open: map_size", "--map-size" }, { "^open: index_paths?", "--index" },
}

-- A new one.
function store.create(dir, settings)
  guard(dir)
  settings.create = "new"
  local log, message, status = trail.open(dir, settings)
  if log then return log end
  if status == "exists" then terminal.fail(terminal.NO_TRAIL, "%s", message) end
  if status == "invalid" then
    for _, entry in ipairs(FLAG_OF) do message = message:gsub(entry[1], entry[2]) end
    terminal.fail(terminal.USAGE, "%s", message)
  end
  terminal.fail_status(status, message)
end

-- Start a query that was checked before; what is thrown later is the trail's failure.
-- The core is asked first, because it says what kind of failure it is.
function store.query(log, filter, settings)
  local plain, message, status = require("trail.filter").normalise(filter)
  local cursor
  if plain then cursor, message, status = log:cursor(plain, settings) end
  if not cursor then
    if status == "invalid" then
      terminal.fail(terminal.USAGE, "%s", options.in_flags(message))
    end
    terminal.fail_status(status, message)
  end
  cursor:close()
  return store.guarded(function() return log:query(filter, settings) end)
end

-- Call a function; what it throws (iterators throw) ends the command as a failure of the trail.
function store.guarded(call)
  local good, result = pcall(call)
  if good then return result end
  if terminal.failure(result) then error(result, 0) end
  terminal.fail(terminal.NO_TRAIL, "%s", terminal.plain_error(result))
end

return store
