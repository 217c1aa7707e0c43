-- The one clock, in ms: Redis TIME, never behind what it said before. Prepended to every script, which gets
-- auth's own time as one more argument in front. A time that cannot be right is an error before anything is
-- written: what it would leave behind (the floor, sessions, watermarks) could not be taken back.
-- The limits: `judge_clock` in services/auth/domain/clock.py, by which auth says whether it is ready.
local own_now = tonumber(table.remove(ARGV, 1))
local APART, AHEAD = 10000, 2000

local function read_time()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function read_clock(key)
  local now = read_time()
  local floor = tonumber(redis.call('GET', key) or '0')
  if math.abs(now - own_now) > APART then
    error('LATCHWIRE_CLOCK apart')
  end
  if floor > now + AHEAD then
    error('LATCHWIRE_CLOCK ahead')
  end
  if floor > now then
    now = floor
  end
  redis.call('SET', key, now)
  return now
end

-- What is issued at `at`, after a watermark, is the floor from then on. For one person's watermark from the
-- future nobody else is refused.
local function reach(key, at)
  if at > read_time() + AHEAD then
    error('LATCHWIRE_CLOCK watermark')
  end
  redis.call('SET', key, at)
end
