-- target.lua - the file that a command writes: complete or not at all, and never into the trail.
-- Level: cli; requires trail.host, the terminal.
-- SPDX-License-Identifier: MIT
--
-- A file is written beside its name, as NAME.part, and gets the name when it is complete. So an
-- export that is interrupted, or a full disk, leaves what was there before.

local host = require("trail.host")
local terminal = require("trail.cli.terminal")

local target = {}

-- ---- what is there --------------------------------------------------------------------------

local OWN_FILES = { "log.mdb", "log.mdb-lock", "log.mdb-gate", "index.mdb", "index.mdb-lock" }

-- Is it a file of the trail, also by another name, or in its directory or one below it?
-- Files and directories are compared, not their names.
local function is_inside(path, dir)
  local _, file = host.stat(path)
  for _, name in ipairs(OWN_FILES) do
    local kind, own = host.stat(dir .. "/" .. name)
    if kind and own == file then return true end
  end
  local _, trail = host.stat(dir)
  local above = path:match("^(.*)/")
  while above do
    local _, found = host.stat(above == "" and "/" or above)
    if trail and found == trail then return true end
    above = above:match("^(.*)/")
  end
  return false
end

-- ---- the file -------------------------------------------------------------------------------

-- A new, empty file to write 'path' into. What replaces a file is as private as that one; what a
-- killed command left behind goes, if things may be replaced.
local function create(path, part, replaced, force)
  local handle, message, taken = host.create(part, replaced)
  if taken and host.stat(part) == "directory" then
    terminal.fail(terminal.IO, "cannot write %s: %s is a directory", path, part)
  end
  if taken and force then
    os.remove(part)
    handle, message, taken = host.create(part, replaced)
  end
  if taken then
    terminal.fail(terminal.IO, "%s exists: it is being written, or was left behind by a command "
      .. "that was killed; --force replaces it", part)
  end
  if not handle then terminal.fail(terminal.IO, "cannot write %s: %s", path, message) end
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

-- Under --force another command may have given the name of the part to a file of its own.
function File:has_part()
  local _, found = host.stat(self.part)
  return found == self.identity
end

function File:write(text)
  self:check(self.handle:write(text))
end

-- Everything is written: the file gets its name.
function File:finish()
  local handle = self.handle
  self.handle = nil
  if not self.part then return self:check(handle:close()) end
  if not self.force and host.stat(self.real) then
    handle:close()
    terminal.fail(terminal.IO, "%s exists by now; --force writes over it", self.path)
  end
  if not self:has_part() then
    handle:close()
    terminal.fail(terminal.IO, "cannot write %s: %s was replaced meanwhile", self.path, self.part)
  end
  self:check(host.publish(handle, self.part, self.real))
  self.part = nil
end

-- It will not be complete; harmless behind finish().
function File:abandon()
  if self.handle then self.handle:close() end
  if self.part and self:has_part() then os.remove(self.part) end
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
  local kind = host.stat(path)
  if kind == "directory" or path:match("/$") then
    terminal.fail(terminal.IO, "cannot write %s: it is a directory", path)
  end
  local in_place = kind == "stream" or kind == "other" or is_open_file(path)
  local real, message = path, nil
  if not in_place then real, message = host.real_path(path) end
  if not real then terminal.fail(terminal.IO, "cannot write %s: %s", path, message) end
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
    file.handle = create(plan.path, part, plan.exists and plan.real or nil, plan.force)
    file.part = part
    file.identity = select(2, host.stat(part))
  end
  file.handle:setvbuf("full", 65536)
  return file
end

return target
