"""The projection in Redis, a documented contract for readers that have no NATS.

``lw:bl:trusted``    there while the rest can be relied on; runs out by itself within ten seconds
``lw:bl:<key>``      the 25 packed bytes of `latchwire.records.Record`, gone when the record has lapsed
``lw:bl:position``   hash ``epoch``, ``seq``: everything up to there is in; where the writer continues
``lw:bl:run:<id>``   a round under way; when it has vanished, Redis was emptied meanwhile
``lw:life:beat``     rises with each round; who remembers a greater one looks at a copy from the past
``lw:life:since``    ms: what auth wrote up to then and is single-use does not count; no earlier than any time
                     auth gave (``lw:clock``)
"""

from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis.asyncio import Redis

from latchwire.records import Record
from services.revocation.adapters.redis_clock import FLOOR_KEY
from services.revocation.domain.projection import Begun, Condition, Mark
from services.revocation.ports import ProjectionUnavailableError
from shared.redis import StoreUnavailableError, translate_redis_errors

PREFIX = "lw:bl:"
POSITION = PREFIX + "position"
TRUSTED = PREFIX + "trusted"
BEAT = "lw:life:beat"
SINCE = "lw:life:since"
RUN_MS = 600_000  # longer than any round; a crashed one leaves nothing for ever
SINCE_MS = 24 * 3600 * 1000  # longer than anything single-use lives

BEGIN = """
redis.call('SET', KEYS[3], '1', 'PX', ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local beat = tonumber(redis.call('GET', KEYS[4]) or '0')
local remembered = tonumber(ARGV[2])
local past = 0
if beat < remembered then
  past = 1
  redis.call('DEL', KEYS[2])
  local given = tonumber(redis.call('GET', KEYS[6]) or '0')
  redis.call('SET', KEYS[5], string.format('%.0f', math.max(now, given)), 'PX', ARGV[3])
end
beat = math.max(beat, remembered, now - 1) + 1
redis.call('SET', KEYS[4], string.format('%.0f', beat))
local mark = redis.call('HMGET', KEYS[1], 'epoch', 'seq')
return {mark[1] or '', mark[2] or '', beat, past}
"""

# The greater of each field, whatever the order of writers (struct: Redis's own Lua library). What is there
# already is not written again: after a restart all of it is.
MERGE = """
local layout = '>BI8I8I8'
for i, key in ipairs(KEYS) do
  local body = ARGV[i]
  local known = redis.call('GET', key)
  if known ~= body then
    local version, till, sessions, tokens = struct.unpack(layout, body)
    if known and #known == 25 then
      local _, a, b, c = struct.unpack(layout, known)
      till, sessions, tokens = math.max(till, a), math.max(sessions, b), math.max(tokens, c)
      body = struct.pack(layout, version, till, sessions, tokens)
    end
    redis.call('SET', key, body, 'PXAT', string.format('%.0f', till))
  end
end
"""

# Never back within an epoch: another worker may be further, and its copy is then as complete.
FINISH = """
if redis.call('DEL', KEYS[3]) == 0 then return 0 end
local mark = redis.call('HMGET', KEYS[1], 'epoch', 'seq')
if mark[1] ~= ARGV[1] or tonumber(mark[2] or '0') < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'seq', ARGV[2])
end
if tonumber(ARGV[3]) > 0 then
  redis.call('SET', KEYS[2], ARGV[1] .. ':' .. ARGV[2], 'PX', ARGV[3])
end
return 1
"""


class RedisProjection:
    """A `ports.Projection`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def condition(self) -> Condition:
        """See `ports.Projection.condition`."""
        with _unavailable(), translate_redis_errors():
            told = await self._redis.info()
        return Condition(
            run=str(told.get("run_id", "")),
            policy=str(told.get("maxmemory_policy", "")),
            evicted=int(told.get("evicted_keys", 0)),
        )

    async def begin(self, run: str, *, beat: int) -> Begun:
        """See `ports.Projection.begin`."""
        keys = [*_marks(run), BEAT, SINCE, FLOOR_KEY]
        epoch, seq, beat, past = await self._run(BEGIN, keys, [RUN_MS, beat, SINCE_MS])
        mark = Mark(epoch.decode(), int(seq)) if epoch and seq else None
        return Begun(mark, int(beat), bool(past))

    async def distrust(self, *, forget: bool) -> None:
        """See `ports.Projection.distrust`."""
        with _unavailable(), translate_redis_errors():
            await self._redis.delete(TRUSTED, *([POSITION] if forget else []))

    async def write(self, records: Sequence[tuple[str, Record]]) -> None:
        """See `ports.Projection.write`."""
        if records:
            keys = [PREFIX + key for key, _ in records]
            await self._run(MERGE, keys, [record.pack() for _, record in records])

    async def finish(self, run: str, reached: Mark, *, trust_ms: int) -> bool:
        """See `ports.Projection.finish`."""
        return bool(await self._run(FINISH, _marks(run), [reached.epoch, reached.seq, trust_ms]))

    async def _run(self, script: str, keys: list[str], args: list[Any]) -> Any:
        with _unavailable(), translate_redis_errors():
            answer: Awaitable[Any] = self._redis.eval(script, len(keys), *keys, *args)
            return await answer


def _marks(run: str) -> list[str]:
    return [POSITION, TRUSTED, f"{PREFIX}run:{run}"]


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except StoreUnavailableError as error:
        raise ProjectionUnavailableError(str(error)) from error
