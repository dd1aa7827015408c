-- total.lua - add up the runs of the specs; the last line of `make test`.
-- Level: test. lua5.4 spec/total.lua FILE RUNS: FILE has one line "passed failed skipped" for
-- each run; fewer lines than RUNS means that a run died, which is a failure too.
-- SPDX-License-Identifier: MIT

local path, runs = arg[1], tonumber(arg[2])
local passed, failed, skipped, found = 0, 0, 0, 0

for line in io.lines(path) do
  local p, f, s = line:match "^(%d+) (%d+) (%d+)$"
  passed, failed, skipped, found = passed + p, failed + f, skipped + s, found + 1
end
if found < runs then
  print(string.format("%d of %d runs ended without a result", runs - found, runs))
  failed = failed + runs - found
end
print(string.format("%d passed, %d failed, %d skipped", passed, failed, skipped))
os.exit((failed == 0 and passed > 0) and 0 or 1)
