-- report.lua - what a run of the specs prints: a line a file, every failure, one line of totals.
-- Level: test; an output handler for busted (-o spec/report.lua). With TRAIL_COUNTS set the
-- totals are appended to that file, so that several runs can be added up (spec/total.lua).
-- SPDX-License-Identifier: MIT

local pretty = require "pl.pretty"

local function place(item)
  local trace = item.element.trace or item.trace
  if not trace then return "?" end
  return string.format("%s:%d", trace.short_src, trace.currentline)
end

local function message_of(item)
  local message = item.message
  if message == nil then return "no message" end
  if type(message) ~= "string" then message = pretty.write(message) end
  return message
end

return function()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()
  local before = { passed = 0, failed = 0, skipped = 0 }

  local function totals()
    return {
      passed = handler.successesCount,
      failed = handler.failuresCount + handler.errorsCount,
      skipped = handler.pendingsCount,
    }
  end

  handler.fileEnd = function(file)
    local now = totals()
    io.write(string.format("%-40s %5d passed", file.name, now.passed - before.passed))
    if now.failed > before.failed then
      io.write(string.format(", %d failed", now.failed - before.failed))
    end
    if now.skipped > before.skipped then
      io.write(string.format(", %d skipped", now.skipped - before.skipped))
    end
    io.write("\n")
    io.flush()
    before = now
    return nil, true
  end

  handler.suiteEnd = function()
    for _, item in ipairs(handler.pendings) do
      io.write("SKIPPED ", item.name, ": ", message_of(item), "\n")
    end
    for _, list in ipairs { handler.failures, handler.errors } do
      for _, item in ipairs(list) do
        io.write("FAILED ", item.name, "\n  at ", place(item), "\n  ",
          (message_of(item):gsub("\n", "\n  ")), "\n")
      end
    end
    local now = totals()
    local path = os.getenv "TRAIL_COUNTS"
    if path then
      local file = assert(io.open(path, "a"))
      assert(file:write(string.format("%d %d %d\n", now.passed, now.failed, now.skipped)))
      assert(file:close())
    end
    io.write(string.format("this run: %d passed, %d failed, %d skipped\n",
      now.passed, now.failed, now.skipped))
    io.flush()
    return nil, true
  end

  busted.subscribe({ "file", "end" }, handler.fileEnd)
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  return handler
end
