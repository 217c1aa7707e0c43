"""Latchwire for services: verify its access tokens offline and know within milliseconds what is revoked.

`latchwire.tokens` verifies, `latchwire.keys` holds the public keys, `latchwire.blocklist` and
`latchwire.feed` keep the revocations in memory, current, and say how current.
"""

from latchwire.blocklist import Blocklist, Fingerprint, Hit
from latchwire.claims import Claims
from latchwire.feed import FeedClosedError, RevocationFeed
from latchwire.keys import InvalidJWKSError, KeyRing, VerificationKey
from latchwire.records import Record, RecordError, record_key
from latchwire.tokens import (
    Refused,
    TokenPolicy,
    check_times,
    decode_access_token,
    verify_access_token,
)

__version__ = "0.1.0"

__all__ = [
    "Blocklist",
    "Claims",
    "FeedClosedError",
    "Fingerprint",
    "Hit",
    "InvalidJWKSError",
    "KeyRing",
    "Record",
    "RecordError",
    "Refused",
    "RevocationFeed",
    "TokenPolicy",
    "VerificationKey",
    "check_times",
    "decode_access_token",
    "record_key",
    "verify_access_token",
]
