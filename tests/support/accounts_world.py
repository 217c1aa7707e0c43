"""Accounts without sockets: the real flows on SQLite, with Redis, the bus and the clock in memory.

Every call of a port is counted, and one of them can be made to fail: before it did anything, or after (an
answer that was lost).
"""

import functools
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from services.auth.adapters.argon2_hasher import Argon2Hasher, Argon2Parameters
from services.auth.adapters.sql import Database
from services.auth.adapters.sql_accounts import SQLAccounts
from services.auth.adapters.sql_outbox import SQLOutbox
from services.auth.adapters.sql_schema import metadata
from services.auth.domain.account import Account, Rights, Standing
from services.auth.domain.client import Client
from services.auth.domain.limits import Rate
from services.auth.domain.link import LinkAsk, LinkSent, Proof, TokenProof
from services.auth.domain.outcomes import SessionOpened
from services.auth.domain.password import PasswordRules
from services.auth.domain.password_use import InvalidCredentials, PasswordLogin
from services.auth.domain.tries import TryLimits
from services.auth.flows.asking import Asking, LinkPolicy
from services.auth.flows.ending import Ending
from services.auth.flows.link import LinkFlow
from services.auth.flows.opening import Opening
from services.auth.flows.password import PasswordFlow
from services.auth.flows.proving import Proving
from services.auth.flows.register import RegisterFlow
from services.auth.flows.relay import Relay
from services.auth.flows.reset import ResetFlow
from services.auth.flows.subjects import AccountSubjects
from services.auth.flows.tokens import Issuer
from services.auth.flows.typed import TypedPasswords
from services.auth.ports import BusUnavailableError, FeedStaleError, Keys, StoreUnavailableError
from services.auth.ports.accounts import AccountsUnavailableError, HasherBusyError
from shared.allow import parse_allow
from shared.contract import LOGIN_REQUESTED
from shared.links import link_token, login_code
from shared.secrets import SymmetricKeys
from tests.support.auth_flows import PlainTokens
from tests.support.databases import forget_the_disk
from tests.support.fakes.auth_ports import FakeEvents, FakeRevocations
from tests.support.fakes.auth_store import FakeAttempts, FakeAuthStore, FakePeople, FakeSessions
from tests.support.fakes.auth_tries import FakeTries
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.ids import FakeIds

ADA = "ada@acme.com"
HERE, ELSEWHERE = "b" * 64, "e" * 64  # two browsers
FIREFOX = Client("203.0.113.0/24", "Firefox on Linux")
CHROME = Client("198.51.100.0/24", "Chrome on Windows")
GOOD, OTHER, THIRD = "correct horse battery", "staple of the third", "yet another long one"
AWAY = (StoreUnavailableError, BusUnavailableError, FeedStaleError, HasherBusyError)
CHEAP = Argon2Parameters(memory=8, passes=1)
PLENTY = Rate(1_000_000, 1000)


@dataclass
class Faults:
    """The call numbered *at* (from 1) fails; *late*: after it did its work."""

    at: int = 0
    late: bool = False
    calls: list[str] = field(default_factory=list)
    failed: str = ""

    def arm(self, at: int, *, late: bool = False) -> None:
        """Count from here; 0: none fails."""
        self.calls.clear()
        self.at, self.late = at, late


class Counted:
    """A port whose calls count; *error* is what a failing one raises."""

    def __init__(self, port: Any, faults: Faults, error: type[Exception]) -> None:
        self.port, self._faults, self._error = port, faults, error

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.port, name)

        async def call(*args: Any, **options: Any) -> Any:
            self._faults.calls.append(f"{type(self.port).__name__}.{name}")
            fails = len(self._faults.calls) == self._faults.at
            if fails:
                self._faults.failed = self._faults.calls[-1]
            if fails and not self._faults.late:
                raise self._error
            answer = await method(*args, **options)
            if fails:
                raise self._error
            return answer

        return call


@dataclass
class World:
    """The flows, and what they stand on."""

    database: Database
    allow: str = "@acme.com"
    wrong: Rate = PLENTY
    mails: Rate = PLENTY
    requests: Rate = PLENTY
    clock: FakeClock = field(default_factory=FakeClock)
    ids: FakeIds = field(default_factory=FakeIds)
    events: FakeEvents = field(default_factory=FakeEvents)
    revocations: FakeRevocations = field(default_factory=FakeRevocations)
    faults: Faults = field(default_factory=Faults)
    pauses: list[float] = field(default_factory=list)
    hasher: Any = None

    def __post_init__(self) -> None:
        clock, ids, revocations = self.clock, self.ids, self.revocations
        self.store = FakeAuthStore(clock)
        one = SymmetricKeys({"20261122-a": b"k" * 32})
        self.keys = keys = Keys(one, one, one, b"i" * 32)
        self.accounts = SQLAccounts(self.database, keys.index, clock)
        self.people = FakePeople(self.store)
        redis, sql = StoreUnavailableError, AccountsUnavailableError
        attempts = self._counted(FakeAttempts(self.store), redis)
        self.sessions = self._counted(FakeSessions(self.store), redis)
        tries = self._counted(FakeTries(self.store, TryLimits(self.wrong, self.requests)), redis)
        accounts = self._counted(self.accounts, sql)
        self.outbox = self._counted(SQLOutbox(self.database), sql)
        events = self._counted(self.events, BusUnavailableError)
        self.hasher = hasher = Argon2Hasher(1, parameters=CHEAP)
        counted_hasher = self._counted(hasher, HasherBusyError)
        issuer = Issuer("https://a", "latchwire", PlainTokens(), keys, clock, ids)
        ending = Ending(attempts, self.sessions, events, keys, clock, ids)
        policy = LinkPolicy(parse_allow(self.allow), self.mails, self.requests, PLENTY)
        asking = Asking(attempts, events, revocations, keys, policy, clock, ids)
        proving = Proving(attempts, keys)
        opening = Opening(self.sessions, events, revocations, issuer, ending, clock, ids)
        self.relay = Relay(self.outbox, ending, events, self.sessions, clock)
        subjects = AccountSubjects(
            accounts, standing_of, self.relay.deliver, counted_hasher, clock, ids
        )
        self.subjects = subjects
        self.asking = asking
        self.links = LinkFlow(
            attempts=attempts,
            sessions=self.sessions,
            events=events,
            revocations=revocations,
            proving=proving,
            opening=opening,
            ending=ending,
            subjects=subjects,
            typed=TypedPasswords(attempts, tries),
            clock=clock,
            ids=ids,
        )
        rules = PasswordRules(12, "Acme", lambda password: password == "passwordpassword")
        self.registering = RegisterFlow(accounts, attempts, counted_hasher, asking, subjects, rules)
        self.passwords = PasswordFlow(
            accounts=accounts,
            subjects=subjects,
            tries=tries,
            hasher=counted_hasher,
            opening=opening,
            sessions=self.sessions,
            revocations=revocations,
            events=events,
            relay=self.relay,
            keys=keys,
            rules=rules,
            allow=parse_allow(self.allow),
            clock=clock,
            ids=ids,
            pause=self._pause,
        )
        self.resetting = ResetFlow(
            accounts=accounts,
            subjects=subjects,
            attempts=attempts,
            asking=asking,
            proving=proving,
            revocations=revocations,
            hasher=counted_hasher,
            typed=TypedPasswords(attempts, tries),
            relay=self.relay,
            keys=keys,
            rules=rules,
        )

    def _counted(self, port: Any, error: type[Exception]) -> Any:
        return Counted(port, self.faults, error)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    # What people do.

    async def register(self, email: str = ADA, password: str = GOOD, browser: str = HERE) -> str:
        """Register; the login_id."""
        sent = await self.registering.register(LinkAsk(email, FIREFOX, browser), password)
        assert isinstance(sent, LinkSent), sent
        return sent.login_id

    async def ask(self, email: str = ADA, browser: str = HERE) -> str:
        """Ask for a link to sign in; the login_id."""
        sent = await self.asking.ask(LinkAsk(email, FIREFOX, browser))
        assert isinstance(sent, LinkSent)
        return sent.login_id

    async def forgot(self, email: str = ADA, browser: str = HERE) -> str:
        """Ask for a new password; the login_id."""
        sent = await self.resetting.forgot(LinkAsk(email, FIREFOX, browser))
        assert isinstance(sent, LinkSent)
        return sent.login_id

    async def click(self, login_id: str, browser: str = HERE, password: str | None = None) -> Any:
        """Open the link of that mail."""
        return await self.links.exchange_link(
            self.link(login_id), client=FIREFOX, browser=browser, password=password
        )

    async def reset(self, login_id: str, password: str = OTHER) -> Any:
        """Choose a new password by the link of that mail."""
        return await self.resetting.reset(self.link(login_id), password)

    async def log_in(self, password: str, email: str = ADA, browser: str = HERE) -> Any:
        """With a password, a moment after whatever was before."""
        self.clock.advance(1)
        return await self.passwords.log_in(PasswordLogin(email, password, FIREFOX, browser))

    async def gets_in(self, password: str, email: str = ADA, browser: str = HERE) -> bool:
        """Whether *password* opens a session."""
        result = await self.log_in(password, email, browser)
        assert isinstance(result, SessionOpened | InvalidCredentials), result
        return isinstance(result, SessionOpened)

    async def person(self, email: str = ADA, password: str = GOOD, browser: str = HERE) -> Account:
        """Somebody who registered and proved it, in one browser."""
        assert isinstance(
            await self.click(await self.register(email, password, browser), browser), SessionOpened
        )
        account = await self.accounts.by_email(email)
        assert account is not None
        return account

    # What is seen of it.

    def link(self, login_id: str) -> Proof:
        """What the mail of *login_id* carries, whether or not it was sent."""
        attempt = self.store.attempts[login_id]
        key = self.keys.link.by_kid[attempt.link_kid]
        return TokenProof(link_token(key, attempt.purpose, login_id, attempt.email))

    def code(self, login_id: str) -> str:
        """The code of that mail."""
        attempt = self.store.attempts[login_id]
        key = self.keys.link.by_kid[attempt.link_kid]
        return login_code(key, attempt.purpose, login_id, attempt.email)

    def mail(self, login_id: str) -> Any:
        """The mail that was asked for, or None."""
        return next((mail for mail in self.mails_sent() if mail.login_id == login_id), None)

    def mails_sent(self) -> list[Any]:
        """Every mail, once."""
        return list({mail.id: mail for mail in self.events.of(LOGIN_REQUESTED.name)}.values())

    def said(self, subject: Any) -> list[Any]:
        """Every event on *subject*, once: a repetition has the same id."""
        return list({event.id: event for event in self.events.of(subject.name)}.values())

    def living(self, sub: str) -> list[Any]:
        """The sessions of *sub* that are not over."""
        return [s for s in self.store.sessions.values() if s.sub == sub and not s.ended]

    async def settle(self) -> None:
        """What a crash left undone is done by the relay, in its second look."""
        self.faults.arm(0)
        await self.relay.look()
        await self.relay.look()


def standing_of(rights: Rights, org: str) -> Standing:
    """No roles: what a token says of them is not this world's business."""
    return Standing(rights.account.sub, rights.account.email)


@asynccontextmanager
async def open_world(directory: Path, **settings: Any) -> AsyncIterator[World]:
    """A world in *directory*."""
    path = directory / "accounts.db"
    path.write_bytes(_empty_store())
    database = Database(f"sqlite:///{path}")
    forget_the_disk(database)
    world = World(database, **settings)
    try:
        yield world
    finally:
        world.hasher.close()
        await database.close()


@functools.cache
def _empty_store() -> bytes:
    """A store with its tables; made once, because a test that breaks each call needs a hundred of them."""
    with tempfile.TemporaryDirectory() as directory:
        engine = create_engine(f"sqlite:///{directory}/accounts.db")
        metadata.create_all(engine)
        engine.dispose()
        return Path(directory, "accounts.db").read_bytes()
