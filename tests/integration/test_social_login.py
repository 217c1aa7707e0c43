"""Log in at a provider: whose account it is, and when a provider's word about an address is enough."""

import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.lying_provider import person
from tests.support.page_visitor import visiting
from tests.support.social import SocialSite, running_social
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = itertools.count(1)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SocialSite]:
    """One for all; every test has people of its own."""
    async with running_social(tmp_path_factory.mktemp("social")) as running:
        yield running


@pytest.fixture(autouse=True)
def honest(site: SocialSite) -> None:
    """Both providers begin every test without a lie."""
    site.sso.honest()
    site.other.honest()


@pytest.fixture
def number() -> str:
    """A number at the providers that nobody else has."""
    return str(next(_numbers))


async def test_a_new_person_gets_an_account_by_the_word_of_a_provider_that_speaks_for_the_address(
    site: SocialSite, number: str
) -> None:
    """Made once, verified, linked to (iss, sub), and signed in where they wanted to go."""
    email = f"new{number}@acme.com"
    site.sso.who = person(number, email)
    async with visiting(site.auth.doors[0]) as visitor:
        answer = await site.log_in(visitor, next_="/demo")

        assert answer.location == "/demo"
        me = await site.signed_in(visitor)
    account = await site.account(email)
    assert me is not None
    assert account is not None
    assert (me["sub"], me["email"], me["amr"]) == (account.sub, email, ["provider"])
    assert account.verified_at_ms is not None
    assert [(i.iss, i.subject) for i in await site.logins(email)] == [(site.sso.url, number)]
    words = ["user.registered", "user.verified"]
    await eventually(lambda: site.announced(account.sub) == words)
