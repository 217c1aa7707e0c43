"""What is left in the outbox is done, in order, by whoever looks: on both real engines."""

import asyncio
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from services.auth.adapters.sql import POOL_SIZE, Database
from services.auth.adapters.sql_outbox import SQLOutbox
from services.auth.adapters.sql_schema import outbox
from services.auth.domain.outbox import Announce, EndSessions, Entry, RefuseTokens, announce
from services.auth.flows.ending import Ending
from services.auth.flows.relay import AT_A_TIME, Relay
from services.auth.ports import Keys, NotAnnouncedError
from shared.contract import USER_ROLES_CHANGED, USER_VERIFIED
from shared.messages import TokenRevoked, UserRolesChanged, UserVerified
from shared.secrets import SymmetricKeys
from tests.support.fakes.auth_ports import FakeEvents
from tests.support.fakes.auth_store import FakeAttempts, FakeAuthStore, FakeSessions
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.ids import FakeIds

KEYS = SymmetricKeys({"k": b"k" * 32})


@dataclass
class Rig:
    """A relay on a real outbox; bus and Redis can go away."""

    relay: Relay
    outbox: SQLOutbox
    events: FakeEvents
    store: FakeAuthStore
    clock: FakeClock
    ids: FakeIds
    database: Database

    async def write(self, *entries: Entry) -> tuple[Entry, ...]:
        """As a transaction does."""
        async with self.database.writing(*entries):
            return entries

    def event(self) -> Announce:
        """`user.verified` of somebody."""
        at = self.clock.now_ms()
        event = UserVerified(id=self.ids.ulid(at), at=at, sub=self.ids.ulid(at))
        return announce(USER_VERIFIED, event)

    def refusable(self) -> Announce:
        """`user.roles_changed` of somebody."""
        at = self.clock.now_ms()
        event = UserRolesChanged(id=self.ids.ulid(at), at=at, sub=self.ids.ulid(at), org="")
        return announce(USER_ROLES_CHANGED, event)

    @property
    def said(self) -> list[str]:
        """The ids of the events of the contract's families, in order."""
        return [getattr(message, "id", "") for _, message in self.events.published]


@pytest.fixture
def rig(database: Database) -> Rig:
    clock, ids, events = FakeClock(), FakeIds(), FakeEvents()
    store = FakeAuthStore(clock)
    sessions = FakeSessions(store)
    keys = Keys(KEYS, KEYS, KEYS, b"i" * 32)
    ending = Ending(FakeAttempts(store), sessions, events, keys, clock, ids)
    outbox = SQLOutbox(database)
    relay = Relay(outbox, ending, events, sessions, clock)
    return Rig(relay, outbox, events, store, clock, ids, database)


async def test_who_wrote_an_entry_does_it_and_it_is_forgotten(rig: Rig) -> None:
    """In the order of writing."""
    entries = await rig.write(*(rig.event() for _ in range(3)))

    await rig.relay.deliver(*entries)

    assert rig.said == [entry.id for entry in entries]
    assert await rig.outbox.pending(10) == []


async def test_what_nobody_does_is_done_at_the_second_look(rig: Rig) -> None:
    """At the first, whoever wrote it may be just doing it."""
    [left] = await rig.write(rig.event())
    await rig.relay.look()
    assert rig.said == []

    await rig.relay.look()

    assert rig.said == [left.id]
    assert await rig.outbox.pending(10) == []
    assert rig.relay.remark() is None


async def test_without_the_bus_nothing_is_lost_and_nothing_overtakes(rig: Rig) -> None:
    """Whoever asked is told 503; then all comes in the order of writing."""
    entries = await rig.write(rig.event(), rig.event())
    rig.events.away = True
    with pytest.raises(NotAnnouncedError):
        await rig.relay.deliver(*entries)
    for _ in range(3):
        await rig.relay.look()
    assert rig.relay.remark() == "2 entries wait"
    assert rig.relay.not_ready() is None

    rig.events.away = False
    await rig.relay.look()

    assert rig.said == [entry.id for entry in entries]
    assert await rig.outbox.pending(10) == []


async def test_without_redis_an_end_waits_and_holds_its_place(rig: Rig) -> None:
    """What was written after it may be about the same person."""
    sub = rig.ids.ulid(1)
    end = EndSessions(rig.ids.ulid(2), sub, "ada@acme.com", "password_reset")
    after = rig.event()
    await rig.write(end, after)
    rig.store.away = True
    with pytest.raises(NotAnnouncedError):
        await rig.relay.deliver(end, after)
    assert rig.said == []

    rig.store.away = False
    await rig.relay.look()
    await rig.relay.look()

    [ended, said] = [message for _, message in rig.events.published]
    assert isinstance(ended, TokenRevoked)
    assert (ended.sub, ended.applies_to, ended.reason) == (sub, "sessions", "password_reset")
    assert isinstance(said, UserVerified)


async def test_done_again_later_an_end_is_still_of_its_first_instant(rig: Rig) -> None:
    """Whoever logged in meanwhile stays logged in, and keeps the tokens got since."""
    sub = rig.ids.ulid(1)
    end = EndSessions(rig.ids.ulid(2), sub, "ada@acme.com", "password_reset")
    refuse = RefuseTokens(rig.ids.ulid(3), sub, "roles_changed")
    await rig.relay.deliver(end, refuse)
    rig.clock.advance(60_000)

    await rig.relay.deliver(end, refuse)

    said = [m for _, m in rig.events.published if isinstance(m, TokenRevoked)]
    assert [m.applies_to for m in said] == ["sessions", "access"] * 2
    assert (said[0].before, said[0].id) == (said[2].before, said[2].id)
    assert (said[1].before, said[1].id) == (said[3].before, refuse.id)


async def test_an_event_that_only_a_newer_version_knows_is_left_to_it(rig: Rig) -> None:
    """It holds up nobody, and ends no worker."""
    unknown = Announce(rig.ids.ulid(1), "user.promoted", b"{}")
    broken = Announce(rig.ids.ulid(2), USER_VERIFIED.name, b"{}")
    [*_, known] = await rig.write(unknown, broken, rig.event())

    await rig.relay.look()
    await rig.relay.look()

    assert rig.said == [known.id]
    assert await rig.outbox.pending(10) == [unknown, broken]


async def test_what_cannot_be_done_holds_up_nobody_else(rig: Rig) -> None:
    """However many of it there are: a full stream keeps neither ends nor other people's events waiting."""
    stuck = await rig.write(*(rig.refusable() for _ in range(AT_A_TIME + 1)))
    end = EndSessions(rig.ids.ulid(2), rig.ids.ulid(1), "bob@acme.com", "password_reset")
    fine = rig.event()
    await rig.write(end, fine)
    rig.events.refused = USER_ROLES_CHANGED.name

    await rig.relay.look()
    await rig.relay.look()

    assert [type(m) for _, m in rig.events.published] == [TokenRevoked, UserVerified]
    assert rig.relay.remark() == f"{AT_A_TIME} entries wait"
    rig.events.refused = ""
    for _ in range(3):
        await rig.relay.look()
    assert sorted(rig.said[2:]) == sorted(entry.id for entry in stuck)


async def test_one_entry_that_can_never_be_done_lets_its_kind_pass(rig: Rig) -> None:
    """It comes after the other people's from the second try on."""
    never, other = await rig.write(rig.event(), rig.event())
    rig.events.refused_ids = {never.id}

    for _ in range(3):
        await rig.relay.look()

    assert rig.said == [other.id]
    assert await rig.outbox.pending(10) == [never]


async def test_word_of_a_person_waits_for_the_end_of_their_sessions(rig: Rig) -> None:
    """Also where it was written first, and never the other way round; other people's word does not."""
    sub = rig.ids.ulid(1)
    about = announce(USER_VERIFIED, UserVerified(id=rig.ids.ulid(2), at=1, sub=sub))
    end = EndSessions(rig.ids.ulid(3), sub, "ada@acme.com", "password_reset")
    other = rig.event()
    await rig.write(about, end, other)
    rig.store.away = True
    await rig.relay.look()
    await rig.relay.look()
    assert rig.said == [other.id]

    rig.store.away = False
    await rig.relay.look()

    assert [type(m) for _, m in rig.events.published[1:]] == [TokenRevoked, UserVerified]


@pytest.mark.parametrize("body", [b'{"id": "A", "sub": "B", "reason": "x", "of": 1}', b"[]", b"no"])
async def test_an_entry_with_fields_of_a_newer_version_is_left_to_it(rig: Rig, body: bytes) -> None:
    """It holds up nobody, and ends no worker."""
    async with rig.database.writing() as connection:
        row = {"entry": "A", "kind": "refuse_tokens", "subject": "", "body": body}
        await connection.execute(outbox.insert(), row)
    refuse = RefuseTokens(rig.ids.ulid(3), rig.ids.ulid(1), "roles_changed")
    await rig.write(refuse)

    await rig.relay.look()
    await rig.relay.look()

    assert [m.reason for _, m in rig.events.published] == ["roles_changed"]
    async with rig.database.reading() as connection:
        assert (await connection.execute(select(outbox.c.entry))).scalars().all() == ["A"]


async def test_a_store_that_is_away_is_said_and_said_no_more(rig: Rig) -> None:
    """The look goes on."""
    held = [await rig.database.engine.connect() for _ in range(POOL_SIZE)]

    await rig.relay.look()
    assert rig.relay.not_ready() == "the store of accounts does not answer"

    for connection in held:
        await connection.close()
    await rig.relay.look()
    assert rig.relay.not_ready() is None


async def test_the_look_ends_with_the_worker(rig: Rig) -> None:
    """At once."""
    stopping = asyncio.Event()
    stopping.set()
    async with asyncio.timeout(5):
        await rig.relay.run(stopping)
