"""The logins that are linked to an account: list, add, take away. Who may is asked in `services.auth.http`."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from services.auth.domain.account import Standing
from services.auth.domain.link import NOTICE_SECONDS, Attempt, OfferedLogin
from services.auth.domain.outbox import Announce, announce
from services.auth.domain.provider import (
    Identity,
    IdentityView,
    KeptIdentity,
    Linked,
    NotLinked,
    ProvenIdentity,
    identity_handle,
)
from services.auth.flows.subjects import Deliver
from services.auth.ports import Keys, NotAnnouncedError
from services.auth.ports.accounts import Accounts
from services.auth.ports.providers import Handshakes, Identities, Provider
from shared.clock import Clock
from shared.contract import LOGIN_REQUESTED
from shared.ids import Ids
from shared.messages import LoginRequested
from shared.messages.login import NoticeReason

log = structlog.get_logger()


@dataclass(frozen=True)
class IdentityFlow:
    """The use cases. All methods may raise the errors of `services.auth.ports`."""

    providers: Mapping[str, Provider]
    identities: Identities
    handshakes: Handshakes
    accounts: Accounts
    deliver: Deliver
    keys: Keys
    clock: Clock
    ids: Ids

    async def list_identities(self, sub: str) -> tuple[IdentityView, ...]:
        """The logins of *sub*, oldest first."""
        return tuple(self._view(identity) for identity in await self.identities.of(sub))

    async def unlink(self, sub: str, handle: str) -> bool:
        """Whether *handle* was one of *sub*'s. The address's mailbox stays a way in, so none is the last."""
        owned = await self.identities.of(sub)
        named = next((i for i in owned if self._handle(i) == handle), None)
        if named is None:
            return False
        entries = await self._notices(sub, named.provider, "login_unlinked")
        removed = await self.identities.unlink(named, entries)
        await self._tell(entries if removed else ())
        log.info("identity.unlinked", provider=named.provider)
        return removed

    async def offered(self, ticket: str, browser: str, sub: str) -> KeptIdentity | None:
        """What `link` would add; None: nothing."""
        kept = await self.handshakes.look(ticket, browser)
        return kept if kept is not None and kept.sub == sub else None

    async def link(self, ticket: str, browser: str, sub: str) -> Linked | NotLinked:
        """Add the login that *ticket* was handed out for, once, to the account that asked for it."""
        if await self.offered(ticket, browser, sub) is None:
            return NotLinked("gone")
        kept = await self.handshakes.take_kept(ticket, browser)
        if kept is None:
            return NotLinked("gone")
        return await self.attach(kept.identity, sub)

    async def waiting(self, attempt: Attempt) -> OfferedLogin | None:
        """`services.auth.flows.link.Linking`: the login that the mailbox is asked about."""
        kept = await self._waiting(attempt)
        if kept is None:
            return None
        provider = kept.identity.provider
        return OfferedLogin(provider, self._title(provider), kept.identity.email)

    async def proven(self, attempt: Attempt, standing: Standing) -> None:
        """`services.auth.flows.link.Linking`: the mailbox has confirmed what the provider could not."""
        kept = await self._waiting(attempt)
        if kept is None:
            return
        await self.attach(kept.identity, standing.sub)
        await self.handshakes.take_kept(attempt.identity, attempt.browser)

    async def _waiting(self, attempt: Attempt) -> KeptIdentity | None:
        kept = await self.handshakes.look(attempt.identity, attempt.browser)
        if kept is None or kept.sub or kept.identity.email != attempt.email:
            return None
        return kept

    async def attach(self, identity: ProvenIdentity, sub: str) -> Linked | NotLinked:
        """Link *identity* to *sub*; the account's address hears of every new one, of a new account's too."""
        now_ms = self.clock.now_ms()
        entries = await self._notices(sub, identity.provider, "login_linked")
        row = Identity(
            iss=identity.iss,
            subject=identity.subject,
            sub=sub,
            provider=identity.provider,
            created_at_ms=now_ms,
            used_at_ms=now_ms,
            email=identity.email,
        )
        outcome = await self.identities.link(row, entries)
        if outcome == "linked":
            await self._tell(entries)
        log.info("identity.link", provider=identity.provider, outcome=outcome)
        if outcome in {"linked", "known"}:
            return Linked(identity.provider)
        return NotLinked("taken" if outcome == "taken" else "gone")

    async def _notices(self, sub: str, provider: str, reason: NoticeReason) -> tuple[Announce, ...]:
        account = await self.accounts.by_sub(sub)
        if account is None:
            return ()
        now_ms = self.clock.now_ms()
        login_id = self.ids.ulid(now_ms)
        event = LoginRequested(
            id=login_id,
            at=now_ms,
            login_id=login_id,
            email=account.email,
            purpose="notice",
            link_kid=self.keys.link.current,
            expires_at=now_ms + NOTICE_SECONDS * 1000,
            notice=reason,
            about=self._title(provider),
        )
        return (announce(LOGIN_REQUESTED, event),)

    async def _tell(self, notices: tuple[Announce, ...]) -> None:
        """Send *notices*, which are stored: with the bus away the relay sends them, and nobody has to wait."""
        try:
            await self.deliver(*notices)
        except NotAnnouncedError:
            log.warning("notice.later")

    def _view(self, identity: Identity) -> IdentityView:
        return IdentityView(
            handle=self._handle(identity),
            provider=identity.provider,
            title=self._title(identity.provider),
            email=identity.email,
            created_at_ms=identity.created_at_ms,
            used_at_ms=identity.used_at_ms,
        )

    def _handle(self, identity: Identity) -> str:
        return identity_handle(self.keys.index, identity)

    def _title(self, name: str) -> str:
        """A provider that is no longer configured has its name only."""
        provider = self.providers.get(name)
        return provider.config.title if provider else name
