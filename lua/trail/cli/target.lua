-- target.lua - the file that a command writes: complete or not at all, and never into the trail.
-- Level: cli; requires the terminal. What Lua cannot ask of the system it asks of the shell.
-- SPDX-License-Identifier: MIT
--
-- A file is written beside its name, as NAME.part, and gets the name when it is complete. So an
-- export that is interrupted, or a full disk, leaves what was there before.

local terminal = require("trail.cli.terminal")

local target = {}

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- Run a script of the shell with "$1", "$2" ... ; its exit code. Nothing of it is printed.
local function shell(script, ...)
  local words = {}
  for index, word in ipairs({ ... }) do words[index] = quote(word) end
  local _, _, code = os.execute(("{ set -- %s; %s\n} 2>/dev/null"):format(
    table.concat(words, " "), script))
  return code
end

-- ---- what is there --------------------------------------------------------------------------

local KINDS = { [11] = "directory", [12] = "stream", [13] = "file", [14] = "other" }

-- "directory", "stream" (a pipe or a character device), "file", "other"; nil if nothing is there.
local function kind_of(path)
  return KINDS[shell([[
    [ -d "$1" ] && exit 11
    { [ -p "$1" ] || [ -c "$1" ]; } && exit 12
    [ -f "$1" ] && exit 13
    [ -e "$1" ] && exit 14
    exit 10]], path)]
end

-- Where a path leads, all symbolic links followed; what it leads to need not exist. The path
-- itself if that cannot be found out.
local function real_path(path)
  local pipe = io.popen("readlink -f -- " .. quote(path) .. " 2>/dev/null")
  local found = pipe and pipe:read("a") or ""
  if pipe then pipe:close() end
  found = found:gsub("\n$", "")
  if found ~= "" then return found end
  return path:sub(1, 1) == "/" and path or "./" .. path
end

-- Is it a file of the directory, also by another name, or in it, or in a directory below it?
-- Files and directories are compared, not their names.
local function is_inside(path, dir)
  return shell([[
    for f in "$2"/*; do [ "$1" -ef "$f" ] && exit 11; done
    p=$1
    while q=${p%/*}; [ "$q" != "$p" ]; do
      [ "${q:-/}" -ef "$2" ] && exit 11
      p=$q
    done
    exit 10]], path, dir) == 11
end

-- ---- the file -------------------------------------------------------------------------------

-- A new, empty file to write 'path' into; one that is there is left alone. What replaces a file
-- is as private as that one.
local function create(path, part, replaced)
  local code = shell([[
    set -C; true > "$1" || exit 11
    [ -z "$2" ] || chmod --reference="$2" -- "$1" || { rm -f -- "$1"; exit 12; }
    exit 0]], part, replaced or "")
  if code == 12 then
    terminal.fail(terminal.IO, "cannot write %s: the mode of %s cannot be set", path, part)
  end
  if code ~= 0 and kind_of(part) then
    terminal.fail(terminal.IO, "%s exists: it is being written, or was left behind by a command "
      .. "that was killed; remove it then", part)
  end
  -- If the shell could not make it, this says why.
  local handle, message = io.open(part, code == 0 and "r+b" or "wb")
  if not handle then
    terminal.fail(terminal.IO, "cannot write %s: %s", path, message:sub(#part + 3))
  end
  return handle
end

local File = {}
File.__index = File

function File:check(done, reason)
  if not done then
    terminal.fail(terminal.IO, "cannot write %s: %s%s", self.path, reason,
      self.part and "" or "; it is not complete")
  end
end

function File:write(text)
  self:check(self.handle:write(text))
end

-- Everything is written: the file gets its name.
function File:finish()
  local handle = self.handle
  self.handle = nil
  self:check(handle:close())
  if not self.part then return end
  if not self.force and kind_of(self.real) then
    terminal.fail(terminal.IO, "%s exists by now; --force writes over it", self.path)
  end
  self:check(os.rename(self.part, self.real))
  self.part = nil
end

-- It will not be complete; harmless behind finish().
function File:abandon()
  if self.handle then self.handle:close() end
  if self.part then os.remove(self.part) end
  self.handle, self.part = nil, nil
end

-- Standard output has the same methods.
local STDOUT = { write = function(_, text) terminal.out(text) end,
  finish = function() terminal.flush() end, abandon = function() end }

-- ---- the door -------------------------------------------------------------------------------

-- Names of our own open files. To open standard output anew would cut off what is in it.
local STDOUT_NAMES = { ["-"] = true, ["/dev/stdout"] = true, ["/dev/fd/1"] = true }

local function is_open_file(path)
  return path == "/dev/stderr" or path:match("^/dev/fd/%d+$") ~= nil
    or path:match("^/proc/self/fd/%d+$") ~= nil
end

-- What a FILE of the command line stands for (nil or "-": standard output), to be opened later.
-- Ends the command if it must not be written. 'dir' is the trail.
function target.plan(path, dir, force)
  if not path or STDOUT_NAMES[path] then return { is_stdout = true } end
  if path == "" then terminal.fail(terminal.USAGE, "FILE is empty") end
  local kind = kind_of(path)
  if kind == "directory" or path:match("/$") then
    terminal.fail(terminal.IO, "cannot write %s: it is a directory", path)
  end
  local in_place = kind == "stream" or kind == "other" or is_open_file(path)
  local real = in_place and path or real_path(path)
  if is_inside(real, dir) then
    terminal.fail(terminal.USAGE, "%s lies within the trail %s, where only its own files may be",
      path, dir)
  end
  if kind and kind ~= "stream" and not force then
    terminal.fail(terminal.IO, "%s exists; --force writes over it", path)
  end
  return { path = path, real = real, exists = kind == "file", force = force,
    in_place = in_place }
end

-- Open it: an object with write(text), finish() and abandon().
function target.open(plan)
  if plan.is_stdout then return STDOUT end
  local file = setmetatable({ path = plan.path, real = plan.real, force = plan.force }, File)
  if plan.in_place then
    local handle, message = io.open(plan.path, "wb")
    if not handle then terminal.fail(terminal.IO, "cannot write %s", message) end
    file.handle = handle
  else
    local part = plan.real .. ".part"
    file.handle = create(plan.path, part, plan.exists and plan.real or nil)
    file.part = part
  end
  file.handle:setvbuf("full", 65536)
  return file
end

return target
