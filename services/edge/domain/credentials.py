"""Which credential a request carries: one bearer token, one session cookie, or neither.

Parsers disagree about which of two equal headers or cookies counts, so two are refused, wherever they
stand (RFC 6750 §2; cookie tossing from a sibling subdomain).
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

CredentialCode: TypeAlias = Literal["two_credentials", "token_invalid"]

BEARER: Final = b"bearer "


class Presented(NamedTuple):
    """What came: raw token bytes, b"" where nothing did. *cookie* is the session cookie's value."""

    bearer: bytes
    cookie: bytes


def read_credentials(
    authorization: Sequence[bytes], cookies: Sequence[bytes], cookie_name: bytes
) -> Presented | CredentialCode:
    """The credentials of all ``Authorization`` and ``Cookie`` headers, or a refusal's code.

    Codes: ``two_credentials``, ``token_invalid`` (a scheme that is not Bearer, or no token after it).
    """
    if len(authorization) > 1:
        return "two_credentials"
    bearer = _read_bearer(authorization[0]) if authorization else b""
    if bearer is None:
        return "token_invalid"
    if not cookies:
        return Presented(bearer, b"")
    found = [value for header in cookies for value in _values(header, cookie_name)]
    if len(found) > 1:
        return "two_credentials"
    return Presented(bearer, found[0] if found else b"")


def _read_bearer(header: bytes) -> bytes | None:
    token = header[len(BEARER) :]
    if header[: len(BEARER)].lower() != BEARER or not token or token != token.strip():
        return None
    return token


def _values(header: bytes, name: bytes) -> list[bytes]:
    if name not in header:
        return []
    pairs = (pair.partition(b"=") for pair in header.split(b";"))
    # An empty value is a cookie that was cleared; it counts as one all the same when there are two.
    return [value.strip() for key, _, value in pairs if key.strip() == name]
