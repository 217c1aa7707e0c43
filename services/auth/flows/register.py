"""Register an address with a password: nothing opens a session before the address is proven.

The password waits, bound to the attempt whose mail proves the address; which proof makes it the account's is
decided where the link is opened (`services.auth.flows.link`). The answer and the work are the same for every
address. What is not mailed (not allowed, blocked, over a limit) writes nothing either, so that nobody fills
the store, or the stream of ``user.registered``, with strangers' addresses.
"""

from contextlib import suppress
from dataclasses import dataclass

import structlog

from services.auth.domain.account import Account, Registration
from services.auth.domain.link import (
    LINK_SECONDS,
    LinkAsk,
    LinkSent,
    Muted,
    Purpose,
    TooManyRequests,
)
from services.auth.domain.password import PasswordRules
from services.auth.domain.password_use import PasswordRefused
from services.auth.flows.asking import Asked, Asking
from services.auth.flows.link import is_same
from services.auth.flows.subjects import AccountSubjects
from services.auth.ports import Attempts, NotAnnouncedError
from services.auth.ports.accounts import Accounts, Hasher
from shared.messages.login import NoticeReason

log = structlog.get_logger()


@dataclass(frozen=True)
class RegisterFlow:
    """All methods may raise the errors of `services.auth.ports` and HasherBusyError: try again."""

    accounts: Accounts
    attempts: Attempts
    hasher: Hasher
    asking: Asking
    subjects: AccountSubjects
    rules: PasswordRules

    async def register(
        self, ask: LinkAsk, password: str
    ) -> LinkSent | TooManyRequests | PasswordRefused:
        """A mail that proves the address; to a known one, a mail that says so and signs in.

        Two at once for one address are two passwords that wait, each for the proof by its own mail.
        """
        if problem := self.rules.judge(password, ask.email):
            return PasswordRefused(problem)
        known = await self.accounts.by_email(ask.email)
        asked = await self.asking.open(ask, purpose=_purpose(known), muted=_muted(known))
        if isinstance(asked, TooManyRequests):
            return asked
        password_hash = await self.hasher.hash(
            password
        )  # for every address: it is most of the work
        if asked.attempt.purpose == "verify_email" and not asked.muted:
            await self._keep(asked, password_hash)
        return await self.asking.publish(asked, notice=_notice(asked))

    async def resend(self, ask: LinkAsk, login_id: str = "") -> LinkSent | TooManyRequests:
        """The mail again, for an address that was registered; nothing is sent for one that was not.

        The password that waits under *login_id* goes along where the browser is the one that gave it.
        """
        known = await self.accounts.by_email(ask.email)
        asked = await self.asking.open(
            ask, purpose=_purpose(known), muted=_muted(known) if known else "no_account"
        )
        if isinstance(asked, TooManyRequests):
            return asked
        if asked.attempt.purpose == "verify_email" and not asked.muted and login_id:
            await self._carry_over(asked, login_id)
        return await self.asking.publish(asked, notice=_notice(asked))

    async def _keep(self, asked: Asked, password_hash: str) -> None:
        """Write the account, if there is none yet, and the password that waits. One transaction."""
        email = asked.attempt.email
        remembered = await self.attempts.remembers(email)
        newcomer = await self.subjects.newcomer(email, remembered=remembered)
        registered = await self.accounts.register(
            email,
            newcomer.sub,
            asked.at_ms,
            _registration(asked, password_hash),
            [newcomer.registered],
        )
        # "known": proven since it was looked up. Then the mail only signs in, and the password is forgotten.
        if registered.outcome == "new":
            # The relay has it: a 503 here would say that the address is new.
            with suppress(NotAnnouncedError):
                await self.subjects.deliver(newcomer.registered)
        log.info("account.registered", outcome=registered.outcome)

    async def _carry_over(self, asked: Asked, login_id: str) -> None:
        """Let the password of *login_id* wait for this mail too, if it was given in this very browser.

        In any other browser it may be a stranger's, who registered the address first.
        """
        former = await self.attempts.find(login_id)
        if former is None or former.state != "open" or former.purpose != "verify_email":
            return
        if former.email != asked.attempt.email or not is_same(
            former.browser, asked.attempt.browser
        ):
            return
        waiting = await self.accounts.registration(login_id)
        if waiting is not None:
            await self._keep(asked, waiting.password_hash)


def _purpose(known: Account | None) -> Purpose:
    return "sign_in" if known and known.verified_at_ms is not None else "verify_email"


def _notice(asked: Asked) -> NoticeReason | None:
    return "already_registered" if asked.attempt.purpose == "sign_in" else None


def _muted(known: Account | None) -> Muted:
    return "blocked" if known and known.blocked_at_ms is not None else ""


def _registration(asked: Asked, password_hash: str) -> Registration:
    return Registration(asked.attempt.login_id, asked.at_ms + LINK_SECONDS * 1000, password_hash)
