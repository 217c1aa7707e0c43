-- The one clock, in ms: Redis TIME, never behind what it said before. Prepended to every script that
-- creates or advances something.
local function read_clock(key)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local floor = tonumber(redis.call('GET', key) or '0')
  if floor > now then
    now = floor
  end
  redis.call('SET', key, now)
  return now
end
