-- Consume an attempt and create its session, or neither.
-- KEYS: clock, attempt, session, subject, sessions of the subject, its open attempts, its browsers,
--       subject of the mailbox, trust, since when this store has been whole
-- ARGV: login_id, by_code, right, max_tries, watermark, sid, session_ms, browser, browser_ms,
--       prefix of attempt keys, then field/value pairs of the session
-- -> {'opened', sst, expires_at, new_browser} | {'used', sid} | {'refused', reason}
local by_code, right, max_tries = ARGV[2] == '1', ARGV[3] == '1', tonumber(ARGV[4])
local sid, session_ms = ARGV[6], tonumber(ARGV[7])
local browser, browser_ms = ARGV[8], tonumber(ARGV[9])
require_settled(KEYS[9])
local now = read_clock(KEYS[1])
local a = redis.call('HMGET', KEYS[2], 'state', 'expires_at', 'requested_at', 'muted', 'tries', 'sid')
local state = a[1]
if not state then
  return {'refused', 'unknown'}
end
if now >= tonumber(a[2]) then
  return {'refused', 'expired'}
end

-- Tries are counted here, before anything is said, so that parallel guesses cannot share one.
if by_code and tonumber(a[5]) >= max_tries then
  return {'refused', 'too_many_tries'}
end
if not right then
  if by_code then
    redis.call('HINCRBY', KEYS[2], 'tries', 1)
  end
  return {'refused', 'wrong'}
end

if state == 'used' then
  if a[6] == sid then -- our own step, repeated after its answer was lost
    local s = redis.call('HMGET', KEYS[3], 'sst', 'expires_at')
    if s[1] then
      return {'opened', tonumber(s[1]), tonumber(s[2]), 0}
    end
  end
  return {'used', a[6]}
end
if state ~= 'open' then
  return {'refused', state}
end
if a[4] ~= '' then
  return {'refused', 'muted'}
end
if is_blocked(KEYS[4], KEYS[8]) then
  return {'refused', 'blocked'}
end
local voided_before = redis.call('HGET', KEYS[4], 'voided_before')
local voided = math.max(tonumber(ARGV[5]), tonumber(voided_before or '0'))
if tonumber(a[3]) <= voided then
  return {'refused', 'voided'}
end

-- Not later than what this store has lost: it may have been used or cancelled in that.
if tonumber(a[3]) <= tonumber(redis.call('GET', KEYS[10]) or '0') then
  return {'refused', 'voided'}
end

-- Strictly after every watermark, or the new session would be born revoked.
local sst = math.max(now, voided + 1)
reach(KEYS[1], sst) -- and no later watermark may fall before it
local expires = sst + session_ms
redis.call('HSET', KEYS[3], 'sst', sst, 'expires_at', expires, 'advanced_at', sst, unpack(ARGV, 11))
redis.call('PEXPIREAT', KEYS[3], expires)
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now)
redis.call('ZADD', KEYS[5], expires, sid)
redis.call('PEXPIREAT', KEYS[5], expires)

redis.call('ZREMRANGEBYSCORE', KEYS[7], '-inf', now - browser_ms)
local seen_before = redis.call('ZCARD', KEYS[7]) > 0
local new_browser = seen_before and not redis.call('ZSCORE', KEYS[7], browser)
redis.call('ZADD', KEYS[7], now, browser)
redis.call('ZREMRANGEBYRANK', KEYS[7], 0, -51) -- the newest fifty are enough to know somebody by
redis.call('PEXPIRE', KEYS[7], browser_ms)

redis.call('HSET', KEYS[2], 'state', 'used', 'sid', sid)
for _, other in ipairs(redis.call('ZRANGE', KEYS[6], 0, -1)) do
  local key = ARGV[10] .. other
  if other ~= ARGV[1] and redis.call('HGET', key, 'state') == 'open' then
    redis.call('HSET', key, 'state', 'voided')
  end
end
redis.call('DEL', KEYS[6])
return {'opened', sst, expires, new_browser and 1 or 0}
