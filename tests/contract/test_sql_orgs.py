"""Organisations in the store of accounts: the same on SQLite and on PostgreSQL, under every race."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import select

from services.auth.adapters.sql import POOL_SIZE, Database
from services.auth.adapters.sql_deletions import SQLDeletions
from services.auth.adapters.sql_orgs import SQLOrgs
from services.auth.adapters.sql_outbox import SQLOutbox
from services.auth.adapters.sql_schema import (
    accounts,
    invitations,
    member_roles,
    members,
    organisations,
)
from services.auth.domain import org as rules
from services.auth.domain.deletion import Deletion
from services.auth.domain.org import Done, Invitation, NotDone, Org, OrgRefusal, Seats
from services.auth.domain.outbox import Entry, RefuseTokens
from services.auth.domain.roles import DEFAULT
from services.auth.ports.accounts import AccountsUnavailableError
from services.auth.ports.deletions import Deleted, SoleOwner
from services.auth.ports.orgs import Judge
from shared.ids import SystemIds

ACME = Org("01K0ACME000000000000000000", "Acme", 1)
ADA, BOB, EVE = "01ADA", "01BOB", "01EVE"
NOW = 1_000
IDS = SystemIds()

removal: Callable[..., Judge] = lambda oneself: partial(  # noqa: E731
    rules.judge_removal, DEFAULT, oneself=oneself
)
inviting: Judge = partial(rules.judge_invitation, DEFAULT, roles=["member"])


def giving(*roles: str) -> Judge:
    """May the asker give *roles*?"""
    return partial(rules.judge_roles, DEFAULT, roles=roles)


def allowed(_seats: Seats) -> OrgRefusal | None:
    """Everything is."""
    return None


def words(subs: Sequence[str]) -> list[Entry]:
    """An entry for each."""
    return [RefuseTokens(IDS.ulid(NOW), sub, "roles_changed") for sub in subs]


@pytest.fixture
async def orgs(database: Database) -> SQLOrgs:
    """Ada, Bob and Eve have accounts; Ada owns Acme."""
    async with database.writing() as connection:
        for sub, name in ((ADA, "ada"), (BOB, "bob"), (EVE, "eve")):
            row = {"sub": sub, "email": f"{name}@acme.com", "created_at": 1, "password_hash": ""}
            await connection.execute(accounts.insert().values(row))
    store = SQLOrgs(database)
    assert isinstance(await store.create(ACME, ADA, []), Done)
    return store


async def joined(store: SQLOrgs, sub: str, *roles: str) -> None:
    """*sub* is in Acme with *roles*."""
    offer = invitation_for(sub, roles=roles)
    assert isinstance(await store.invite(offer, allowed), Done)
    assert isinstance(await store.accept(offer, sub, NOW, allowed, words), Done)


def invitation_for(
    sub: str, *, roles: Sequence[str] = ("member",), until: int = 9_000
) -> Invitation:
    """Ada's to whoever has *sub*."""
    email = f"{sub[2:].lower()}@acme.com"
    return Invitation(IDS.ulid(NOW), ACME.org, email, tuple(roles), ADA, NOW, until)


async def entries_of(database: Database) -> list[str]:
    """For whom entries rest, in order."""
    return [e.sub for e in await SQLOutbox(database).pending(100) if isinstance(e, RefuseTokens)]


async def test_an_organisation_is_made_with_its_owner(orgs: SQLOrgs) -> None:
    """Whoever makes it owns it, and nobody else sees it."""
    mine = await orgs.membership(ACME.org, ADA)
    assert mine is not None
    assert (mine.org, mine.roles) == (ACME, ("owner",))
    assert await orgs.memberships(ADA) == [mine]
    assert await orgs.membership(ACME.org, BOB) is None
    assert await orgs.membership("01K0NOTHING", ADA) is None
    assert await orgs.memberships(BOB) == []


async def test_somebody_without_an_account_makes_none(orgs: SQLOrgs) -> None:
    """A token outlives its account by moments; nothing is written for it."""
    other = Org("01K0OTHER00000000000000000", "Other", 1)
    assert await orgs.create(other, "01GONE", words(["01GONE"])) == NotDone("no_account")
    assert await orgs.memberships("01GONE") == []


async def test_a_person_is_in_a_bounded_number(orgs: SQLOrgs, database: Database) -> None:
    """A hundred, also when the last ones are made at once."""
    ids = [IDS.ulid(NOW) for _ in range(rules.MAX_ORGS - 2)]
    async with database.writing() as connection:
        rows = [{"org": org, "name": "Acme", "created_at": 1} for org in ids]
        await connection.execute(organisations.insert(), rows)
        places = [{"org": org, "sub": ADA, "joined_at": 1} for org in ids]
        await connection.execute(members.insert(), places)
    last = [Org(IDS.ulid(NOW), "Last", 1) for _ in range(3)]
    async with asyncio.TaskGroup() as tasks:
        made = [tasks.create_task(orgs.create(org, ADA, [])) for org in last]
    assert sorted(type(task.result()).__name__ for task in made) == ["Done", "NotDone", "NotDone"]


async def test_roles_are_replaced_with_word_of_it(orgs: SQLOrgs, database: Database) -> None:
    """Exactly those roles. A repetition writes nothing, and has what still waits done: the first one may have
    been answered 503."""
    await joined(orgs, BOB, "member")
    before = len(await entries_of(database))
    change = partial(orgs.set_roles, ACME.org, ADA, BOB, ["admin"], giving("admin"), words)
    done = await change()
    assert isinstance(done, Done)
    assert len(done.entries) == 1
    assert (await entries_of(database))[before:] == [BOB]
    again = await change()
    assert isinstance(again, Done)
    assert again.entries[-1:] == done.entries
    assert {entry.sub for entry in again.entries if isinstance(entry, RefuseTokens)} == {BOB}
    assert (await entries_of(database))[before:] == [BOB]
    outbox = SQLOutbox(database)
    await outbox.done([entry.id for entry in await outbox.pending(100)])
    assert await change() == Done()
    assert await entries_of(database) == []
    assert [m.roles for m in await orgs.members(ACME.org, "", 10)] == [("owner",), ("admin",)]


async def test_a_refused_change_writes_nothing(orgs: SQLOrgs, database: Database) -> None:
    """Neither rows nor entries, in each method."""
    await joined(orgs, BOB, "member")
    before = await entries_of(database), await orgs.members(ACME.org, "", 10)
    no: Judge = lambda _seats: "not_permitted"  # noqa: E731
    refused = NotDone("not_permitted")
    offer = invitation_for(EVE)
    assert await orgs.rename(ACME.org, BOB, "Evil", no) == refused
    assert await orgs.delete(ACME.org, BOB, no, words) == refused
    assert await orgs.set_roles(ACME.org, BOB, BOB, ["owner"], no, words) == refused
    assert await orgs.remove(ACME.org, BOB, ADA, no, words) == refused
    assert await orgs.invite(offer, no) == refused
    assert await orgs.withdraw(ACME.org, BOB, offer.invitation, no) == refused
    assert (await entries_of(database), await orgs.members(ACME.org, "", 10)) == before
    assert await orgs.invitations(ACME.org, NOW) == []
    mine = await orgs.membership(ACME.org, ADA)
    assert mine is not None
    assert mine.org.name == "Acme"


async def test_a_crash_before_the_commit_changes_nothing(orgs: SQLOrgs, database: Database) -> None:
    """Rows and entries go together."""
    await joined(orgs, BOB, "admin")
    before = await entries_of(database)

    def dies(subs: Sequence[str]) -> list[Entry]:
        raise KeyError(subs)

    for change in (
        orgs.remove(ACME.org, ADA, BOB, allowed, dies),
        orgs.set_roles(ACME.org, ADA, BOB, [], allowed, dies),
        orgs.delete(ACME.org, ADA, allowed, dies),
    ):
        with pytest.raises(KeyError):
            await change
    assert await entries_of(database) == before
    assert [m.roles for m in await orgs.members(ACME.org, "", 10)] == [("owner",), ("admin",)]


async def test_two_owners_who_remove_each_other_leave_one(orgs: SQLOrgs) -> None:
    """At once: one of them stays, whoever was first."""
    await joined(orgs, BOB, "owner")
    async with asyncio.TaskGroup() as tasks:
        results = [
            tasks.create_task(orgs.remove(ACME.org, actor, target, removal(False), words))
            for actor, target in ((ADA, BOB), (BOB, ADA))
        ]
    codes = [task.result() for task in results]
    assert sum(isinstance(code, Done) for code in codes) == 1
    assert NotDone("no_such_org") in codes
    assert [m.roles for m in await orgs.members(ACME.org, "", 10)] == [("owner",)]


@pytest.mark.parametrize("how", ["leave", "demote each other", "demote oneself", "mixed"])
async def test_owners_who_go_at_once_leave_one(orgs: SQLOrgs, how: str) -> None:
    """By whatever way: the last of three owners stays one."""
    await joined(orgs, BOB, "owner")
    await joined(orgs, EVE, "owner")
    leave = [orgs.remove(ACME.org, s, s, removal(True), words) for s in (ADA, BOB, EVE)]
    demote = [
        orgs.set_roles(ACME.org, a, t, ["member"], giving("member"), words)
        for a, t in ((ADA, BOB), (BOB, EVE), (EVE, ADA))
    ]
    step_down = [
        orgs.set_roles(ACME.org, s, s, ["member"], giving("member"), words) for s in (ADA, BOB, EVE)
    ]
    ways = {
        "leave": leave,
        "demote each other": demote,
        "demote oneself": step_down,
        "mixed": [leave[0], demote[1], step_down[2]],
    }
    async with asyncio.TaskGroup() as tasks:
        for change in ways[how]:
            tasks.create_task(change)
    for change in (*leave, *demote, *step_down):
        change.close()
    owners = [m for m in await orgs.members(ACME.org, "", 10) if "owner" in m.roles]
    assert len(owners) == 1


async def test_who_was_demoted_a_moment_ago_changes_nothing_more(orgs: SQLOrgs) -> None:
    """What an asker may is read under the lock, not before it."""
    await joined(orgs, BOB, "owner")
    await joined(orgs, EVE, "member")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(orgs.set_roles(ACME.org, ADA, BOB, ["member"], giving("member"), words))
        promoted = tasks.create_task(
            orgs.set_roles(ACME.org, BOB, EVE, ["owner"], giving("owner"), words)
        )
    roles = {m.sub: m.roles for m in await orgs.members(ACME.org, "", 10)}
    assert roles[BOB] == ("member",)
    # Either Bob was first, and it counts, or he was an owner no more.
    assert (roles[EVE] == ("owner",)) == isinstance(promoted.result(), Done)


async def test_what_no_id_can_be_is_nobodys(orgs: SQLOrgs) -> None:
    """It comes in a path as easily as an id, and must not become an error of the database."""
    await joined(orgs, BOB, "member")
    for odd in ("\x00", "01K0\x00", "\ud800", "'; --", "x" * 9000):
        assert await orgs.membership(odd, ADA) is None
        assert len(await orgs.members(ACME.org, odd, 10)) <= 2
        remove = orgs.remove(ACME.org, ADA, odd, removal(False), words)
        assert await remove == NotDone("no_such_member")
        change = orgs.set_roles(ACME.org, ADA, odd, ["member"], giving("member"), words)
        assert await change == NotDone("no_such_member")
        assert await orgs.remove(odd, ADA, BOB, removal(False), words) == NotDone("no_such_org")
        withdrawn = await orgs.withdraw(ACME.org, ADA, odd, allowed)
        assert withdrawn == NotDone("no_such_invitation")


async def test_members_come_in_pages(orgs: SQLOrgs) -> None:
    """In the order of their sub, after the one before."""
    await joined(orgs, BOB, "member")
    await joined(orgs, EVE)
    first = await orgs.members(ACME.org, "", 2)
    assert [(m.sub, m.email, m.roles) for m in first] == [
        (ADA, "ada@acme.com", ("owner",)),
        (BOB, "bob@acme.com", ("member",)),
    ]
    assert [(m.sub, m.roles) for m in await orgs.members(ACME.org, BOB, 2)] == [(EVE, ())]


async def test_it_is_there_until_it_is_deleted(orgs: SQLOrgs) -> None:
    """Of several asked for at once, those that are; of none, none."""
    other = Org("01K0THER000000000000000000", "Other", 1)
    assert isinstance(await orgs.create(other, BOB, []), Done)
    asked = frozenset({ACME.org, other.org, "01N0NE00000000000000000000"})
    assert await orgs.existing(asked) == {ACME.org, other.org}
    assert await orgs.existing(frozenset()) == frozenset()
    await orgs.delete(ACME.org, ADA, allowed, words)
    assert await orgs.existing(asked) == {other.org}


async def test_a_deleted_organisation_leaves_nothing(orgs: SQLOrgs, database: Database) -> None:
    """Memberships, roles and invitations go with it, and everybody's tokens are refused."""
    await joined(orgs, BOB, "admin")
    assert isinstance(await orgs.invite(invitation_for(EVE), allowed), Done)
    done = await orgs.delete(ACME.org, ADA, allowed, words)
    assert isinstance(done, Done)
    assert [entry.sub for entry in done.entries if isinstance(entry, RefuseTokens)] == [ADA, BOB]
    async with database.reading() as connection:
        for table in (members, member_roles, invitations):
            assert (await connection.execute(select(table))).all() == []
    assert await orgs.membership(ACME.org, ADA) is None


async def test_an_invitation_works_once(orgs: SQLOrgs) -> None:
    """Eight accept it at once: one membership."""
    offer = invitation_for(BOB)
    assert isinstance(await orgs.invite(offer, allowed), Done)
    async with asyncio.TaskGroup() as tasks:
        tries = [tasks.create_task(orgs.accept(offer, BOB, NOW, inviting, words)) for _ in range(8)]
    results = [task.result() for task in tries]
    assert sum(isinstance(result, Done) for result in results) == 1
    assert results.count(NotDone("no_such_invitation")) == 7


async def test_an_invitation_runs_out(orgs: SQLOrgs) -> None:
    """At its last instant it is over, in every question."""
    offer = invitation_for(BOB, until=2_000)
    assert isinstance(await orgs.invite(offer, allowed), Done)
    assert await orgs.invitation(offer.invitation, 1_999) == (offer, ACME)
    assert await orgs.invitations(ACME.org, 1_999) == [offer]
    assert await orgs.invitation(offer.invitation, 2_000) is None
    assert await orgs.invitations(ACME.org, 2_000) == []
    gone = NotDone("no_such_invitation")
    assert await orgs.accept(offer, BOB, 2_000, inviting, words) == gone
    assert await orgs.membership(ACME.org, BOB) is None


async def test_a_newer_invitation_replaces_the_older(orgs: SQLOrgs) -> None:
    """One open one for each address."""
    older, newer = invitation_for(BOB), invitation_for(BOB, roles=["admin"])
    for offer in (older, newer):
        assert isinstance(await orgs.invite(offer, allowed), Done)
    assert await orgs.invitations(ACME.org, NOW) == [newer]
    assert await orgs.invitation(older.invitation, NOW) is None


@pytest.mark.parametrize("now", [["member"], None])
async def test_who_lost_the_right_to_invite_offers_nothing_any_more(
    orgs: SQLOrgs, now: list[str] | None
) -> None:
    """The maker was demoted, or removed, before it was accepted."""
    await joined(orgs, EVE, "admin")
    mine = invitation_for(BOB)
    offer = Invitation(mine.invitation, ACME.org, mine.email, ("member",), EVE, NOW, 9_000)
    assert isinstance(await orgs.invite(offer, inviting), Done)
    if now is None:
        await orgs.remove(ACME.org, ADA, EVE, removal(False), words)
    else:
        await orgs.set_roles(ACME.org, ADA, EVE, now, giving(*now), words)
    assert await orgs.accept(offer, BOB, NOW, inviting, words) == NotDone("no_such_invitation")
    assert await orgs.membership(ACME.org, BOB) is None


async def test_a_member_is_not_invited_again(orgs: SQLOrgs) -> None:
    """Whose address is a member's gets no mail."""
    await joined(orgs, BOB, "member")
    assert await orgs.invite(invitation_for(BOB), inviting) == NotDone("already_member")


async def test_accepting_takes_nothing_from_a_member(orgs: SQLOrgs) -> None:
    """Who joined by another way meanwhile has the roles of both."""
    offer, other = invitation_for(BOB), invitation_for(BOB, roles=["admin"])
    assert isinstance(await orgs.invite(offer, allowed), Done)
    assert isinstance(await orgs.accept(offer, BOB, NOW, allowed, words), Done)
    elsewhere = Invitation(other.invitation, ACME.org, "b@acme.com", ("admin",), ADA, NOW, 9_000)
    assert isinstance(await orgs.invite(elsewhere, allowed), Done)
    assert isinstance(await orgs.accept(elsewhere, BOB, NOW, allowed, words), Done)
    mine = await orgs.membership(ACME.org, BOB)
    assert mine is not None
    assert mine.roles == ("admin", "member")


async def test_open_invitations_are_bounded(orgs: SQLOrgs, database: Database) -> None:
    """Two hundred; those that ran out do not count."""
    rows = [
        {"invitation": IDS.ulid(NOW), "org": ACME.org, "email": f"p{n}@acme.com", "roles": "member",
         "invited_by": ADA, "created_at": 1, "expires_at": 9_000 if n else 500}
        for n in range(rules.MAX_OPEN_INVITATIONS)
    ]  # fmt: skip
    async with database.writing() as connection:
        await connection.execute(invitations.insert(), rows)
    assert isinstance(await orgs.invite(invitation_for(BOB), allowed), Done)
    assert await orgs.invite(invitation_for(EVE), allowed) == NotDone("too_many")


async def test_an_invitation_of_another_organisation_is_not_withdrawn(orgs: SQLOrgs) -> None:
    """Its id alone opens nothing."""
    offer = invitation_for(BOB)
    assert isinstance(await orgs.invite(offer, allowed), Done)
    other = Org("01K0OTHER00000000000000000", "Other", 1)
    assert isinstance(await orgs.create(other, EVE, []), Done)
    gone = NotDone("no_such_invitation")
    assert await orgs.withdraw(other.org, EVE, offer.invitation, allowed) == gone
    assert await orgs.invitations(ACME.org, NOW) == [offer]
    assert await orgs.withdraw(ACME.org, ADA, offer.invitation, allowed) == Done()
    assert await orgs.withdraw(ACME.org, ADA, offer.invitation, allowed) == gone


@pytest.mark.parametrize("first", ["leaves", "deletes"])
async def test_an_owner_who_leaves_while_the_other_deletes_the_account(
    orgs: SQLOrgs, database: Database, first: str
) -> None:
    """At once: one of the two is refused, and the organisation keeps an owner."""
    await joined(orgs, BOB, "owner")
    await joined(orgs, EVE, "member")
    ledger = SQLDeletions(database, b"k" * 32)
    gone = Deletion(IDS.ulid(NOW), BOB, "bob@acme.com", NOW, NOW + 1)
    leaving = orgs.remove(ACME.org, ADA, ADA, removal(True), words)
    deleting = ledger.delete(gone, ["shop"], [])
    changes = [leaving, deleting] if first == "leaves" else [deleting, leaving]
    async with asyncio.TaskGroup() as tasks:
        results = [tasks.create_task(change) for change in changes]
    outcomes = {type(task.result()) for task in results}
    assert outcomes in ({Done, SoleOwner}, {NotDone, Deleted})
    owners = [m.sub for m in await orgs.members(ACME.org, "", 10) if "owner" in m.roles]
    assert len(owners) == 1


@pytest.mark.parametrize(
    "accounts_url", ["postgresql"], indirect=True
)  # SQLite: one writer at a time
async def test_what_waits_for_one_organisation_leaves_connections_for_all_others(
    orgs: SQLOrgs, database: Database
) -> None:
    """However many changes of it are asked for at once, while somebody else holds it."""
    row = select(organisations.c.org).where(organisations.c.org == ACME.org)
    outcomes: list[str] = []

    async def rename() -> None:
        try:
            outcomes.append(type(await orgs.rename(ACME.org, ADA, "Acme 2", allowed)).__name__)
        except AccountsUnavailableError as error:  # its turn did not come in time
            outcomes.append(str(error))

    async with asyncio.TaskGroup() as tasks, database.writing() as held:
        await held.execute(row.with_for_update())
        for _ in range(POOL_SIZE):
            tasks.create_task(rename())
        await asyncio.sleep(0)
        assert isinstance(await orgs.create(replace(ACME, org=IDS.ulid(1)), BOB, []), Done)
        assert len(await orgs.memberships(BOB)) == 1
        assert "Done" not in outcomes  # they wait still, or were refused
    mine = await orgs.membership(ACME.org, ADA)
    assert mine is not None
    assert mine.org.name == "Acme 2"
