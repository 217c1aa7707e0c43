"""Every path that ends a session, where people have accounts: the old ones, and those that accounts bring.

As in `test_every_path`, which also finds the path that has no row.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from latchwire.claims import Claims
from shared.contract import OP_REVOCATION_MATCH, TOKEN_REVOKED
from shared.messages import MatchRequest, TokenRevoked
from tests.support.account_ways import ACCOUNT_PATHS, configure_provider
from tests.support.credentials import ACCESS, SAME_ORIGIN, sign_in
from tests.support.house import SHOP, House, basic, running_house
from tests.support.lying_provider import running_provider
from tests.support.waiting import eventually
from tests.support.ways import PATHS, is_out, nothing_is_left

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for all rows; every row has people of its own."""
    directory = tmp_path_factory.mktemp("house")
    async with (
        running_provider() as provider,
        running_house(
            directory,
            prepare=lambda secrets: {"providers": configure_provider(secrets, provider)},
            accounts_url=f"sqlite:///{directory / 'accounts.db'}",
            allow="@acme.com",
        ) as running,
    ):
        yield replace(running, provider=provider)


@pytest.mark.parametrize("name", PATHS | ACCOUNT_PATHS)
async def test_nothing_of_an_account_s_session_that_ended_does_anything(
    house: House, name: str
) -> None:
    """Refused at the edge, at auth and by the SDK; another person's session is untouched."""
    await nothing_is_left(house, (PATHS | ACCOUNT_PATHS)[name])


async def test_refused_access_tokens_end_no_session(house: House) -> None:
    """Roles changed: a browser is renewed by one round through our page, a client by one refresh."""
    held = await sign_in(house)
    sub = said_by(house, held.access[-1]).sub
    event = TokenRevoked(scope="subject", sub=sub, applies_to="access")
    await house.bus.publish(TOKEN_REVOKED, event)
    await eventually(lambda: is_out(house, held))

    page, there = "/auth/continue?next=/demo", {**SAME_ORIGIN, "Sec-Fetch-Site": "none"}
    answer = await house.auth.call("GET", page, headers=there, cookies=held.cookies)

    assert (303, "/demo") == (answer.status, answer.headers["Location"])
    assert await house.edge_accepts(cookie=answer.cookies[ACCESS].value)
    assert not await house.edge_accepts(cookie=held.access[-1])


async def test_an_operator_may_name_an_account_by_id_or_by_address(house: House) -> None:
    """Both mean the person: the sessions of the id, and the links of the address."""
    held = await sign_in(house)
    sub = said_by(house, held.access[-1]).sub
    counted = [
        await house.bus.ask(OP_REVOCATION_MATCH, MatchRequest(scope="subject", id=name))
        for name in (sub, held.email, f" {held.email.upper()}")
    ]

    assert [(1, 1, True)] * 3 == [(m.sessions, m.links, m.counted) for m in counted]
    for name in (sub, held.email):
        held = await sign_in(house, held.email)
        await house.bus.publish(TOKEN_REVOKED, TokenRevoked(scope="subject", sub=name))
        await eventually(lambda held=held: is_out(house, held))  # type: ignore[misc]


async def test_a_service_that_asks_is_told_the_id_and_the_address(house: House) -> None:
    """RFC 7662: sub is the id for ever, username what a person calls themselves."""
    held = await sign_in(house)
    sub = said_by(house, held.access[-1]).sub
    for token in (held.access[-1], held.refresh[-1]):
        answer = await house.auth.call(
            "POST", "/auth/introspect", data={"token": token}, headers=basic(SHOP)
        )
        told = await answer.json()
        assert (True, sub, held.email) == (told["active"], told["sub"], told["username"])


def said_by(house: House, token: str) -> Claims:
    """The claims of a token that counts."""
    claims = house.sdk.verify(token)
    assert isinstance(claims, Claims)
    return claims
