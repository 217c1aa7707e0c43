"""What every projection keeps: the fake and Redis itself pass the same suite."""

from collections.abc import AsyncIterator

import pytest

from latchwire.records import Record, record_key
from services.revocation.adapters.redis_projection import RedisProjection
from services.revocation.ports import Mark, Projection, StoredRecord
from shared.clock import SystemClock
from shared.redis import connect_redis
from tests.support.fakes.projection import FakeProjection
from tests.support.servers import RedisServer

KEY = record_key(bytes(32), "subject", "ada@example.com")
UNTIL = SystemClock().now_ms() + 3_600_000


class RedisUnderTest(RedisProjection):
    """Redis with the looks into it that the suite needs."""

    async def record(self, key: str) -> Record | None:
        body = await self._redis.get(f"lw:bl:{key}")
        return Record.unpack(body) if body else None

    async def trusted(self) -> bool:
        return bool(await self._redis.exists("lw:bl:trusted"))

    async def flush(self) -> None:
        await self._redis.flushall()

    async def lifetimes(self) -> dict[bytes, int]:
        return {key: await self._redis.pttl(key) for key in await self._redis.keys("*")}


class FakeUnderTest(FakeProjection):
    """The fake with the same looks."""

    async def record(self, key: str) -> Record | None:
        return self.records.get(key)

    async def flush(self) -> None:
        self.empty()


@pytest.fixture(params=["fake", "redis"])
async def projection(
    request: pytest.FixtureRequest,
) -> AsyncIterator[FakeUnderTest | RedisUnderTest]:
    """Each implementation in turn."""
    if request.param == "fake":
        yield FakeUnderTest()
        return
    server = request.getfixturevalue("redis_server")
    async with connect_redis(server.url) as redis:
        yield RedisUnderTest(redis)


async def trusted(projection: FakeUnderTest | RedisUnderTest) -> bool:
    """Whether it says that it can be relied on."""
    if isinstance(projection, FakeUnderTest):
        return projection.trusted
    return await projection.trusted()


async def round_to(projection: Projection, mark: Mark, trust_ms: int = 10_000) -> bool:
    """One round that writes nothing."""
    await projection.begin("run", mark)
    return await projection.finish("run", mark, trust_ms=trust_ms)


async def test_a_new_one_starts_from_nothing_and_then_from_its_mark(
    projection: FakeUnderTest | RedisUnderTest,
) -> None:
    """The mark is where the next writer, of any process, continues."""
    assert await projection.begin("one", Mark("e", 5)) == 0
    assert not await trusted(projection)
    assert await projection.finish("one", Mark("e", 5), trust_ms=10_000)
    assert await trusted(projection)
    assert await projection.begin("two", Mark("e", 7)) == 5


async def test_of_two_records_the_greater_of_each_field_stays(
    projection: FakeUnderTest | RedisUnderTest,
) -> None:
    """In whatever order the workers write them."""
    newer, older = Record(UNTIL + 5, 10, 20), Record(UNTIL, 11, 7)

    await projection.write([StoredRecord(2, KEY, newer)])
    await projection.write([StoredRecord(1, KEY, older)])
    await projection.write([])

    assert await projection.record(KEY) == Record(UNTIL + 5, 11, 20)


@pytest.mark.parametrize("mark", [Mark("other", 5), Mark("e", 4)])
async def test_another_past_takes_the_trust_away_at_once(
    projection: FakeUnderTest | RedisUnderTest, mark: Mark
) -> None:
    """A new epoch, or a stream shorter than the mark: readers are told before anything is written."""
    await round_to(projection, Mark("e", 5))

    assert await projection.begin("next", mark) == 0
    assert not await trusted(projection)


async def test_a_flush_during_a_round_leaves_it_without_a_mark(
    projection: FakeUnderTest | RedisUnderTest,
) -> None:
    """What was written before the flush is gone, so the round does not count."""
    await projection.begin("run", Mark("e", 5))
    await projection.write([StoredRecord(1, KEY, Record(UNTIL))])
    await projection.flush()

    assert not await projection.finish("run", Mark("e", 5), trust_ms=10_000)
    assert not await trusted(projection)
    assert await projection.begin("again", Mark("e", 5)) == 0


async def test_without_proof_the_mark_moves_and_nothing_is_promised(
    projection: FakeUnderTest | RedisUnderTest,
) -> None:
    """trust_ms 0 is not "trusted"."""
    assert await round_to(projection, Mark("e", 5), trust_ms=0)

    assert not await trusted(projection)


async def test_only_the_position_stays_in_redis_for_ever(redis_server: RedisServer) -> None:
    """Every other key has an end, and a record's is its own."""
    async with connect_redis(redis_server.url) as redis:
        projection = RedisUnderTest(redis)
        await projection.begin("crashed", Mark("e", 5))
        await projection.write([StoredRecord(1, KEY, Record(UNTIL))])
        await round_to(projection, Mark("e", 5))

        before = SystemClock().now_ms()
        lifetimes = await projection.lifetimes()
        after = SystemClock().now_ms()

    assert {key for key, left in lifetimes.items() if left < 0} == {b"lw:bl:position"}
    assert UNTIL - after - 1 <= lifetimes[f"lw:bl:{KEY}".encode()] <= UNTIL - before + 1
