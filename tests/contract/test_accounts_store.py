"""What the flows rely on of the store of accounts, on both real engines."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_accounts import OutdatedError, SQLAccounts
from services.auth.adapters.sql_outbox import SQLOutbox
from services.auth.adapters.sql_schema import (
    deletions,
    installation_roles,
    member_roles,
    members,
    organisations,
)
from services.auth.adapters.sql_schema import outbox as outbox_table
from services.auth.domain.account import Account, Registration, email_hash
from services.auth.domain.outbox import Announce, EndSessions, Entry, RefuseTokens, announce
from services.auth.ports.accounts import AccountsUnavailableError, Proof
from shared.clock import SystemClock
from shared.contract import USER_REGISTERED, USER_VERIFIED
from shared.ids import SystemIds
from shared.messages import UserRegistered, UserVerified

ADA = "ada@acme.com"
NOW = SystemClock().now_ms()
LATER = NOW + 86_400_000  # NOW is of the collection: the whole suite may come before
IDS = SystemIds()
KEY = b"k" * 32


def ulid() -> str:
    return IDS.ulid(NOW)


def registered(sub: str) -> Announce:
    return announce(USER_REGISTERED, UserRegistered(id=ulid(), at=NOW, sub=sub))


def verified(sub: str) -> Announce:
    return announce(USER_VERIFIED, UserVerified(id=ulid(), at=NOW, sub=sub))


def waiting(password_hash: str = "hash", expires_at_ms: int = LATER) -> Registration:
    return Registration(ulid(), expires_at_ms, password_hash)


def proof(sub: str, registration: Registration | None = None, email: str = ADA) -> Proof:
    login_id = registration and registration.login_id
    return Proof(email, sub, NOW, (registered(sub),), (verified(sub),), login_id)


@pytest.fixture
def accounts(database: Database) -> SQLAccounts:
    return SQLAccounts(database, KEY)


@pytest.fixture
def outbox(database: Database) -> SQLOutbox:
    return SQLOutbox(database)


async def delete_account(database: Database, account: Account) -> None:
    """As the deletion leaves it: no row, and its sub and address remembered."""
    row = {
        "deletion": ulid(),
        "sub": account.sub,
        "email_hash": email_hash(KEY, account.email),
        "requested_at": NOW,
        "deadline": NOW,
    }
    async with database.writing() as connection:
        await connection.exec_driver_sql("DELETE FROM accounts")
        await connection.execute(deletions.insert().values(**row))


async def test_a_first_proof_makes_a_verified_account_and_says_so_in_order(
    accounts: SQLAccounts, outbox: SQLOutbox
) -> None:
    """Row and entries in one transaction; a second proof writes nothing."""
    shown = proof(ulid())

    account = await accounts.prove(shown)

    assert account == Account(shown.new_sub, ADA, NOW, verified_at_ms=NOW)
    assert await accounts.by_email(ADA) == account == await accounts.by_sub(account.sub)
    assert await outbox.pending(10) == [*shown.registered, *shown.verified]
    assert await accounts.prove(proof(ulid())) == account
    assert len(await outbox.pending(10)) == 2


async def test_a_waiting_password_becomes_the_accounts_by_its_own_mail_alone(
    accounts: SQLAccounts,
) -> None:
    """Two strangers registered the address as well: theirs are thrown away."""
    own, strangers = waiting("own"), [waiting("stranger-1"), waiting("stranger-2")]
    first = await accounts.register(ADA, ulid(), NOW, strangers[0], [])
    for registration in (own, strangers[1]):
        again = await accounts.register(ADA, ulid(), NOW, registration, [])
        assert (again.outcome, again.account) == ("pending", first.account)

    account = await accounts.prove(proof(first.account.sub, own))

    assert (first.outcome, account.password_hash) == ("new", "own")
    assert await accounts.by_email(ADA) == account
    for registration in (own, *strangers):
        assert await accounts.registration(registration.login_id) is None


@pytest.mark.parametrize("case", ["by another way", "of somebody else", "too late"])
async def test_any_other_proof_throws_waiting_passwords_away(
    accounts: SQLAccounts, case: str
) -> None:
    """A link, a provider, another person's registration, one that has run out: none lets a password in."""
    mine = waiting("stranger", NOW if case == "too late" else LATER)
    theirs = waiting("theirs")
    account = (await accounts.register(ADA, ulid(), NOW, mine, [])).account
    await accounts.register("eve@acme.com", ulid(), NOW, theirs, [])
    shown = {"by another way": None, "of somebody else": theirs, "too late": mine}[case]

    proven = await accounts.prove(proof(account.sub, shown))

    assert (proven.sub, proven.password_hash, proven.verified_at_ms) == (account.sub, "", NOW)
    assert await accounts.registration(mine.login_id) is None
    assert await accounts.registration(theirs.login_id) == theirs


async def test_a_registration_of_a_verified_address_writes_nothing(
    accounts: SQLAccounts, outbox: SQLOutbox
) -> None:
    """No password waits, nothing is announced."""
    account, registration, sub = await accounts.prove(proof(ulid())), waiting(), ulid()
    before = await outbox.pending(10)

    answer = await accounts.register(ADA, sub, NOW, registration, [registered(sub)])

    assert (answer.outcome, answer.account) == ("known", account)
    assert await accounts.registration(registration.login_id) is None
    assert await outbox.pending(10) == before


async def test_a_repeated_registration_is_one(accounts: SQLAccounts, outbox: SQLOutbox) -> None:
    """The answer was lost, the same is asked again."""
    registration, sub = waiting(), ulid()
    entry = registered(sub)
    for outcome in ("new", "pending"):
        answer = await accounts.register(ADA, sub, NOW, registration, [entry])
        assert (answer.outcome, answer.account.sub) == (outcome, sub)

    assert await outbox.pending(10) == [entry]
    assert await accounts.registration(registration.login_id) == registration


async def test_a_waiting_password_that_ran_out_is_not_found(accounts: SQLAccounts) -> None:
    """By the clock of the one who asks."""
    registration = waiting("hash", NOW - 1)
    await accounts.register(ADA, ulid(), NOW, registration, [])

    assert await accounts.registration(registration.login_id) is None


async def test_what_was_never_proven_loses_its_address_and_keeps_its_sub(
    accounts: SQLAccounts, database: Database
) -> None:
    """Services have heard of that sub: whoever proves the address later gets it, and orphans nothing."""
    account = (await accounts.register(ADA, ulid(), NOW, waiting("x", NOW + 1), [])).account

    assert await accounts.forget_expired(NOW) == 0
    assert await accounts.forget_expired(NOW + 1) == 1

    kept = await accounts.by_sub(account.sub)
    assert kept is not None
    assert "@" not in kept.email
    assert await accounts.by_email(ADA) == account
    again = await accounts.register(ADA, ulid(), NOW, waiting("new"), [])
    assert (again.outcome, again.account.sub) == ("pending", account.sub)
    proven = await accounts.prove(proof(account.sub))
    assert (proven.sub, proven.email) == (account.sub, ADA)
    assert await accounts.by_sub(account.sub) == proven


@pytest.mark.parametrize("kind", ["another password waits", "verified", "imported", "adopted"])
async def test_an_account_that_somebody_may_still_need_keeps_its_address(
    accounts: SQLAccounts, kind: str
) -> None:
    """Only what came by a registration, and waits for no proof, is forgotten."""
    sub = ADA if kind == "adopted" else ulid()
    await accounts.register(ADA, sub, NOW, waiting("x", NOW), [])
    if kind == "another password waits":
        await accounts.register(ADA, sub, NOW, waiting("y"), [])
    if kind == "verified":
        await accounts.prove(proof(sub))
    if kind == "imported":
        await accounts.set_password(sub, "foreign-hash", [])

    await accounts.forget_expired(NOW)

    found = await accounts.by_sub(sub)
    assert found is not None
    assert found.email == ADA


async def test_entries_about_another_person_are_refused(
    accounts: SQLAccounts, outbox: SQLOutbox
) -> None:
    """Who was overtaken between reading and writing announces no sub that nobody has."""
    account = (await accounts.register(ADA, ulid(), NOW, waiting(), [])).account

    with pytest.raises(OutdatedError):
        await accounts.prove(proof(ulid()))

    assert await accounts.by_email(ADA) == account
    assert await outbox.pending(10) == []


async def test_somebody_from_before_accounts_keeps_their_sub(
    accounts: SQLAccounts, outbox: SQLOutbox
) -> None:
    """Unless the address has an account by now: then that is who they are."""
    old, entry = Account(ADA, ADA, NOW, verified_at_ms=NOW), verified(ADA)

    assert await accounts.adopt(old, [entry]) == old == await accounts.by_email(ADA)
    assert await accounts.adopt(replace(old, sub=ulid()), []) == old
    assert await outbox.pending(10) == [entry]


async def test_a_sub_of_a_deleted_account_is_never_given_again(
    accounts: SQLAccounts, database: Database, outbox: SQLOutbox
) -> None:
    """Not even where the deletion came between looking and writing."""
    old = Account(ADA, ADA, NOW, verified_at_ms=NOW)
    await accounts.adopt(old, [])
    assert not await accounts.was_deleted(ADA)
    await delete_account(database, old)

    with pytest.raises(AccountsUnavailableError):
        await accounts.adopt(old, [verified(ADA)])

    assert await accounts.was_deleted(ADA)
    assert not await accounts.was_deleted("eve@acme.com")
    assert await accounts.by_email(ADA) is None
    assert await outbox.pending(10) == []


async def test_rights_are_read_in_one_step(accounts: SQLAccounts, database: Database) -> None:
    """What the operator granted, and the roles in the organisation that was asked about; no others."""
    account = await accounts.prove(proof(ulid()))
    mine, other = ulid(), ulid()
    async with database.writing() as connection:
        for org in (mine, other):
            row = {"org": org, "name": "Acme", "created_at": NOW}
            await connection.execute(organisations.insert().values(**row))
        joined = {"org": mine, "sub": account.sub, "joined_at": NOW}
        await connection.execute(members.insert().values(**joined))
        for role in ("owner", "admin"):
            held = {"org": mine, "sub": account.sub, "role": role}
            await connection.execute(member_roles.insert().values(**held))
        await connection.execute(
            installation_roles.insert().values(sub=account.sub, role="auditor")
        )

    rights = {org: await accounts.rights(account.sub, org) for org in (mine, other, "")}

    assert {r and r.account for r in rights.values()} == {account}
    assert {r and r.installation_roles for r in rights.values()} == {("auditor",)}
    said = {org: r and r.org_roles for org, r in rights.items()}
    assert said == {mine: ("admin", "owner"), other: None, "": None}
    assert await accounts.rights("nobody", mine) is None


async def test_a_password_is_set_only_instead_of_the_one_that_was_read(
    accounts: SQLAccounts, outbox: SQLOutbox
) -> None:
    """A rehash never undoes a reset; what does not happen is not announced."""
    account = await accounts.prove(proof(ulid()))
    await outbox.done([entry.id for entry in await outbox.pending(10)])
    ended = EndSessions(ulid(), account.sub, ADA, "password_reset")

    assert await accounts.set_password(account.sub, "new", [ended])
    assert not await accounts.set_password(account.sub, "old again", [], instead_of="old")
    assert not await accounts.set_password("nobody", "x", [RefuseTokens(ulid(), "nobody", "x")])
    assert await accounts.set_password(account.sub, "rehashed", [], instead_of="new")

    found = await accounts.by_sub(account.sub)
    assert found is not None
    assert found.password_hash == "rehashed"
    assert await outbox.pending(10) == [ended]


async def test_a_block_is_kept_and_lifted(accounts: SQLAccounts) -> None:
    """A blocked person's proof changes nothing."""
    account = (await accounts.register(ADA, ulid(), NOW, waiting(), [])).account
    await accounts.block(account.sub, NOW)
    assert await accounts.prove(proof(account.sub)) == replace(account, blocked_at_ms=NOW)

    await accounts.block(account.sub, None)
    await accounts.block("nobody", NOW)

    assert await accounts.by_email(ADA) == account


async def test_entries_come_back_as_they_were_in_the_order_of_writing(
    database: Database, outbox: SQLOutbox
) -> None:
    """ULIDs of one millisecond have no order of their own."""
    written: list[Entry] = []
    for _ in range(5):
        sub = ulid()
        ends = EndSessions(ulid(), sub, ADA, "account_deleted", "operator")
        batch = [registered(sub), ends, RefuseTokens(ulid(), sub, "roles_changed")]
        async with database.writing(*batch):
            written += batch

    assert await outbox.pending(100) == written
    # Each kind has a window of its own: what cannot be done hides nothing of the others.
    assert await outbox.pending(4) == written[:12]
    await outbox.done([entry.id for entry in written[:7]])
    await outbox.done([written[0].id])
    assert await outbox.pending(100) == written[7:]


async def test_an_entry_that_only_a_newer_program_knows_is_left_for_it(
    database: Database, outbox: SQLOutbox
) -> None:
    """Two versions of auth run beside each other during an upgrade."""
    row = {"entry": ulid(), "kind": "later", "subject": "", "body": b"{}"}
    known = registered(ulid())
    async with database.writing(known) as connection:
        await connection.execute(outbox_table.insert().values(**row))

    assert await outbox.pending(10) == [known]


async def test_what_fails_before_the_commit_leaves_nothing(
    database: Database, accounts: SQLAccounts, outbox: SQLOutbox
) -> None:
    """Neither the row nor the entries."""

    class BrokenError(Exception):
        pass

    async def breaks() -> None:
        async with database.writing(registered(ulid())) as connection:
            row = {"org": "1", "name": "Acme", "created_at": 1}
            await connection.execute(organisations.insert().values(**row))
            raise BrokenError

    with pytest.raises(BrokenError):
        await breaks()

    async with database.reading() as connection:
        assert (await connection.execute(organisations.select())).all() == []
    assert await outbox.pending(10) == []


async def at_once(count: int, work: Callable[[int], Awaitable[object]]) -> list[object]:
    """*work* (0…count-1) begun together; their answers, or AccountsUnavailableError's."""
    start = asyncio.Event()

    async def one(number: int) -> object:
        await start.wait()
        try:
            return await work(number)
        except AccountsUnavailableError as error:
            return type(error)

    async with asyncio.TaskGroup() as tasks:
        begun = [tasks.create_task(one(number)) for number in range(count)]
        start.set()
    return [task.result() for task in begun]


async def test_registrations_of_one_address_at_once_make_one_account(
    accounts: SQLAccounts, outbox: SQLOutbox
) -> None:
    """One is new and announced; every password waits at the same account."""
    subs, passwords = [ulid() for _ in range(8)], [waiting(f"hash-{n}") for n in range(8)]

    async def register(number: int) -> object:
        entries = [registered(subs[number])]
        return await accounts.register(ADA, subs[number], NOW, passwords[number], entries)

    answers = await at_once(8, register)

    outcomes = [answer.outcome for answer in answers]  # type: ignore[attr-defined]
    assert sorted(outcomes) == ["new"] + ["pending"] * 7
    account = await accounts.by_email(ADA)
    assert account is not None
    assert account.sub == subs[outcomes.index("new")]
    assert len(await outbox.pending(10)) == 1
    for registration in passwords:
        assert await accounts.registration(registration.login_id) == registration


async def test_proofs_of_one_address_at_once_make_one_account(
    accounts: SQLAccounts, outbox: SQLOutbox
) -> None:
    """Everybody is told of the same; it is announced once."""
    answers = await at_once(8, lambda _: accounts.prove(proof(ulid())))

    assert len({account.sub for account in answers}) == 1  # type: ignore[attr-defined]
    said = await outbox.pending(10)
    assert [entry.subject for entry in said if isinstance(entry, Announce)] == [
        "user.registered",
        "user.verified",
    ]


async def test_of_two_proofs_of_waiting_passwords_at_once_one_wins(
    accounts: SQLAccounts, outbox: SQLOutbox
) -> None:
    """Whichever is first; the other's password is gone, and the address is verified once."""
    for round_ in range(4):
        email = f"ada{round_}@acme.com"
        both = [waiting("first"), waiting("second")]
        for registration in both:
            account = (await accounts.register(email, ulid(), NOW, registration, [])).account

        sub = account.sub
        await at_once(2, lambda n: accounts.prove(proof(sub, both[n], email)))  # noqa: B023

        stored = await accounts.by_sub(sub)
        assert stored is not None
        assert stored.password_hash in {"first", "second"}
        assert len(await outbox.pending(100)) == round_ + 1


async def test_a_registration_beside_a_proof_leaves_no_password_that_was_not_proven(
    accounts: SQLAccounts,
) -> None:
    """Whichever comes first."""
    for round_ in range(4):
        email, late = f"ada{round_}@acme.com", waiting("late")
        sub = (await accounts.register(email, ulid(), NOW, waiting(), [])).account.sub
        works = [
            lambda: accounts.prove(proof(sub, None, email)),  # noqa: B023
            lambda: accounts.register(email, ulid(), NOW, late, []),  # noqa: B023
        ]

        await at_once(2, lambda n: works[n]())  # noqa: B023

        account = await accounts.by_email(email)
        assert account is not None
        assert (account.verified_at_ms, account.password_hash) == (NOW, "")
        assert await accounts.registration(late.login_id) is None


async def test_of_two_changes_of_a_password_at_once_the_later_sees_the_earlier(
    accounts: SQLAccounts,
) -> None:
    """Both say which hash they replace: one is told that it is another by now."""
    account = await accounts.prove(proof(ulid()))

    done = await at_once(
        4, lambda n: accounts.set_password(account.sub, f"hash-{n}", [], instead_of="")
    )

    assert sorted(map(bool, done)) == [False, False, False, True]
