"""Confidential clients: a web application's server that signs people in on their behalf.

It may name the person's address and browser, because it alone sees them. Its secret is kept as a
SHA-256; that is enough for a random secret of 256 bits, which nobody can guess from its hash.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from services.auth.http.problems import Problem

_NOBODY = "0" * 64


@dataclass(frozen=True)
class ClientList:
    """``clients.json``: id -> hexadecimal SHA-256 of the secret."""

    secret_sha256: Mapping[str, str]

    def accepts(self, client_id: str, secret: str) -> bool:
        """Whether *secret* is the client's; the same time for a client that is not there."""
        expected = self.secret_sha256.get(client_id, _NOBODY)
        return hmac.compare_digest(hashlib.sha256(secret.encode()).hexdigest(), expected)


def read_client_id(request: web.Request, clients: ClientList) -> str | None:
    """The id of the confidential client that sent *request*; None when none is claimed.

    Raises:
        Problem: HTTP Basic (RFC 7617) is there, but wrong.
    """
    headers = request.headers.getall("Authorization", [])
    if not headers or headers[0][:6].lower() != "basic ":
        return None
    client_id, secret = read_basic(request)
    if not clients.accepts(client_id, secret):
        raise Problem(401, "invalid_client", headers={"WWW-Authenticate": 'Basic realm="auth"'})
    return client_id


def read_basic(request: web.Request) -> tuple[str, str]:
    """Name and secret of HTTP Basic (RFC 7617); both "" where it is not there, or there twice."""
    headers = request.headers.getall("Authorization", [])
    if len(headers) != 1 or headers[0][:6].lower() != "basic ":
        return "", ""
    return _decode_basic(headers[0][6:])


def _decode_basic(text: str) -> tuple[str, str]:
    try:
        pair = base64.b64decode(text.strip(" "), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", ""
    client_id, _, secret = pair.partition(":")
    return client_id, secret
