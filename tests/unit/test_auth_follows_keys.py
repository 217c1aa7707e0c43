"""Auth signs with the key that the operator's document names, once it has it, and reads with all that count."""

from pathlib import Path
from typing import Any

import pytest

from latchwire.claims import Claims
from latchwire.documents import DocumentError
from latchwire.keys import InvalidJWKSError
from latchwire.tokens import TokenPolicy
from services.auth.adapters.pyjwt_tokens import PyJWTTokens
from shared.secrets import load_signing_key, public_jwk, signing_paths, write_private
from tests.support.tokens import make_claims, signing_key

NOW_MS = 1_795_312_000_000
CLAIMS = make_claims(now_ms=NOW_MS)
POLICY = TokenPolicy(CLAIMS["iss"], CLAIMS["aud"])
NEW = signing_key("RS256", "new")


@pytest.fixture
def old(secrets_dir: Path) -> dict[str, Any]:
    """The public half of the key that the installation begins with."""
    path = signing_paths(secrets_dir)[-1]
    return public_jwk(path.stem, load_signing_key(path))


@pytest.fixture
def tokens(secrets_dir: Path) -> PyJWTTokens:
    return PyJWTTokens.load(secrets_dir, POLICY)


def put(directory: Path, kid: str = NEW.kid, name: str = "new") -> None:
    """The private key *name* as the file of *kid*."""
    from cryptography.hazmat.primitives import serialization as s

    pem = signing_key("RS256", name).private.private_bytes(
        s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()
    )
    write_private(directory / "signing" / f"{kid}.pem", pem.decode().strip())


def body(sign_with: str, *keys: Any, **more: Any) -> dict[str, Any]:
    return {"keys": list(keys), "sign_with": sign_with, **more}


def test_a_published_key_is_not_used_before_its_turn(
    tokens: PyJWTTokens, old: dict[str, Any], secrets_dir: Path
) -> None:
    """Although its file is there and the newest: edges may not know it yet."""
    put(secrets_dir)
    tokens.follow(body(old["kid"], old, NEW.public_jwk()), 1)

    assert tokens.kid == old["kid"]
    assert [key["kid"] for key in tokens.jwks["keys"]] == [old["kid"], NEW.kid]
    assert (tokens.not_ready(), tokens.remark()) == (None, None)


def test_the_named_key_signs_once_it_is_there(
    tokens: PyJWTTokens, old: dict[str, Any], secrets_dir: Path
) -> None:
    """Until then the old one goes on, and that is said; both kinds of token are read."""
    before = tokens.sign(CLAIMS)
    tokens.follow(body(NEW.kid, old, NEW.public_jwk()), 1)

    assert tokens.kid == old["kid"]
    assert tokens.not_ready() is None
    assert f"{NEW.kid} ought to sign" in (tokens.remark() or "")

    put(secrets_dir)
    tokens.rescan()

    assert (tokens.kid, tokens.remark()) == (NEW.kid, None)
    assert isinstance(tokens.read(tokens.sign(CLAIMS), NOW_MS), Claims)
    assert isinstance(tokens.read(before, NOW_MS), Claims)


@pytest.mark.parametrize("name", ["other", "garbage"])
def test_a_file_of_another_key_does_not_sign(
    tokens: PyJWTTokens, old: dict[str, Any], secrets_dir: Path, name: str
) -> None:
    """What it signed would be refused everywhere."""
    if name == "garbage":
        write_private(secrets_dir / "signing" / f"{NEW.kid}.pem", "garbage")
    else:
        put(secrets_dir, name=name)
    tokens.follow(body(NEW.kid, old, NEW.public_jwk()), 1)

    assert tokens.kid == old["kid"]
    assert "its file under signing/" in (tokens.remark() or "")


def test_auth_without_any_accepted_key_is_not_ready(tokens: PyJWTTokens) -> None:
    """It would hand out tokens that nobody takes."""
    tokens.follow(body(NEW.kid, NEW.public_jwk()), 1)

    assert f"{NEW.kid} ought to sign" in (tokens.not_ready() or "")


def test_a_retired_key_tells_whose_browser_it_is_and_lets_nobody_in(
    tokens: PyJWTTokens, old: dict[str, Any], secrets_dir: Path
) -> None:
    """A browser renews beside its expired access cookie for as long as its session lives."""
    put(secrets_dir)
    before = tokens.sign(CLAIMS)
    tokens.follow(body(NEW.kid, NEW.public_jwk(), former=[old]), 1)

    assert tokens.read(before, NOW_MS) == "token_invalid"
    assert isinstance(tokens.read_expired(before), Claims)
    assert [key["kid"] for key in tokens.jwks["keys"]] == [NEW.kid]


def test_a_compromised_key_proves_nothing_at_all(
    tokens: PyJWTTokens, old: dict[str, Any], secrets_dir: Path
) -> None:
    """Neither who somebody is nor who somebody was."""
    put(secrets_dir)
    before = tokens.sign(CLAIMS)
    tokens.follow(body(NEW.kid, NEW.public_jwk()), 1)

    assert tokens.read(before, NOW_MS) == "token_invalid"
    assert tokens.read_expired(before) is None


@pytest.mark.parametrize(
    "change",
    [
        {"sign_with": "nobody"},
        {"sign_with": ""},
        {"keys": []},
        {"history": {NEW.kid: {"compromised_at": 1}}},
        {"former": [{"kty": "oct", "kid": "x"}]},
        {"keys": [{"kty": "oct", "kid": NEW.kid}]},
    ],
    ids=str,
)
def test_a_body_that_contradicts_itself_changes_nothing(
    tokens: PyJWTTokens, old: dict[str, Any], change: dict[str, Any]
) -> None:
    """A key that was compromised is never taken back, for one."""
    before = tokens.sign(CLAIMS)
    wrong = body(NEW.kid, old, NEW.public_jwk()) | change

    with pytest.raises((DocumentError, InvalidJWKSError)):
        tokens.follow(wrong, 1)

    assert (tokens.kid, tokens.generation) == (old["kid"], 0)
    assert isinstance(tokens.read(before, NOW_MS), Claims)
    assert [key["kid"] for key in tokens.jwks["keys"]] == [old["kid"]]


def test_a_new_key_file_without_its_public_half_does_not_sign_at_start(
    secrets_dir: Path, old: dict[str, Any]
) -> None:
    """The newest of jwks.json signs, whatever else lies under signing/."""
    put(secrets_dir, "99991231-sig-ffffff")

    assert PyJWTTokens.load(secrets_dir, POLICY).kid == old["kid"]
