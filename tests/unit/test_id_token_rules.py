"""What an ID Token must say, rule by rule, and what a provider's document must (pure decisions)."""

from typing import Any

import pytest

from services.auth.domain.discovery import Metadata, Unusable, is_usable_url, read_metadata
from services.auth.domain.id_token import Expected, fill_tenant, issuer_of, judge_id_token
from services.auth.domain.plain_json import NotPlainJSONError, parse_plain_object
from services.auth.domain.provider import (
    Handshake,
    ProviderConfig,
    authorization_url,
    challenge_of,
    meaning_of_error,
    speaks_for,
)

NOW = 1_795_312_000
ACCESS = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"  # OIDC Core, appendix A.3
ISSUER = "https://sso.acme.com"
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
TEMPLATE = "https://login.microsoftonline.com/{tenantid}/v2.0"


def config(**changes: Any) -> ProviderConfig:
    """A provider that speaks for acme.com."""
    plain: dict[str, Any] = {
        "name": "sso",
        "title": "Acme",
        "kind": "oidc",
        "issuer": ISSUER,
        "client_id": "us",
        "scopes": "openid email",
        "authoritative": frozenset({"acme.com"}),
    }
    return ProviderConfig(**{**plain, **changes})


def claims(**changes: Any) -> dict[str, Any]:
    """Claims that are right, and then these; None: without."""
    right = {"iss": ISSUER, "sub": "ada", "aud": "us", "nonce": "n", "iat": NOW, "exp": NOW + 300}
    return {k: v for k, v in {**right, **changes}.items() if v is not None}


def judge(said: dict[str, Any], *, algorithm: str = "RS256", access: str = ACCESS) -> str:
    """The rule that is broken, "" when none is."""
    refusal = judge_id_token(said, Expected(config(), "n", algorithm, access), NOW * 1000)
    return refusal.reason if refusal else ""


RIGHT: list[dict[str, Any]] = [
    {},
    {"aud": ["us"]},
    {"aud": ["us", "them"], "azp": "us"},
    {"azp": "us"},
    {"iat": NOW + 59},
    {"exp": NOW - 59},
    {"iat": NOW - 900},
    {"exp": NOW + 0.5},
    {"nbf": NOW},
    {"sub": "x" * 255},
    {"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"},
]


@pytest.mark.parametrize("changes", RIGHT, ids=str)
def test_what_the_specification_allows_is_accepted(changes: dict[str, Any]) -> None:
    """OIDC Core §3.1.3.7, with a minute for the provider's clock."""
    assert judge(claims(**changes)) == ""


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("iss", {"iss": f"{ISSUER}/"}),
    ("iss", {"iss": ISSUER.upper()}),
    ("iss", {"iss": [ISSUER]}),
    ("sub", {"sub": True}),
    ("sub", {"sub": "ad\u00e1"}),
    ("sub", {"sub": "x" * 256}),
    ("aud", {"aud": "US"}),
    ("aud", {"aud": []}),
    ("aud", {"aud": [["us"]]}),
    ("aud", {"aud": {"us": 1}}),
    ("aud", {"aud": ["us", "them"]}),
    ("aud", {"aud": ["us", "us"]}),
    ("aud", {"azp": "them"}),
    ("time", {"exp": NOW - 61}),
    ("time", {"exp": True}),
    ("time", {"exp": float("inf")}),
    ("time", {"exp": 10**30}),
    ("time", {"iat": NOW + 61}),
    ("time", {"iat": NOW - 961}),
    ("time", {"iat": None}),
    ("time", {"nbf": NOW + 61}),
    ("time", {"nbf": "0"}),
    ("nonce", {"nonce": "N"}),
    ("nonce", {"nonce": None}),
    ("nonce", {"nonce": 7}),
    ("at_hash", {"at_hash": "77QmUPtjPfzWtF2AnpK9Rq"}),
    ("at_hash", {"at_hash": ""}),
    ("at_hash", {"at_hash": 1}),
]


@pytest.mark.parametrize(("rule", "changes"), WRONG, ids=str)
def test_a_broken_rule_is_named(rule: str, changes: dict[str, Any]) -> None:
    """Each row breaks one rule, and that one is what the log says."""
    assert judge(claims(**changes)) == f"id_token_{rule}"


def test_the_hash_of_an_access_token_is_that_of_the_signature() -> None:
    """SHA-256 for the 256 family, SHA-512 for EdDSA's Ed25519 (OIDC Core §3.1.3.6)."""
    hashed = claims(at_hash="77QmUPtjPfzWtF2AnpK9RQ")

    assert judge(hashed, algorithm="ES256") == ""
    assert judge(hashed, algorithm="EdDSA") == "id_token_at_hash"
    assert judge(hashed, access="another") == "id_token_at_hash"


@pytest.mark.parametrize(
    ("tenant", "tenants", "accepted"),
    [
        (TENANT, frozenset(), True),
        (TENANT, frozenset({TENANT}), True),
        (TENANT, frozenset({TENANT.replace("7", "8")}), False),
        (TENANT.upper(), frozenset(), False),
        ("common", frozenset(), False),
        ("../evil", frozenset(), False),
        ("", frozenset(), False),
        (None, frozenset(), False),
        ([TENANT], frozenset(), False),
    ],
)
def test_a_tenants_token_names_that_tenant_and_one_that_is_wanted(
    tenant: Any, tenants: frozenset[str], accepted: bool
) -> None:
    """Microsoft: the issuer is the template with the token's own ``tid``, which has to be an id."""
    many = config(issuer=TEMPLATE, tenants=tenants)
    issuer = f"https://login.microsoftonline.com/{TENANT}/v2.0"

    found = issuer_of({"iss": issuer, "tid": tenant}, many)

    assert found == (issuer if accepted else None)
    assert issuer_of({"iss": issuer.replace("7", "8"), "tid": tenant}, many) is None


def test_an_issuer_without_tenants_is_taken_as_it_is() -> None:
    """Nothing is filled in where there is nothing to fill."""
    assert fill_tenant(ISSUER, None, frozenset()) == ISSUER


VERIFIED: list[tuple[Any, bool]] = [
    (True, True),
    ("true", False),
    ("True", False),
    (1, False),
    (1.0, False),
    (None, False),
    ([True], False),
    (False, False),
]


@pytest.mark.parametrize(("verified", "enough"), VERIFIED, ids=str)
def test_only_true_is_true(verified: Any, enough: bool) -> None:
    """O-07: the JSON value and nothing like it."""
    assert speaks_for(config(), "ada@acme.com", verified, None) is enough


def test_a_provider_speaks_for_its_own_domains_only() -> None:
    """Not for their subdomains, nor for look-alikes, nor for no address; Google only with its ``hd``."""
    google = config(authoritative=frozenset({"gmail.com", "acme.com"}), workspace_claim="hd")

    assert not speaks_for(config(), "ada@mail.acme.com", True, None)
    assert not speaks_for(config(), "ada@evilacme.com", True, None)
    assert not speaks_for(config(), "", True, None)
    assert speaks_for(google, "ada@gmail.com", True, None)
    assert speaks_for(google, "ada@acme.com", True, "ACME.com")
    assert not speaks_for(google, "ada@acme.com", True, None)
    assert not speaks_for(google, "ada@acme.com", True, "other.com")


def test_the_challenge_is_that_of_the_specification() -> None:
    """RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_an_endpoints_own_query_stays_and_plain_oauth_gets_no_nonce() -> None:
    """RFC 6749 §3.1; a nonce is OpenID's."""
    handshake = Handshake("sso", "b", "the-nonce", "v" * 43)
    oidc = authorization_url("https://a/x?p=1", config(), "https://us/cb", "s", handshake)
    plain = authorization_url("https://a/x", config(kind="github"), "https://us/cb", "s", handshake)

    assert oidc.startswith("https://a/x?p=1&response_type=code&")
    assert "nonce=the-nonce" in oidc
    assert plain.startswith("https://a/x?response_type=code&")
    assert "nonce" not in plain
    assert "v" * 43 not in oidc + plain


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("access_denied", "provider_denied"),
        ("login_required", "provider_denied"),
        ("server_error", "provider_unavailable"),
        ("temporarily_unavailable", "provider_unavailable"),
        ("invalid_scope", "provider_failed"),
        ("", "provider_failed"),
    ],
)
def test_an_error_is_one_of_three_things_to_a_person(error: str, code: str) -> None:
    """They refused, it cannot now, or it is broken."""
    assert meaning_of_error(error) == code


DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/a",
    "token_endpoint": f"{ISSUER}/t",
    "jwks_uri": f"{ISSUER}/k",
}


def test_a_plain_document_is_enough() -> None:
    """What is not said of PKCE is no refusal: Microsoft does not say it, and does it."""
    assert read_metadata(DOCUMENT, config()) == Metadata(
        f"{ISSUER}/a", f"{ISSUER}/t", f"{ISSUER}/k"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": f"{ISSUER}/"},
        {"issuer": None},
        {"code_challenge_methods_supported": ["plain"]},
        {"code_challenge_methods_supported": "S256"},
        {"authorization_endpoint": "http://sso.acme.com/a"},
        {"token_endpoint": "//sso.acme.com/t"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": 7},
        {"userinfo_endpoint": "https://user:pw@sso.acme.com/"},
    ],
    ids=str,
)
def test_a_document_that_lies_or_downgrades_is_unusable(changes: dict[str, Any]) -> None:
    """OIDC Discovery §4.3, and nothing but https."""
    assert isinstance(read_metadata({**DOCUMENT, **changes}, config()), Unusable)


@pytest.mark.parametrize(
    "url",
    [
        "https://", "https:///x", "https://a b/", "https://a/#x", "https://a/\n", "https://\u00e9/",
        "https://a\\@b/", "https://a:99999/", "ftp://a/", "", 7, None, "https://a/" + "x" * 2048,
        "http://a/",
    ],
)  # fmt: skip
def test_an_address_that_reads_in_two_ways_is_none(url: Any) -> None:
    """No host, spaces, fragments, controls, backslashes, other schemes."""
    assert not is_usable_url(url, allow_http=False)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"7", b"{", b'{"a": NaN}', b'{"a": Infinity}', b'{"a": "\\ud800"}', b"\xff{}",
        b'{"a":' * 5000, b'{"a": ' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_json_that_others_could_not_carry_is_refused(body: bytes) -> None:
    """Half a surrogate pair is an error only where it is written again, so it is one here."""
    with pytest.raises(NotPlainJSONError):
        parse_plain_object(body)
