-- An end was published: forget the note, unless there is a newer one; a reuse is a plain tombstone now.
-- KEYS: unannounced ends, and for a reuse its session   ARGV: field and text of the note
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
if KEYS[2] and redis.call('HGET', KEYS[2], 'announced') == '0' then
  redis.call('HSET', KEYS[2], 'announced', 1)
  strip(KEYS[2])
end
return 1
