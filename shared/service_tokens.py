"""Service tokens as text, as a row of the document ``tokens``, and as claims.

``lws_live_`` or ``lws_dev_``, 30 characters of base62 (178 random bits) and 6 that are the CRC-32 of everything
before them: a scanner that finds one in a repository knows without asking that it is no chance hit. What is
kept of it is the SHA-256; that is enough, because nobody guesses 178 bits from their hash.
"""

import re
from binascii import crc32
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from latchwire._strict import decode_base64url
from latchwire.claims import Claims
from shared.messages.service_token import MAX_TOKENS, ServiceToken

PREFIX: Final = b"lws_"
# For secret scanners; `is_service_token` also computes the checksum.
REGEX: Final = r"\blws_(?:live|dev)_[0-9A-Za-z]{36}\b"
DAY_MS: Final = 86_400_000
LIFETIME_MS: Final = 90 * DAY_MS
MAX_LIFETIME_MS: Final = 366 * DAY_MS
OVERLAP_MS: Final = DAY_MS
MAX_AHEAD_MS: Final = (
    3_600_000  # of a generation, which is a time: what clocks may differ by, and more
)
LIVE_AT_MOST: Final = 2  # of one service: the one in use, and the one that takes its place

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM, _CHECK = 30, 6
_LIFETIME: Final = re.compile(r"(\d{1,6})([dhm])", re.ASCII)
_UNITS: Final = {"d": DAY_MS, "h": 3_600_000, "m": 60_000}
_FORM: Final = re.compile(rb"lws_(?:live|dev)_[0-9A-Za-z]{36}")


def make_service_token(secret: str, *, live: bool) -> str:
    """The token of *secret* (`shared.ids.Ids.secret`: 256 bits as base64url).

    Raises:
        ValueError: *secret* is not that.
    """
    entropy = decode_base64url(secret.encode("ascii"))
    if entropy is None or len(entropy) != 32:
        raise ValueError("not 256 bits of base64url")
    # 256 bits folded into 178: no value is likelier than another by more than 2^-77.
    start = f"lws_{'live' if live else 'dev'}_" + _base62(int.from_bytes(entropy, "big"), _RANDOM)
    return start + _checksum(start.encode("ascii"))


def variable_of(service: str) -> str:
    """The environment variable that the token of *service* goes into, by convention."""
    return "SERVICE_TOKEN_" + service.upper().replace("-", "_")


def parse_lifetime(text: str) -> int:
    """Milliseconds of ``90d``, ``36h`` or ``30m``, at most `MAX_LIFETIME_MS`.

    Raises:
        ValueError: another form, none, or longer; the message is the cure.
    """
    match = _LIFETIME.fullmatch(text)
    lifetime_ms = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 0 < lifetime_ms <= MAX_LIFETIME_MS:
        raise ValueError(f"write 90d, 36h or 30m, at most {MAX_LIFETIME_MS // DAY_MS}d")
    return lifetime_ms


def is_service_token(token: bytes) -> bool:
    """Whether *token* has the form of one and its checksum is right; nothing says that it is known."""
    if _FORM.fullmatch(token) is None:
        return False
    return token[-_CHECK:] == _checksum(token[:-_CHECK]).encode("ascii")


def hash_service_token(token: bytes) -> str:
    """What is kept of *token*: hexadecimal SHA-256."""
    return sha256(token).hexdigest()


def claims_of(row: ServiceToken, *, issuer: str, audience: str, kid: str = "") -> Claims:
    """What the token of *row* says: as the access tokens made of it, with the whole of its own life.

    *kid* signed the document that has the row: whatever revokes that key revokes the token, as those it signed.
    """
    issued = row.created_at // 1000
    return Claims(
        iss=issuer,
        aud=audience,
        sub=row.service,
        email="",
        sid=row.id,
        jti=row.id,
        kid=kid,
        client_id=row.service,
        org=row.org or "",
        roles=(),
        amr=(),
        auth_time=issued,
        iat=issued,
        exp=row.expires_at // 1000,
        iat_ms=row.created_at,
        sst=row.created_at,
        csrf="",
        permissions=row.scopes,
        service=row.service,
    )


class TokensBody(BaseModel):
    """The body of ``tokens``.

    Those that were revoked stand apart, and those that are bound to an organisation: who reads as a version did
    that knew nothing of either must not take them for living ones, nor for tokens of the whole installation.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    tokens: tuple[ServiceToken, ...] = Field(max_length=MAX_TOKENS)
    bound: tuple[ServiceToken, ...] = Field(default=(), max_length=MAX_TOKENS)
    revoked: tuple[ServiceToken, ...] = Field(default=(), max_length=MAX_TOKENS)

    @model_validator(mode="after")
    def _live_no_longer_than_any(self) -> Self:
        living = (*self.tokens, *self.bound)
        if any(row.expires_at - row.created_at > MAX_LIFETIME_MS for row in living):
            raise ValueError("a token lives longer than auth lets any")
        if any(row.org is None for row in self.bound):
            raise ValueError("a token is bound to no organisation")
        if any(row.revoked_at is None for row in self.revoked):
            raise ValueError("a token is revoked at no time")
        return self


def read_tokens_body(body: Any) -> tuple[ServiceToken, ...] | None:
    """The rows of a body of ``tokens``, those that were revoked last; None when it is not one.

    A field that is not known here is left out.
    """
    try:
        read = TokensBody.model_validate(body, extra="ignore")
    except ValidationError:
        return None
    return (*read.tokens, *read.bound, *read.revoked)


def is_of_the_future(generation: int, now_ms: int) -> bool:
    """Whether *generation*, a time in ms, is none that auth gives: believed, nobody could write a later one."""
    return generation > now_ms + MAX_AHEAD_MS


def tokens_body(rows: Iterable[ServiceToken]) -> dict[str, Any]:
    """The body of ``tokens``."""
    written: dict[str, Any] = {"tokens": [], "bound": [], "revoked": []}
    for row in rows:
        place = "revoked" if row.revoked_at is not None else "bound" if row.org else "tokens"
        written[place].append(row.model_dump(exclude_none=True))
    return written


@dataclass(frozen=True)
class TokenTable:
    """The rows of one generation, by the hash of their token; *kid* is the key that signed it."""

    by_hash: Mapping[str, ServiceToken]
    kid: str = ""

    @classmethod
    def of(cls, rows: Iterable[ServiceToken], kid: str = "") -> Self:
        """The table of *rows*; of two with one hash the revoked one counts."""
        ordered = sorted(rows, key=lambda row: row.revoked_at is not None)
        return cls({row.sha256: row for row in ordered}, kid)

    @property
    def rows(self) -> tuple[ServiceToken, ...]:
        """All of them, in the order of the document."""
        return tuple(self.by_hash.values())

    @property
    def living(self) -> tuple[ServiceToken, ...]:
        """Those that were not revoked."""
        return tuple(row for row in self.by_hash.values() if row.revoked_at is None)

    def find(self, token: bytes) -> ServiceToken | None:
        """The row of *token*, in its time or not, revoked or not; None when there is none."""
        if not is_service_token(token):
            return None
        return self.by_hash.get(hash_service_token(token))


NO_TOKENS: Final = TokenTable({})


def _checksum(start: bytes) -> str:
    return _base62(crc32(start), _CHECK)


def _base62(number: int, length: int) -> str:
    characters = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        characters.append(_ALPHABET[digit])
    return "".join(reversed(characters))
