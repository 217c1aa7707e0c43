"""Revocation records: what is refused (a keyed hash) and until when (25 packed bytes).

Records only ever grow: two for the same key are merged by taking the greater of each field. Merging is
commutative, associative and idempotent, so deltas may be repeated, reordered and replayed, and none
of that can undo or shorten a revocation.
"""

import base64
import hashlib
import hmac
import re
import struct
from dataclasses import dataclass
from typing import Final

SCOPE_LETTERS: Final[dict[str, str]] = {
    "token": "j",
    "session": "s",
    "subject": "u",
    "service": "v",
    "key": "k",
}
SCOPE_NAMES: Final[dict[str, str]] = {letter: scope for scope, letter in SCOPE_LETTERS.items()}

_LAYOUT: Final = struct.Struct(">BQQQ")
_VERSION: Final = 1
# 26 characters hold 130 bits, so the last one stands for 3 bits and two zeros: each digest has one text.
_KEY: Final = re.compile(r"[jsuvk][a-z2-7]{25}[aeimquy4]", re.ASCII)
# From base 32 as RFC 4648 writes it to the digits that `int` reads, which is several times faster.
_TO_DIGITS: Final = bytes.maketrans(
    b"abcdefghijklmnopqrstuvwxyz234567", b"0123456789abcdefghijklmnopqrstuv"
)


class RecordError(ValueError):
    """Not a record this version understands."""


def record_key(hash_key: bytes, scope: str, identifier: str) -> str:
    """The key of *identifier*: the scope's letter and 26 characters of lower-case base 32.

    The characters are the first 128 bits of ``HMAC-SHA256(hash_key, "bl/v1|" scope "|" identifier)``, so
    that no subject or store shows whom a record is about.

    Raises:
        KeyError: *scope* is none of ``SCOPE_LETTERS``.
    """
    return text_key(SCOPE_LETTERS[scope], digest_of(hash_key, scope, identifier))


def digest_of(hash_key: bytes, scope: str, identifier: str) -> bytes:
    """The 16 bytes that `record_key` writes as text."""
    text = f"bl/v1|{scope}|{identifier}".encode("utf-8", "surrogatepass")
    return hmac.digest(hash_key, text, hashlib.sha256)[:16]


def text_key(letter: str, digest: bytes) -> str:
    """The record key of a scope's *letter* and a *digest* of 16 bytes."""
    return letter + base64.b32encode(digest).decode("ascii").rstrip("=").lower()


def key_digest(key: str) -> bytes:
    """The 16 bytes of the digest in a record *key*.

    Raises:
        ValueError: *key* has not the form `record_key` gives.
    """
    if not is_record_key(key):
        raise ValueError("no record key")
    return (int(key[1:].encode("ascii").translate(_TO_DIGITS), 32) >> 2).to_bytes(16, "big")


def is_record_key(text: str) -> bool:
    """Whether *text* has the form `record_key` gives."""
    return _KEY.fullmatch(text) is not None


def is_foreign(body: bytes) -> bool:
    """Whether *body* is no record of any version, now or to come, and so no revocation at all.

    Each version begins with its number, a byte below 0x20. A client of the workers' account may have the
    server send an answer to any subject, ``bl.*`` too, and it is stored there: JSON, a mail, or nothing at all.
    Who took that for a record of a later version would be closed for ever.
    """
    return not body or body[0] >= 0x20


@dataclass(frozen=True, slots=True)
class Record:
    """One revocation. All times in Unix milliseconds, 0 for none.

    *until_ms* is when nothing it can hit is alive any more. A subject's record has watermarks too:
    sessions begun at or before *sessions_before* and tokens issued at or before *tokens_before* are
    refused.
    """

    until_ms: int
    sessions_before: int = 0
    tokens_before: int = 0

    def pack(self) -> bytes:
        """The 25 bytes ``>BQQQ``: version 1 and the three times.

        Raises:
            RecordError: a time does not fit 64 bits without a sign.
        """
        try:
            return _LAYOUT.pack(_VERSION, self.until_ms, self.sessions_before, self.tokens_before)
        except struct.error as error:
            raise RecordError("a time is out of range") from error

    @classmethod
    def unpack(cls, body: bytes) -> "Record":
        """The record of 25 packed bytes.

        Raises:
            RecordError: another length or another version.
        """
        if len(body) != _LAYOUT.size or body[0] != _VERSION:
            raise RecordError(f"{len(body)} bytes are not a version {_VERSION} record")
        _, until_ms, sessions_before, tokens_before = _LAYOUT.unpack(body)
        return cls(until_ms, sessions_before, tokens_before)

    def merged(self, other: "Record") -> "Record":
        """The record that refuses what either refuses: the greater of each field."""
        return Record(
            max(self.until_ms, other.until_ms),
            max(self.sessions_before, other.sessions_before),
            max(self.tokens_before, other.tokens_before),
        )
