-- One refresh. The same rule as `judge_counter` in services/auth/domain/session.py.
-- KEYS: clock, session, person, sessions of the person, unannounced ends, subject of the mailbox, trust, address
-- ARGV: sid, presented counter, grace_ms, after_ms, network, user agent, field and text of the note for a reuse,
--       whether the organisation changes, and to which
-- -> {'advanced', counter, issued} | {'over', reason, announced}
local presented, grace = tonumber(ARGV[2]), tonumber(ARGV[3])
require_settled(KEYS[7])
local now = read_clock(KEYS[1])
local s = redis.call('HMGET', KEYS[2], 'ended', 'expires_at', 'counter', 'advanced_at', 'sst',
  'announced')
if not s[2] or now >= tonumber(s[2]) then
  return {'over', '', 1}
end
if s[1] and s[1] ~= '' then
  return {'over', s[1], tonumber(s[6] or '1')}
end

local function switch_org()
  if ARGV[9] == '1' then
    redis.call('HSET', KEYS[2], 'org', ARGV[10])
  end
end

local function finish(reason)
  bury(KEYS[2], reason)
  redis.call('ZREM', KEYS[4], ARGV[1])
  return {'over', reason, 1}
end

if is_blocked(KEYS[8], KEYS[6]) then
  return finish('blocked')
end
if tonumber(s[5]) <= voided_before(KEYS[3], KEYS[8], 0) then
  return finish('everywhere')
end
local current = tonumber(s[3])
-- Strictly after every watermark, or the new access token would be born revoked.
local issued = math.max(now, tonumber(s[5]), tonumber(ARGV[4]) + 1)
if presented == current then
  reach(KEYS[1], issued)
  redis.call('HSET', KEYS[2], 'counter', current + 1, 'advanced_at', now)
  switch_org()
  return {'advanced', current + 1, issued}
end
if presented == current - 1 and now - tonumber(s[4]) <= grace then
  reach(KEYS[1], issued)
  switch_org()
  return {'advanced', current, issued}
end
-- Who presented it is what its owner will be told.
redis.call('HSET', KEYS[2], 'ended', 'refresh_reuse', 'announced', 0, 'network', ARGV[5],
  'user_agent', ARGV[6])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('HSETNX', KEYS[5], ARGV[7], s[2] .. ARGV[8])
return {'over', 'refresh_reuse', 0}
