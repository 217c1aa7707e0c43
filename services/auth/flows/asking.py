"""Ask for a mail with a link: to sign in, to prove an address, to set a password anew."""

from dataclasses import dataclass, field

import structlog

from services.auth.domain.client import wider_networks
from services.auth.domain.limits import Rate, network_rates, retry_after
from services.auth.domain.link import (
    LINK_SECONDS,
    Attempt,
    LinkAsk,
    LinkSent,
    Muted,
    Purpose,
    TooManyRequests,
)
from services.auth.flows.subjects import EmailSubjects
from services.auth.ports import (
    Attempts,
    Budget,
    Budgets,
    Events,
    Keys,
    NetworkLimited,
    Revocations,
)
from services.auth.ports.accounts import Subjects
from shared.allow import AllowList
from shared.clock import Clock
from shared.contract import LOGIN_FAILED, LOGIN_REQUESTED
from shared.emails import limit_address
from shared.ids import Ids
from shared.messages import ClientHint, LoginFailed, LoginRequested
from shared.messages.login import NoticeReason

log = structlog.get_logger()


@dataclass(frozen=True)
class LinkPolicy:
    """Who may sign in, and how often anybody may ask."""

    allow: AllowList
    address: Rate
    network: Rate
    whole: Rate


@dataclass(frozen=True)
class Asked:
    """The attempt is stored, at the store's time *at_ms*; *muted* says why there will be no mail."""

    attempt: Attempt
    at_ms: int
    muted: Muted
    locale: str
    seconds: int


@dataclass(frozen=True)
class Asking:
    """The one way to a mail that somebody asks for: the answer and the work are the same for every address.

    May raise the errors of `services.auth.ports`.
    """

    attempts: Attempts
    events: Events
    revocations: Revocations
    keys: Keys
    policy: LinkPolicy
    clock: Clock
    ids: Ids
    subjects: Subjects = field(default_factory=EmailSubjects)

    async def ask(
        self,
        ask: LinkAsk,
        *,
        purpose: Purpose = "sign_in",
        login_id: str | None = None,
        muted: Muted = "",
        notice: NoticeReason | None = None,
        about: str = "",
        identity: str = "",
        seconds: int = LINK_SECONDS,
    ) -> LinkSent | TooManyRequests:
        """`open` and `publish`."""
        asked = await self.open(
            ask,
            purpose=purpose,
            login_id=login_id,
            muted=muted,
            identity=identity,
            seconds=seconds,
        )
        if isinstance(asked, TooManyRequests):
            return asked
        return await self.publish(asked, notice=notice, about=about)

    async def open(
        self,
        ask: LinkAsk,
        *,
        purpose: Purpose = "sign_in",
        login_id: str | None = None,
        muted: Muted = "",
        identity: str = "",
        seconds: int = LINK_SECONDS,
    ) -> Asked | TooManyRequests:
        """Count, and store an attempt that lives *seconds*.

        *login_id* is made here unless the caller has stored something under one. With *muted* there will be no
        mail, and nothing else tells. *identity* is kept with the attempt for whom the proof is awaited.
        """
        attempt = Attempt(
            login_id=login_id or self.ids.ulid(self.clock.now_ms()),
            email=ask.email,
            purpose=purpose,
            requested_at_ms=0,
            expires_at_ms=0,
            link_kid=self.keys.link.current,
            client=ask.client,
            browser=ask.browser,
            next=ask.next,
            muted=muted if self.policy.allow.permits(ask.email) else "not_allowed",
            identity=identity,
        )
        # A watermark may lie ahead of the store's clock, under either name: this is asked for after it.
        names, budgets = await self.subjects.names(ask.email), self._budgets(ask)
        voided = self.revocations.watermark(*names).sessions_before
        opened = await self.attempts.open(attempt, seconds * 1000, budgets, after_ms=voided)
        if isinstance(opened, NetworkLimited):
            return TooManyRequests(retry_after(opened.wait_ms))
        return Asked(attempt, opened.at_ms, opened.muted, ask.locale, seconds)

    async def publish(
        self, asked: Asked, *, notice: NoticeReason | None = None, about: str = ""
    ) -> LinkSent:
        """Have the mail sent; of a muted attempt only a failure is published."""
        if asked.muted:
            await self._publish_muted(asked)
        else:
            await self.events.publish(LOGIN_REQUESTED, _requested(asked, notice, about))
            log.info(
                "link.requested", login_id=asked.attempt.login_id, purpose=asked.attempt.purpose
            )
        return LinkSent(asked.attempt.login_id, asked.seconds)

    def _budgets(self, ask: LinkAsk) -> Budgets:
        mailbox = limit_address(ask.email)
        one, household, site = (
            Budget(f"network|{reach}|{network}", rate)
            for reach, network, rate in zip(
                ("one", "household", "site"),
                wider_networks(ask.client.network),
                network_rates(self.policy.network),
                strict=True,
            )
        )
        return Budgets(
            address=Budget(f"address|{mailbox}", self.policy.address),
            known=Budget(f"known|{mailbox}|{ask.browser}", self.policy.address),
            networks=(one, household, site),
            whole=Budget("whole", self.policy.whole),
        )

    async def _publish_muted(self, asked: Asked) -> None:
        login_id = asked.attempt.login_id
        event = LoginFailed(id=login_id, at=asked.at_ms, method="link", reason=asked.muted)
        await self.events.publish(LOGIN_FAILED, event)
        log.info("link.muted", login_id=login_id, reason=asked.muted)


def _requested(asked: Asked, notice: NoticeReason | None, about: str) -> LoginRequested:
    attempt = asked.attempt
    return LoginRequested(
        id=attempt.login_id,
        at=asked.at_ms,
        login_id=attempt.login_id,
        email=attempt.email,
        purpose=attempt.purpose,
        locale=asked.locale,
        client=ClientHint(network=attempt.client.network, user_agent=attempt.client.user_agent),
        link_kid=attempt.link_kid,
        expires_at=asked.at_ms + asked.seconds * 1000,
        notice=notice,
        about=about,
    )
