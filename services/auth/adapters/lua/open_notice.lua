-- Store an attempt that no limit counts: the notice about a session.
-- KEYS: clock, attempt   ARGV: ttl_ms, field/value pairs   -> now
local now = read_clock(KEYS[1])
local stored = redis.call('HGET', KEYS[2], 'requested_at')
if stored then -- a repetition
  return tonumber(stored)
end
local expires = now + tonumber(ARGV[1])
redis.call('HSET', KEYS[2], 'requested_at', now, 'expires_at', expires, 'muted', '',
  'state', 'open', 'tries', 0, unpack(ARGV, 2))
redis.call('PEXPIREAT', KEYS[2], expires)
return now
