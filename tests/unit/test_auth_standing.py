"""What a token says of a person was true when it was made, or it is refused: whoever was faster."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from latchwire.claims import Claims
from latchwire.records import Record
from services.auth.domain.account import Standing
from services.auth.domain.outcomes import NotAMember, Refreshed, SessionOver
from services.auth.domain.session import GRACE_MS, SESSION_MS
from services.auth.flows.subjects import EmailSubjects
from services.auth.ports.accounts import AccountsUnavailableError
from shared.contract import TOKEN_REVOKED
from tests.support.auth_flows import ADA, ANYBODY, Auth, PlainTokens
from tests.support.fakes.auth_store import FakeSessions

SUB = "01K5ZZZZZZZZZZZZZZZZZZZZZZ"
ORG = "01K5ORG0000000000000000000"
Step = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """The step that is none."""


@dataclass
class People(EmailSubjects):
    """`Subjects` whose one person has *roles*; *before* and *after* happen around the reading of them."""

    roles: tuple[str, ...] = ("auditor",)
    orgs: tuple[str, ...] = (ORG,)
    before: Step = nothing
    after: Step = nothing
    away: bool = False
    gone: bool = False
    changes: bool = True
    asked: list[str] = field(default_factory=list)

    async def prove(
        self, email: str, *, remembered: bool, registration: str | None = None
    ) -> Standing | None:
        assert email == ADA
        return await self.standing(SUB, email, "")

    async def standing(self, sub: str, email: str, org: str) -> Standing | None:
        if self.away:
            raise AccountsUnavailableError
        self.asked.append(org)
        await self.before()
        roles = self.roles
        await self.after()
        org = org if org in self.orgs else ""
        return None if self.gone else Standing(sub, email, org, roles)


@dataclass
class House:
    """Auth with one person, whose roles can be taken while it works."""

    people: People = field(default_factory=People)

    def __post_init__(self) -> None:
        self.auth = Auth(subjects=self.people)
        self.sessions = FakeSessions(self.auth.store)

    async def take_the_role(self) -> None:
        """What the relay does after the commit: everything issued so far is refused."""
        self.people.roles = ()
        instant = await self.sessions.instant("01ENTRY")
        record = Record(instant + SESSION_MS, tokens_before=instant)
        self.auth.revocations.revoke("subject", SUB, record)

    def says(self, token: str) -> tuple[str, ...] | None:
        """The roles that an edge believes *token*; None: it refuses it."""
        claims = PlainTokens().read_expired(token)
        assert claims is not None
        refused = self.auth.revocations.refuses(claims, self.auth.clock.now_ms())
        return None if refused else claims.roles


MOMENTS = ("before it is asked for", "before the reading", "after the reading", "once it is out")


@pytest.mark.parametrize("passes", [0, 1, 700], ids=lambda ms: f"{ms} ms")
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("way", ["renewal", "repetition", "link"])
async def test_no_token_says_a_role_that_was_taken(way: str, moment: str, passes: int) -> None:
    """Taken at whatever moment: the token does not say it, or says it to nobody. The next one is right."""
    house = House()
    auth, people = house.auth, house.people
    tokens, link = await auth.sign_in(), await auth.ask()
    if way == "repetition":
        assert await auth.refresh(tokens.refresh)

    async def take() -> None:
        auth.clock.advance(passes)
        await house.take_the_role()
        auth.clock.advance(passes)

    people.before, people.after = (
        take if moment == name else nothing for name in ("before the reading", "after the reading")
    )
    if moment == "before it is asked for":
        await take()
    made = await (auth.click(link) if way == "link" else auth.refresh(tokens.refresh))
    people.before = people.after = nothing
    if moment == "once it is out":
        await take()

    assert made is not None
    assert house.says(made.access) in {(), None}
    again = await auth.refresh(made.refresh)
    assert again is not None
    assert () == house.says(again.access)
    assert house.says(tokens.access) is None


async def test_a_role_that_is_given_is_in_the_next_token() -> None:
    """Without waiting for the one from before to run out."""
    house = House(People(roles=()))
    tokens = await house.auth.sign_in()
    house.people.roles = ("auditor",)
    renewed = await house.auth.refresh(tokens.refresh)

    assert renewed is not None
    assert ((), ("auditor",)) == (house.says(tokens.access), house.says(renewed.access))


async def test_without_the_accounts_nothing_is_used_up() -> None:
    """Raised as "not now"; the same token, the same link and the same code work afterwards."""
    house = House()
    auth = house.auth
    tokens, link = await auth.sign_in(), await auth.ask()
    house.people.away = True
    for _ in range(3):
        with pytest.raises(AccountsUnavailableError):
            await auth.refresh(tokens.refresh)
        with pytest.raises(AccountsUnavailableError):
            await auth.click(link)
    house.people.away = False

    assert await auth.refresh(tokens.refresh)
    assert await auth.click(link)


async def test_nobody_s_session_renews_nothing() -> None:
    """The account is gone, or kept out: the answer is that of a session that is over."""
    house = House()
    tokens, link = await house.auth.sign_in(), await house.auth.ask()
    house.people.gone = True

    assert SessionOver("session_ended") == await _refresh(house.auth, tokens.refresh)
    assert await house.auth.click(link) is None


async def test_the_organisation_is_chosen_with_a_renewal_and_stays() -> None:
    """Named, left out, left again; one of somebody else's changes nothing and uses nothing up."""
    house = House()
    tokens = await house.auth.sign_in()
    seen = []
    for org in (ORG, None, "01K5OTHER00000000000000000", "", None):
        result = await _refresh(house.auth, tokens.refresh, org=org)
        if isinstance(result, NotAMember):
            seen.append("404")
            continue
        assert isinstance(result, Refreshed)
        tokens = result.tokens
        claims = PlainTokens().read_expired(tokens.access)
        assert isinstance(claims, Claims)
        seen.append(claims.org)

    assert [ORG, ORG, "404", "", ""] == seen


async def test_who_is_no_member_any_more_goes_on_without_the_organisation() -> None:
    """The session lives; also when the membership comes back, it has to be chosen again."""
    house = House()
    tokens = await house.auth.sign_in()
    chosen = await _refresh(house.auth, tokens.refresh, org=ORG)
    assert isinstance(chosen, Refreshed)
    house.people.orgs = ()
    without = await house.auth.refresh(chosen.tokens.refresh)
    house.people.orgs = (ORG,)
    assert without is not None
    back = await house.auth.refresh(without.refresh)

    assert back is not None
    assert ["", ORG, ORG, ""] == house.people.asked
    for made in (without, back):
        claims = PlainTokens().read_expired(made.access)
        assert claims is not None
        assert "" == claims.org


async def test_without_accounts_no_clock_is_read_for_a_renewal() -> None:
    """What it says of a person cannot change: one step more would be for nothing."""
    auth = Auth()
    tokens = await auth.sign_in()
    await auth.refresh(tokens.refresh)

    assert {"now", "look", "judge", "remembers"} & set(auth.store.calls) == set()


@pytest.mark.parametrize("changes", [True, False], ids=["accounts", "no accounts"])
async def test_a_stolen_token_is_no_less_used_before_when_it_asks_for_an_organisation(
    *, changes: bool
) -> None:
    """Within the grace it is a repetition and only no member; after it the session ends, and that is told."""
    house = House(People(changes=changes))
    auth = house.auth
    tokens = await auth.sign_in()
    renewed = await auth.refresh(tokens.refresh)
    assert renewed is not None
    strange = "01K5OTHER00000000000000000"

    assert await _refresh(auth, tokens.refresh, org=strange) == NotAMember()
    auth.clock.advance(GRACE_MS + 1)
    assert await _refresh(auth, renewed.refresh, org=strange) == NotAMember()
    assert await _refresh(auth, tokens.refresh, org=strange) == SessionOver("session_ended")
    assert [m.reason for m in auth.events.of(TOKEN_REVOKED.name)] == ["refresh_reuse"]
    assert await auth.refresh(renewed.refresh) is None


async def _refresh(auth: Auth, token: str, **more: Any) -> Any:
    return await auth.sessions.refresh(token, client=ANYBODY, cookies=False, **more)
