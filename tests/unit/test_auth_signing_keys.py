"""The kind of the newest key under signing/ is the algorithm; edges read what it signs with the SDK."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from latchwire.claims import Claims
from latchwire.keys import KeyRing
from latchwire.tokens import TokenPolicy, verify_access_token
from services.auth.adapters.pyjwt_tokens import PyJWTTokens
from shared.secrets import SecretsError, SigningKey, load_signing_key, write_jwks, write_private
from tests.support.tokens import make_claims

NOW_MS = 1_795_312_000_000
NEWER = "99991231-new"

KINDS = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def write_key(directory: Path, key: object, kid: str = NEWER) -> Path:
    """The file `latchwire` would find."""
    pem = key.private_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = directory / "signing" / f"{kid}.pem"
    write_private(path, pem.decode().strip())
    return path


def signed_with(directory: Path, key: SigningKey) -> tuple[str, TokenPolicy]:
    """A token of an installation that got *key* as its newest."""
    write_key(directory, key)
    write_jwks(directory)
    claims = make_claims(now_ms=NOW_MS)
    policy = TokenPolicy(claims["iss"], claims["aud"])
    return PyJWTTokens.load(directory, policy).sign(claims), policy


@pytest.mark.parametrize("alg", KINDS)
def test_what_a_key_signs_the_sdk_verifies(secrets_dir: Path, alg: str) -> None:
    """With jwks.json as it was written beside the key, and never under another algorithm."""
    token, policy = signed_with(secrets_dir, KINDS[alg]())
    head = token.split(".")[0]
    ring = KeyRing.from_jwks((secrets_dir / "jwks.json").read_text())

    result = verify_access_token(token.encode(), ring, policy, now_ms=NOW_MS)

    assert isinstance(result, Claims)
    header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    assert {"alg": alg, "typ": "at+jwt", "kid": NEWER} == header
    found = ring.find(NEWER)
    assert found is not None
    assert alg == found.alg


@pytest.mark.parametrize("alg", KINDS)
def test_an_older_key_of_another_kind_still_counts(secrets_dir: Path, alg: str) -> None:
    """A rotation may change the algorithm: until they run out, the tokens of before are good."""
    before, policy = signed_with(secrets_dir, KINDS["ES256"]())
    write_key(secrets_dir, KINDS[alg](), "99991231-newest")
    write_jwks(secrets_dir)

    tokens = PyJWTTokens.load(secrets_dir, policy)

    assert isinstance(tokens.read(before, NOW_MS), Claims)
    assert isinstance(tokens.read(tokens.sign(make_claims(now_ms=NOW_MS)), NOW_MS), Claims)


def test_the_public_document_holds_no_private_member(secrets_dir: Path) -> None:
    """Of no kind of key."""
    for number, make in enumerate(KINDS.values()):
        write_key(secrets_dir, make(), f"9999123{number}-x")
    write_jwks(secrets_dir)

    keys = json.loads((secrets_dir / "jwks.json").read_text())["keys"]
    members = {name for key in keys for name in key}
    assert members == {"kty", "use", "alg", "kid", "n", "e", "crv", "x", "y"}
    assert 4 == len(KeyRing.from_jwks({"keys": keys}))


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
    ],
    ids=["RSA 1024", "P-384", "secp256k1"],
)
def test_a_weak_or_unknown_key_is_refused(secrets_dir: Path, key: object) -> None:
    """The message names the file and the kinds, never key material."""
    path = write_key(secrets_dir, key)

    with pytest.raises(SecretsError, match="RSA key of at least 2048 bits, P-256 or Ed25519"):
        load_signing_key(path)


def test_a_file_that_is_no_key_is_refused(secrets_dir: Path) -> None:
    """By its name, and without a word of what is in it."""
    path = secrets_dir / "signing" / f"{NEWER}.pem"
    write_private(path, "SECRET")

    with pytest.raises(SecretsError) as refused:
        load_signing_key(path)
    assert "SECRET" not in str(refused.value)
