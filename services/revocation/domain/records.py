"""From ``token.revoked`` to the record it becomes: canonical id, watermark, and how long it must live."""

from dataclasses import dataclass

from latchwire.records import Record
from services.revocation.domain.clock import MAX_SKEW_MS, Times, watermark_ms
from shared.emails import canonical_subject
from shared.messages import RevocationScope, TokenRevoked

DAY_MS = 24 * 3600 * 1000
SESSION_LIFE_MS = 7 * DAY_MS  # absolute; also the most that a record about people and tokens lives
# What signs tokens, or is given new ones, does not end by itself: a stolen key that is still in the key set
# would work again. Longer than any key is kept, and a time that every reader's integers hold.
KEY_LIFE_MS = 3_653 * DAY_MS
ACCESS_LIFE_MS = 15 * 60 * 1000
LEEWAY_MS = 5_000  # what verifiers add to ``exp``
MARGIN_MS = LEEWAY_MS + MAX_SKEW_MS


@dataclass(frozen=True, slots=True)
class Revocation:
    """A record and whom it is about; the key is made of *scope* and *identifier*."""

    scope: RevocationScope
    identifier: str
    record: Record


def revocation_of(event: TokenRevoked, times: Times) -> Revocation | None:
    """What *event* asks for, or None when nothing it could hit is alive any more.

    Raises:
        InvalidEmailError: a subject that is meant as an address and is none.
    """
    until = until_ms(event, times.stored_at_ms)
    if until < times.now_ms:
        return None
    return Revocation(event.scope, identifier_of(event), _record(event, until, times))


def identifier_of(event: TokenRevoked) -> str:
    """The id as tokens carry it: without whitespace around it, an address in its canonical form.

    Raises:
        InvalidEmailError: a subject that is meant as an address and is none.
    """
    return canonical_subject(event.target) if event.scope == "subject" else event.target.strip()


def until_ms(event: TokenRevoked, stored_at_ms: int) -> int:
    """When the last token the event can hit is refused for its age anyway.

    The named end is believed up to the longest life there is; without one, a single token lives as an
    access token does, what makes new tokens (key, service) for ten years and everything else as long as a
    session. Counted from when the broker stored the
    event, so that a replay of TOKEN computes the same.
    """
    makes_tokens = event.scope in ("key", "service")
    longest = stored_at_ms + (KEY_LIFE_MS if makes_tokens else SESSION_LIFE_MS)
    if event.affected_until is not None:
        return min(event.affected_until, longest) + MARGIN_MS
    if event.scope == "token":
        return stored_at_ms + ACCESS_LIFE_MS + MARGIN_MS
    return longest + MARGIN_MS


def _record(event: TokenRevoked, until: int, times: Times) -> Record:
    if event.scope != "subject":
        return Record(until)
    watermark = watermark_ms(event.before, times)
    if event.applies_to == "access":
        return Record(until, tokens_before=watermark)
    return Record(until, sessions_before=watermark)
