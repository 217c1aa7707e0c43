-- Count a password that is sent with an attempt's link before it is hashed (1), or take that back (-1).
-- KEYS: attempt   ARGV: the most, 1 or -1   -> 1 when it counts
local most, change = tonumber(ARGV[1]), tonumber(ARGV[2])
local typed = redis.call('HMGET', KEYS[1], 'state', 'typed')
local count = tonumber(typed[2] or '0') + change
if not typed[1] or count > most or count < 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'typed', count)
return 1
