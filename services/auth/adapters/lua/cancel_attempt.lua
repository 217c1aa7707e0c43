-- KEYS: attempt   -> 1 when it was open
if redis.call('HGET', KEYS[1], 'state') ~= 'open' then
  return 0
end
redis.call('HSET', KEYS[1], 'state', 'cancelled')
return 1
