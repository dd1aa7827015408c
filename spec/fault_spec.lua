-- fault_spec.lua - do allocations and fault points fail when a test wants them to, and only then.
-- Test: trail.testing's fault.
-- SPDX-License-Identifier: MIT
-- luacheck: std lua54+busted

local fault = require("trail.testing").fault

describe("fault", function()
  after_each(function() fault.arm(nil, 1, 0) end)

  -- Goal: unarmed, memory is given, also for nothing, and what is zeroed is zero.
  -- Method: the three ways to allocate, of sizes 0, 1 and 100,000.
  it("allocates", function()
    for _, len in ipairs { 0, 1, 100000 } do assert.same({ true, true, true }, { fault.allocate(len) }) end
  end)

  -- Goal: exactly the calls asked for fail, and every call is counted.
  -- Method: all windows of failing calls over three allocations.
  it("fails the calls asked for", function()
    for first = 1, 4 do
      for count = 0, 3 do
        fault.arm(nil, first, count)
        local function fails(call) return call >= first and call < first + count end
        local grown = fails(3) and "kept" or true
        assert.same({ not fails(1), not fails(2), grown }, { fault.allocate(10) })
        assert.equal(3, fault.calls())
      end
    end
  end)

  -- Goal: a named point fails by its name only; a count without limit does not overflow.
  -- Method: arm one point, hit two and allocate.
  it("fails a point by its name", function()
    fault.arm("commit", 2, -1)
    assert.is_false(fault.hit("commit"))
    assert.is_false(fault.hit("sync"))
    for _ = 1, 3 do assert.is_true(fault.hit("commit")) end
    assert.same({ true, true, true }, { fault.allocate(10) })
    assert.equal(4, fault.calls())
    fault.arm("commit", 1, 0)
    assert.is_false(fault.hit("commit"))
    assert.equal(1, fault.calls())
  end)
end)
