-- May this attempt be used? With `take`, use it up without a session, and remember by what.
-- KEYS: clock, attempt, the address's open attempts, subject of the mailbox, trust, since when this store has
--       been whole, address
-- ARGV: login_id, by_code, right, max_tries, watermark, prefix of attempt keys, and to take it: 'take', mark
-- -> {'open'} | {'used', sid} | {'refused', reason}
require_settled(KEYS[5])
local now = read_clock(KEYS[1])
local refusal = judge_attempt(
  {attempt = KEYS[2], person = KEYS[7], address = KEYS[7], mailbox = KEYS[4], since = KEYS[6]},
  {by_code = ARGV[2] == '1', right = ARGV[3] == '1', max_tries = tonumber(ARGV[4]),
    watermark = tonumber(ARGV[5])},
  now)
if refusal then
  return refusal
end
if ARGV[7] == 'take' then
  use_attempt(KEYS[2], {KEYS[3]}, ARGV[6], ARGV[1], ARGV[8])
end
return {'open'}
