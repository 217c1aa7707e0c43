"""The ledger of deletions, on both real engines."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_accounts import SQLAccounts
from services.auth.adapters.sql_deletions import SQLDeletions
from services.auth.adapters.sql_orgs import SQLOrgs
from services.auth.adapters.sql_outbox import SQLOutbox
from services.auth.adapters.sql_schema import (
    deletions,
    identities,
    installation_roles,
    invitations,
    member_roles,
    members,
    metadata,
    organisations,
)
from services.auth.domain.account import Account, Registration
from services.auth.domain.deletion import DELAYS_MS, OWN, Deletion, entries_of
from services.auth.domain.org import Org
from services.auth.domain.outbox import Entry
from services.auth.ports.deletions import Deleted, Erasing, NoAccount, SoleOwner
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.messages import ClientHint

KEY = b"k" * 32
NOW = SystemClock().now_ms()
IDS = SystemIds()
ADA, BOB = "ada@acme.com", "bob@acme.com"


@pytest.fixture
def ledger(database: Database) -> SQLDeletions:
    return SQLDeletions(database, KEY)


@pytest.fixture
def accounts(database: Database) -> SQLAccounts:
    return SQLAccounts(database, KEY)


@pytest.fixture
def orgs(database: Database) -> SQLOrgs:
    return SQLOrgs(database)


async def person(accounts: SQLAccounts, email: str) -> str:
    """An account of *email*; its sub."""
    account = Account(IDS.ulid(NOW), email, NOW, verified_at_ms=NOW, password_hash="h")
    await accounts.adopt(account, [])
    return account.sub


def deletion_of(sub: str, email: str = ADA, id_: str = "") -> tuple[Deletion, tuple[Entry, ...]]:
    deletion = Deletion(id_ or IDS.ulid(NOW), sub, email, NOW, NOW + 1000)
    return deletion, entries_of(deletion, "k1", ClientHint())


async def gone(
    ledger: SQLDeletions, outbox: SQLOutbox, sub: str, *services: str, email: str = ADA
) -> Deletion:
    """The deletion of *sub*, with what its outbox said done."""
    deletion, entries = deletion_of(sub, email)
    result = await ledger.delete(deletion, (OWN, *services), entries)
    assert isinstance(result, Deleted), result
    await outbox.done([entry.id for entry in entries])
    return deletion


async def everything(database: Database) -> str:
    """Every row of every table, the outbox aside."""
    async with database.reading() as connection:
        return " ".join(
            [
                repr(tuple(row))
                for table in metadata.sorted_tables
                if table.name != "outbox"
                for row in await connection.execute(select(table))
            ]
        )


async def test_with_the_account_goes_all_that_hangs_on_it(
    database: Database, accounts: SQLAccounts, ledger: SQLDeletions, orgs: SQLOrgs
) -> None:
    """Password, waiting passwords, identities, roles, memberships, invitations; rows of others stay."""
    ada, bob = await person(accounts, ADA), await person(accounts, BOB)
    own, shared = IDS.ulid(NOW), IDS.ulid(NOW)
    await orgs.create(Org(own, "Own", NOW), ada, [])
    await orgs.create(Org(shared, "Shared", NOW), bob, [])
    invitation = {
        "invitation": IDS.ulid(NOW), "roles": "member", "created_at": NOW, "expires_at": NOW + 9
    }  # fmt: skip
    async with database.writing() as c:
        await c.execute(members.insert(), {"org": shared, "sub": ada, "joined_at": NOW})
        await c.execute(member_roles.insert(), {"org": shared, "sub": ada, "role": "admin"})
        await c.execute(installation_roles.insert(), {"sub": ada, "role": "auditor"})
        identity = {"iss": "https://p", "subject": "1", "sub": ada, "provider": "p", "email": ADA}
        await c.execute(identities.insert(), {**identity, "created_at": NOW, "used_at": NOW})
        to_ada = {"org": shared, "email": ADA, "invited_by": bob}
        by_ada = {"org": shared, "email": "eve@acme.com", "invited_by": ada}
        to_eve = {"org": shared, "email": "eve@acme.com", "invited_by": bob}
        await c.execute(invitations.insert(), {**invitation, **to_ada})
        await c.execute(invitations.insert(), {**invitation, "invitation": IDS.ulid(NOW), **by_ada})
        await c.execute(invitations.insert(), {**invitation, "invitation": IDS.ulid(NOW), **to_eve})
    await accounts.register("ada2@acme.com", IDS.ulid(NOW), NOW, waiting(), [])

    outbox = SQLOutbox(database)
    deletion = await gone(ledger, outbox, ada)
    assert ADA in await everything(database), "until everybody has answered the ledger knows it"
    assert await ledger.done(deletion.id, OWN, NOW)

    left = await everything(database)
    assert ADA not in left
    assert own not in left, "an organisation whose only member went"
    assert "Shared" in left
    assert left.count("eve@acme.com") == 1
    assert left.count(ada) == 1, "the ledger alone, so that the id is never given to anybody"
    assert await accounts.by_sub(ada) is None
    assert await accounts.was_deleted(ADA)
    assert not await accounts.was_deleted(BOB)


def waiting() -> Registration:
    return Registration(IDS.ulid(NOW), NOW + 86_400_000, "hash")


async def test_the_only_owner_of_an_organisation_with_others_hands_it_over_first(
    database: Database, accounts: SQLAccounts, ledger: SQLDeletions, orgs: SQLOrgs
) -> None:
    """Nothing is changed, and the organisations are named; with a second owner it goes."""
    ada, bob = await person(accounts, ADA), await person(accounts, BOB)
    org = IDS.ulid(NOW)
    await orgs.create(Org(org, "Acme", NOW), ada, [])
    async with database.writing() as c:
        await c.execute(members.insert(), {"org": org, "sub": bob, "joined_at": NOW})
    deletion, entries = deletion_of(ada)

    assert await ledger.delete(deletion, (OWN,), entries) == SoleOwner(((org, "Acme"),))
    assert await accounts.by_sub(ada) is not None
    assert await SQLOutbox(database).pending(9) == []
    assert await ledger.page(every=True, after="", limit=9) == []

    async with database.writing() as c:
        await c.execute(member_roles.insert(), {"org": org, "sub": bob, "role": "owner"})
    assert isinstance(await ledger.delete(deletion, (OWN,), entries), Deleted)
    assert (await orgs.membership(org, bob)) is not None


async def test_of_two_owners_who_leave_at_once_one_has_to_stay(
    database: Database, accounts: SQLAccounts, ledger: SQLDeletions, orgs: SQLOrgs
) -> None:
    """Each sees the other as owner unless the organisation is locked; ten organisations, each its own race."""
    for n in range(10):
        ada, bob = (
            await person(accounts, f"a{n}@acme.com"),
            await person(accounts, f"b{n}@acme.com"),
        )
        eve, org = await person(accounts, f"e{n}@acme.com"), IDS.ulid(NOW)
        await orgs.create(Org(org, "Acme", NOW), ada, [])
        async with database.writing() as c:
            for sub in (bob, eve):
                await c.execute(members.insert(), {"org": org, "sub": sub, "joined_at": NOW})
            await c.execute(member_roles.insert(), {"org": org, "sub": bob, "role": "owner"})

        async with asyncio.TaskGroup() as both:
            tasks = [both.create_task(_delete(ledger, sub)) for sub in (ada, bob)]

        kinds = sorted(type(task.result()).__name__ for task in tasks)
        assert kinds == ["Deleted", "SoleOwner"]


async def _delete(ledger: SQLDeletions, sub: str) -> object:
    deletion, entries = deletion_of(sub)
    return await ledger.delete(deletion, (OWN,), entries)


async def test_a_deletion_that_is_asked_for_again_is_the_first_one(
    database: Database, accounts: SQLAccounts, ledger: SQLDeletions
) -> None:
    """By an answer that was lost, or five times at once: one row; of nobody there is none."""
    ada = await person(accounts, ADA)

    async with asyncio.TaskGroup() as five:
        tasks = [five.create_task(_delete(ledger, ada)) for _ in range(5)]

    results = [task.result() for task in tasks]
    deleted = [result for result in results if isinstance(result, Deleted)]
    assert sorted(result.again for result in deleted) == [False, True, True, True, True]
    assert len({result.deletion.id for result in deleted}) == 1
    assert len(await SQLOutbox(database).pending(99)) == 3
    assert await _delete(ledger, "nobody") == NoAccount()


async def test_nobody_is_asked_before_the_deletion_is_announced(
    database: Database, accounts: SQLAccounts, ledger: SQLDeletions
) -> None:
    """Sessions end first, then the fact, then the questions: whatever is still in the outbox holds them up."""
    ada = await person(accounts, ADA)
    deletion, entries = deletion_of(ada)
    await ledger.delete(deletion, (OWN, "shop"), entries)
    outbox = SQLOutbox(database)

    for entry in entries:
        assert await ledger.claim(NOW, 9) == []
        await outbox.done([entry.id])

    asked = await ledger.claim(NOW, 9)
    assert sorted(erasing.service for erasing in asked) == [OWN, "shop"]
    assert {erasing.deletion for erasing in asked} == {deletion}


@pytest.mark.parametrize("end", ["00", "YZ", "ZX", "ZY", "ZZ"])
async def test_deletions_that_wait_hold_up_no_others(
    database: Database, accounts: SQLAccounts, ledger: SQLDeletions, end: str
) -> None:
    """However many are not announced yet, and whatever their ids carry into: who is, is asked about."""
    for n in range(5):
        sub, email = await person(accounts, f"p{n}@acme.com"), f"p{n}@acme.com"
        deletion, entries = deletion_of(sub, email, IDS.ulid(NOW)[:-2] + end)
        await ledger.delete(deletion, (OWN, "shop"), entries)
    announced = await gone(ledger, SQLOutbox(database), await person(accounts, ADA))

    asked = await ledger.claim(NOW, 2)

    assert [erasing.deletion for erasing in asked] == [announced]


async def test_two_processes_never_put_the_same_question(
    database: Database, accounts: SQLAccounts, ledger: SQLDeletions
) -> None:
    """Twenty deletions of two services, claimed by four at once: each question is one's."""
    outbox = SQLOutbox(database)
    for n in range(20):
        await gone(ledger, outbox, await person(accounts, f"p{n}@acme.com"), "shop")

    async with asyncio.TaskGroup() as four:
        tasks = [four.create_task(ledger.claim(NOW, 100)) for _ in range(4)]

    asked = [(e.deletion.id, e.service) for task in tasks for e in task.result()]
    assert len(asked) == len(set(asked)) == 40


async def test_who_does_not_answer_is_asked_again_and_again_with_growing_pauses(
    database: Database, accounts: SQLAccounts, ledger: SQLDeletions
) -> None:
    """At each delay of the table, not a millisecond before; the last delay for ever."""
    await gone(ledger, SQLOutbox(database), await person(accounts, ADA))
    now = NOW

    for asked in range(1, len(DELAYS_MS) + 3):
        claimed = await ledger.claim(now, 9)
        assert [e.asked for e in claimed] == [asked]
        pause = DELAYS_MS[min(asked, len(DELAYS_MS) - 1)]
        assert await ledger.claim(now + pause - 1, 9) == []
        now += pause


async def test_the_last_answer_completes_it_and_takes_the_address(
    database: Database, accounts: SQLAccounts, ledger: SQLDeletions
) -> None:
    """Two last answers at once complete it exactly once; an answer that comes twice changes nothing."""
    outbox = SQLOutbox(database)
    for n in range(10):
        email = f"p{n}@acme.com"
        sub = await person(accounts, email)
        deletion = await gone(ledger, outbox, sub, "shop", "billing", email=email)
        assert not await ledger.done(deletion.id, OWN, NOW)
        assert not await ledger.done(deletion.id, OWN, NOW + 5)

        async with asyncio.TaskGroup() as both:
            tasks = [
                both.create_task(ledger.done(deletion.id, s, NOW)) for s in ("shop", "billing")
            ]

        assert sorted(task.result() for task in tasks) == [False, True]
        assert email not in await everything(database)
    rows = await ledger.page(every=True, after="", limit=99)
    assert all(row.deletion.completed_at_ms == NOW for row in rows)
    assert all(answer.answered_at_ms == NOW for row in rows for answer in row.answers)
    assert await ledger.page(every=False, after="", limit=99) == []
    assert await ledger.claim(NOW + 10**9, 99) == []


async def test_the_list_says_who_is_missing_since_when_and_why(
    database: Database, accounts: SQLAccounts, ledger: SQLDeletions
) -> None:
    """Pages in the order of the ids; the number of the late ones."""
    outbox = SQLOutbox(database)
    subs = [await person(accounts, f"p{n}@acme.com") for n in range(5)]
    ids = [(await gone(ledger, outbox, sub, "shop")).id for sub in subs]
    for erasing in await ledger.claim(NOW + 7, 99):
        await answer(ledger, erasing)

    first = await ledger.page(every=False, after="", limit=3)
    rest = await ledger.page(every=False, after=first[-1].deletion.id, limit=3)

    assert [row.deletion.id for row in (*first, *rest)] == sorted(ids)
    own, shop = first[0].answers
    assert (own.service, own.answered_at_ms, own.asked) == (OWN, NOW, 1)
    assert (shop.service, shop.answered_at_ms, shop.asked_at_ms, shop.note) == (
        "shop", None, NOW + 7, "later: busy",
    )  # fmt: skip
    assert (await ledger.late(NOW + 1000), await ledger.late(NOW + 1001)) == (0, 5)


async def answer(ledger: SQLDeletions, erasing: Erasing) -> None:
    if erasing.service == OWN:
        await ledger.done(erasing.deletion.id, OWN, NOW)
    else:
        await ledger.note(erasing.deletion.id, erasing.service, "later: busy")


async def test_an_id_of_a_deleted_account_is_never_given_again(
    database: Database, accounts: SQLAccounts, ledger: SQLDeletions
) -> None:
    """A person who had kept the address as id, deleted, and comes back: the old id is nobody's."""
    await accounts.adopt(Account(ADA, ADA, NOW, verified_at_ms=NOW), [])
    deletion = await gone(ledger, SQLOutbox(database), ADA)
    await ledger.done(deletion.id, OWN, NOW)

    assert await accounts.was_deleted(ADA)
    async with database.reading() as c:
        kept = [row.sub for row in await c.execute(select(deletions))]
        assert (await c.execute(select(organisations))).all() == []
    assert kept == [ADA], "the id is the address: SECURITY.md says so"
    again = replace(deletion, id=IDS.ulid(NOW))
    assert (await ledger.delete(again, (OWN,), [])) == Deleted(
        replace(deletion, email="", completed_at_ms=NOW), again=True
    )
