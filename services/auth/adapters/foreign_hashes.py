"""Checks a password against a hash of another system. Slow on purpose: only in the hasher's threads."""

import hashlib
import hmac

import bcrypt
from argon2.exceptions import Argon2Error
from argon2.low_level import Type, verify_secret
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from services.auth.domain.foreign_hashes import (
    Argon2Hash,
    BcryptHash,
    ForeignHash,
    Pbkdf2Hash,
    ScryptHash,
)

BCRYPT_BYTES = 72
FIREBASE_KEY_BYTES = 32
SPARE_BYTES = (
    1024 * 1024
)  # OpenSSL refuses what needs more than it is told: N, p and two blocks of 128 r
_ARGON2 = {"i": Type.I, "d": Type.D, "id": Type.ID}


def matches(stored: ForeignHash, password: bytes) -> bool:
    """Whether *stored* was made of *password*.

    Raises:
        ValueError: a library does not take *stored*.
    """
    if isinstance(stored, BcryptHash):
        return _bcrypt(stored, password)
    if isinstance(stored, Argon2Hash):
        return _argon2(stored, password)
    derived = (
        _scrypt(stored, password) if isinstance(stored, ScryptHash) else _pbkdf2(stored, password)
    )
    return hmac.compare_digest(derived, stored.derived)


def _bcrypt(stored: BcryptHash, password: bytes) -> bool:
    if stored.prehashed:
        password = hashlib.sha256(password).hexdigest().encode()
    # bcrypt sees 72 bytes. The systems that made these hashes cut longer passwords there without a word; the
    # library refuses them. The whole password counts from the first login on, when it is hashed again.
    return bcrypt.checkpw(password[:BCRYPT_BYTES], stored.text.encode())


def _argon2(stored: Argon2Hash, password: bytes) -> bool:
    try:
        return verify_secret(stored.text.encode(), password, _ARGON2[stored.variant])
    except Argon2Error:  # also: it does not match
        return False


def _scrypt(stored: ScryptHash, password: bytes) -> bytes:
    size = FIREBASE_KEY_BYTES if stored.signer_key else len(stored.derived)
    derived = hashlib.scrypt(
        password,
        salt=stored.salt,
        n=stored.n,
        r=stored.r,
        p=stored.p,
        maxmem=128 * stored.r * (stored.n + stored.p + 2) + SPARE_BYTES,
        dklen=size,
    )
    return _firebase(derived, stored.signer_key) if stored.signer_key else derived


def _firebase(derived: bytes, signer_key: bytes) -> bytes:
    """What Firebase stores: the project's key, encrypted under the derived one (AES-256-CTR from zero)."""
    encryptor = Cipher(algorithms.AES(derived), modes.CTR(bytes(16))).encryptor()
    return encryptor.update(signer_key) + encryptor.finalize()


def _pbkdf2(stored: Pbkdf2Hash, password: bytes) -> bytes:
    size = len(stored.derived)
    return hashlib.pbkdf2_hmac(stored.digest, password, stored.salt, stored.iterations, size)
