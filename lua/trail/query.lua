-- query.lua - the iterator behind log:query: a cursor of the core, 'where', limit, pages.
-- Level: over a cursor of the core, which comes from the log; requires trail.filter.
-- SPDX-License-Identifier: MIT

local filter = require "trail.filter"

local query = {}

local Query = {}
Query.__index = Query

-- The next record the filter keeps; nil at the end. Throws what the core throws. A record that
-- 'where' fails on does not count as looked at: a query continued behind cursor() meets it again.
local function step(self)
  local cursor, where = self.core, self.where
  if not cursor or self.left == 0 then return nil end
  while true do
    local record = cursor:next()
    if not record then return nil end
    local kept = not where or where(record)
    self.seq = record.seq
    if kept then
      if self.left then self.left = self.left - 1 end
      return record
    end
  end
end

function Query:__call()
  local record = step(self)
  if not record then self:close() end
  return record
end

-- The rest as a list.
function Query:all()
  local list = {}
  for record in self do list[#list + 1] = record end
  return list
end

-- The seq of the last record that was looked at (kept or not): give it as 'after' to go on
-- behind it. Before the first step it is the 'after' this query began with, or nil.
function Query:cursor()
  return self.seq
end

-- Give back what the query holds; further steps find nothing. Again is fine.
function Query:close()
  local cursor = self.core
  if not cursor then return end
  self.count = cursor:scanned()
  self.ended = cursor
  self.core = nil
  cursor:close()
end

-- How many entries were looked at so far, found or not.
function Query:scanned()
  if self.core then self.count = self.core:scanned() end
  return self.count
end

-- How it was found, so far: docs/lua.md.
function Query:explain()
  return (self.core or self.ended):explain()
end

Query.__close = Query.close

function Query:__tostring()
  return string.format("trail query (%s, at seq %s, %d entries looked at)",
    self.core and "open" or "ended", tostring(self.seq or "-"), self:scanned())
end

-- Start a query on 'log'. 'options' go to the core as they are. Throws, 'level' calls up, for
-- anything that is wrong with the filter: a loop must not end quietly.
function query.new(log, given, options, level)
  level = level and level + 1 or 2
  local plain, where = filter.normalise(given, nil, level)
  if not plain then error(where, level) end
  local limit = plain.limit
  -- With 'where' the limit counts what it kept, which the core cannot know; and to the core a
  -- limit of 0 means none.
  if where or limit == 0 then plain.limit = nil end
  local cursor, message = log:cursor(plain, options)
  if not cursor then error(message, level) end
  return setmetatable({ core = cursor, where = where, left = limit, seq = plain.after, count = 0 },
    Query)
end

-- Visit the records that the filter finds and 'where' keeps, at most 'limit' of them (nil: all).
-- Returns the cursor, or nil, message, code if they could not all be read; what 'where' and
-- 'visit' throw is thrown on.
function query.each(log, plain, where, visit, limit)
  if where or limit == 0 then plain.limit = nil end
  local cursor, message, code = log:cursor(plain)
  if not cursor then return nil, message, code end
  while limit ~= 0 do
    local good, record = pcall(cursor.next, cursor)
    if not good then
      -- A cursor throws a text without a code; counting meets the same fault and has one.
      message, code = select(2, log:count(plain))
      -- Unless it is over: memory may be there again.
      if not code and record:find("memory", 1, true) then code = "no_memory" end
      return nil, message or record, code or "corrupt"
    end
    if not record then break end
    if not where or where(record) then
      visit(record)
      limit = limit and limit - 1
    end
  end
  return cursor
end

-- How many events the filter finds and 'where' keeps, and the cursor that found them; limit,
-- after and order do not matter.
function query.count(log, plain, where)
  local count = 0
  plain.limit, plain.after, plain.order = nil, nil, nil
  local cursor, message, code = query.each(log, plain, where, function() count = count + 1 end)
  if not cursor then return nil, message, code end
  return count, cursor
end

return query
