"""The derived link and code: stable, bound to their attempt, strict to parse."""

import hashlib
import hmac
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ids import CROCKFORD, encode_ulid
from shared.links import (
    link_token,
    link_url,
    login_code,
    normalise_code,
    parse_link_token,
    show_code,
)
from tests.support.properties import damaged

KEY = bytes(range(32))
LOGIN = "01JD7Z0000ABCDEFGHJKMNPQRS"
ADA = "ada@example.com"
TOKEN = link_token(KEY, "sign_in", LOGIN, ADA)
CODE = show_code(login_code(KEY, "sign_in", LOGIN, ADA))


def test_a_link_token_is_the_attempt_and_its_mac() -> None:
    """Auth can recompute exactly what the mailer mailed."""
    token = link_token(KEY, "sign_in", LOGIN, ADA)

    message = f"link/v1|sign_in|{LOGIN}|{hashlib.sha256(ADA.encode()).hexdigest()}".encode()
    assert len(token) == 64
    assert parse_link_token(token) == (LOGIN, hmac.digest(KEY, message, "sha256"))


def test_every_input_changes_link_and_code() -> None:
    """A link for one address, purpose, attempt or key is worth nothing for another."""
    others = [
        (bytes(32), "sign_in", LOGIN, ADA),
        (KEY, "notice", LOGIN, ADA),
        (KEY, "sign_in", LOGIN[:-1] + "T", ADA),
        (KEY, "sign_in", LOGIN, "eve@example.com"),
    ]

    assert len({link_token(*o) for o in others} | {link_token(KEY, "sign_in", LOGIN, ADA)}) == 5
    assert len({login_code(*o) for o in others} | {login_code(KEY, "sign_in", LOGIN, ADA)}) == 5


def test_code_and_link_do_not_give_each_other_away() -> None:
    """The code's bits are not part of the link's: guessing five times stays five guesses."""
    raw = parse_link_token(link_token(KEY, "sign_in", LOGIN, ADA))
    assert raw is not None

    number = int.from_bytes(raw[1][:5], "big")
    first_bits = "".join(CROCKFORD[(number >> shift) & 31] for shift in range(35, -1, -5))

    assert first_bits != login_code(KEY, "sign_in", LOGIN, ADA)


@given(
    st.integers(0, (1 << 48) - 1),
    st.binary(min_size=10, max_size=10),
    st.binary(min_size=32, max_size=32),
)
def test_parsing_gives_back_the_attempt(now_ms: int, entropy: bytes, key: bytes) -> None:
    """Any ULID survives the trip through the token."""
    login_id = encode_ulid(now_ms, entropy)

    parsed = parse_link_token(link_token(key, "sign_in", login_id, ADA))

    assert parsed is not None
    assert parsed[0] == login_id


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a" * 63,
        "a" * 65,
        "=" * 64,
        "a" * 63 + "\n",
        " " + "a" * 63,
        "é" * 64,
        "+/" * 32,
        "\uff21" * 64,
    ],
)
def test_a_malformed_token_is_no_token(token: str) -> None:
    """Nothing but 64 characters of base64url is even looked at."""
    assert parse_link_token(token) is None


@given(st.text(max_size=80) | damaged(TOKEN) | damaged(CODE))
def test_parsing_never_raises(text: str) -> None:
    """Hostile input is an answer, not an error; what is read out of it has one spelling."""
    parsed, code = parse_link_token(text), normalise_code(text)

    assert parsed is None or (text.isascii() and len(text) == 64)
    assert code is None or normalise_code(code) == code


@given(st.binary(min_size=32, max_size=32))
def test_a_code_survives_how_people_type(key: bytes) -> None:
    """Lower case, dashes, spaces and misread letters all give the same code."""
    code = login_code(key, "sign_in", LOGIN, ADA)
    shown = show_code(code)

    assert normalise_code(code) == code
    assert normalise_code(shown) == code
    assert normalise_code(f" {shown.lower()}\n") == code
    assert normalise_code(shown.replace("-", "\u2013")) == code
    assert normalise_code(code.replace("1", "l").replace("0", "o")) == code
    assert normalise_code(code.replace("1", "I").replace("0", "O")) == code


@pytest.mark.parametrize(
    "text", ["", "ABCD", "ABCDEFGHJ", "ABCDEFGU", "ABCDEFG\u0131", "A" * 65, "\u0660" * 8]
)
def test_what_cannot_be_a_code_is_none(text: str) -> None:
    """Wrong length, a letter outside the alphabet and look-alikes are refused."""
    assert normalise_code(text) is None


def test_the_default_link_keeps_the_token_in_the_fragment() -> None:
    """No server, proxy or Referer ever sees the token."""
    assert link_url("https://a.example/", "T" * 64, LOGIN) == (
        f"https://a.example/auth/link?id={LOGIN}#{'T' * 64}"
    )


def test_a_deployments_own_link_takes_token_and_id() -> None:
    """LATCHWIRE_LINK_URL decides where both go."""
    target = "https://app.example.com/login?token={token}&id={id}"

    assert link_url(target, "T", "ID") == "https://app.example.com/login?token=T&id=ID"


def test_a_token_needs_no_escaping_in_a_url() -> None:
    """Only unreserved characters (RFC 3986 §2.3)."""
    token = link_token(KEY, "sign_in", LOGIN, ADA)

    assert set(token) <= set(string.ascii_letters + string.digits + "-_")


def test_an_attempt_that_is_no_ulid_cannot_be_mailed() -> None:
    """A caller's mistake raises instead of deriving something nobody can parse."""
    with pytest.raises(ValueError, match="not a ULID"):
        link_token(KEY, "sign_in", "8" * 26, ADA)
