-- End every session and void every unopened link of a person; with more arguments, block the address.
-- KEYS: clock, person, sessions of the person, unannounced ends, address
-- ARGV: reason, keep_ms, prefix of session keys, field and text of the note that this is to be published,
--       the instant (0: now), then (to block) field/value pairs   -> the instant
local now, at = read_clock(KEYS[1]), tonumber(ARGV[6])
if at == 0 then
  at = now
end
for _, sid in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  local key = ARGV[3] .. sid
  local sst = redis.call('HGET', key, 'sst')
  if sst and tonumber(sst) <= at then -- what began since that instant is not meant
    bury(key, ARGV[1])
  end
  if not sst or tonumber(sst) <= at then
    redis.call('ZREM', KEYS[3], sid)
  end
end
local noted = tonumber(string.match(redis.call('HGET', KEYS[4], ARGV[4]) or '', '^%d+') or '0')
if at >= noted then
  redis.call('HSET', KEYS[4], ARGV[4], string.format('%d', at) .. ARGV[5])
end
if #ARGV > 6 then
  redis.call('HSETNX', KEYS[5], 'blocked_at', now)
  redis.call('HSET', KEYS[5], unpack(ARGV, 7))
end
for _, key in ipairs({KEYS[2], KEYS[5]}) do
  if at > tonumber(redis.call('HGET', key, 'voided_before') or '0') then
    redis.call('HSET', key, 'voided_before', at)
  end
  if redis.call('HEXISTS', key, 'blocked_at') == 1 then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIRE', key, tonumber(ARGV[2]))
  end
end
return at
