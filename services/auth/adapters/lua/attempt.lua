-- What may be done with an attempt, and what begins with it. Prepended to every script.
local function greatest(first, ...)
  local found = tonumber(first or '0')
  for _, other in ipairs({...}) do
    found = math.max(found, tonumber(other or '0'))
  end
  return found
end

-- Sessions and links of a person are void up to here. Links are kept under the address and sessions under the
-- sub; without accounts these are one.
local function voided_before(person, address, watermark)
  return greatest(watermark, redis.call('HGET', person, 'voided_before') or '0',
    redis.call('HGET', address, 'voided_before') or '0')
end

-- nil when it may be used; else {'used', sid} or {'refused', reason}. Tries are counted here, before anything
-- is said, so that parallel guesses cannot share one.
-- k: attempt, person, address, mailbox, since   p: by_code, right, max_tries, watermark
local function judge_attempt(k, p, now)
  local a = redis.call('HMGET', k.attempt, 'state', 'expires_at', 'requested_at', 'muted', 'tries', 'sid')
  local state = a[1]
  if not state then
    return {'refused', 'unknown'}
  end
  if now >= tonumber(a[2]) then
    return {'refused', 'expired'}
  end
  if p.by_code and tonumber(a[5]) >= p.max_tries then
    return {'refused', 'too_many_tries'}
  end
  if not p.right then
    if p.by_code then
      redis.call('HINCRBY', k.attempt, 'tries', 1)
    end
    return {'refused', 'wrong'}
  end
  if state == 'used' then
    return {'used', a[6]}
  end
  if state ~= 'open' then
    return {'refused', state}
  end
  if a[4] ~= '' then
    return {'refused', 'muted'}
  end
  if is_blocked(k.address, k.mailbox) then
    return {'refused', 'blocked'}
  end
  if tonumber(a[3]) <= voided_before(k.person, k.address, p.watermark) then
    return {'refused', 'voided'}
  end
  -- Not later than what this store has lost: it may have been used or cancelled in that.
  if tonumber(a[3]) <= tonumber(redis.call('GET', k.since) or '0') then
    return {'refused', 'voided'}
  end
  return nil
end

-- Used from now on, by the session `sid` (or none); what else the person asked for to the same end is void.
local function use_attempt(attempt, siblings, prefix, id, sid)
  redis.call('HSET', attempt, 'state', 'used', 'sid', sid)
  for _, set in ipairs(siblings) do
    for _, other in ipairs(redis.call('ZRANGE', set, 0, -1)) do
      local key = prefix .. other
      if other ~= id and redis.call('HGET', key, 'state') == 'open' then
        redis.call('HSET', key, 'state', 'voided')
      end
    end
    redis.call('DEL', set)
  end
end

-- k: clock, session, sessions, browsers   p: sid, session_ms, browser, browser_ms, voided, fields
local function begin_session(k, p, now)
  -- Strictly after every watermark, or the new session would be born revoked.
  local sst = math.max(now, p.voided + 1)
  reach(k.clock, sst) -- and no later watermark may fall before it
  local expires = sst + p.session_ms
  redis.call('HSET', k.session, 'sst', sst, 'expires_at', expires, 'advanced_at', sst, unpack(p.fields))
  redis.call('PEXPIREAT', k.session, expires)
  redis.call('ZREMRANGEBYSCORE', k.sessions, '-inf', now)
  redis.call('ZADD', k.sessions, expires, p.sid)
  redis.call('PEXPIREAT', k.sessions, expires)

  redis.call('ZREMRANGEBYSCORE', k.browsers, '-inf', now - p.browser_ms)
  local seen_before = redis.call('ZCARD', k.browsers) > 0
  local new_browser = seen_before and not redis.call('ZSCORE', k.browsers, p.browser)
  redis.call('ZADD', k.browsers, now, p.browser)
  redis.call('ZREMRANGEBYRANK', k.browsers, 0, -51) -- the newest fifty are enough to know somebody by
  redis.call('PEXPIRE', k.browsers, p.browser_ms)
  return {'opened', sst, expires, new_browser and 1 or 0}
end
