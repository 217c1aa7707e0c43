"""Latchwire for services: verify its access tokens offline and know within milliseconds what is revoked.

`latchwire.verifier` answers for a request, `latchwire.aiohttp` and `latchwire.asgi` put it before an
application; `latchwire.assertions` says who calls behind the gateway; `latchwire.testing` stands in for all
of it in tests. Underneath: `latchwire.tokens` verifies, `latchwire.keys` holds the public keys,
`latchwire.feed` and `latchwire.blocklist` keep the revocations in memory, current, and say how current;
`latchwire.events` tells what happens.
"""

from latchwire._errors import LatchwireError
from latchwire.assertions import Assertion, AssertionVerifier
from latchwire.blocklist import Blocklist, Fingerprint, Hit
from latchwire.claims import Claims
from latchwire.events import Event, EventStream, Resync, Revoked
from latchwire.feed import (
    Feed,
    FeedClosedError,
    FeedConnectError,
    FeedStaleError,
    RevocationFeed,
)
from latchwire.keys import InvalidJWKSError, KeyRing, VerificationKey
from latchwire.records import Record, RecordError, record_key
from latchwire.tokens import (
    Refused,
    TokenPolicy,
    check_times,
    decode_access_token,
    verify_access_token,
)
from latchwire.verifier import Verifier

__version__ = "0.1.0"

__all__ = [
    "Assertion",
    "AssertionVerifier",
    "Blocklist",
    "Claims",
    "Event",
    "EventStream",
    "Feed",
    "FeedClosedError",
    "FeedConnectError",
    "FeedStaleError",
    "Fingerprint",
    "Hit",
    "InvalidJWKSError",
    "KeyRing",
    "LatchwireError",
    "Record",
    "RecordError",
    "Refused",
    "Resync",
    "RevocationFeed",
    "Revoked",
    "TokenPolicy",
    "VerificationKey",
    "Verifier",
    "check_times",
    "decode_access_token",
    "record_key",
    "verify_access_token",
]
