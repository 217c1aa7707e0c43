"""The projection in Redis, a documented contract for readers that have no NATS.

``lw:bl:trusted``    there while the rest can be relied on; runs out by itself within ten seconds
``lw:bl:<key>``      the 25 packed bytes of `latchwire.records.Record`, gone when the record has lapsed
``lw:bl:position``   hash ``epoch``, ``seq``: everything up to there is in; where the writer continues
``lw:bl:run:<id>``   a round under way; when it has vanished, Redis was emptied meanwhile
"""

from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis.asyncio import Redis

from services.revocation.ports import Mark, ProjectionUnavailableError, StoredRecord
from shared.redis import StoreUnavailableError, translate_redis_errors

PREFIX = "lw:bl:"
POSITION = PREFIX + "position"
TRUSTED = PREFIX + "trusted"
RUN_MS = 600_000  # longer than any round; a crashed one leaves nothing for ever

# Continue after the mark if it is of this epoch and not beyond the stream's end; else start over, and say
# so to readers before anything else.
BEGIN = """
redis.call('SET', KEYS[3], '1', 'PX', ARGV[3])
local mark = redis.call('HMGET', KEYS[1], 'epoch', 'seq')
local seq = tonumber(mark[2] or '')
if mark[1] == ARGV[1] and seq and seq <= tonumber(ARGV[2]) then return seq end
redis.call('DEL', KEYS[1], KEYS[2])
return 0
"""

# The greater of each field, whatever the order of writers (struct: Redis's own Lua library).
MERGE = """
local layout = '>BI8I8I8'
for i, key in ipairs(KEYS) do
  local version, till, sessions, tokens = struct.unpack(layout, ARGV[i])
  local known = redis.call('GET', key)
  if known and #known == 25 then
    local _, a, b, c = struct.unpack(layout, known)
    till, sessions, tokens = math.max(till, a), math.max(sessions, b), math.max(tokens, c)
  end
  local body = struct.pack(layout, version, till, sessions, tokens)
  redis.call('SET', key, body, 'PXAT', string.format('%.0f', till))
end
"""

FINISH = """
if redis.call('DEL', KEYS[3]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'seq', ARGV[2])
if tonumber(ARGV[3]) > 0 then
  redis.call('SET', KEYS[2], ARGV[1] .. ':' .. ARGV[2], 'PX', ARGV[3])
end
return 1
"""


class RedisProjection:
    """A `ports.Projection`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def begin(self, run: str, goal: Mark) -> int:
        """See `ports.Projection.begin`."""
        return int(await self._run(BEGIN, _marks(run), [goal.epoch, goal.seq, RUN_MS]))

    async def write(self, records: Sequence[StoredRecord]) -> None:
        """See `ports.Projection.write`."""
        if records:
            keys = [PREFIX + stored.key for stored in records]
            await self._run(MERGE, keys, [stored.record.pack() for stored in records])

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
