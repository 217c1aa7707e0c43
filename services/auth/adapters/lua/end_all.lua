-- End every session and void every unopened link of a person; with more arguments, block the person.
-- KEYS: clock, subject, sessions of the subject, unannounced ends
-- ARGV: reason, keep_ms, prefix of session keys, field and text of the note that this is to be published,
--       then (to block) field/value pairs   -> now
local now = read_clock(KEYS[1])
for _, sid in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  local key = ARGV[3] .. sid
  if redis.call('EXISTS', key) == 1 then
    bury(key, ARGV[1])
  end
end
redis.call('DEL', KEYS[3])
redis.call('HSET', KEYS[2], 'voided_before', now)
redis.call('HSET', KEYS[4], ARGV[4], string.format('%d', now) .. ARGV[5])
if #ARGV > 5 then
  redis.call('HSETNX', KEYS[2], 'blocked_at', now)
  redis.call('HSET', KEYS[2], unpack(ARGV, 6))
end
if redis.call('HEXISTS', KEYS[2], 'blocked_at') == 1 then
  redis.call('PERSIST', KEYS[2])
else
  redis.call('PEXPIRE', KEYS[2], tonumber(ARGV[2]))
end
return now
