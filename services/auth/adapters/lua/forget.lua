-- Forget what is kept of a person whose account was deleted; what began after that end is not meant.
-- KEYS: clock, person, address, sessions of the person, browsers of the address, limit of links, limit of
--       passwords, then the address's open attempts by purpose
-- ARGV: prefix of session keys, prefix of attempt keys   -> until when it was forgotten
local function voided_at(key)
  return tonumber(redis.call('HGET', key, 'voided_before') or '0')
end
local until_ = math.max(voided_at(KEYS[2]), voided_at(KEYS[3]))
if until_ == 0 then -- this store has lost that end, and with it whatever came before
  until_ = read_clock(KEYS[1])
end

-- Members of a sorted set whose own key says that they began until then.
local function forget(set, prefix, field, drop)
  for _, id in ipairs(redis.call('ZRANGE', set, 0, -1)) do
    local began = tonumber(redis.call('HGET', prefix .. id, field) or '0')
    if began <= until_ then
      drop(prefix .. id)
      redis.call('ZREM', set, id)
    end
  end
end

forget(KEYS[4], ARGV[1], 'sst', function(key)
  if redis.call('EXISTS', key) == 1 then
    bury(key, 'account_deleted')
  end
end)
for index = 5, 7 do
  redis.call('ZREMRANGEBYSCORE', KEYS[index], '-inf', until_)
end
for index = 8, #KEYS do
  forget(KEYS[index], ARGV[2], 'requested_at', function(key) redis.call('DEL', key) end)
end
return until_
