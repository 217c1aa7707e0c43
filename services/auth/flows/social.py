"""Log in at a provider: send the browser there, and decide what its return is worth.

Nothing is written about anybody before the provider has proven who is back, in the browser that left; a
provider that is slow, away, or lies costs its own time limit and leaves no trace.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from services.auth.domain.account import Standing
from services.auth.domain.client import wider_networks
from services.auth.domain.limits import Rate, network_rates, retry_after
from services.auth.domain.link import LinkAsk, LinkSent, TooManyRequests
from services.auth.domain.outcomes import SessionOpened
from services.auth.domain.provider import (
    AMR,
    STATE,
    FailureCode,
    GoToProvider,
    Handshake,
    Identity,
    KeptIdentity,
    LinkOffered,
    NotLinked,
    ProofNeeded,
    ProvenIdentity,
    ProviderAnswer,
    ProviderChoice,
    SocialFailed,
    SocialVisit,
    Unproven,
    meaning_of_error,
)
from services.auth.flows.asking import Asking
from services.auth.flows.identities import IdentityFlow
from services.auth.flows.opening import Opening
from services.auth.ports import Attempts, Budget, BusUnavailableError, Events, Sessions
from services.auth.ports.accounts import Accounts, Subjects
from services.auth.ports.providers import (
    Handshakes,
    Identities,
    Provider,
    ProviderBrokenError,
    ProviderUnavailableError,
)
from shared.allow import AllowList
from shared.clock import Clock
from shared.contract import LOGIN_FAILED
from shared.ids import Ids
from shared.messages import LoginFailed

log = structlog.get_logger()

Back = SessionOpened | LinkOffered | ProofNeeded | SocialFailed


@dataclass(frozen=True)
class SocialFlow:
    """The use cases. All methods may raise the errors of `services.auth.ports`."""

    providers: Mapping[str, Provider]
    handshakes: Handshakes
    identities: Identities
    accounts: Accounts
    attempts: Attempts
    sessions: Sessions
    subjects: Subjects
    asking: Asking
    opening: Opening
    linking: IdentityFlow
    events: Events
    allow: AllowList
    network: Rate
    clock: Clock
    ids: Ids

    def choices(self) -> tuple[ProviderChoice, ...]:
        """The providers to offer, in the order of the file."""
        return tuple(ProviderChoice(p.config.name, p.config.title) for p in self.providers.values())

    async def begin(
        self, name: str, visit: SocialVisit, *, next_: str = "", link_sub: str = ""
    ) -> GoToProvider | TooManyRequests | SocialFailed | None:
        """Where to send the browser; None: there is no such provider."""
        provider = self.providers.get(name)
        if provider is None:
            return None
        state = self.ids.secret()
        handshake = Handshake(
            provider=name,
            browser=visit.browser,
            nonce=self.ids.secret(),
            verifier=self.ids.secret(),
            next=next_,
            link_sub=link_sub,
        )
        limited = await self.handshakes.open(state, handshake, self._budgets(visit))
        if limited is not None:
            return TooManyRequests(retry_after(limited.wait_ms))
        try:
            return GoToProvider(await provider.authorization_url(state, handshake))
        except ProviderUnavailableError:
            return await self._failed("provider_unavailable", handshake)
        except ProviderBrokenError as error:
            return await self._failed("provider_failed", handshake, error.reason)

    async def finish(self, name: str, answer: ProviderAnswer, visit: SocialVisit) -> Back:
        """What a browser's return from the provider *name* comes to; a state counts once."""
        plain = STATE.fullmatch(answer.state) is not None
        handshake = await self.handshakes.take(answer.state, visit.browser) if plain else None
        provider = self.providers.get(name)
        if handshake is None or provider is None:
            return await self._failed("provider_login_spent", Handshake(name, "", "", ""))
        if handshake.provider != name:
            # RFC 9700 §4.4, mix-up: the code is another provider's, and goes to none.
            return await self._failed("provider_not_proven", handshake, "mix_up")
        proven = await self._identify(provider, answer, handshake)
        if isinstance(proven, SocialFailed):
            return proven
        if handshake.link_sub:
            return LinkOffered(await self._keep(proven, visit, handshake.link_sub))
        return await self._sign_in(proven, handshake, visit)

    async def ask_mailbox(
        self, needed: ProofNeeded, visit: SocialVisit
    ) -> LinkSent | TooManyRequests:
        """Ask the mailbox what the provider cannot say: one answer, and the same work, for every address."""
        ticket = await self._keep(needed.identity, visit, "")
        email = needed.identity.email
        ask = LinkAsk(email, visit.client, visit.browser, needed.next, visit.locale)
        return await self.asking.ask(ask, identity=ticket)

    async def _identify(
        self, provider: Provider, answer: ProviderAnswer, handshake: Handshake
    ) -> ProvenIdentity | SocialFailed:
        if answer.error or not answer.code:
            code = meaning_of_error(answer.error)
            return await self._failed(code, handshake, "error_answered")
        try:
            proven = await provider.identify(answer, handshake)
        except ProviderUnavailableError:
            return await self._failed("provider_unavailable", handshake)
        except ProviderBrokenError as error:
            return await self._failed("provider_failed", handshake, error.reason)
        if isinstance(proven, Unproven):
            return await self._failed("provider_not_proven", handshake, proven.reason)
        return proven

    async def _sign_in(
        self, proven: ProvenIdentity, handshake: Handshake, visit: SocialVisit
    ) -> Back:
        asked_at_ms = await self.sessions.now()  # before anything that proves the person is read
        known = await self.identities.find(proven.iss, proven.subject)
        if known is not None:
            standing = await self._known(known)
        elif not proven.email:
            return await self._failed("provider_no_email", handshake)
        elif not proven.speaks_for:
            return ProofNeeded(proven, handshake.next)
        else:
            standing = await self._newly_proven(proven)
        if standing is None:
            return await self._failed("login_refused", handshake)
        return await self._open(standing, asked_at_ms, handshake, visit)

    async def _known(self, identity: Identity) -> Standing | None:
        account = await self.accounts.by_sub(identity.sub)
        if account is None or not self.allow.permits(account.email):
            return None
        standing = await self.subjects.standing(account.sub, account.email, "")
        if standing is not None:
            await self.identities.used(identity, self.clock.now_ms())
        return standing

    async def _newly_proven(self, proven: ProvenIdentity) -> Standing | None:
        """The provider's word proves the address: its account is made, or freed of what nobody proved."""
        if not self.allow.permits(proven.email):
            return None
        remembered = await self.attempts.remembers(proven.email)
        standing = await self.subjects.prove(proven.email, remembered=remembered)
        if standing is None:
            return None
        linked = await self.linking.attach(proven, standing.sub)
        return None if isinstance(linked, NotLinked) else standing

    async def _keep(self, proven: ProvenIdentity, visit: SocialVisit, sub: str) -> str:
        ticket = self.ids.secret()
        await self.handshakes.keep(ticket, KeptIdentity(proven, visit.browser, sub))
        return ticket

    async def _open(
        self, standing: Standing, asked_at_ms: int, handshake: Handshake, visit: SocialVisit
    ) -> SessionOpened | SocialFailed:
        opened = await self.opening.open(
            standing,
            asked_at_ms=asked_at_ms,
            as_of_ms=asked_at_ms,
            amr=AMR,
            client=visit.client,
            browser=visit.browser,
            cookies=True,
            next=handshake.next,
        )
        if isinstance(opened, SessionOpened):
            return opened
        return await self._failed("login_refused", handshake)

    def _budgets(self, visit: SocialVisit) -> tuple[Budget, Budget, Budget]:
        networks, rates = wider_networks(visit.client.network), network_rates(self.network)
        one, household, site = (
            Budget(f"provider|{reach}|{network}", rate)
            for reach, network, rate in zip(
                ("one", "household", "site"), networks, rates, strict=True
            )
        )
        return one, household, site

    async def _failed(
        self, code: FailureCode, handshake: Handshake, detail: str = ""
    ) -> SocialFailed:
        log.info("provider.login_failed", provider=handshake.provider, code=code, detail=detail)
        now_ms = self.clock.now_ms()
        event = LoginFailed(id=self.ids.ulid(now_ms), at=now_ms, method=AMR, reason=code)
        try:
            await self.events.publish(LOGIN_FAILED, event)
        except BusUnavailableError:  # the person's answer does not depend on it
            log.warning("event.lost", subject=LOGIN_FAILED.name)
        return SocialFailed(code, handshake.provider, handshake.next)
