"""Set a password anew by a mail: a proof of the address that opens no session, and ends all there are.

Whatever is away on the way, the answer is 503 and the same link with the same password may be sent again: it is
used up for the one password that it replaces, and who repeats what he did is told the same.
"""

import hmac
from dataclasses import dataclass
from functools import partial

import structlog

from services.auth.domain.account import Account
from services.auth.domain.link import (
    Attempt,
    CodeProof,
    LinkAsk,
    LinkSent,
    LinkSpent,
    Muted,
    Proof,
    TooManyRequests,
)
from services.auth.domain.password import PasswordRules
from services.auth.domain.password_use import NewPassword, PasswordRefused, PasswordSet
from services.auth.flows.asking import Asking
from services.auth.flows.proving import Proving
from services.auth.flows.relay import Relay
from services.auth.flows.typed import TypedPasswords, Typist
from services.auth.ports import Attempts, Keys, NotExchanged, Revocations, UsedBefore
from services.auth.ports.accounts import Accounts, Hasher, Subjects

log = structlog.get_logger()

NOBODY = Typist()


@dataclass(frozen=True)
class _Reset:
    """One request: what it shows, and the attempt that it names."""

    attempt: Attempt
    by_code: bool
    right: bool
    watermark: int


@dataclass(frozen=True)
class ResetFlow:
    """All methods may raise the errors of `services.auth.ports` and HasherBusyError: try again."""

    accounts: Accounts
    subjects: Subjects
    attempts: Attempts
    asking: Asking
    proving: Proving
    revocations: Revocations
    hasher: Hasher
    typed: TypedPasswords
    relay: Relay
    keys: Keys
    rules: PasswordRules

    async def forgot(self, ask: LinkAsk) -> LinkSent | TooManyRequests:
        """A mail to whoever has an account, with or without a password; the same answer for every address."""
        known = await self.accounts.by_email(ask.email)
        return await self.asking.ask(ask, purpose="reset_password", muted=_muted(known))

    async def reset(
        self, proof: Proof, password: str, typist: Typist = NOBODY
    ) -> PasswordSet | LinkSpent | PasswordRefused | TooManyRequests:
        """The account's new password, for a link or a code of `forgot`.

        The password is judged before the proof, so that its refusal says nothing of the proof.
        """
        self.revocations.require_fresh()
        attempt = await self.proving.claimed(proof)
        if problem := self.rules.judge(password, attempt.email if attempt else ""):
            return PasswordRefused(problem)
        if attempt is None or attempt.purpose != "reset_password":
            return LinkSpent()
        reset = self._reset(attempt, proof)
        refusal = await self.attempts.judge(
            attempt, by_code=reset.by_code, right=reset.right, watermark=reset.watermark
        )
        account = await self.accounts.by_email(attempt.email)
        if isinstance(refusal, NotExchanged) or account is None:
            return LinkSpent()
        if account.blocked_at_ms is not None:
            return LinkSpent()
        work = partial(self._replace, reset, password)
        if isinstance(refusal, UsedBefore):
            if refusal.sid != self._mark(attempt, account):
                work = partial(self._repeat, attempt, account, password)
            # Used up, but for nothing yet; and since then all that the person had was ended.
            elif attempt.requested_at_ms <= reset.watermark:
                return LinkSpent()
        # Each counts, right or not: whoever knows the password has no need of more.
        return await self.typed.judge(attempt, typist, work, right=_never) or LinkSpent()

    async def _replace(self, reset: _Reset, password: str) -> PasswordSet | LinkSpent:
        """Hash, prove, use the link up, write: in this order, because only the last can be done but once."""
        attempt, password_hash = reset.attempt, await self.hasher.hash(password)
        standing = await self.subjects.prove(attempt.email, remembered=False)
        account = await self.accounts.by_sub(standing.sub) if standing else None
        if account is None or not await self._consume(reset, account):
            return LinkSpent()
        ended, *told = self._new_password(attempt, account).entries("password_reset")
        if not await self.accounts.set_password(
            account.sub, password_hash, [ended, *told], instead_of=account.password_hash
        ):
            return LinkSpent()  # the same link, at the same moment, with another password
        await self.relay.deliver(ended, *told)
        log.info("password.reset", login_id=attempt.login_id)
        return PasswordSet()

    async def _repeat(
        self, attempt: Attempt, account: Account, password: str
    ) -> PasswordSet | LinkSpent:
        """The link has done what it does. To whoever did it, whose answer may be lost, that is said again."""
        verdict = await self.hasher.verify(account.password_hash, password)
        if not verdict.matches:
            return LinkSpent()
        await self.relay.deliver(*self._new_password(attempt, account).entries("password_reset"))
        return PasswordSet()

    async def _consume(self, reset: _Reset, account: Account) -> bool:
        return await self.attempts.consume(
            reset.attempt,
            by_code=reset.by_code,
            right=reset.right,
            watermark=reset.watermark,
            mark=self._mark(reset.attempt, account),
        )

    def _mark(self, attempt: Attempt, account: Account) -> str:
        """What the link is used up for: the password that is there now, under a key."""
        text = f"reset/v1|{attempt.login_id}|{account.sub}|{account.password_hash}"
        return hmac.digest(self.keys.index, text.encode(), "sha256").hex()

    def _new_password(self, attempt: Attempt, account: Account) -> NewPassword:
        """Under ids of the attempt: a repetition says and does the same."""
        return NewPassword(
            account.sub,
            account.email,
            attempt.login_id,
            attempt.requested_at_ms,
            self.keys.link.current,
            attempt.client,
        )

    def _reset(self, attempt: Attempt, proof: Proof) -> _Reset:
        return _Reset(
            attempt,
            by_code=isinstance(proof, CodeProof),
            right=self.proving.is_right(proof, attempt),
            watermark=self.revocations.watermark(attempt.email).sessions_before,
        )


def _never(_result: PasswordSet | LinkSpent) -> bool:
    return False


def _muted(known: Account | None) -> Muted:
    if known is None:
        return "no_account"
    return "blocked" if known.blocked_at_ms is not None else ""
