"""Auth whose own signing key is revoked: it says so instead of handing out tokens that nobody accepts."""

from shared.contract import TOKEN_REVOKED
from shared.messages import TokenRevoked
from shared.secrets import signing_paths
from tests.support.auth_workers import running_workers
from tests.support.servers import NatsServer, RedisServer
from tests.support.waiting import eventually


async def test_auth_is_not_ready_while_its_signing_key_is_revoked(
    nats_server: NatsServer, redis_server: RedisServer
) -> None:
    """The reason names the key and the cure; another key's revocation is none of its business."""
    kid = signing_paths(nats_server.secrets_dir)[-1].stem
    async with running_workers(
        nats_server, redis_server, nats_server.secrets_dir, doors=1
    ) as workers:
        _revocation, auth = workers.runtimes
        health = auth.health
        async with nats_server.connect("operator") as operator:
            await operator.publish(TOKEN_REVOKED, TokenRevoked(scope="key", kid="other"))
            assert "signing key" not in health.problems()
            await operator.publish(TOKEN_REVOKED, TokenRevoked(scope="key", kid=kid))
            await eventually(lambda: "signing key" in health.problems())

        assert f"the signing key {kid} is revoked" in health.problems()["signing key"]
        assert f"`latchwire keys compromise {kid}`" in health.problems()["signing key"]
        assert "`latchwire keys rotate`" in health.problems()["signing key"]


async def test_a_revoked_signing_key_is_not_a_refresh_key_of_the_same_name(
    nats_server: NatsServer, redis_server: RedisServer
) -> None:
    """In a directory where both have one kid; each is revoked by a name of its own."""
    kid = signing_paths(nats_server.secrets_dir)[-1].stem
    (old,) = (nats_server.secrets_dir / "refresh").glob("*.key")
    old.rename(old.with_stem(kid))
    async with running_workers(
        nats_server, redis_server, nats_server.secrets_dir, doors=1
    ) as workers:
        token = (await workers.sign_in())["refresh_token"]
        assert kid == token.split(".")[1]
        async with nats_server.connect("operator") as operator:
            await operator.publish(TOKEN_REVOKED, TokenRevoked(scope="key", kid=kid))
            await eventually(lambda: "signing key" in workers.runtimes[1].health.problems())
            answer = await workers.call("POST", "/auth/refresh", {"refresh_token": token})
            assert 200 == answer.status
            successor = (await answer.json())["refresh_token"]
            named = TokenRevoked(scope="key", kid=f"refresh/{kid}")
            await operator.publish(TOKEN_REVOKED, named)

            async def refused() -> bool:
                answer = await workers.call("POST", "/auth/refresh", {"refresh_token": successor})
                return answer.status == 401

            await eventually(refused)
