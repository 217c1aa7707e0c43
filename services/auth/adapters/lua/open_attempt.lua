-- Count the limits and store the attempt. The same commands run for every address.
-- KEYS: clock, attempt, address limit, the limit of a browser that the person signed in with, 3 network limits,
--       whole limit, subject, subject of the mailbox, open attempts, browsers of the subject,
--       trust, since when this store has been whole
-- ARGV: login_id, ttl_ms, muted, browser, 5 x (count, window_ms), after_ms,
--       then field/value pairs of the attempt
-- -> {'opened', now, muted} | {'limited', now, wait_ms}
local id, ttl, muted = ARGV[1], tonumber(ARGV[2]), ARGV[3]
require_settled(KEYS[13])
local now = read_clock(KEYS[1])
if redis.call('EXISTS', KEYS[2]) == 1 then -- a repetition after a lost answer
  local stored = redis.call('HMGET', KEYS[2], 'requested_at', 'muted')
  return {'opened', tonumber(stored[1]), stored[2]}
end

-- A sliding window: one member per counted request. 0: there is room; else ms until there is.
local function wait_for_room(key, count, window)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
  local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  if redis.call('ZCARD', key) < count then
    return 0
  end
  return tonumber(oldest[2]) + window - now
end

local function take(key, counted, window)
  redis.call('ZADD', key, counted and now or 0, id)
  redis.call('ZREMRANGEBYSCORE', key, 0, 0)
  redis.call('PEXPIRE', key, window)
end

local function rate(index)
  return tonumber(ARGV[3 + 2 * index]), tonumber(ARGV[4 + 2 * index])
end

local address_count, address_window = rate(1)
local whole_count, whole_window = rate(5)

local wait = 0
for index = 1, 3 do
  wait = math.max(wait, wait_for_room(KEYS[4 + index], rate(1 + index)))
end
if wait > 0 then
  return {'limited', now, wait}
end
-- Whoever does not know the person's browsers cannot use up what they have left.
local known = redis.call('ZSCORE', KEYS[12], ARGV[4])
local address = known and KEYS[4] or KEYS[3]
local address_room = wait_for_room(address, address_count, address_window) == 0
local whole_room = wait_for_room(KEYS[8], whole_count, whole_window) == 0
local blocked = is_blocked(KEYS[9], KEYS[10])
if muted == '' and blocked then
  muted = 'blocked'
elseif muted == '' and not address_room then
  muted = 'address_limit'
elseif muted == '' and not whole_room then
  muted = 'global_limit'
end
for index = 1, 3 do
  local _, window = rate(1 + index)
  take(KEYS[4 + index], true, window)
end
take(address, address_room, address_window)
take(KEYS[8], muted == '', whole_window)

-- Strictly after whatever voids the links before it, or the new one would be born void.
local since = tonumber(redis.call('GET', KEYS[14]) or '0')
local voided = tonumber(redis.call('HGET', KEYS[9], 'voided_before') or '0')
local asked = math.max(now, tonumber(ARGV[15]) + 1, since + 1, voided + 1)
local expires = asked + ttl
redis.call('HSET', KEYS[2], 'requested_at', asked, 'expires_at', expires, 'muted', muted,
  'state', 'open', 'tries', 0, unpack(ARGV, 16))
redis.call('PEXPIREAT', KEYS[2], expires)
redis.call('ZREMRANGEBYSCORE', KEYS[11], '-inf', now)
redis.call('ZADD', KEYS[11], expires, id)
redis.call('PEXPIREAT', KEYS[11], expires)
return {'opened', asked, muted}
