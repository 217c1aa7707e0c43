"""The link and the code of a login attempt, derived and never stored.

Auth and the mailer hold the link key; the event between them carries only the attempt's id. Both
derive the same two values, so two mails for one attempt carry the same link, and nothing on the bus
opens a session.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode

from shared.ids import CROCKFORD, b64url, encode_ulid

CODE_CHARS = 8

_TOKEN = re.compile(r"[A-Za-z0-9_-]{64}", re.ASCII)
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)
_ULID_BYTES = 16
_CODE_INPUT_LIMIT = 64  # a person types eight characters and some separators, not a book
_SEPARATORS = str.maketrans("", "", " \t\r\n\u00a0-\u2010\u2011\u2012\u2013\u2014")  # and dashes
_MISREAD = str.maketrans({"I": "1", "L": "1", "O": "0"})


def link_token(key: bytes, purpose: str, login_id: str, email: str) -> str:
    """The 64 characters of the link: the attempt's id and its 256-bit MAC.

    *email* is the canonical address: the link of one address proves nothing about another.
    """
    return b64url(_ulid_bytes(login_id) + _mac(key, "link/v1", purpose, login_id, email))


def login_code(key: bytes, purpose: str, login_id: str, email: str) -> str:
    """The eight Crockford base-32 characters (40 bits) for typing on another device, no dash."""
    number = int.from_bytes(_mac(key, "code/v1", purpose, login_id, email)[:5], "big")
    return "".join(CROCKFORD[(number >> shift) & 31] for shift in range(35, -1, -5))


def show_code(code: str) -> str:
    """*code* as it is shown: ``XXXX-XXXX``."""
    return f"{code[:4]}-{code[4:]}"


def parse_link_token(token: str) -> tuple[str, bytes] | None:
    """The attempt's id and the MAC a token claims, or None when it cannot be one.

    Nothing is proven yet: compare the whole token with `link_token`'s, in constant time
    (`hmac.compare_digest`), for every ``kid`` that is still accepted.
    """
    if not _TOKEN.fullmatch(token):
        return None
    raw = urlsafe_b64decode(token)
    milliseconds = int.from_bytes(raw[:6], "big")
    return encode_ulid(milliseconds, raw[6:_ULID_BYTES]), raw[_ULID_BYTES:]


def normalise_code(text: str) -> str | None:
    """A code as a person types it (any case, dashes, spaces, I/L for 1, O for 0), or None."""
    if len(text) > _CODE_INPUT_LIMIT:
        return None
    code = text.translate(_SEPARATORS)
    if not code.isascii():  # before upper(): a dotless i would become an I
        return None
    code = code.upper().translate(_MISREAD)
    return code if len(code) == CODE_CHARS and set(code) <= set(CROCKFORD) else None


def link_url(target: str, token: str, login_id: str) -> str:
    """Where the mail's link leads.

    *target* is the public base URL, or LATCHWIRE_LINK_URL with ``{token}`` (and ``{id}``) in it. By
    default the token travels in the fragment, which no server ever receives; the id is no secret.
    """
    if "{token}" in target:
        return target.replace("{token}", token).replace("{id}", login_id)
    return f"{target.rstrip('/')}/auth/link?id={login_id}#{token}"


def _mac(key: bytes, label: str, purpose: str, login_id: str, email: str) -> bytes:
    address = hashlib.sha256(email.encode()).hexdigest()
    return hmac.digest(key, f"{label}|{purpose}|{login_id}|{address}".encode(), "sha256")


def _ulid_bytes(ulid: str) -> bytes:
    if not _ULID.fullmatch(ulid):
        raise ValueError("not a ULID")
    number = 0
    for char in ulid:
        number = number << 5 | CROCKFORD.index(char)
    return number.to_bytes(_ULID_BYTES, "big")
