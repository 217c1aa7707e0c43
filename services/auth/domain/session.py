"""Sessions and their refresh tokens: form, authenticity, and what a presented counter means.

A refresh token is ``version.kid.sid.counter.mac``. Only the counter is stored; the MAC is under the
refresh key *and* the session's own random secret, so neither a stolen key nor a stolen store makes one.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Literal

from services.auth.domain.client import UNKNOWN, Client
from shared.ids import b64url, encode_ulid

SESSION_MS = 7 * 86_400_000
GRACE_MS = 10_000
ACCESS_SECONDS = 900
ACCESS_JITTER = 0.05
VERSION = "1"
FIRST_PARTY = "latchwire"  # the client_id of sessions that no confidential client opened

_REFRESH = re.compile(
    r"1\.([A-Za-z0-9_-]{1,64})\.([0-7][0-9A-HJKMNP-TV-Z]{25})\.([1-9][0-9]{0,9})\.([A-Za-z0-9_-]{43})",
    re.ASCII,
)

EndReason = Literal[
    "logout",
    "ended_by_user",
    "everywhere",
    "blocked",
    "notice",
    "refresh_reuse",
    "revoked_by_client",
    "password_reset",
    "password_changed",
    "account_deleted",
]


@dataclass(frozen=True)
class Session:
    """A stored session. Times in Unix ms; *ended* is the reason of its tombstone, "" while it lives.

    *org* is the active organisation, "" for none.
    """

    sid: str
    sub: str
    email: str
    sst: int
    expires_at_ms: int
    counter: int
    advanced_at_ms: int
    secret: str = field(repr=False)
    client: Client = UNKNOWN
    client_id: str = ""
    amr: str = ""
    org: str = ""
    ended: str = ""
    announced: bool = True


@dataclass(frozen=True)
class RefreshToken:
    """A token that has the right form; nothing is proven before `is_genuine`."""

    kid: str
    sid: str
    counter: int
    mac: str = field(repr=False)


def parse_refresh_token(text: str) -> RefreshToken | None:
    """The parts of *text*, or None when it cannot be a refresh token."""
    match = _REFRESH.fullmatch(text)
    if match is None:
        return None
    kid, sid, counter, mac = match.groups()
    return RefreshToken(kid, sid, int(counter), mac)


def make_refresh_token(key: bytes, kid: str, sid: str, counter: int, secret: str) -> str:
    """The token that says *counter* for *sid*: the same each time it is asked for."""
    head = f"{VERSION}.{kid}.{sid}.{counter}"
    return f"{head}.{_refresh_mac(key, head, secret)}"


def is_genuine(token: RefreshToken, key: bytes, secret: str) -> bool:
    """Whether *token* was made with *key* for the session that has *secret*; constant time."""
    head = f"{VERSION}.{token.kid}.{token.sid}.{token.counter}"
    return hmac.compare_digest(token.mac, _refresh_mac(key, head, secret))


CounterVerdict = Literal["advance", "repeat", "reuse"]


def judge_counter(
    presented: int, current: int, since_advance_ms: int, grace_ms: int
) -> CounterVerdict:
    """What presenting *presented* means while *current* is the session's counter.

    The immediately previous token, within the window, gets the same successor again: two tabs, or an
    answer that was lost. The window is counted from the advance and so cannot be slid along.
    Everything else (older, later, or from the future of a store that was rolled back) is reuse.
    """
    if presented == current:
        return "advance"
    if presented == current - 1 and since_advance_ms <= grace_ms:
        return "repeat"
    return "reuse"


def access_lifetime(seconds_left: int, jitter: float) -> int:
    """Seconds an access token lives: 15 min less up to 5 % (*jitter* in [0, 1)), within the session."""
    return min(int(ACCESS_SECONDS * (1 - ACCESS_JITTER * jitter)), seconds_left)


def revocation_id(sid: str) -> str:
    """The ULID under which the end of *sid* is published, however often that is tried."""
    return _stable_ulid(f"session/v1|{sid}")


def watermark_id(key: bytes, sub: str, before_ms: int) -> str:
    """The same for the end of all sessions of *sub*; under a key, because ids travel in headers."""
    return _stable_ulid(hmac.digest(key, f"subject/v1|{before_ms}|{sub}".encode(), "sha256").hex())


def notice_id(sid: str, reason: str) -> str:
    """The ULID of the one notice about *sid* for *reason*."""
    return _stable_ulid(f"notice/v1|{reason}|{sid}")


def csrf_value(key: bytes, sid: str) -> str:
    """The readable CSRF cookie of a session: bound to it by a MAC, so that no state is needed."""
    return b64url(hmac.digest(key, f"csrf/v1|{sid}".encode(), "sha256"))


def csrf_claim(value: str) -> str:
    """What the access token says of the CSRF cookie: its SHA-256, hexadecimal."""
    return hashlib.sha256(value.encode()).hexdigest()


def handle_of(key: bytes, sid: str) -> str:
    """The name of a session in lists: tells a person's sessions apart and opens none."""
    return b64url(hmac.digest(key, f"handle/v1|{sid}".encode(), "sha256")[:12])


def _refresh_mac(key: bytes, head: str, secret: str) -> str:
    return b64url(hmac.digest(key, f"refresh/{head}|{secret}".encode(), "sha256"))


def _stable_ulid(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return encode_ulid(int.from_bytes(digest[:6], "big"), digest[6:16])
