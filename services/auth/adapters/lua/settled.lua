-- A store that was emptied, restored, failed over or told to evict has forgotten uses, ends and blocks. The
-- revocation worker takes `lw:bl:trusted` away then, and gives it back when its copy is complete again; nothing
-- is opened, exchanged or advanced meanwhile. Prepended to every script.
local function require_settled(key)
  if redis.call('EXISTS', key) == 0 then
    error('LATCHWIRE_UNSETTLED')
  end
end
