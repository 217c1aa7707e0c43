"""`MailStates` in Redis: one hash per mail, every step one Lua script on the server's own clock.

Fields: state, fence, lease (ms), refusals; of a terminal state also attempts, code, reason, at (ms).
No address and no link is in a key or a value.
"""

from collections.abc import Awaitable
from typing import Any, cast

from redis.asyncio import Redis

from services.mailer.domain.attempt import (
    Busy,
    Claim,
    Claimed,
    Record,
    Settled,
    State,
    Timing,
    Verdict,
)
from shared.redis import translate_redis_errors

PREFIX = "lw:mail:"

_NOW = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local state = redis.call('HGET', KEYS[1], 'state')
local terminal = state == 'SENT' or state == 'FAILED' or state == 'EXPIRED'
local function record()
  return redis.call('HMGET', KEYS[1], 'state', 'attempts', 'code', 'reason', 'at')
end
"""

# KEYS[1] mail; ARGV: lease ms, keep ms
_CLAIM = (
    _NOW
    + """
if terminal then return {'SETTLED', record()} end
local lease = tonumber(redis.call('HGET', KEYS[1], 'lease') or 0)
if state == 'SENDING' and lease > now then return {'BUSY', lease - now} end
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HSET', KEYS[1], 'state', 'SENDING', 'lease', now + ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local refusals = tonumber(redis.call('HGET', KEYS[1], 'refusals') or 0)
return {'CLAIMED', fence, state == 'SENDING' and 1 or 0, refusals}
"""
)

# ARGV: fence, refused (0 or 1), keep ms
_RELEASE = (
    _NOW
    + """
if state ~= 'SENDING' or redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'state', 'PREPARED', 'lease', 0)
redis.call('HINCRBY', KEYS[1], 'refusals', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
)

# ARGV: fence, state, attempts, smtp code, reason, keep ms
_SETTLE = (
    _NOW
    + """
if terminal then return record() end
local newest = redis.call('HGET', KEYS[1], 'fence') == ARGV[1]
if not newest and ARGV[2] ~= 'SENT' then return nil end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'attempts', ARGV[3], 'code', ARGV[4],
           'reason', ARGV[5], 'at', now)
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return record()
"""
)


class RedisMailStates:
    """See `services.mailer.ports.MailStates`."""

    def __init__(self, client: Redis, timing: Timing) -> None:
        self._claim = client.register_script(_CLAIM)
        self._release = client.register_script(_RELEASE)
        self._settle = client.register_script(_SETTLE)
        self._keep_ms = int(timing.keep_record * 1000)

    async def claim(self, key: str, *, lease_ms: int) -> Claim:
        answer = await _run(self._claim, key, lease_ms, self._keep_ms)
        match answer[0]:
            case b"SETTLED":
                return Settled(_record(answer[1]))
            case b"BUSY":
                return Busy(int(answer[1]))
            case _:
                return Claimed(int(answer[1]), bool(answer[2]), int(answer[3]))

    async def release(self, key: str, fence: int, *, refused: bool = False) -> None:
        await _run(self._release, key, fence, int(refused), self._keep_ms)

    async def settle(self, key: str, fence: int, verdict: Verdict) -> Record | None:
        fields = (verdict.state.value, verdict.attempts, verdict.smtp_code, verdict.reason)
        answer = await _run(self._settle, key, fence, *fields, self._keep_ms)
        return None if answer is None else _record(answer)


async def _run(script: Any, key: str, *args: str | int) -> Any:
    with translate_redis_errors():
        return await cast("Awaitable[Any]", script(keys=[PREFIX + key], args=args))


def _record(fields: list[bytes]) -> Record:
    state, attempts, code, reason, at = (field.decode() for field in fields)
    return Record(State(state), int(attempts), int(code), reason, int(at))
