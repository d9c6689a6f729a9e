"""What runs inside Redis: short limits and turns, each in one step, by the server's own clock.

A window of a minute is a sorted set: a member `id:amount` for each taking, scored with its time in
microseconds, and one member `sum:total` scored with infinity, so that total and takings live and expire as one
key. Each taking is added once and removed once, whatever the limit; nothing here walks a whole window.
Calls under way are a sorted set of ids, scored with the time at which their process counts as dead.
"""

from typing import Final

from app.storage.redis_link import Script

_BASICS: Final = """
local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function total(key)
  local last = redis.call('ZRANGE', key, -1, -1)[1]
  return last and tonumber(string.match(last, '^sum:(%d+)$')) or 0
end

local function set_total(key, before, after)
  redis.call('ZREM', key, string.format('sum:%d', before))
  redis.call('ZADD', key, '+inf', string.format('sum:%d', after))
end

"""

_WINDOW: Final = (
    _BASICS
    + """
local minute = tonumber(ARGV[1])

local function amount_of(member)
  return tonumber(string.match(member, '^%x+:(%d+)$'))
end

local function drop(key, from, to)
  local dropped = 0
  local members = redis.call('ZRANGEBYSCORE', key, from, to)
  for _, member in ipairs(members) do
    dropped = dropped + amount_of(member)
  end
  if #members > 0 then redis.call('ZREMRANGEBYSCORE', key, from, to) end
  return dropped
end

local function used(key, now)
  local before = total(key)
  -- What lies far ahead was written before the clock was set back, and would stay for as long.
  local gone = drop(key, '-inf', now - minute) + drop(key, now + minute, '(+inf')
  if gone > 0 then set_total(key, before, before - gone) end
  return before - gone
end

local function frees_in(key, now, amount)
  local place = 0
  while true do
    local page = redis.call('ZRANGE', key, place, place + 99, 'WITHSCORES')
    for i = 1, #page, 2 do
      local taken = amount_of(page[i])
      if not taken then return minute end
      amount = amount - taken
      if amount <= 0 then return page[i + 1] + minute - now end
    end
    if #page == 0 then return minute end
    place = place + 100
  end
end
"""
)

TAKE: Final = Script(
    _WINDOW
    + """
-- KEYS: a limit each. ARGV: the window in us, id, lease in us, then for each key: minute or slot, the limit,
-- what is wanted.
-- Answers 1 or 0 for taken or not, then for each key what is used now, and us until the oldest (or, where the
-- key has too little room, enough) of it is free; -1: nobody can know.
local id, lease, now = ARGV[2], tonumber(ARGV[3]), now_us()
local uses, fits = {}, 1
for i, key in ipairs(KEYS) do
  if ARGV[3 * i + 1] == 'slot' then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    uses[i] = redis.call('ZCARD', key)
  else
    uses[i] = used(key, now)
  end
  if uses[i] + ARGV[3 * i + 3] > tonumber(ARGV[3 * i + 2]) then fits = 0 end
end
local answer = {fits}
for i, key in ipairs(KEYS) do
  local most, want = tonumber(ARGV[3 * i + 2]), tonumber(ARGV[3 * i + 3])
  local lacking = uses[i] + want - most
  if ARGV[3 * i + 1] == 'slot' then
    if fits == 1 then
      redis.call('ZADD', key, now + lease, id)
      redis.call('PEXPIRE', key, math.ceil(lease / 1000) + 1000)
      uses[i] = uses[i] + want
    end
    answer[2 * i], answer[2 * i + 1] = uses[i], -1
  else
    if fits == 1 then
      redis.call('ZADD', key, now, string.format('%s:%d', id, want))
      set_total(key, uses[i], uses[i] + want)
      redis.call('PEXPIRE', key, math.ceil(minute / 1000) + 1000)
      uses[i] = uses[i] + want
    end
    local amount = 1
    if fits == 0 and lacking > 0 then amount = lacking end
    answer[2 * i] = uses[i]
    answer[2 * i + 1] = uses[i] > 0 and frees_in(key, now, amount) or minute
  end
end
return answer
"""
)

SETTLE: Final = Script(
    _BASICS
    + """
-- KEYS: a limit each. ARGV: id, then for each key: minute or slot, what was taken, what of it stays.
local id = ARGV[1]
for i, key in ipairs(KEYS) do
  local taken, kept = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  if ARGV[3 * i - 1] == 'slot' then
    redis.call('ZREM', key, id)
  else
    local member = string.format('%s:%d', id, taken)
    local at = redis.call('ZSCORE', key, member)
    if at and kept ~= taken then
      local before = total(key)
      redis.call('ZREM', key, member)
      if kept > 0 then redis.call('ZADD', key, at, string.format('%s:%d', id, kept)) end
      set_total(key, before, before - taken + kept)
    end
  end
end
return 1
"""
)

BEAT: Final = Script(
    _BASICS
    + """
-- KEYS: the processes, then a set of calls under way for each id. ARGV: process, its lease in us, the calls'
-- lease in us, then an id a key. Answers how many processes there are.
local now = now_us()
local own, calls = tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + own, ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.ceil(own / 1000) + 1000)
for i = 2, #KEYS do
  -- Not only those that are there: a server that was emptied learns of them again.
  redis.call('ZADD', KEYS[i], now + calls, ARGV[i + 2])
  redis.call('PEXPIRE', KEYS[i], math.ceil(calls / 1000) + 1000)
end
return redis.call('ZCARD', KEYS[1])
"""
)

LEAVE: Final = Script("return redis.call('ZREM', KEYS[1], ARGV[1])")
"""KEYS: the processes. ARGV: the one that ends."""

_TURNS: Final = (
    _BASICS
    + """
-- No turn is given and no pause lasts so far ahead, in us; what lies there was written before the clock was set back.
local FARTHEST = 120000000
"""
)

TURN: Final = Script(
    _TURNS
    + """
-- KEYS: a credential's turns. ARGV: us between two turns, the longest wait in us. Answers 1 or 0 for whether a
-- turn was given, and us until it (or until there would have been one).
local now, interval, longest = now_us(), tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'next', 'paused')
local at = math.max(now, tonumber(kept[1] or 0), tonumber(kept[2] or 0))
if at > now + FARTHEST then at = now end
if at - now > longest then return {0, at - now} end
redis.call('HSET', KEYS[1], 'next', string.format('%.0f', at + interval))
redis.call('PEXPIRE', KEYS[1], math.ceil((at + interval - now) / 1000) + FARTHEST / 1000)
return {1, at - now}
"""
)

PAUSE: Final = Script(
    _TURNS
    + """
-- KEYS: a credential's turns. ARGV: us for which none may be given.
local until_us = now_us() + ARGV[1]
local paused = tonumber(redis.call('HGET', KEYS[1], 'paused') or 0)
redis.call('HSET', KEYS[1], 'paused', string.format('%.0f', math.max(until_us, math.min(paused, until_us + FARTHEST))))
redis.call('PEXPIRE', KEYS[1], FARTHEST / 1000)
return 1
"""
)
