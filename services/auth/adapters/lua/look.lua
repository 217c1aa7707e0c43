-- A session, and a time not later than whatever is read after this.
-- KEYS: clock, session   -> {now, fields and values}
local now = read_clock(KEYS[1])
return {now, redis.call('HGETALL', KEYS[2])}
