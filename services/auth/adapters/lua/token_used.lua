-- Service tokens were used: remember the latest time of each.
-- KEYS: hash of token id -> ms   ARGV: id, ms, ...   -> 1
for i = 1, #ARGV, 2 do
  local known = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0')
  if tonumber(ARGV[i + 1]) > known then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return 1
