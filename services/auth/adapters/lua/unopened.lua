-- How many links of a person would still open a session. Changes nothing.
-- KEYS: open links to sign in, address, subject of the mailbox, since when this store has been whole,
--       open links to prove the address
-- ARGV: prefix of attempt keys, watermark   -> count
if is_blocked(KEYS[2], KEYS[3]) then
  return 0
end
local now, count = read_time(), 0
local voided = math.max(tonumber(ARGV[2]), tonumber(redis.call('HGET', KEYS[2], 'voided_before') or '0'))
local since = tonumber(redis.call('GET', KEYS[4]) or '0')
for _, set in ipairs({KEYS[1], KEYS[5]}) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', set, '(' .. string.format('%d', now), '+inf')) do
    local a = redis.call('HMGET', ARGV[1] .. id, 'state', 'muted', 'requested_at')
    if a[1] == 'open' and a[2] == '' and tonumber(a[3]) > voided and tonumber(a[3]) > since then
      count = count + 1
    end
  end
end
return count
