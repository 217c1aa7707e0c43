"""Latchwire for services: verify its access tokens offline and know within milliseconds what is revoked.

`latchwire.tokens` verifies, `latchwire.keys` holds the public keys, `latchwire.blocklist` and
`latchwire.feed` keep the revocations in memory, current, and say how current.
"""

from latchwire.claims import Claims
from latchwire.keys import InvalidJWKSError, KeyRing, VerificationKey
from latchwire.tokens import (
    Refused,
    TokenPolicy,
    check_times,
    decode_access_token,
    verify_access_token,
)

__version__ = "0.1.0"

__all__ = [
    "Claims",
    "InvalidJWKSError",
    "KeyRing",
    "Refused",
    "TokenPolicy",
    "VerificationKey",
    "check_times",
    "decode_access_token",
    "verify_access_token",
]
