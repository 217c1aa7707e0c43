"""Which credential an HTTP request carries, and what it hears when that one does not count (RFC 6750).

Parsers disagree about which of two equal headers counts, so two are refused. A browser cannot set headers
on a WebSocket: it may offer the token as a subprotocol instead, beside the one it really speaks.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from latchwire.assertions import Assertion, AssertionVerifier
from latchwire.claims import Claims
from latchwire.tokens import Refused
from latchwire.verifier import STALE, Verifier

PROTOCOL_PREFIX: Final = b"latchwire.bearer."
RETRY_AFTER_SECONDS: Final = 1
CLOSE_REFUSED: Final = 4401  # the application range of RFC 6455, after HTTP's 401
GRACE_SECONDS: Final = 5.0  # from the close of a WebSocket until its connection is cut
CLOSE_LATER: Final = 1013  # "try again later"

_log = logging.getLogger("latchwire.assertions")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that lets nobody in: *status*, *code*, and the headers that say so."""

    status: int
    code: str
    more: tuple[tuple[str, str], ...] = ()

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        common = (("Cache-Control", "no-store"), ("X-Latchwire-Reason", self.code))
        return common + self.more


NO_CREDENTIALS: Final = Refusal(401, "no_credentials", (("WWW-Authenticate", "Bearer"),))
NO_ASSERTION: Final = Refusal(401, "no_assertion", (("WWW-Authenticate", "Bearer"),))
TWO_CREDENTIALS: Final = Refusal(400, "two_credentials")
MALFORMED: Final = Refused("token_invalid", "authorization")


def authenticate(
    verifier: Verifier, authorization: Sequence[bytes], protocols: Sequence[bytes]
) -> Claims | Refusal:
    """Whose request this is, by all its ``Authorization`` and ``Sec-WebSocket-Protocol`` headers."""
    if verifier.is_stale():
        return refusal_of(STALE)
    token = _read_token(authorization, protocols)
    if isinstance(token, Refusal):
        return token
    outcome = verifier.verify(token)
    return refusal_of(outcome) if isinstance(outcome, Refused) else outcome


def read_caller(verifier: AssertionVerifier, assertions: Sequence[bytes]) -> Assertion | Refusal:
    """Who calls, by all its ``X-Latchwire-Assertion`` headers.

    What is wrong with one is nobody's affair who comes around the gateway: the log says it, at debug.
    """
    if len(assertions) != 1:
        return NO_ASSERTION
    outcome = verifier.verify(assertions[0])
    if not isinstance(outcome, Refused):
        return outcome
    if outcome.code == "stale":
        return refusal_of(outcome)
    _log.debug("assertion.refused code=%s %s", outcome.code, outcome.detail)
    return NO_ASSERTION


def _read_token(authorization: Sequence[bytes], protocols: Sequence[bytes]) -> bytes | Refusal:
    offered = [p.strip() for header in protocols for p in header.split(b",")]
    tokens = [p[len(PROTOCOL_PREFIX) :] for p in offered if p.startswith(PROTOCOL_PREFIX)]
    if len(authorization) + len(tokens) > 1:
        return TWO_CREDENTIALS
    if tokens:
        return tokens[0] or refusal_of(MALFORMED)
    if not authorization:
        return NO_CREDENTIALS
    scheme, _, token = authorization[0].partition(b" ")
    if scheme.lower() != b"bearer" or not token or token != token.strip():
        return refusal_of(MALFORMED)
    return token


def refusal_of(refused: Refused) -> Refusal:
    """What the client hears: 503 when nobody can tell now, else 401 with a challenge (RFC 6750 §3)."""
    if refused.code == "stale":
        return Refusal(503, "stale", (("Retry-After", str(RETRY_AFTER_SECONDS)),))
    challenge = f'Bearer error="invalid_token", error_description="{refused.code}"'
    return Refusal(401, refused.code, (("WWW-Authenticate", challenge),))


def close_code(refused: Refused) -> int:
    """With what an open WebSocket is closed: 4401, or 1013 when nobody can tell now."""
    return CLOSE_LATER if refused.code == "stale" else CLOSE_REFUSED
