-- When this was first asked: a repetition is told the same. Whatever is given a time afterwards is later.
-- KEYS: clock, instant   ARGV: keep_ms   -> ms
local now = read_clock(KEYS[1])
if redis.call('SET', KEYS[2], now, 'NX') then
  reach(KEYS[1], now + 1)
end
redis.call('PEXPIRE', KEYS[2], tonumber(ARGV[1]))
return tonumber(redis.call('GET', KEYS[2]))
