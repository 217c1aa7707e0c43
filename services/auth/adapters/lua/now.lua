-- The one clock, later than a watermark.
-- KEYS: clock   ARGV: after_ms   -> now
local now = math.max(read_clock(KEYS[1]), tonumber(ARGV[1]) + 1)
reach(KEYS[1], now)
return now
