"""Send the mail of one request, once, or say why not.

The order that keeps the promise: SENDING is stored before the mail server hears a word, the terminal
state before it is announced, the announcement (if the bus takes it) before the message is acknowledged.
A crash between any two of them is found by the next delivery. Repeating the whole is harmless.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Gauge

from services.mailer.domain.attempt import (
    Busy,
    Claimed,
    Reason,
    Record,
    Settled,
    State,
    Timing,
    Verdict,
    backoff,
    deadline_ms,
    expiry_verdict,
    mail_key,
)
from services.mailer.domain.fairness import Places
from services.mailer.domain.replies import (
    Accepted,
    Meaning,
    MessageRefused,
    OutcomeUnknown,
    RecipientRefused,
    Reply,
    SenderTrouble,
    Stage,
    TryAgain,
    interpret,
)
from services.mailer.domain.sender import SenderHealth
from services.mailer.flows.announcing import publish_end
from services.mailer.ports import Announcer, Letter, Letters, MailStates, MailTransport
from shared.bus import BusUnavailableError
from shared.clock import Clock
from shared.emails import is_canonical
from shared.ids import Ids
from shared.messages import LoginRequested
from shared.redis import StoreUnavailableError

log = structlog.get_logger()

MAILS = Counter("latchwire_mails_total", "Mails by what became of a try.", ["outcome"])
UNTOLD = Counter("latchwire_mails_untold_total", "Mails whose end the stream OPS did not take.")
TROUBLE = Gauge("latchwire_mail_sender_trouble", "1 while the mail server refuses us.")
MAX_REFUSALS = 2  # a text refused this often is refused for good, and no longer pauses the others
TEXT_TROUBLE = "the mail server refuses the text of our mail"
STALE_FACTOR = 2  # trouble stays in /ready for so many pauses unless a mail gets through


@dataclass(frozen=True)
class Done:
    """Settled, and announced if the bus took it."""


@dataclass(frozen=True)
class Postponed:
    """To be delivered again after *seconds*."""

    seconds: float
    reason: str


@dataclass(frozen=True)
class SenderRefused:
    """The mail server refuses us: nobody should try for *seconds*."""

    seconds: float
    reason: str


Outcome = Done | Postponed | SenderRefused


@dataclass(frozen=True)
class Mailroom:
    """What `send_mail` works with."""

    states: MailStates
    transport: MailTransport
    letters: Letters
    announcer: Announcer
    places: Places
    health: SenderHealth
    clock: Clock
    ids: Ids
    timing: Timing


@dataclass(frozen=True)
class _Try:
    """One claimed try: *remaining* is in seconds until the mail is no longer worth sending."""

    room: Mailroom
    request: LoginRequested
    claim: Claimed
    remaining: float

    @property
    def key(self) -> str:
        return mail_key(self.request.login_id, self.request.notice)


async def send_mail(request: LoginRequested, *, stored_at_ms: int, room: Mailroom) -> Outcome:
    """Carry *request* as far as it can be carried now. *stored_at_ms*: when the stream got it.

    Raises:
        StoreUnavailableError: Redis did not answer before anything was sent.
    """
    domain = request.email.rpartition("@")[2]
    if not room.places.take(domain):
        return Postponed(room.timing.busy * (0.5 + room.ids.random()), "domain has its share")
    try:
        return await _claim_and_send(request, stored_at_ms, room)
    finally:
        room.places.leave(domain)


async def _claim_and_send(request: LoginRequested, stored_at_ms: int, room: Mailroom) -> Outcome:
    key = mail_key(request.login_id, request.notice)
    claim = await room.states.claim(key, lease_ms=int(room.timing.lease * 1000))
    match claim:
        case Settled(record):
            return await _announce(room, request, record)
        case Busy(for_ms):
            return Postponed(for_ms / 1000 + room.timing.busy * room.ids.random(), "being sent")
        case Claimed():
            deadline = deadline_ms(request.expires_at, stored_at_ms, room.timing)
            remaining = (deadline - room.clock.now_ms()) / 1000
            return await _attempt(_Try(room, request, claim, remaining))


async def _attempt(this: _Try) -> Outcome:
    if this.remaining <= 0:
        return await _settle(this, expiry_verdict(this.claim))
    if not is_canonical(this.request.email):
        attempts = this.claim.fence - 1
        return await _settle(this, Verdict(State.FAILED, attempts, reason=Reason.INVALID_RECIPIENT))
    letter = this.room.letters.compose(this.request)
    if letter is None:
        log.error("mail.link_key_missing", kid=this.request.link_kid)
        return await _try_later(this, "link key missing")
    return await _send(this, letter)


async def _send(this: _Try, letter: Letter) -> Outcome:
    timing = this.room.timing
    within = min(timing.conversation, this.remaining)
    reply = await this.room.transport.send(letter, within=within)
    meaning = interpret(reply)
    _note(this, reply, meaning)
    match meaning:
        case Accepted(code):
            return await _sent(this, code)
        case RecipientRefused(code):
            return await _settle(this, _failed(this, Reason.RECIPIENT_REFUSED, code))
        case MessageRefused(code):
            return await _text_refused(this, code)
        case SenderTrouble(reason):
            return await _refused(this, reason, text=False)
        case OutcomeUnknown():
            # Still SENDING: after the lease whoever gets the next delivery sends the same bytes again.
            return Postponed(timing.lease, "outcome unknown")
        case TryAgain():
            return await _try_later(this, f"refused for now at {reply.stage.name}")


def _note(this: _Try, reply: Reply, meaning: Meaning) -> None:
    """Log, count, and keep what the answer says about the server itself."""
    outcome = type(meaning).__name__
    MAILS.labels(outcome).inc()
    log.info(
        "mail.tried",
        login_id=this.request.login_id,
        attempt=this.claim.fence,
        outcome=outcome,
        stage=reply.stage.name,
        smtp_code=reply.code,
    )
    now_ms = int(this.room.clock.monotonic() * 1000)
    fresh_ms = int(this.room.timing.longest_backoff * 1000)
    if isinstance(meaning, Accepted):
        this.room.health.accepted()
        TROUBLE.set(0)
    elif isinstance(meaning, RecipientRefused):
        this.room.health.answered()
        TROUBLE.set(0)
    elif isinstance(meaning, TryAgain) and reply.stage < Stage.MAIL:
        this.room.health.unreachable(now_ms + fresh_ms)


async def _sent(this: _Try, code: int) -> Outcome:
    """The mail is out: from here on nothing may end in sending it again, whatever the store does."""
    verdict = Verdict(State.SENT, this.claim.fence, code)
    record = await _persist(this, lambda: _write(this, verdict))
    if record is None:
        log.error("mail.sent_not_recorded", login_id=this.request.login_id)
        record = Record(State.SENT, this.claim.fence, code, "", this.room.clock.now_ms())
    return await _announce(this.room, this.request, record)


async def _persist(this: _Try, write: Callable[[], Awaitable[Record | None]]) -> Record | None:
    for left in range(this.room.timing.store_tries, 0, -1):
        try:
            return await write()
        except StoreUnavailableError:
            if left > 1:
                await asyncio.sleep(this.room.timing.store_retry)
    return None


async def _settle(this: _Try, verdict: Verdict) -> Outcome:
    record = await _write(this, verdict)
    if record is None:
        return Postponed(this.room.timing.busy, "a newer try is at work")
    return await _announce(this.room, this.request, record)


async def _write(this: _Try, verdict: Verdict) -> Record | None:
    return await this.room.states.settle(this.key, this.claim.fence, verdict)


async def _try_later(this: _Try, reason: str) -> Outcome:
    await this.room.states.release(this.key, this.claim.fence)
    room = this.room
    delay = backoff(this.claim.fence, this.remaining, room.timing, room.ids.random())
    return Postponed(delay, reason)


async def _refused(this: _Try, reason: str, *, text: bool) -> Outcome:
    await this.room.states.release(this.key, this.claim.fence, refused=text)
    pause = this.room.timing.pause
    now_ms = int(this.room.clock.monotonic() * 1000)
    this.room.health.refused(reason, now_ms + int(pause * STALE_FACTOR * 1000))
    TROUBLE.set(1)
    log.error("mail.sender_refused", reason=reason, pause_seconds=pause)
    return SenderRefused(pause, reason)


async def _text_refused(this: _Try, code: int) -> Outcome:
    """One recipient's filter fails that mail; several in a row say that it is about us."""
    about_us = this.room.health.text_refused(this.request.email)
    if about_us and this.claim.refusals + 1 < MAX_REFUSALS:
        return await _refused(this, TEXT_TROUBLE, text=True)
    return await _settle(this, _failed(this, Reason.MESSAGE_REFUSED, code))


def _failed(this: _Try, reason: Reason, code: int) -> Verdict:
    return Verdict(State.FAILED, this.claim.fence, code, reason)


async def _announce(room: Mailroom, request: LoginRequested, record: Record) -> Outcome:
    """Say how it ended, if the bus takes it: what is only told must not hold up anybody's mail.

    With the whole bus away the acknowledgement is lost too: the message comes again, and is told then.
    """
    try:
        await publish_end(room.announcer, room.letters, request, record)
    except BusUnavailableError:
        UNTOLD.inc()
        log.warning("mail.not_announced", login_id=request.login_id, state=record.state.value)
    return Done()
