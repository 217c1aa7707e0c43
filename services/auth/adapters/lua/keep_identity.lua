-- Keep a proven login for its browser.
-- KEYS: clock, kept hash, trust   ARGV: ttl_ms, field/value pairs
require_settled(KEYS[3])
local now = read_clock(KEYS[1])
redis.call('HSET', KEYS[2], 'opened_at', now, unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[2], tonumber(ARGV[1]))
return now
