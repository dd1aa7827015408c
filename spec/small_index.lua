-- small_index.lua - `trail` over the build with fault points, whose indexes can have any shape.
-- Level: test; needs `make testing`. A trail must be open in one process through one build only.
-- SPDX-License-Identifier: MIT

require "spec.support" -- sets the paths of this checkout

local small = { testing = require "trail.testing" }

-- require "trail" once more, over another core; what is loaded stays as it is.
local function load_face(core)
  local before = {}
  for name, module in pairs(package.loaded) do
    if name:match "^trail" and name ~= "trail.testing" then
      before[name] = module
      package.loaded[name] = nil
    end
  end
  package.loaded["trail.core"] = core
  local face = require "trail"
  for name in pairs(package.loaded) do
    if name:match "^trail" and name ~= "trail.testing" then package.loaded[name] = nil end
  end
  for name, module in pairs(before) do package.loaded[name] = module end
  return face
end

small.trail = load_face(small.testing.index.core())

-- unit, fan, levels: of indexes opened from now on; none: as released.
function small.shape(unit, fan, levels)
  small.testing.index.shape(unit or 256, fan or 16, levels or 5)
end

return small
