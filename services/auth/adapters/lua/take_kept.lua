-- Hand out what waits for this very browser; with ARGV[2] = '1' once and never again.
-- What was stored before this store was last whole may have been handed out already: it does not count.
-- KEYS: kept hash, trust, since when this store has been whole
-- ARGV: browser, take   -> field/value pairs, none when there is nothing for this browser
require_settled(KEYS[2])
local since = tonumber(redis.call('GET', KEYS[3]) or '0')
local opened = tonumber(redis.call('HGET', KEYS[1], 'opened_at') or '0')
if ARGV[1] == '' or redis.call('HGET', KEYS[1], 'browser') ~= ARGV[1] or opened <= since then
  return {}
end
local fields = redis.call('HGETALL', KEYS[1])
if ARGV[2] == '1' then
  redis.call('DEL', KEYS[1])
end
return fields
