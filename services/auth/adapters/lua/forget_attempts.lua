-- Forget attempts of an address that are in no list: used ones, and notices about sessions.
-- KEYS: attempts   ARGV: address, until when they were asked for   -> how many were forgotten
local forgotten = 0
for _, key in ipairs(KEYS) do
  local found = redis.call('HMGET', key, 'email', 'requested_at')
  if found[1] == ARGV[1] and tonumber(found[2]) <= tonumber(ARGV[2]) then
    redis.call('DEL', key)
    forgotten = forgotten + 1
  end
end
return forgotten
