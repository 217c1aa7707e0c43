"""Reads the password hashes of other systems, as each of them writes them (`KINDS`).

What is not exactly so is a problem with a name and a sentence, and never an exception.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

from services.auth.domain.foreign_hashes import (
    Argon2Hash,
    BcryptHash,
    ForeignHash,
    HashProblem,
    Pbkdf2Hash,
    ScryptHash,
)

MAX_TEXT = 1024
LEAST_BYTES = 16  # of a derived key: of fewer there are too many passwords that match
MOST_BYTES = 64
LEAST_SALT, MOST_SALT = 8, 128


class _MalformedError(ValueError):
    """The rest of a hash is not as its beginning says."""


def judge_import(text: str) -> HashProblem | None:
    """Why *text* may not be imported, or None."""
    found = read_hash(text)
    return found if isinstance(found, HashProblem) else found.judge()


def read_hash(text: str) -> ForeignHash | HashProblem:
    """What *text* says, if it can be checked within bounds at all (it may be too weak to be imported)."""
    if len(text) > MAX_TEXT:
        return HashProblem("hash_malformed", f"a hash has at most {MAX_TEXT} characters")
    kind = next((kind for kind in KINDS if text.startswith(kind.prefixes)), None)
    if kind is None:
        return HashProblem("hash_unknown", "no kind of password hash that is known here")
    match = kind.pattern.fullmatch(text)
    try:
        found = kind.build(match) if match else None
    except _MalformedError:
        found = None
    if found is None:
        return HashProblem("hash_malformed", f"not as a hash of {kind.name} is written")
    problem = found.judge()
    return problem if problem and problem.code == "hash_too_costly" else found


def _bcrypt(match: re.Match[str]) -> BcryptHash:
    return BcryptHash(match["text"], int(match["cost"]), match["django"] == "bcrypt_sha256$")


def _argon2(match: re.Match[str]) -> Argon2Hash:
    memory, lanes = int(match["m"]), int(match["p"])
    _salt(_exact(match["salt"]))
    _derived(_exact(match["hash"]))
    if memory < 8 * lanes:
        raise _MalformedError
    return Argon2Hash(match["text"], match["variant"], memory, int(match["t"]), lanes)


def _scrypt(match: re.Match[str]) -> ScryptHash:
    ln = int(match["ln"])
    # Some write N itself where the logarithm belongs.
    n = 1 << ln if ln < 64 else _power_of_two(ln)
    r, p = int(match["r"]), int(match["p"])
    salt, derived = _salt(_decode(match["salt"])), _derived(_decode(match["hash"]))
    return _possible(ScryptHash(n, r, p, salt, derived))


def _scrypt_text(match: re.Match[str]) -> ScryptHash:
    n, r, p = _power_of_two(int(match["n"])), int(match["r"]), int(match["p"])
    salt, derived = _salt(match["salt"].encode()), _derived(_either(match))
    return _possible(ScryptHash(n, r, p, salt, derived))


def _firebase(match: re.Match[str]) -> ScryptHash:
    derived, key = _decode(match["hash"]), _decode(match["key"])
    if len(derived) != len(key) or not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise _MalformedError
    salt = _salt(_decode(match["salt"])) + _decode(match["separator"])
    n, r, p = 1 << int(match["ln"]), int(match["r"]), int(match["p"])
    return _possible(ScryptHash(n, r, p, salt, derived, key))


def _possible(found: ScryptHash) -> ScryptHash:
    """RFC 7914 §6: N is less than 2^(128 r / 8); nothing computes any other."""
    if found.n.bit_length() > 16 * found.r:
        raise _MalformedError
    return found


def _pbkdf2(match: re.Match[str]) -> Pbkdf2Hash:
    derived = _derived(_decode(match["hash"]))
    if match["l"] and int(match["l"]) != len(derived):
        raise _MalformedError
    digest = match["digest"] or "sha1"
    return Pbkdf2Hash(digest, int(match["i"]), _salt(_decode(match["salt"])), derived)


def _pbkdf2_text(match: re.Match[str]) -> Pbkdf2Hash:
    salt, derived = _salt(match["salt"].encode()), _derived(_either(match))
    return Pbkdf2Hash(match["digest"], int(match["i"]), salt, derived)


def _either(match: re.Match[str]) -> bytes:
    found = match.groupdict()
    return bytes.fromhex(found["hex"]) if found.get("hex") else _decode(found["hash"])


def _power_of_two(n: int) -> int:
    if n < 2 or n & (n - 1):
        raise _MalformedError
    return n


def _salt(salt: bytes) -> bytes:
    if not LEAST_SALT <= len(salt) <= MOST_SALT:
        raise _MalformedError
    return salt


def _derived(derived: bytes) -> bytes:
    if not LEAST_BYTES <= len(derived) <= MOST_BYTES:
        raise _MalformedError
    return derived


def _decode(text: str) -> bytes:
    """Base64 with or without its padding; passlib writes "." for "+"."""
    bare = text.rstrip("=").replace(".", "+")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error as error:
        raise _MalformedError from error


def _exact(text: str) -> bytes:
    """Base64 as Argon2 reads it: without padding, and no bit is left over."""
    found = _decode(text)
    if base64.b64encode(found).decode().rstrip("=") != text:
        raise _MalformedError
    return found


@dataclass(frozen=True)
class _Kind:
    name: str
    prefixes: tuple[str, ...]
    pattern: re.Pattern[str]
    build: Callable[[re.Match[str]], ForeignHash]


def _kind(
    name: str, prefixes: str, pattern: str, build: Callable[[re.Match[str]], ForeignHash]
) -> _Kind:
    return _Kind(name, tuple(prefixes.split()), re.compile(pattern, re.ASCII), build)


_N = "[1-9][0-9]{0,9}"
_B64 = "[A-Za-z0-9+/.]{1,700}={0,2}"
_TEXT = "[!-#%-~]{1,128}"  # printable, no "$"

KINDS = (
    _kind(
        "bcrypt",
        "$2a$ $2b$ $2y$ bcrypt$ bcrypt_sha256$",
        r"(?P<django>bcrypt\$|bcrypt_sha256\$)?"
        r"(?P<text>\$2[aby]\$(?P<cost>0[4-9]|[12][0-9]|3[01])\$"
        r"[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31})",  # 128 bits of salt: of the last character, two
        _bcrypt,
    ),
    _kind(
        "Argon2",
        "$argon2 argon2$argon2",
        r"(?:argon2(?=\$))?(?P<text>\$argon2(?P<variant>id|i|d)\$v=(?:16|19)"
        rf"\$m=(?P<m>{_N}),t=(?P<t>{_N}),p=(?P<p>{_N})"
        r"\$(?P<salt>[A-Za-z0-9+/]{1,200})\$(?P<hash>[A-Za-z0-9+/]{1,200}))",
        _argon2,
    ),
    _kind(
        "scrypt",
        "$scrypt$",
        rf"\$scrypt\$ln=(?P<ln>{_N}),r=(?P<r>{_N}),p=(?P<p>{_N})"
        rf"\$(?P<salt>{_B64})\$(?P<hash>{_B64})",
        _scrypt,
    ),
    _kind(
        "scrypt (Werkzeug)",
        "scrypt:",
        rf"scrypt:(?P<n>{_N}):(?P<r>{_N}):(?P<p>{_N})\$(?P<salt>{_TEXT})\$"
        r"(?P<hex>(?:[0-9a-f]{2}){1,200})",
        _scrypt_text,
    ),
    _kind(
        "scrypt (Django)",
        "scrypt$",
        rf"scrypt\$(?P<n>{_N})\$(?P<salt>{_TEXT})\$(?P<r>{_N})\$(?P<p>{_N})\$(?P<hash>{_B64})",
        _scrypt_text,
    ),
    _kind(
        "scrypt (Firebase)",
        "$firescrypt$",
        r"\$firescrypt\$ln=(?P<ln>[1-9]|[12][0-9]|3[01]),"
        rf"r=(?P<r>{_N}),p=(?P<p>{_N})\$(?P<salt>{_B64})\$(?P<hash>{_B64})"
        rf"\$(?P<separator>{_B64})\$(?P<key>{_B64})",
        _firebase,
    ),
    _kind(
        "scrypt (Firebase)",
        "$fbscrypt$",
        r"\$fbscrypt\$v=1,n=(?P<ln>[1-9]|[12][0-9]|3[01]),"
        rf"r=(?P<r>{_N}),p=(?P<p>{_N}),ss=(?P<separator>{_B64}),sk=(?P<key>{_B64})"
        rf"\$(?P<salt>{_B64})\$(?P<hash>{_B64})",
        _firebase,
    ),
    _kind(
        "PBKDF2",
        "$pbkdf2",
        r"\$pbkdf2(?:-(?P<digest>sha1|sha256|sha512))?"
        rf"\$(?:i=)?(?P<i>{_N})(?:,l=(?P<l>{_N}))?\$(?P<salt>{_B64})\$(?P<hash>{_B64})",
        _pbkdf2,
    ),
    _kind(
        "PBKDF2 (Django)",
        "pbkdf2_",
        rf"pbkdf2_(?P<digest>sha1|sha256)\$(?P<i>{_N})\$(?P<salt>{_TEXT})\$(?P<hash>{_B64})",
        _pbkdf2_text,
    ),
    _kind(
        "PBKDF2 (Werkzeug)",
        "pbkdf2:",
        rf"pbkdf2:(?P<digest>sha1|sha256|sha512):(?P<i>{_N})\$(?P<salt>{_TEXT})\$"
        r"(?P<hex>(?:[0-9a-f]{2}){1,200})",
        _pbkdf2_text,
    ),
)
