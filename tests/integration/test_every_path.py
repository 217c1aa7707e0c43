"""Every path that ends a session ends all of it, for everybody, and nobody else's.

Each row signs in, takes the path, and then shows every credential of the session to the edge, to auth and to a
service with the SDK. A new path is one row. The last test reads the code: a door of auth that can end a session
and has no row fails it. `test_every_account_path` is the same where people have accounts.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from latchwire.claims import Claims
from shared.contract import TOKEN_REVOKED, TOKEN_REVOKED_BY, Role
from shared.messages import TokenRevoked
from shared.secrets import load_symmetric, signing_paths
from tests.support.account_ways import ACCOUNT_PATHS, SAME_AS_BLOCK
from tests.support.auth_workers import ORIGIN
from tests.support.credentials import ACCESS, sign_in
from tests.support.doors import doors_that_end_sessions
from tests.support.house import House, running_house
from tests.support.waiting import eventually
from tests.support.ways import KEY_PATHS, PATHS, SERVICE_TOKEN_PATHS, is_out, nothing_is_left

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for all rows; every row has people of its own."""
    async with running_house(tmp_path_factory.mktemp("house")) as running:
        yield running


@pytest.mark.parametrize("name", PATHS)
async def test_nothing_of_a_session_that_ended_does_anything(house: House, name: str) -> None:
    """Refused at the edge, at auth and by the SDK; another person's session is untouched."""
    await nothing_is_left(house, PATHS[name])


async def test_a_revoked_token_is_refused_and_its_session_goes_on(house: House) -> None:
    """Scope token ends no session: the next access token counts."""
    held = await sign_in(house)
    claims = house.sdk.verify(held.access[-1])
    assert isinstance(claims, Claims)
    for bus, subject in (
        (house.bus, TOKEN_REVOKED),
        (house.shop_bus, TOKEN_REVOKED_BY.of("shop")),
    ):
        await bus.publish(subject, TokenRevoked(scope="token", jti=claims.jti))

    await eventually(lambda: is_out(house, held))
    assert not await house.edge_accepts(cookie=held.access[-1])
    assert house.sdk_accepts(held.access[0])
    answer = await house.auth.call("POST", "/auth/refresh", headers=ORIGIN, cookies=held.cookies)
    assert 200 == answer.status
    assert await house.edge_accepts(token=answer.cookies[ACCESS].value)


async def test_a_revoked_refresh_key_renews_nothing(house: House) -> None:
    """Access tokens count until they expire; every refresh token of that key is dead."""
    keys = load_symmetric(house.auth.secrets_dir, "refresh")
    held = await sign_in(house)
    event = TokenRevoked(scope="key", kid=f"refresh/{keys.current}")
    await house.bus.publish(TOKEN_REVOKED, event)

    async def renews_nothing() -> bool:
        body = {"refresh_token": held.refresh[-1]}
        return (await house.auth.call("POST", "/auth/refresh", body)).status == 401

    await eventually(renews_nothing)
    assert await house.edge_accepts(token=held.access[-1])


async def test_a_revoked_signing_key_ends_every_access_token(house: House) -> None:
    """The last of the module: afterwards nobody is anybody."""
    people = [await sign_in(house, renewals=0) for _ in range(2)]
    kid = signing_paths(house.auth.secrets_dir)[-1].stem
    await house.bus.publish(TOKEN_REVOKED, TokenRevoked(scope="key", kid=kid))

    for held in people:
        await eventually(lambda held=held: is_out(house, held))  # type: ignore[misc]
        assert not await house.edge_accepts(cookie=held.access[0])


async def test_every_door_that_can_end_a_session_has_its_row() -> None:
    """Also the next one."""
    rows = {door for path in (PATHS | ACCOUNT_PATHS).values() for door in path.doors}
    rows |= KEY_PATHS | SAME_AS_BLOCK | SERVICE_TOKEN_PATHS

    assert (
        doors_that_end_sessions() == rows
    )  # and whoever reads the code is not blind to one that has
    # Nobody else may publish it, so nowhere else need be looked.
    assert {Role.AUTH, Role.OPERATOR} == set(TOKEN_REVOKED.producers)
    assert (Role.SERVICE,) == TOKEN_REVOKED_BY.producers
