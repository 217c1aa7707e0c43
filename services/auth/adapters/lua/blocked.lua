-- A block counts for the whole mailbox: who is kept out as eve@ is not let in as eve+1@. Prepended to every
-- script; both keys are asked whatever the first says, so that nobody's work tells.
local function is_blocked(subject, mailbox)
  return redis.call('HEXISTS', subject, 'blocked_at') + redis.call('HEXISTS', mailbox, 'blocked_at') > 0
end
