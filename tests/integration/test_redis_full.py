"""A Redis that is full: it refuses, nothing is forgotten, and it heals by itself."""

from shared.redis import connect_redis
from tests.support.auth_workers import ADA, bearer, running_workers
from tests.support.servers import NatsServer, RedisServer
from tests.support.waiting import eventually


async def test_a_full_redis_is_a_503_and_ends_no_session(
    nats_server: NatsServer, redis_server: RedisServer
) -> None:
    """Nobody can begin a login; who is signed in stays so."""
    assert "--maxmemory" in redis_server.command
    async with (
        running_workers(nats_server, redis_server, nats_server.secrets_dir, doors=1) as auth,
        connect_redis(redis_server.url) as redis,
    ):
        tokens = await auth.sign_in()
        await redis.config_set("maxmemory", "100kb")

        login = await auth.call("POST", "/auth/login", {"email": ADA})
        me = await auth.call("GET", "/auth/me", headers=bearer(tokens["access_token"]))

        assert (login.status, me.status) == (503, 200)
        assert login.headers["Retry-After"]
        await redis.config_set("maxmemory", "256mb")

        async def begins() -> bool:
            return (await auth.call("POST", "/auth/login", {"email": ADA})).status == 202

        assert await eventually(begins)
        renewed = await auth.call(
            "POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]}
        )
        assert renewed.status == 200
