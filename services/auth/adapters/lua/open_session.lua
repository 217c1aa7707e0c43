-- A session that no link opens.
-- KEYS: clock, session, person, sessions of the person, the address's browsers, subject of the mailbox, trust,
--       since when this store has been whole, address
-- ARGV: sid, asked_at, watermark, session_ms, browser, browser_ms, then field/value pairs of the session
-- -> {'opened', sst, expires_at, new_browser} | {'refused', reason}
local asked = tonumber(ARGV[2])
require_settled(KEYS[7])
local now = read_clock(KEYS[1])
local s = redis.call('HMGET', KEYS[2], 'sst', 'expires_at')
if s[1] then -- our own step, after its answer was lost
  return {'opened', tonumber(s[1]), tonumber(s[2]), 0}
end
if is_blocked(KEYS[9], KEYS[6]) then
  return {'refused', 'blocked'}
end
-- What proved the person was read after `asked`: an end since then may have been made to undo just that.
local voided = voided_before(KEYS[3], KEYS[9], tonumber(ARGV[3]))
if asked <= voided or asked <= tonumber(redis.call('GET', KEYS[8]) or '0') then
  return {'refused', 'voided'}
end
return begin_session(
  {clock = KEYS[1], session = KEYS[2], sessions = KEYS[4], browsers = KEYS[5]},
  {sid = ARGV[1], session_ms = tonumber(ARGV[4]), browser = ARGV[5], browser_ms = tonumber(ARGV[6]),
    voided = voided, fields = {unpack(ARGV, 7)}},
  now)
