"""Who an address is, without accounts and with them. Both are `services.auth.ports.accounts.Subjects`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from services.auth.domain.account import Account, Rights, Standing
from services.auth.domain.outbox import Announce, Entry, announce
from services.auth.ports.accounts import Accounts, Hasher, Proof
from shared.clock import Clock
from shared.contract import USER_REGISTERED, USER_VERIFIED
from shared.emails import is_canonical
from shared.ids import Ids
from shared.messages import UserRegistered, UserVerified

log = structlog.get_logger()


class EmailSubjects:
    """Accounts are off: a person is their address, and nothing else is said of them."""

    changes = False

    async def names(self, name: str) -> tuple[str, str]:
        return name, name

    async def confirms(self, login_id: str, email: str, password: str) -> bool:  # noqa: ARG002 - the port's
        return False

    async def prove(
        self,
        email: str,
        *,
        remembered: bool,  # noqa: ARG002 - the port's
        registration: str | None = None,  # noqa: ARG002 - the port's
    ) -> Standing | None:
        return Standing(email, email)

    async def standing(self, sub: str, email: str, org: str) -> Standing | None:  # noqa: ARG002
        return Standing(sub, email)


class Deliver(Protocol):
    """`Relay.deliver`."""

    def __call__(self, *entries: Entry) -> Awaitable[None]:
        """Do *entries*, which are stored, now."""
        ...


@dataclass(frozen=True)
class Newcomer:
    """Whom a new account will be of, and what is to be said of it."""

    sub: str
    registered: Announce


@dataclass(frozen=True)
class AccountSubjects:
    """Accounts are on. *standing_of* is what the installation's roles make of a person's rights."""

    accounts: Accounts
    standing_of: Callable[[Rights, str], Standing]
    deliver: Deliver
    hasher: Hasher
    clock: Clock
    ids: Ids
    changes: bool = True

    async def names(self, name: str) -> tuple[str, str]:
        # One question for every name: an id with an @ is the address of its account.
        look = self.accounts.by_email if "@" in name else self.accounts.by_sub
        found = await look(name)
        return (found.sub, found.email) if found else (name, name)

    async def confirms(self, login_id: str, email: str, password: str) -> bool:
        kept = await self.accounts.registration(login_id) or await self.accounts.by_email(email)
        return (await self.hasher.verify(kept.password_hash if kept else "", password)).matches

    async def newcomer(self, email: str, *, remembered: bool) -> Newcomer:
        """Who *email* will be, once it has an account.

        Who signed in before there were accounts stays who they were. Of everybody else the word says what
        tokens of that address used to say, unless an account of it was deleted: that ``sub`` is nobody's.
        """
        now_ms = self.clock.now_ms()
        deleted = await self.accounts.was_deleted(email)
        adopted = remembered and not deleted
        sub = email if adopted else self.ids.ulid(now_ms)
        event = UserRegistered(
            id=self.ids.ulid(now_ms),
            at=now_ms,
            sub=sub,
            previous_sub=None if adopted or deleted else email,
        )
        return Newcomer(sub, announce(USER_REGISTERED, event))

    async def prove(
        self, email: str, *, remembered: bool, registration: str | None = None
    ) -> Standing | None:
        account = await self.accounts.by_email(email)
        if account is None or account.verified_at_ms is None:
            account = await self._prove(
                email, account, remembered=remembered, registration=registration
            )
        if account.blocked_at_ms is not None:
            return None
        return await self.standing(account.sub, email, "")

    async def _prove(
        self, email: str, known: Account | None, *, remembered: bool, registration: str | None
    ) -> Account:
        now_ms = self.clock.now_ms()
        newcomer = await self.newcomer(email, remembered=remembered)
        sub = known.sub if known else newcomer.sub
        registered = () if known else (newcomer.registered,)
        verified = (_verified(sub, self.ids, now_ms),)
        account = await self.accounts.prove(
            Proof(email, newcomer.sub, now_ms, registered, verified, registration)
        )
        if account.sub == sub and account.verified_at_ms == now_ms:  # and not somebody faster's
            await self.deliver(*registered, *verified)
        return account

    async def standing(self, sub: str, email: str, org: str) -> Standing | None:
        rights = await self.accounts.rights(sub, org)
        if not _is_proven(rights) and sub == email and is_canonical(sub):
            await self._adopt(email, rights.account if rights else None)
            rights = await self.accounts.rights(sub, org)
        if rights is None or not _is_proven(rights) or rights.account.blocked_at_ms is not None:
            return None
        return self.standing_of(rights, org)

    async def _adopt(self, email: str, known: Account | None) -> None:
        """A session from before there were accounts: its person keeps the ``sub`` it says.

        That they have a session proves the address, also where somebody registered it meanwhile (*known*).
        """
        if known is not None:
            await self._prove(email, known, remembered=True, registration=None)
        elif not await self.accounts.was_deleted(email):
            await self._write_down(email)

    async def _write_down(self, email: str) -> None:
        now_ms = self.clock.now_ms()
        account = Account(sub=email, email=email, created_at_ms=now_ms, verified_at_ms=now_ms)
        newcomer = await self.newcomer(email, remembered=True)
        entries = (newcomer.registered, _verified(email, self.ids, now_ms))
        written = await self.accounts.adopt(account, entries)
        if written.sub != email:
            log.warning("account.not_adopted")
        elif written.created_at_ms == now_ms:  # and not somebody faster's
            await self.deliver(*entries)
            log.info("account.adopted")


def _is_proven(rights: Rights | None) -> bool:
    return rights is not None and rights.account.verified_at_ms is not None


def _verified(sub: str, ids: Ids, now_ms: int) -> Announce:
    event = UserVerified(id=ids.ulid(now_ms), at=now_ms, sub=sub)
    return announce(USER_VERIFIED, event)
