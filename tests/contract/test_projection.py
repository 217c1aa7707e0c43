"""What every projection keeps: the fake and Redis itself pass the same suite."""

from collections.abc import AsyncIterator

import pytest

from latchwire.records import Record, record_key
from services.revocation.adapters.redis_projection import RedisProjection
from services.revocation.domain.projection import Mark
from services.revocation.ports import Projection
from shared.clock import SystemClock
from shared.redis import connect_redis
from tests.support.fakes.projection import FakeProjection
from tests.support.servers import RedisServer

KEY = record_key(bytes(32), "subject", "ada@example.com")
UNTIL = SystemClock().now_ms() + 86_400_000  # of the collection: the whole suite may come before


class RedisUnderTest(RedisProjection):
    """Redis with the looks into it that the suite needs."""

    async def record(self, key: str) -> Record | None:
        body = await self._redis.get(f"lw:bl:{key}")
        return Record.unpack(body) if body else None

    async def trusted(self) -> bool:
        return bool(await self._redis.exists("lw:bl:trusted"))

    async def since_ms(self) -> int | None:
        found = await self._redis.get("lw:life:since")
        return int(found) if found else None

    async def forget_a_beat(self) -> None:
        await self._redis.decr("lw:life:beat")

    async def flush(self) -> None:
        await self._redis.flushall()

    async def lifetimes(self) -> dict[bytes, int]:
        return {key: await self._redis.pttl(key) for key in await self._redis.keys("*")}


class FakeUnderTest(FakeProjection):
    """The fake with the same looks."""

    async def record(self, key: str) -> Record | None:
        return self.records.get(key)

    async def since_ms(self) -> int | None:
        return self.since

    async def forget_a_beat(self) -> None:
        self.content.beat -= 1

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


async def round_to(projection: Projection, mark: Mark, trust_ms: int = 10_000) -> int:
    """One round that writes nothing; its beat."""
    begun = await projection.begin("run", beat=0)
    assert await projection.finish("run", mark, trust_ms=trust_ms)
    return begun.beat


async def test_a_new_one_has_no_mark_and_then_its_own(
    projection: FakeUnderTest | RedisUnderTest,
) -> None:
    """The mark is what the next round, of any process, finds."""
    assert (await projection.begin("one", beat=0)).mark is None
    assert not await trusted(projection)
    assert await projection.finish("one", Mark("e", 5), trust_ms=10_000)
    assert await trusted(projection)
    assert (await projection.begin("two", beat=0)).mark == Mark("e", 5)


async def test_of_two_records_the_greater_of_each_field_stays(
    projection: FakeUnderTest | RedisUnderTest,
) -> None:
    """In whatever order the workers write them."""
    newer, older = Record(UNTIL + 5, 10, 20), Record(UNTIL, 11, 7)

    await projection.write([(KEY, newer)])
    await projection.write([(KEY, older)])
    await projection.write([])

    assert await projection.record(KEY) == Record(UNTIL + 5, 11, 20)


async def test_the_mark_never_goes_back_within_an_epoch(
    projection: FakeUnderTest | RedisUnderTest,
) -> None:
    """The worker that is behind does not make the one ahead start over."""
    await round_to(projection, Mark("e", 5))
    await round_to(projection, Mark("e", 4))
    assert (await projection.begin("look", beat=0)).mark == Mark("e", 5)

    await round_to(projection, Mark("f", 1))
    assert (await projection.begin("look", beat=0)).mark == Mark("f", 1)


@pytest.mark.parametrize("forget", [True, False])
async def test_distrust_is_heard_at_once(
    projection: FakeUnderTest | RedisUnderTest, forget: bool
) -> None:
    """Readers are told before anything is written; the mark stays unless it is wrong itself."""
    await round_to(projection, Mark("e", 5))

    await projection.distrust(forget=forget)

    assert not await trusted(projection)
    mark = (await projection.begin("next", beat=0)).mark
    assert mark == (None if forget else Mark("e", 5))


async def test_a_forgotten_beat_is_a_copy_from_the_past(
    projection: FakeUnderTest | RedisUnderTest,
) -> None:
    """Trust is taken away, the instant is noted, and the number goes on rising."""
    beat = await round_to(projection, Mark("e", 5))
    known = await projection.begin("next", beat=beat)
    assert not known.past
    assert await projection.since_ms() is None
    await projection.forget_a_beat()

    begun = await projection.begin("then", beat=known.beat)

    assert begun.past
    assert begun.beat > known.beat
    assert not await trusted(projection)
    assert await projection.since_ms() is not None
    assert not (await projection.begin("after", beat=begun.beat)).past


async def test_a_flush_during_a_round_leaves_it_without_a_mark(
    projection: FakeUnderTest | RedisUnderTest,
) -> None:
    """What was written before the flush is gone, so the round does not count."""
    await projection.begin("run", beat=0)
    await projection.write([(KEY, Record(UNTIL))])
    await projection.flush()

    assert not await projection.finish("run", Mark("e", 5), trust_ms=10_000)
    assert not await trusted(projection)
    assert (await projection.begin("again", beat=0)).mark is None


async def test_without_proof_the_mark_moves_and_nothing_is_promised(
    projection: FakeUnderTest | RedisUnderTest,
) -> None:
    """trust_ms 0 is not "trusted"."""
    await round_to(projection, Mark("e", 5), trust_ms=0)

    assert not await trusted(projection)


async def test_the_store_says_who_it_is(projection: FakeUnderTest | RedisUnderTest) -> None:
    """The same server tells the same run, and what it does when it is full."""
    first, second = await projection.condition(), await projection.condition()

    assert first.run
    assert first == second
    assert (first.policy, first.evicted) == ("noeviction", 0)


async def test_only_the_position_and_the_beat_stay_in_redis_for_ever(
    redis_server: RedisServer,
) -> None:
    """Every other key has an end, and a record's is its own."""
    async with connect_redis(redis_server.url) as redis:
        projection = RedisUnderTest(redis)
        await projection.begin("crashed", beat=2**52)
        await projection.write([(KEY, Record(UNTIL))])
        await round_to(projection, Mark("e", 5))

        before = SystemClock().now_ms()
        lifetimes = await projection.lifetimes()
        after = SystemClock().now_ms()

    assert {key for key, left in lifetimes.items() if left < 0} == {
        b"lw:bl:position",
        b"lw:life:beat",
    }
    assert b"lw:life:since" in lifetimes
    assert UNTIL - after - 1 <= lifetimes[f"lw:bl:{KEY}".encode()] <= UNTIL - before + 1
