-- What is left of a session that ended: no address, no browser, no secret. Prepended to every script.
local function strip(key)
  redis.call('HDEL', key, 'sub', 'email', 'secret', 'network', 'user_agent', 'client_id', 'amr',
    'advanced_at', 'org')
end

-- The first reason stays. A reuse that its owner was not told of keeps what that takes until then.
local function bury(key, reason)
  local s = redis.call('HMGET', key, 'ended', 'announced')
  if not s[1] or s[1] == '' then
    redis.call('HSET', key, 'ended', reason)
  end
  if s[2] ~= '0' then
    strip(key)
  end
end
