-- init.lua - the command `trail`: finds the command, reads its flags, turns failures into words
-- and exit codes. Level: cli; requires argparse and trail.cli.*; main.c calls main(arguments).
-- SPDX-License-Identifier: MIT

local terminal = require("trail.cli.terminal")

local cli = {}

local COMMANDS = {
  { "init", "make a new trail", module = "create" },
  { "append", "store an event" },
  { "import", "store many events from files" },
  { "log", "print events" },
  { "show", "print one event with everything known of it" },
  { "count", "count events, also by time or by value" },
  { "top", "show which values of a field occur most" },
  { "verify", "recompute every hash, name what is wrong" },
  { "export", "write events with the bytes that prove them" },
  { "stat", "show id, head, sizes, index of a trail" },
  { "reindex", "bring the index up to the last event" },
  { "help", "show how a command is used" },
}

local EPILOG = [[
A trail is a directory. Try:
  trail init audit.trail
  trail append audit.trail event_type=auth_attempt user_id=alice result=failure ip_address=192.0.2.1
  trail log audit.trail --user alice --since "7 days ago"
  trail verify audit.trail

Exit codes: 0 ok; 1 nothing matched (log, show, count, top); 2 wrong usage; 3 verification failed;
4 the trail is missing, locked, unreadable or damaged, or init finds something there already;
5 input or output failed, the trail is full, or an event was refused; 130 interrupted.]]

-- ---- the parser ---------------------------------------------------------------------------

local function new_parser()
  local found, argparse = pcall(require, "argparse")
  if not found then
    terminal.fail(terminal.IO, "the Lua module argparse is missing (Debian: lua-argparse)")
  end
  local parser = argparse("trail"):add_help(false):require_command(true)
    :usage("Usage: trail COMMAND DIR ..."):help_max_width(100)
    :description("An audit log that shows whether anybody changed it."):epilog(EPILOG)
  return parser
end

local function module_of(entry)
  return require("trail.cli." .. (entry.module or entry[1]))
end

-- A parser that knows all commands by name, and the flags of the one that is wanted.
local function parser_for(wanted)
  local parser = new_parser()
  local chosen, module
  for _, entry in ipairs(COMMANDS) do
    local command = parser:command(entry[1]):add_help(false):summary(entry[2])
    if entry[1] == "help" then
      command:argument("COMMAND"):target("command"):args("?")
    elseif entry[1] == wanted then
      chosen, module = command, module_of(entry)
      command:usage(module.usage):description(module.description):epilog(module.epilog)
      module.define(command)
      command:flag("-h --help"):description("show this text")
    end
  end
  return parser, chosen, module
end

-- ---- arguments ----------------------------------------------------------------------------

-- Which flags of a command take a value.
local function value_flags(command)
  local takes = {}
  for _, option in ipairs(command._options) do
    for _, alias in ipairs(option._aliases) do takes[alias] = option._maxargs > 0 end
  end
  return takes
end

-- "-rS", "-15min" → "-rS-15min". Returns the joined word, and whether the next one is in it.
local function join_short(word, following, takes)
  for at = 2, #word do
    local flag = "-" .. word:sub(at, at)
    if flag == "-h" then return nil end
    if takes[flag] then
      if at == #word and following and following ~= "" then return word .. following, true end
      return word, false
    end
  end
  return word, false
end

-- As getopt does it: a flag that takes a value takes the next word, whatever it looks like
-- (argparse would read "-15min" as flags). Returns the list, or nil if help is asked for.
local function join_values(words, takes)
  local joined, at = {}, 1
  while at <= #words do
    local word, following = words[at], words[at + 1]
    local taken = false
    if word == "--" then
      for rest = at, #words do joined[#joined + 1] = words[rest] end
      return joined
    elseif word == "--help" then
      return nil
    elseif takes[word] and word:sub(1, 2) == "--" and following then
      word, taken = word .. "=" .. following, true
    elseif word:match("^%-[^%-]") then
      word, taken = join_short(word, following, takes)
      if not word then return nil end
    end
    joined[#joined + 1] = word
    at = at + (taken and 2 or 1)
  end
  return joined
end

-- A flag that holds one value takes the last of several without a word: note which one it was.
-- Returns a function that gives its name, or nil.
local function watch_for_twice(command)
  local twice
  for _, option in ipairs(command._options) do
    if option._maxcount == 1 and option._maxargs > 0 then
      option:action(function(result, target, value)
        if result[target] ~= nil then twice = twice or option._name end
        result[target] = value
      end)
    end
  end
  return function() return twice end
end

-- ---- the commands -------------------------------------------------------------------------

local function print_help(name)
  local parser, command = parser_for(name)
  if name and not command and name ~= "help" then
    local _, message = parser:pparse({ name })
    terminal.fail(terminal.USAGE, "%s (trail help lists the commands)",
      (message:gsub("\n", ". ")))
  end
  terminal.out((command or parser):get_help() .. "\n")
  return terminal.OK
end

local function version()
  terminal.out("trail " .. require("trail.core").version .. "\n")
  return terminal.OK
end

local function dispatch(words)
  local name = words[1]
  if name == nil then
    io.stderr:write(parser_for(nil):get_help(), "\n")
    return terminal.USAGE
  end
  if name == "--version" or name == "-V" then return version() end
  if name == "-h" or name == "--help" then return print_help(nil) end
  if name == "help" then return print_help(words[2]) end
  local parser, command, module = parser_for(name)
  local rest, twice = { name }, nil
  if command then
    twice = watch_for_twice(command)
    local joined = join_values({ table.unpack(words, 2) }, value_flags(command))
    if not joined then return print_help(name) end
    for _, word in ipairs(joined) do rest[#rest + 1] = word end
  end
  local good, args = parser:pparse(rest)
  if not good then
    terminal.fail(terminal.USAGE, "%s (%s)", (args:gsub("\n", ". ")),
      command and "trail help " .. name or "trail help")
  end
  if twice() then terminal.fail(terminal.USAGE, "%s is given twice", twice()) end
  if args.dir == "" then
    terminal.fail(terminal.USAGE, "DIR is empty; it is the name of a trail's directory")
  end
  return module.run(args)
end

local function handler(raised)
  if terminal.failure(raised) or type(raised) ~= "string" then return raised end
  return debug.traceback(raised, 2)
end

-- Run the command in a list of words; returns the exit code.
function cli.main(words)
  io.stdout:setvbuf("full", 65536)
  local good, result = xpcall(dispatch, handler, words)
  if good then return result end
  local code, message = terminal.failure(result)
  if not code then
    if tostring(result):find("not enough memory", 1, true) then
      code, message = terminal.IO, "not enough memory"
    else
      error(result, 0)
    end
  end
  if message then terminal.complain(message) end
  return code
end

return cli
