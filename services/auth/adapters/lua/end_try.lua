-- Take a try back: it was right, or nobody could look at it.
-- KEYS: the address's, the known browser's, 3 networks'
-- ARGV: id, passed
for index = 1, 5 do
  redis.call('ZREM', KEYS[index], ARGV[1])
end
if ARGV[2] == '1' then
  redis.call('DEL', KEYS[2])
end
return 1
