"""What happens to Redis, and what the projection makes of it: real servers, restores and failovers."""

import shutil
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.revocation.adapters.redis_projection import RedisProjection
from services.revocation.flows.project import EvictingError, Projector
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.redis import connect_redis
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.copy import FakeCopy
from tests.support.fakes.snapshots import FakeSnapshots
from tests.support.servers import RedisServer, make_redis, start_in_thread
from tests.support.waiting import eventually

UNTIL = SystemClock().now_ms() + 86_400_000  # of when the tests are collected
TRUSTED = "lw:bl:trusted"
SINCE = "lw:life:since"


class Moving(RedisProjection):
    """A projection whose name leads to another server after a failover."""

    def lead_to(self, redis: Redis) -> None:
        self._redis = redis


class Worker:
    """A worker's copy, and its projector on *redis*; a second passes between two rounds."""

    def __init__(self, redis: Redis, beats: FakeSnapshots | None = None) -> None:
        self.copy = FakeCopy()
        self.clock = FakeClock(SystemClock().now_ms())
        self.beats = beats or FakeSnapshots()
        self.projection = Moving(redis)
        self._projector = Projector(
            copy=self.copy,
            projection=self.projection,
            beats=self.beats,
            clock=self.clock,
            ids=SystemIds(),
        )

    async def round(self, *keys: str) -> None:
        """Records come in, and a round."""
        self.copy.put(*keys, until_ms=UNTIL)
        self.clock.advance(1_000)
        await self._projector.round()
        await self._projector.keep_beat()


async def holds(redis: Redis, *keys: str) -> bool:
    """Whether Redis has all of them and says that it can be trusted."""
    return bool(
        await redis.exists(TRUSTED)
        and await redis.exists(*(f"lw:bl:{k}" for k in keys)) == len(keys)
    )


async def test_a_flush_is_made_good_before_anybody_trusts_it_again(
    redis_server: RedisServer,
) -> None:
    """And everything single-use from before the flush is void."""
    async with connect_redis(redis_server.url) as redis:
        worker = Worker(redis)
        await worker.round("sa", "sb")
        await redis.flushall()
        ahead = SystemClock().now_ms() + 60_000
        await redis.set("lw:clock", ahead)  # what auth gave a moment ago, by a clock that ran ahead
        assert not await redis.exists(TRUSTED)

        await worker.round()

        assert await holds(redis, "sa", "sb")
        assert int(await redis.get(SINCE)) == ahead


async def test_a_backup_put_back_is_noticed_and_voids_what_was_single_use(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """Redis is stopped, its files are replaced by older ones, and it is started again."""
    files = next(redis_server.log.parent.glob("appendonlydir"), redis_server.log.parent)
    async with connect_redis(redis_server.url) as redis:
        worker = Worker(redis)
        await worker.round("sa")
        redis_server.stop()
        shutil.copytree(files, tmp_path / "backup")
        await start_in_thread(redis_server)
        await worker.round("sb")
        assert await holds(redis, "sa", "sb")
        assert not await redis.exists(SINCE), "an ordinary restart voids nothing"

        redis_server.stop()
        shutil.rmtree(files)
        shutil.copytree(tmp_path / "backup", files)
        await start_in_thread(redis_server)
        assert not await redis.exists("lw:bl:sb")
        before = SystemClock().now_ms()
        await worker.round()

        assert await holds(redis, "sa", "sb")
        assert before - 1 <= int(await redis.get(SINCE)) <= SystemClock().now_ms()


@pytest.mark.parametrize("seconds_old", [1, 60])
async def test_workers_that_start_know_an_old_redis_and_an_ordinary_restart(
    redis_server: RedisServer, seconds_old: int
) -> None:
    """The last beat lies on NATS; the second that a crash may cost Redis is no past."""
    async with connect_redis(redis_server.url) as redis:
        before = Worker(redis)
        await before.round("sa")
        await redis.decrby("lw:life:beat", seconds_old * 1_000)

        await Worker(redis, before.beats).round("sa")

        assert bool(await redis.exists(SINCE)) is (seconds_old == 60)
        assert await redis.exists(TRUSTED)


async def test_a_policy_that_evicts_takes_the_trust_away_until_it_is_gone(
    redis_server: RedisServer,
) -> None:
    """Under allkeys-lru Redis may drop a revocation to make room."""
    async with connect_redis(redis_server.url) as redis:
        worker = Worker(redis)
        await worker.round("sa")
        await redis.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(EvictingError):
            await worker.round("sb")
        assert not await redis.exists(TRUSTED)

        await redis.delete("lw:bl:sa")  # as an eviction does
        await redis.config_set("maxmemory-policy", "noeviction")
        await worker.round()

        assert await holds(redis, "sa", "sb")


@pytest.mark.parametrize("behind", [True, False])
async def test_after_a_failover_nothing_counts_before_it_was_written_again(
    redis_server: RedisServer, tmp_path: Path, behind: bool
) -> None:
    """A replica that was behind has forgotten: its trust is taken away, single-use things are void."""
    replica = make_redis(tmp_path / "replica")
    await start_in_thread(replica)
    try:
        async with connect_redis(redis_server.url) as redis, connect_redis(replica.url) as other:
            # By itself it waits five seconds for more replicas, and "trusted" lives for ten.
            await redis.config_set("repl-diskless-sync-delay", "0")
            await other.replicaof("127.0.0.1", str(redis_server.port))
            worker = Worker(redis)
            await worker.round("sa")
            await eventually(lambda: arrived(worker, other), within=60)
            if behind:
                await other.replicaof("NO", "ONE")
            await worker.round("sb")
            if not behind:
                await eventually(lambda: other.exists("lw:bl:sb"))
                await eventually(lambda: same_beat(redis, other))
                await other.replicaof("NO", "ONE")
            assert await other.exists(TRUSTED), "the copy vouches for itself"

            redis_server.kill()
            worker.projection.lead_to(other)
            await worker.round()

            assert await holds(other, "sa", "sb")
            assert bool(await other.exists(SINCE)) is behind
    finally:
        replica.kill()


async def arrived(worker: Worker, replica: Redis) -> bool:
    """Whether the replica has the record and still vouches for it; a round more, as a worker goes on."""
    await worker.round()
    return await holds(replica, "sa")


async def same_beat(one: Redis, other: Redis) -> bool:
    """Whether the replica has come that far."""
    return bool(await one.get("lw:life:beat") == await other.get("lw:life:beat"))
