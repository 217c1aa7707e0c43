"""The tokens that the doctor makes: each has the one thing wrong that its name says, and is refused for it."""

import json
from pathlib import Path

import pytest

from ctl.commands.doctor import read_token
from ctl.doctor.counterfeits import (
    WRONG,
    Signer,
    altered,
    misplaced,
    signed_token,
    signed_wrongly,
    signer_of,
)
from ctl.doctor.credentials import judge_end
from ctl.doctor.through import may_carry
from ctl.doctor.wire import front_of
from latchwire.claims import Claims
from latchwire.tokens import Refused, verify_access_token
from shared.ids import SystemIds
from shared.service_tokens import is_service_token, make_service_token
from tests.support.tokens import (
    ISSUER,
    NOW_MS,
    POLICY,
    jwks,
    make_claims,
    ring,
    sign,
    signing_key,
)

IDS = SystemIds()
KEY = signing_key("ES256")
SIGNER = Signer(KEY.kid, KEY.private)
REASONS = {
    "signed, for another audience": ("token_invalid", "aud is another"),
    "signed, of another issuer": ("token_invalid", "iss is another"),
    "signed, and run out": ("token_expired", "exp"),
    "signed, as another kind of token": ("token_invalid", "typ"),
}
ALTERED = {
    "with other claims": "signature",
    "without its signature": "not three segments",
    "with alg none": "not three segments",
    "with alg None": "not three segments",
    "signed by a stranger": "alg is not the key's",
    "signed by a key of its own header": "header members",
    "with alg HS256 by the public key": "alg is not the key's",
}


def verified(token: str) -> Claims | Refused:
    """What every edge makes of *token*."""
    return verify_access_token(token.encode(), ring(), POLICY, now_ms=NOW_MS)


def test_without_a_mistake_the_template_is_a_good_token() -> None:
    """So each of the others is refused for the mistake that it has, and for nothing else."""
    token = signed_token(SIGNER, {}, "at+jwt", issuer=ISSUER, now_ms=NOW_MS, ids=IDS)

    assert isinstance(verified(token), Claims)


def test_each_token_of_auths_key_is_refused_for_its_one_mistake() -> None:
    """Audience, issuer, time and kind."""
    made = dict(signed_wrongly(SIGNER, issuer=ISSUER, now_ms=NOW_MS, ids=IDS))
    found = {name: verified(token) for name, token in made.items()}

    assert {
        name: (r.code, r.detail) for name, r in found.items() if isinstance(r, Refused)
    } == REASONS
    assert REASONS.keys() == {name for name, _, _ in WRONG}


def test_each_alteration_of_a_real_token_is_refused() -> None:
    """With the key that signed it among those everybody gets: the confusion of algorithms is tried too."""
    token = sign(make_claims(), KEY).decode()
    assert isinstance(verified(token), Claims)

    found = {name: verified(other) for name, other in altered(token, jwks(KEY)["keys"])}

    assert {name: r.detail for name, r in found.items() if isinstance(r, Refused)} == ALTERED


def test_no_alteration_of_a_service_token_has_the_form_of_one_and_its_checksum() -> None:
    """They are other tokens, and no chance hit is possible."""
    token = make_service_token(IDS.secret(), live=True)
    others = [other for _, other in altered(token, [])]

    assert len(others) == 3
    assert token not in others
    assert not any(is_service_token(other.encode()) for other in others)


@pytest.mark.parametrize("text", ["a.b", "a.b.c", "€", "x" * 9, "..", "e30.e30.e30", "lws"])
def test_what_is_no_token_is_altered_without_an_error(text: str) -> None:
    """Files hold what people put there."""
    keys = [{"kid": ""}, {"kty": "RSA", "n": "!", "e": "AQAB"}, {}]

    assert all(other != text for _, other in altered(text, keys))


def test_only_what_is_disposable_goes_into_an_address() -> None:
    """Proxies write addresses into their logs: a real token would stand there."""
    kept = [query for _, query, _ in misplaced("lws_dev_x", disposable=False)]
    thrown_away = [query for _, query, _ in misplaced("lws_dev_x", disposable=True)]

    assert not any(kept)
    assert sum(bool(query) for query in thrown_away) == 12


def test_no_attempt_puts_the_token_alone_where_it_belongs() -> None:
    """That would be let in, and told as a leak."""
    proper = (("Authorization", "Bearer lws_dev_x"),)

    assert all(
        query or lines != proper for _, query, lines in misplaced("lws_dev_x", disposable=True)
    )


def test_the_session_cookie_is_tried_with_services_tokens_alone() -> None:
    """A person's token belongs there."""
    named = {
        token: {name for name, _, _ in misplaced(token, disposable=False) if "latchwire" in name}
        for token in ("lws_dev_x", "a.b.c")
    }

    assert len(named["lws_dev_x"]) == 4
    assert not named["a.b.c"]


def test_no_name_of_an_attempt_has_the_token_in_it() -> None:
    """Names are printed."""
    token = sign(make_claims(), KEY).decode()
    names = [name for name, _, _ in misplaced(token, disposable=True)]
    names += [name for name, _ in altered(token, jwks(KEY)["keys"])]

    assert not any(token in name or token[-20:] in name for name in names)


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://auth.acme.com", True),
        ("https://10.0.0.5", True),
        ("http://localhost:8080", True),
        ("http://app.house.localhost:8080", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080", True),
        ("http://10.0.0.5:8080", False),
        ("http://auth.acme.com", False),
        ("http://localhost.acme.com", False),
    ],
)
def test_a_real_token_goes_over_tls_or_to_this_machine(url: str, may: bool) -> None:
    """Whoever listens on the way would have it."""
    assert may_carry(front_of(url, 1.0)) is may


def test_a_revocation_that_takes_longer_than_a_second_is_told() -> None:
    """That long a stolen token works."""
    assert judge_end("app /", 999.0) == []
    assert [(f.check, f.seen) for f in judge_end("app /", 1_234.0)] == [
        ("door.revoked_late", "after 1.2 s")
    ]


def test_a_signer_is_a_key_that_auth_shows_and_that_lies_here(
    secrets_template: Path, tmp_path: Path
) -> None:
    """A key that waits or is past would make each token unknown, and every attempt worthless."""
    shown = json.loads((secrets_template / "jwks.json").read_text())["keys"]
    signer = signer_of(secrets_template, shown)

    assert signer is not None
    assert signer.kid in {key["kid"] for key in shown}
    assert signer_of(secrets_template, []) is None
    assert signer_of(tmp_path, shown) is None


def test_a_token_file_holds_one_token_and_nothing_of_it_is_repeated(tmp_path: Path) -> None:
    """What it holds instead may be a secret of another kind."""
    file = tmp_path / "token"
    file.write_text("  lws_dev_canary\n")
    assert read_token(file).token == "lws_dev_canary"
    assert "canary" not in repr(read_token(file))

    for wrong in ("two tokens", "", "canary\ncanary", "short", "canäry-canäry"):
        file.write_text(wrong)
        with pytest.raises(ValueError) as raised:
            read_token(file)
        assert "can" not in str(raised.value).removeprefix(f"{file} cannot")
    with pytest.raises(ValueError):
        read_token(tmp_path / "nothing")
