"""What strangers wrote before an operator came: it stops no import, and what is forgotten is in no list."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from services.auth.adapters.sql_directory import SQLDirectory
from services.auth.domain.account import Registration
from services.auth.domain.importing import Judged, Line
from services.auth.domain.roles import RoleTable
from services.auth.flows.directory import DirectoryFlow
from services.auth.flows.users import UserFlow
from services.auth.handlers.accounts import on_export, on_list, on_roles
from services.auth.handlers.users import on_show
from services.auth.ports import StoreUnavailableError
from services.auth.ports.accounts import AccountsUnavailableError
from services.auth.ports.directory import ChangedMeanwhileError
from shared.contract import USER_REGISTERED, USER_VERIFIED
from shared.messages import ExportUsers, ListUsers, SetRoles, ShowUser
from tests.support.accounts_world import (
    ADA,
    AWAY,
    ELSEWHERE,
    GOOD,
    HERE,
    OTHER,
    Counted,
    World,
    open_world,
)

BOB, EVE = "bob@acme.com", "eve@acme.com"
DAYS_MS = 30 * 86_400_000
TABLE = RoleTable(organisation={"owner": frozenset()}, installation={"auditor": frozenset()})


@dataclass
class Office:
    """The operator of a world."""

    world: World

    def __post_init__(self) -> None:
        world, none = self.world, Any
        self.stored = SQLDirectory(world.database, world.keys.index)
        people = Counted(world.people, world.faults, StoreUnavailableError)
        accounts = Counted(world.accounts, world.faults, AccountsUnavailableError)
        users = UserFlow(
            people=people,
            sessions=world.sessions,
            revocations=world.revocations,
            ending=world.links.ending,
            subjects=world.subjects,
            clock=world.clock,
            accounts=accounts,
        )
        self.flow = DirectoryFlow(
            directory=Counted(self.stored, world.faults, AccountsUnavailableError),
            orgs=none,
            table=TABLE,
            users=users,
            deliver=world.relay.deliver,
            clock=world.clock,
            ids=world.ids,
        )

    async def brings(self, *lines: Line, check: bool = False) -> Judged:
        return await self.flow.bring_in(lines, check=check)

    async def there(self, email: str = ADA) -> Any:
        """The account of *email*, as operators see it."""
        return await self.stored.by_email(email)

    async def forgets(self) -> None:
        """A month passes: who proved nothing has no address here any more."""
        self.world.clock.advance(DAYS_MS)
        await self.world.accounts.forget_expired(self.world.clock.now_ms())


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_world(tmp_path) as world:
        yield Office(world)


def codes(judged: Judged) -> tuple[list[str], list[str]]:
    """Problems and notes."""
    return [p.code for p in judged.problems], [n.code for n in judged.notes]


@pytest.mark.parametrize("swept", [False, True], ids=["waiting", "forgotten"])
async def test_a_stranger_s_registration_stops_no_import(office: Office, *, swept: bool) -> None:
    """The person is proven, with the id that services heard of; the stranger's password is worth nothing."""
    world = office.world
    mail = await world.register(ADA, GOOD, ELSEWHERE)
    registered = await world.accounts.by_email(ADA)
    assert registered is not None
    if swept:
        await office.forgets()
        assert await office.there() is None
    password_hash = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(OTHER)
    line = Line(ADA, "legacy-7", verified=True, password_hash=password_hash, roles=("auditor",))
    lines = (line, Line(BOB, "legacy-8", verified=True))

    checked = await office.brings(*lines, check=True)
    assert (await office.there(BOB)) is None
    first = await office.brings(*lines)
    again = await office.brings(*lines)

    assert codes(checked) == codes(first) == codes(again) == ([], ["kept_sub"])
    assert registered.sub in first.notes[0].detail
    assert (len(first.claimed), len(first.newcomers), first.known) == (1, 1, 0)
    assert (again.claimed, again.newcomers, again.known) == ((), (), 2)
    listed = await office.there()
    assert (listed.account.sub, listed.roles) == (registered.sub, ("auditor",))
    subs = [registered.sub, "legacy-8"]
    assert [event.sub for event in world.said(USER_REGISTERED)] == subs
    assert sorted(event.sub for event in world.said(USER_VERIFIED)) == subs
    if not swept:
        await world.click(mail, ELSEWHERE)
    assert not await world.gets_in(GOOD, ADA, ELSEWHERE)
    assert await world.gets_in(OTHER, ADA, HERE)


@pytest.mark.parametrize("swept", [False, True], ids=["waiting", "forgotten"])
@pytest.mark.parametrize(
    "line",
    [
        Line(ADA),
        Line(ADA, "legacy-7"),
        Line(ADA, "legacy-7", roles=("auditor",)),
        Line(ADA, blocked=True),
        Line(ADA, ADA, created_at_ms=7),
    ],
    ids=["bare", "sub", "role", "block", "own address"],
)
async def test_nor_does_it_stop_a_line_that_proves_nothing(
    office: Office, line: Line, *, swept: bool
) -> None:
    """What the line says is so; the address is as unproven as it was; a second time nothing is written."""
    world = office.world
    await world.register(ADA, GOOD, ELSEWHERE)
    if swept:
        await office.forgets()

    first, again = await office.brings(line), await office.brings(line)

    listed = await office.there()
    assert codes(first) == codes(again) == ([], ["kept_sub"] if line.sub else [])
    assert (again.known, again.claimed, again.newcomers) == (1, (), ())
    assert listed.account.verified_at_ms is None
    assert listed.roles == line.roles
    assert (listed.account.blocked_at_ms is not None) is line.blocked
    assert not line.created_at_ms or listed.account.created_at_ms == 7
    assert not world.said(USER_VERIFIED)


async def test_an_address_that_was_forgotten_is_in_no_list(office: Office) -> None:
    """Nor is what stands for it; asked for by its name, it is marked, with the id that services know."""
    world = office.world
    await world.person(BOB)
    await world.register(ADA, GOOD, ELSEWHERE)
    registered = await world.accounts.by_email(ADA)
    assert registered is not None
    users, directory = office.flow.users, office.flow
    before = await on_show(ShowUser(email=ADA), users=users, directory=directory)
    await office.forgets()

    listed = await on_list(ListUsers(), directory=directory)
    out = await on_export(ExportUsers(hashes=True), directory=directory)
    shown = await on_show(ShowUser(email=ADA), users=users, directory=directory)
    roles = await on_roles(SetRoles(email=ADA, grant=("auditor",)), directory=directory)

    assert [user.email for user in listed.users] == [user.email for user in out.users] == [BOB]
    assert (shown.account, shown.forgotten, shown.sub) == (None, True, registered.sub)
    assert (before.forgotten, before.account is not None) == (False, True)
    assert roles.error == "no_account"


async def test_who_has_proven_the_address_is_changed_in_nothing(office: Office) -> None:
    """Another id is told and stops nothing; a role, a block or a password they have not does."""
    account = await office.world.person()
    before = await office.there()

    assert codes(await office.brings(Line(ADA, "legacy-7", verified=True))) == ([], ["kept_sub"])
    for line in (Line(ADA, roles=("auditor",)), Line(ADA, "legacy-7", blocked=True)):
        judged = await office.brings(line, Line(BOB))
        assert [p.code for p in judged.problems] == ["exists"]
    taken = await office.brings(Line(BOB, account.sub), Line(EVE, "bob"))
    assert codes(taken) == (["sub_taken"], [])

    assert await office.there() == before
    assert [await office.there(email) for email in (BOB, EVE)] == [None, None]


async def test_somebody_proves_the_address_while_it_is_brought_in(office: Office) -> None:
    """They had it first: nothing of the batch is written, and the next try takes them as they are."""
    world = office.world
    mail = await world.register()
    known = await office.stored.look_up([ADA], [])
    await world.click(mail)
    row = known.by_email[ADA]

    with pytest.raises(ChangedMeanwhileError):
        await office.stored.bring_in([], [], claimed=[row])

    assert await world.gets_in(GOOD)


@pytest.mark.parametrize("late", [False, True], ids=["refused", "answer lost"])
async def test_nobody_is_kept_out_who_is_not_brought_in(tmp_path: Path, *, late: bool) -> None:
    """Whichever call fails: blocked is only who is there, who is there is blocked; a second try mends all."""
    at = 0
    while True:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        async with open_world(folder) as world:
            office = Office(world)
            waiting = Registration("L", world.clock.now_ms() + DAYS_MS, "hash")
            await world.accounts.register(EVE, "eve", 1, waiting, [])
            lines = (Line(ADA, blocked=True, verified=True), Line(EVE, blocked=True))
            world.faults.arm(at, late=late)
            try:
                await office.brings(*lines)
            except AWAY:
                listed = [await office.there(email) for email in (ADA, EVE)]
                written = [one for one in listed if one and one.account.blocked_at_ms is not None]
                assert len(written) in {0, 2}
                assert written or not world.store.blocked, world.faults.failed
            failed = world.faults.failed
            world.faults.arm(0)
            await office.brings(*lines)

            assert {ADA, EVE} == world.store.blocked.keys(), failed
            assert [(await office.there(e)).account.blocked_at_ms is None for e in (ADA, EVE)] == [
                False,
                False,
            ]
        if not failed:
            break
    assert at > 8
