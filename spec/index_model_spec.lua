-- index_model_spec.lua - whatever becomes of the index, the answers are those of a plain scan.
-- Level: test; runs spec/index_model.lua, which has the model; needs `make testing`.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local support = require "spec.support"
local process = require("trail.testing").process

local ROUNDS = tonumber(os.getenv "TRAIL_ROUNDS") or support.B:find "sanitize" and 100 or 180

describe("the index against a model", function()
  -- Goal: rows, pages, counts, tops and histograms are right for every filter, while the index
  -- grows, is merged, stopped, erased and built anew, by a thread, inline and by hand.
  -- Method: random events and questions (seed printed) with indexes of segments so small that they
  -- are merged all the time; a model in plain Lua looks at every event. Two runs at a time.
  for _, shapes in ipairs { { { 4, 2, 5 }, { 8, 4, 4 } }, { { 1, 16, 3 }, { 16, 3, 8 } } } do
    it("gives the same answers with segments of " .. shapes[1][1] .. " and " .. shapes[2][1], function()
      local seed, dir = support.seed(), support.tmpdir()
      local pids, commands = {}, {}
      for i, shape in ipairs(shapes) do
        local command = { "lua5.4", "spec/index_model.lua", tostring(seed + shape[1]), tostring(ROUNDS),
          tostring(shape[1]), tostring(shape[2]), tostring(shape[3]) }
        commands[i] = table.concat(command, " ")
        pids[i] = process.start(command, dir .. "/" .. i)
      end
      for i, pid in ipairs(pids) do
        local how, code = process.wait(pid)
        local output = support.read_file(dir .. "/" .. i)
        assert.equal("exit 0", how .. " " .. code, commands[i] .. "\n" .. output)
        assert.matches("%d+ events, indexed to %d+", output)
        if os.getenv "TRAIL_TELL" then print(output) end
      end
    end)
  end
end)
