"""The life of a signing key: what may follow what, and how long an old one has to be accepted."""

from typing import Any

import pytest

from ctl.key_states import (
    FORMER_MS,
    MAX_KEYS,
    OVERLAP_MS,
    KeyStateError,
    added,
    compromised,
    from_files,
    next_key,
    retire_at_ms,
    retired,
    state_of,
    switched,
)
from latchwire.keys import KeyRing
from services.auth.domain.session import SESSION_MS
from shared.documents import KeysBody
from tests.support.tokens import POLICY, signing_key

NOW = 1_795_312_000_000
OLD = signing_key("RS256", "old").public_jwk()
NEW = signing_key("ES256", "new").public_jwk()
THIRD = signing_key("EdDSA", "third").public_jwk()


@pytest.fixture
def files() -> KeysBody:
    return from_files([OLD], OLD["kid"], NOW)


@pytest.fixture
def rotated(files: KeysBody) -> KeysBody:
    return switched(added(files, NEW, NOW, 1), NEW["kid"], NOW + 10, 2)


def states(body: KeysBody, *keys: dict[str, Any]) -> list[str | None]:
    return [state_of(body, key["kid"]) for key in keys]


def test_a_key_is_published_before_it_signs(files: KeysBody) -> None:
    """Both are accepted in between, and the rotation can be found again."""
    body = added(files, NEW, NOW, 1)

    assert states(body, OLD, NEW) == ["signing", "next"]
    assert next_key(body) == NEW["kid"]
    assert KeyRing.from_jwks({"keys": list(body.keys)}).kids == {OLD["kid"], NEW["kid"]}


def test_the_key_that_signed_is_accepted_until_its_last_token_has_run_out(
    rotated: KeysBody,
) -> None:
    """Life and leeway of the verifier, and more; not before, and the one that signs never."""
    assert states(rotated, OLD, NEW) == ["accepted", "signing"]
    assert next_key(rotated) is None
    allowed = retire_at_ms(rotated, OLD["kid"])
    assert allowed == NOW + 10 + OVERLAP_MS
    assert OVERLAP_MS > (POLICY.max_lifetime_seconds + POLICY.leeway_seconds) * 1000
    with pytest.raises(KeyStateError, match="rotate first"):
        retire_at_ms(rotated, NEW["kid"])


def test_a_retired_key_is_recognised_for_as_long_as_a_session_lives(rotated: KeysBody) -> None:
    """By auth alone; then it goes with the next change."""
    body = retired(rotated, OLD["kid"], NOW + OVERLAP_MS, 3)
    assert body.kids == (NEW["kid"],)
    assert [key["kid"] for key in body.former] == [OLD["kid"]]
    assert FORMER_MS > SESSION_MS

    body = added(body, THIRD, NOW, 4)
    later = retired(body, THIRD["kid"], NOW + OVERLAP_MS + FORMER_MS + 1, 5)

    assert later.former == ()  # the third never signed anything
    assert states(later, OLD, THIRD) == ["retired", "retired"]


def test_a_key_that_never_signed_may_go_at_once(files: KeysBody) -> None:
    """So that a rotation whose private key is lost can be given up."""
    body = added(files, NEW, NOW, 1)

    assert retire_at_ms(body, NEW["kid"]) == 0


def test_a_compromised_key_goes_from_everywhere_and_never_comes_back(rotated: KeysBody) -> None:
    """Not as accepted, not as retired; the one that signs has to be replaced first."""
    with pytest.raises(KeyStateError, match="another key has to"):
        compromised(rotated, NEW["kid"], NOW, 3)
    former = retired(rotated, OLD["kid"], NOW, 3)

    body = compromised(former, OLD["kid"], NOW, 4)

    assert (body.kids, body.former) == ((NEW["kid"],), ())
    assert state_of(body, OLD["kid"]) == "compromised"
    with pytest.raises(ValueError, match="compromised"):
        KeysBody.model_validate(body.model_dump() | {"keys": [OLD, NEW]})
    with pytest.raises(KeyStateError):
        retire_at_ms(body, OLD["kid"])


def test_compromising_twice_keeps_the_first_time(rotated: KeysBody) -> None:
    """A repeated command changes nothing that matters."""
    once = compromised(rotated, OLD["kid"], NOW, 3)
    twice = compromised(once, OLD["kid"], NOW + 99, 4)

    assert twice.since(OLD["kid"]).compromised_at == NOW


def test_an_old_key_of_the_files_may_have_signed_until_now() -> None:
    """Nobody wrote down when it was replaced."""
    body = from_files([OLD, NEW], NEW["kid"], NOW)

    assert retire_at_ms(body, OLD["kid"]) == NOW + OVERLAP_MS


def test_there_is_an_end_to_keys(files: KeysBody) -> None:
    """Readers refuse a set that is too large: before that the operator is told."""
    body = files
    for number in range(MAX_KEYS - 1):
        body = added(body, {**NEW, "kid": f"k{number}"}, NOW, number)

    with pytest.raises(KeyStateError, match="retire some"):
        added(body, THIRD, NOW, 99)
