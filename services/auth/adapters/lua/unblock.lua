-- KEYS: subject   ARGV: keep_ms   The watermark stays for as long as anything older could live.
redis.call('HDEL', KEYS[1], 'blocked_at', 'blocked_reason', 'blocked_by')
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[1]))
return 1
