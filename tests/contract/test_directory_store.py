"""What operators see of the accounts' store, on both real engines."""

import asyncio
from dataclasses import replace

import pytest

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_accounts import SQLAccounts
from services.auth.adapters.sql_deletions import SQLDeletions
from services.auth.adapters.sql_directory import SQLDirectory
from services.auth.adapters.sql_orgs import SQLOrgs
from services.auth.adapters.sql_outbox import SQLOutbox
from services.auth.adapters.sql_schema import identities
from services.auth.domain.account import Account, Registration
from services.auth.domain.deletion import Deletion
from services.auth.domain.importing import Newcomer
from services.auth.domain.org import Org
from services.auth.domain.outbox import RefuseTokens
from services.auth.ports.directory import ChangedMeanwhileError, Listed, Membership
from shared.clock import SystemClock
from shared.ids import SystemIds

KEY = b"k" * 32
NOW = SystemClock().now_ms()
LATER = NOW + 86_400_000  # NOW is of the collection: the whole suite may come before
IDS = SystemIds()
ADA, BOB = "ada@acme.com", "bob@acme.com"


@pytest.fixture
def directory(database: Database) -> SQLDirectory:
    return SQLDirectory(database, KEY)


@pytest.fixture
def accounts(database: Database) -> SQLAccounts:
    return SQLAccounts(database, KEY)


def newcomer(email: str, sub: str = "", *roles: str) -> Newcomer:
    return Newcomer(Account(sub or IDS.ulid(NOW), email, NOW, verified_at_ms=NOW), roles)


def word(sub: str) -> RefuseTokens:
    return RefuseTokens(IDS.ulid(NOW), sub, "test")


async def test_every_account_is_in_exactly_one_page(directory: SQLDirectory) -> None:
    """Ids of every form: of ours, of other systems, addresses; in pages of seven."""
    subs = [*(IDS.ulid(NOW) for _ in range(20)), "auth0|5f", "a", "Z", "-1", "p0@acme.com", "é"]
    people = [newcomer(f"p{n}@acme.com", sub) for n, sub in enumerate(subs)]
    await directory.bring_in(people, [])

    seen, after = list[str](), ""
    while page := await directory.page(after, 7):
        seen += [listed.account.sub for listed in page]
        after = page[-1].account.sub

    assert len(seen) == len(subs)
    assert set(seen) == set(subs)


async def test_an_account_is_listed_with_what_hangs_on_it(
    database: Database, directory: SQLDirectory
) -> None:
    """Roles, providers and organisations, each by name; one never proven in time is in no list."""
    await directory.bring_in([newcomer(ADA, "ada", "support", "auditor"), newcomer(BOB, "bob")], [])
    orgs, ids = SQLOrgs(database), sorted(IDS.ulid(NOW) for _ in range(2))
    for org, name in zip(ids, ("Zoo", "Acme"), strict=True):
        await orgs.create(Org(org, name, NOW), "ada", [])
    async with database.writing() as connection:
        for provider in ("google", "github"):
            row = {"iss": provider, "subject": "1", "sub": "ada", "provider": provider}
            await connection.execute(
                identities.insert(), {**row, "email": "", "created_at": NOW, "used_at": NOW}
            )

    account = newcomer(ADA, "ada").account
    places = (Membership(ids[1], "Acme", ("owner",)), Membership(ids[0], "Zoo", ("owner",)))
    expected = Listed(account, ("auditor", "support"), ("github", "google"), places)
    assert await directory.by_email(ADA) == expected
    assert await directory.page("", 9) == [expected, Listed(newcomer(BOB, "bob").account)]
    assert await directory.by_email("nobody@acme.com") is None


async def test_what_an_import_has_to_know(
    database: Database, directory: SQLDirectory, accounts: SQLAccounts
) -> None:
    """Accounts by address, also one whose address is kept as a hash; ids in use; ids and addresses deleted."""
    await directory.bring_in([newcomer(ADA, "ada", "auditor"), newcomer(BOB, "gone")], [])
    waiting = Registration(IDS.ulid(NOW), NOW - 1, "hash")
    unproven = await accounts.register("eve@acme.com", "eve", NOW - 9, waiting, [])
    await accounts.forget_expired(NOW)
    deletion = Deletion(IDS.ulid(NOW), "gone", BOB, NOW, NOW)
    await SQLDeletions(database, KEY).delete(deletion, ("auth",), [])

    known = await directory.look_up(
        [ADA, BOB, "eve@acme.com", "new@acme.com"], ["ada", "gone", "new"]
    )

    assert known.by_email.keys() == {ADA, "eve@acme.com"}
    assert known.by_email[ADA].roles == ("auditor",)
    assert known.by_email["eve@acme.com"].account.sub == unproven.account.sub
    assert known.by_email["eve@acme.com"].account.verified_at_ms is None
    assert (known.taken_subs, known.deleted_subs) == ({"ada"}, {"gone"})
    assert known.deleted_emails == {BOB}
    assert [listed.account.sub for listed in await directory.page("", 9)] == ["ada"]


@pytest.mark.parametrize("other", [newcomer(ADA, "other"), newcomer("new@acme.com", "ada")])
async def test_a_batch_is_written_whole_or_not_at_all(
    database: Database, directory: SQLDirectory, other: Newcomer
) -> None:
    """Its address, or its id, was taken a moment ago: nobody of the batch is there, and nothing was said."""
    await directory.bring_in([newcomer(ADA, "ada")], [])
    batch = [newcomer("p1@acme.com", "p1", "auditor"), other, newcomer("p2@acme.com", "p2")]

    with pytest.raises(ChangedMeanwhileError):
        await directory.bring_in(batch, [word("p1")])

    assert [listed.account.sub for listed in await directory.page("", 9)] == ["ada"]
    assert await SQLOutbox(database).pending(9) == []
    await directory.bring_in([batch[0], batch[2]], [word("p1")])
    assert len(await directory.page("", 9)) == 3
    assert len(await SQLOutbox(database).pending(9)) == 1


@pytest.mark.parametrize("blocked_at_ms", [None, NOW], ids=["free", "blocked"])
@pytest.mark.parametrize("swept", [False, True], ids=["waiting", "forgotten"])
async def test_an_unproven_account_becomes_what_an_import_says(
    database: Database,
    directory: SQLDirectory,
    accounts: SQLAccounts,
    blocked_at_ms: int | None,
    *,
    swept: bool,
) -> None:
    """With its address, whether kept or not; what waited for another proof is gone. A second time it is not."""
    waiting = Registration(IDS.ulid(NOW), NOW - 1 if swept else LATER, "theirs")
    await accounts.register(ADA, "ada", NOW - 9, waiting, [])
    if swept:
        await accounts.forget_expired(NOW)
    known = await directory.look_up([ADA], [])
    there = known.by_email[ADA]
    proven = replace(
        there.account, verified_at_ms=NOW, password_hash="hash", blocked_at_ms=blocked_at_ms
    )
    claimed = Newcomer(proven, ("auditor",))

    await directory.bring_in([newcomer(BOB, "bob")], [word("ada")], claimed=[claimed])
    with pytest.raises(ChangedMeanwhileError):
        await directory.bring_in([newcomer("p@acme.com")], [word("p")], claimed=[claimed])

    assert known.forgotten == ({ADA} if swept else set())
    assert await directory.page("", 9) == [
        Listed(proven, ("auditor",)),
        Listed(newcomer(BOB, "bob").account),
    ]
    assert await accounts.registration(waiting.login_id) is None
    assert len(await SQLOutbox(database).pending(9)) == 1


async def test_a_block_outlives_an_import(directory: SQLDirectory, accounts: SQLAccounts) -> None:
    """Also one set while it is judged; and who is not proven stays so, waiting password and all."""
    waiting = Registration(IDS.ulid(NOW), LATER, "theirs")
    await accounts.register(ADA, "ada", NOW, waiting, [])
    there = (await directory.look_up([ADA], [])).by_email[ADA]
    await accounts.block("ada", NOW)

    await directory.bring_in([], [], claimed=[Newcomer(there.account, ("auditor",))])

    blocked = replace(there.account, blocked_at_ms=NOW)
    assert await directory.by_email(ADA) == Listed(blocked, ("auditor",))
    assert await accounts.registration(waiting.login_id) == waiting


async def test_roles_change_once_and_say_so_once(
    database: Database, directory: SQLDirectory
) -> None:
    """Granted ten times at once: one change, one word. Nobody has no roles."""
    await directory.bring_in([newcomer(ADA, "ada", "support")], [])

    async with asyncio.TaskGroup() as ten:
        tasks = [
            ten.create_task(directory.set_roles("ada", ["auditor"], ["support"], [word("ada")]))
            for _ in range(10)
        ]

    assert sorted(task.result() for task in tasks) == [False] * 9 + [True]
    assert len(await SQLOutbox(database).pending(99)) == 1
    listed = await directory.by_email(ADA)
    assert listed is not None
    assert listed.roles == ("auditor",)
    assert not await directory.set_roles("nobody", ["auditor"], [], [word("nobody")])
    assert not await directory.set_roles("ada", [], ["support"], [word("ada")])
