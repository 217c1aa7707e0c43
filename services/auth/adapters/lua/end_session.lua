-- The tombstone of one session; the first reason stays.
-- KEYS: session, sessions of the subject   ARGV: sid, reason   -> expires_at, or nil when unknown
redis.call('ZREM', KEYS[2], ARGV[1])
local s = redis.call('HMGET', KEYS[1], 'ended', 'expires_at')
if not s[2] then
  return nil
end
if not s[1] or s[1] == '' then
  redis.call('HSET', KEYS[1], 'ended', ARGV[2])
end
return tonumber(s[2])
