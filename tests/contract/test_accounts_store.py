"""What the flows rely on of the store of accounts, on both real engines."""

import pytest

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_accounts import SQLAccounts
from services.auth.adapters.sql_outbox import SQLOutbox
from services.auth.domain.account import Account, Registration
from services.auth.domain.outbox import Entry, announce
from services.auth.ports.accounts import Proof
from shared.clock import SystemClock
from shared.contract import USER_REGISTERED, USER_VERIFIED
from shared.ids import SystemIds
from shared.messages import UserRegistered, UserVerified

ADA = "ada@acme.com"
NOW = SystemClock().now_ms()
IDS = SystemIds()


def ulid() -> str:
    return IDS.ulid(NOW)


def registered(sub: str) -> Entry:
    return announce(USER_REGISTERED, UserRegistered(id=ulid(), at=NOW, sub=sub))


def verified(sub: str) -> Entry:
    return announce(USER_VERIFIED, UserVerified(id=ulid(), at=NOW, sub=sub))


def waiting(password_hash: str = "hash-1", login_id: str = "", at: int = NOW) -> Registration:
    return Registration(login_id or ulid(), at + 600_000, password_hash)


def proof(sub: str, email: str = ADA, registration: str | None = None) -> Proof:
    return Proof(email, sub, NOW, (registered(sub),), (verified(sub),), registration)


@pytest.fixture
def accounts(database: Database) -> SQLAccounts:
    return SQLAccounts(database, b"k" * 32)


@pytest.fixture
def outbox(database: Database) -> SQLOutbox:
    return SQLOutbox(database)


async def test_a_first_proof_makes_a_verified_account_and_says_so_in_order(
    accounts: SQLAccounts, outbox: SQLOutbox
) -> None:
    """Row and entries in one transaction."""
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

    account = await accounts.prove(proof(first.account.sub, registration=own.login_id))

    assert (first.outcome, account.password_hash) == ("new", "own")
    for registration in (own, *strangers):
        assert await accounts.registration(registration.login_id) is None


async def test_rights_are_none_of_an_organisation_that_is_not_ones_own(
    accounts: SQLAccounts,
) -> None:
    """And of nobody at all where there is no account."""
    account = await accounts.prove(proof(ulid()))

    rights = await accounts.rights(account.sub, "no-such-org")

    assert rights is not None
    assert (rights.account, rights.installation_roles, rights.org_roles) == (account, (), None)
    assert await accounts.rights("nobody", "") is None
