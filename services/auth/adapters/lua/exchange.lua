-- Consume an attempt and create its session, or neither.
-- KEYS: clock, attempt, session, person, sessions of the person, the address's open links to sign in, its
--       browsers, subject of the mailbox, trust, since when this store has been whole, address, its open links
--       to prove it
-- ARGV: login_id, by_code, right, max_tries, watermark, sid, session_ms, browser, browser_ms,
--       prefix of attempt keys, then field/value pairs of the session
-- -> {'opened', sst, expires_at, new_browser} | {'used', sid} | {'refused', reason}
local sid, watermark = ARGV[6], tonumber(ARGV[5])
require_settled(KEYS[9])
local now = read_clock(KEYS[1])
local refusal = judge_attempt(
  {attempt = KEYS[2], person = KEYS[4], address = KEYS[11], mailbox = KEYS[8], since = KEYS[10]},
  {by_code = ARGV[2] == '1', right = ARGV[3] == '1', max_tries = tonumber(ARGV[4]), watermark = watermark},
  now)
if refusal and refusal[1] == 'used' and refusal[2] == sid then -- our own step, after its answer was lost
  local s = redis.call('HMGET', KEYS[3], 'sst', 'expires_at')
  if s[1] then
    return {'opened', tonumber(s[1]), tonumber(s[2]), 0}
  end
end
if refusal then
  return refusal
end
local opened = begin_session(
  {clock = KEYS[1], session = KEYS[3], sessions = KEYS[5], browsers = KEYS[7]},
  {sid = sid, session_ms = tonumber(ARGV[7]), browser = ARGV[8], browser_ms = tonumber(ARGV[9]),
    voided = voided_before(KEYS[4], KEYS[11], watermark), fields = {unpack(ARGV, 11)}},
  now)
use_attempt(KEYS[2], {KEYS[6], KEYS[12]}, ARGV[10], ARGV[1], sid)
return opened
