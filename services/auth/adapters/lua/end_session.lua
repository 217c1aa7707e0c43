-- The tombstone of one session, and the note that its end is to be published.
-- KEYS: session, sessions of the subject, unannounced ends
-- ARGV: sid, reason, field and text of the note   -> expires_at, 0 when nothing is known
redis.call('ZREM', KEYS[2], ARGV[1])
local expires = redis.call('HGET', KEYS[1], 'expires_at')
if expires then
  bury(KEYS[1], ARGV[2])
end
redis.call('HSETNX', KEYS[3], ARGV[3], (expires or '0') .. ARGV[4])
return tonumber(expires or '0')
