"""What is told when the bus is away: a loss is a 503 until it is told, a gain is simply there."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.auth.domain.org import Done, Membership, NotDone, Org
from services.auth.domain.outbox import Announce, Entry, RefuseTokens
from services.auth.domain.roles import DEFAULT, OWNER
from services.auth.flows.org import OrgFlow, Place
from services.auth.ports import NotAnnouncedError
from services.auth.ports.orgs import EntriesFor
from shared.clock import SystemClock
from shared.ids import SystemIds

ACME = Org("01K0ACME000000000000000000", "Acme", 1)


class OneOrg:
    """Writes whatever it is asked to."""

    def __init__(self) -> None:
        self.made = ACME

    async def create(self, org: Org, _owner: str, entries: Sequence[Entry]) -> Done:
        self.made = org
        return Done(tuple(entries))

    async def membership(self, _org: str, _sub: str) -> Membership:
        return Membership(self.made, (OWNER,))

    async def set_roles(self, *asked: Any) -> Done | NotDone:
        entries: EntriesFor = asked[-1]
        return Done(tuple(entries([asked[2]])))


async def away(*_entries: Entry) -> None:
    """NATS does not answer."""
    raise NotAnnouncedError


def flow(deliver: Any) -> OrgFlow:
    """The flow over it."""
    return OrgFlow(OneOrg(), DEFAULT, deliver, SystemClock(), SystemIds())  # type: ignore[arg-type]


async def test_an_organisation_is_made_once_although_nobody_could_be_told() -> None:
    """A 503 would have the person make a second one; the relay tells it later."""
    place = await flow(away).create("01ADA", "Acme")
    assert isinstance(place, Place)
    assert place.roles == (OWNER,)


async def test_a_lost_role_is_not_done_before_it_is_told() -> None:
    """204 says that the stale tokens are refused; until then it is 503."""
    with pytest.raises(NotAnnouncedError):
        await flow(away).set_roles("01ADA", ACME.org, "01BOB", ["member"])


async def test_tokens_are_refused_before_the_change_is_announced() -> None:
    """Who hears of it and asks again finds the old token refused."""
    told: list[Entry] = []

    async def deliver(*entries: Entry) -> None:
        told.extend(entries)

    await flow(deliver).set_roles("01ADA", ACME.org, "01BOB", ["member"])
    assert [type(entry) for entry in told] == [RefuseTokens, Announce]
    await flow(deliver).create("01ADA", "Acme")
    assert [type(entry) for entry in told[2:]] == [Announce]
