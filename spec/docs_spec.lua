-- docs_spec.lua - what README and docs say is what the programs do.
-- SPDX-License-Identifier: MIT

local support = require "spec.support"

local PAGES = { "README.md", "docs/lua.md", "docs/cli.md", "docs/import.md", "docs/c.md", "docs/design.md" }

-- The fenced blocks of a page in order: { kind, text, line }.
local function blocks(path)
  local list, block = {}, nil
  local number = 0
  for line in io.lines(path) do
    number = number + 1
    if block and line:match "^```%s*$" then
      list[#list + 1], block = block, nil
    elseif block then
      block.text = block.text .. line .. "\n"
    elseif line:match "^```%w+" then
      block = { kind = line:match "^```(%w+)", text = "", line = number + 1 }
    elseif line:match "^```" then
      block = { kind = "plain", text = "", line = number + 1 }
    end
  end
  return list
end

-- "…" stands for anything: within a line for some of it, alone on a line for any lines.
local function matches(expected, found)
  local pattern = expected:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0")
  pattern = pattern:gsub("\n…\n", "\n.-"):gsub("^…\n", ".-"):gsub("…", "[^\n]-")
  return found:match("^" .. pattern .. "$") ~= nil
end

-- "$ command" lines with the output that follows each.
local function steps(text)
  local list = {}
  for line in text:gmatch "([^\n]*)\n" do
    local command = line:match "^%$ (.*)$"
    if command then
      list[#list + 1] = { command = command, expected = "" }
    elseif #list > 0 and list[#list].command:match "\\$" then
      list[#list].command = list[#list].command .. "\n" .. line
    elseif #list > 0 then
      list[#list].expected = list[#list].expected .. line .. "\n"
    end
  end
  return list
end

local function pwd()
  local pipe = assert(io.popen "pwd")
  local path = pipe:read "*l"
  pipe:close()
  return path
end

describe("the documentation", function()
  local top = pwd()
  local prefix = string.format("cd %%s && PATH=%s:$PATH && export PATH && ", support.quote(top .. "/" .. support.B))

  for _, page in ipairs(PAGES) do
    -- Goal: no example in the documentation is wrong.
    -- Method: run the page from top to bottom in a new directory: Lua blocks as one program
    -- each in one global state, "console" blocks command by command with the whole output
    -- compared, C blocks with a main() compiled against the header alone and run.
    it("runs: " .. page, function()
      local dir = support.tmpdir()
      for _, block in ipairs(blocks(page)) do
        local where = page .. ":" .. block.line
        if block.kind == "lua" and not block.text:match "^return " then
          support.write_file(dir .. "/block.lua", block.text)
          local code, out, err = support.run(prefix:format(dir) ..
            "lua5.4 " .. support.quote(top .. "/spec/docs_block.lua") .. " block.lua")
          assert.equal(0, code, where .. "\n" .. out .. err)
        elseif block.kind == "console" then
          for _, step in ipairs(steps(block.text)) do
            local _, out, err = support.run(prefix:format(dir) .. "{ " .. step.command .. "\n} 2>&1")
            assert.is_true(matches(step.expected, out),
              where .. ": $ " .. step.command .. "\nexpected:\n" .. step.expected ..
              "\nfound:\n" .. out .. err)
          end
        elseif block.kind == "c" and block.text:match "int main" then
          support.write_file(dir .. "/block.c", block.text)
          local code, out = support.run(prefix:format(dir) .. string.format(
            "cc -std=c11 -Wall -Wextra -Werror %s -I%s/src block.c -L%s -ltrail -Wl,-rpath,%s -o block && ./block",
            support.B:match "sanitize" and "-fsanitize=address,undefined" or "",
            top, top .. "/" .. support.B, top .. "/" .. support.B))
          assert.equal(0, code, where .. "\n" .. out)
        end
      end
    end)
  end

  -- Goal: every command, and every method of the Lua API, has its place in the manual.
  -- Method: ask the programs for their lists, look for each word in the page.
  it("names every command and every Lua function", function()
    local cli, lua = support.read_file "docs/cli.md", support.read_file "docs/lua.md"
    local trail = require "trail"
    for _, command in ipairs { "init", "append", "import", "log", "show", "count", "top", "verify", "export",
                                "stat", "reindex" } do
      assert.truthy(cli:find("trail " .. command, 1, true), "docs/cli.md does not show trail " .. command)
    end
    for name in pairs(trail) do
      assert.truthy(lua:find("trail." .. name, 1, true), "docs/lua.md does not name trail." .. name)
    end
  end)

  -- Goal: the source tour names every file, and no file that is not there.
  -- Method: its tables against the folders; a star stands for files of one prefix.
  it("has a source tour of all files", function()
    local readme = support.read_file "README.md"
    local _, there = support.run("ls src/*.c lua/trail/*.lua lua/trail/cli/*.lua")
    local unnamed, named = {}, {}
    for folder, rows in readme:gmatch "| file in `([%w/]+)` | its job |\n|[^\n]+\n(.-)\n\n" do
      for name in rows:gmatch "| `([%w_/.*]+)` |" do
        named[#named + 1] = "^" .. (folder .. name):gsub("%.", "%%."):gsub("%*", "[%%w_]*") .. "$"
      end
    end
    assert.is_true(#named > 40)
    local met = { ["^src/trail%.h$"] = true }
    for path in there:gmatch "[^\n]+" do
      local found = false
      for _, pattern in ipairs(named) do
        if path:match(pattern) then found, met[pattern] = true, true end
      end
      if not found then unnamed[#unnamed + 1] = path end
    end
    for _, pattern in ipairs(named) do
      if not met[pattern] then unnamed[#unnamed + 1] = "not there: " .. pattern end
    end
    assert.same({}, unnamed)
  end)

  -- Goal: no link leads nowhere.
  -- Method: every relative link of every page names a file of the checkout.
  it("has no dead links", function()
    for _, page in ipairs { "README.md", "docs/c.md", "docs/cli.md", "docs/design.md",
                            "docs/events.md", "docs/format.md", "docs/import.md", "docs/lua.md",
                            "docs/performance.md" } do
      local folder = page:match "^(.*/)" or ""
      for target in support.read_file(page):gmatch "%]%(([^)#]+)[^)]*%)" do
        if not target:match "^%a+:" then
          local file = io.open(folder .. target, "rb")
          assert.truthy(file, page .. " links to " .. target)
          file:close()
        end
      end
    end
  end)
end)
