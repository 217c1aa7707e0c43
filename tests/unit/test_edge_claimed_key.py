"""What an explanation may repeat of a token that no key here has signed: a name that could be a key's."""

import base64

import pytest

from services.edge.domain.claimed_key import claimed_kid
from tests.support.tokens import make_claims, sign, signing_key


def test_the_name_is_read_from_the_header() -> None:
    """Of a token as we make them."""
    key = signing_key(name="gone")
    assert claimed_kid(sign(make_claims(), key)) == key.kid


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"RS256"}',
        b'{"kid":7}',
        b'{"kid":""}',
        b'{"kid":"a","kid":"b"}',
        b'{"kid":"a b"}',
        b'{"kid":"\\u001b[2J"}',
        b'{"kid":"\\ud800"}',
        b'{"kid":"a\\n"}',
        b'{"kid":"' + b"k" * 256 + b'"}',
        b'{"kid":"k","more":"' + b"m" * 1024 + b'"}',
        b"[" * 2000,
        b"[]",
        b"\xff",
        b"",
    ],
)
def test_what_could_be_no_keys_name_is_not_repeated(header: bytes) -> None:
    """No control characters, nothing long, nothing that two readers could read differently."""
    assert claimed_kid(base64.urlsafe_b64encode(header).rstrip(b"=") + b".e30.c2ln") == ""


@pytest.mark.parametrize("token", [b"", b".", b"%%%.e30.c2ln", b"a" * 100_000, b"\x00"])
def test_what_is_no_token_has_none(token: bytes) -> None:
    """And nothing is raised."""
    assert claimed_kid(token) == ""
