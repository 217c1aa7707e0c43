-- Count one wrong password before it is looked at. The same commands run for every address.
-- KEYS: clock, the address's, the known browser's, 3 networks', browsers of the person, trust
-- ARGV: id, browser, 4 x (count, window_ms): of the address (and of the known browser), of the 3 networks
-- -> {'allowed', at, earlier, muted} | {'limited', now, wait_ms}
local id = ARGV[1]
require_settled(KEYS[8])
local now = read_clock(KEYS[1])

-- A sliding window: one member for each wrong password. How many there are, and how long until there is room.
local function look(key, index)
  local count, window = tonumber(ARGV[1 + 2 * index]), tonumber(ARGV[2 + 2 * index])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
  local used = redis.call('ZCARD', key)
  if used < count then
    return used, 0, window
  end
  local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return used, tonumber(oldest[2]) + window - now, window
end

local function take(key, window)
  redis.call('ZADD', key, now, id)
  redis.call('PEXPIRE', key, window)
end

local known = redis.call('ZSCORE', KEYS[7], ARGV[2])
local scope = known and KEYS[3] or KEYS[2]
local before = redis.call('ZSCORE', scope, id)
if before then -- a repetition after a lost answer
  return {'allowed', tonumber(before), redis.call('ZRANK', scope, id), 0}
end
local wait = 0
for index = 1, 3 do
  local _, until_room = look(KEYS[3 + index], 1 + index)
  wait = math.max(wait, until_room)
end
if wait > 0 then
  return {'limited', now, wait}
end
for index = 1, 3 do
  local _, _, window = look(KEYS[3 + index], 1 + index)
  take(KEYS[3 + index], window)
end
-- Whoever does not know the person's browsers cannot use up what they have left. What is muted is not
-- counted, or whoever goes on and on would keep the person's password out for ever.
local earlier, full, window = look(scope, 1)
if full > 0 then
  return {'allowed', now, earlier, 1}
end
take(scope, window)
return {'allowed', now, earlier, 0}
