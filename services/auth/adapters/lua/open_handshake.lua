-- Count one for each of three networks and keep what waits for a browser to come back from a provider.
-- KEYS: clock, handshake, 3 network limits, trust
-- ARGV: id, ttl_ms, 3 x (count, window_ms), then field/value pairs   -> {'opened', now} | {'limited', wait_ms}
require_settled(KEYS[6])
local now, ttl = read_clock(KEYS[1]), tonumber(ARGV[2])
if redis.call('EXISTS', KEYS[2]) == 1 then -- a repetition after a lost answer
  return {'opened', now}
end
local wait = 0
for index = 1, 3 do
  local key, count, window = KEYS[2 + index], tonumber(ARGV[1 + 2 * index]), tonumber(ARGV[2 + 2 * index])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
  if redis.call('ZCARD', key) >= count then
    local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    wait = math.max(wait, tonumber(oldest[2]) + window - now)
  end
end
if wait > 0 then
  return {'limited', wait}
end
for index = 1, 3 do
  redis.call('ZADD', KEYS[2 + index], now, ARGV[1])
  redis.call('PEXPIRE', KEYS[2 + index], tonumber(ARGV[2 + 2 * index]))
end
redis.call('HSET', KEYS[2], 'opened_at', now, unpack(ARGV, 9))
redis.call('PEXPIRE', KEYS[2], ttl)
return {'opened', now}
