"""`MailStates` in memory, on a test's clock."""

from dataclasses import dataclass

from services.mailer.domain.attempt import (
    TERMINAL,
    Busy,
    Claim,
    Claimed,
    Record,
    Settled,
    State,
    Verdict,
)
from shared.clock import Clock
from shared.redis import StoreUnavailableError


@dataclass
class _Mail:
    state: State = State.PREPARED
    fence: int = 0
    lease_until_ms: int = 0
    refusals: int = 0
    record: Record | None = None


class FakeMailStates:
    """Behaves as `RedisMailStates` does; *away* makes the next so many calls fail."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mails: dict[str, _Mail] = {}
        self.away = 0

    async def claim(self, key: str, *, lease_ms: int) -> Claim:
        self._answer()
        mail = self._mails.setdefault(key, _Mail())
        now = self._clock.now_ms()
        if mail.record is not None:
            return Settled(mail.record)
        if mail.state is State.SENDING and mail.lease_until_ms > now:
            return Busy(mail.lease_until_ms - now)
        resumed = mail.state is State.SENDING
        mail.state, mail.fence, mail.lease_until_ms = State.SENDING, mail.fence + 1, now + lease_ms
        return Claimed(mail.fence, resumed, mail.refusals)

    async def release(self, key: str, fence: int, *, refused: bool = False) -> None:
        self._answer()
        mail = self._mails[key]
        if mail.state is State.SENDING and mail.fence == fence:
            mail.state = State.PREPARED
            mail.refusals += refused

    async def settle(self, key: str, fence: int, verdict: Verdict) -> Record | None:
        self._answer()
        mail = self._mails[key]
        if mail.record is not None:
            return mail.record
        if mail.fence != fence and verdict.state is not State.SENT:
            return None
        assert verdict.state in TERMINAL
        mail.state = verdict.state
        mail.record = Record(
            verdict.state,
            verdict.attempts,
            verdict.smtp_code,
            str(verdict.reason),
            self._clock.now_ms(),
        )
        return mail.record

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise StoreUnavailableError
