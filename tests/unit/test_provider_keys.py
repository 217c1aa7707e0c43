"""Which key may sign an ID Token: one of the provider, named, fit for it, by an algorithm on its list."""

from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from services.auth.adapters.kept_document import COOL_DOWN_SECONDS, KeptDocument
from services.auth.adapters.provider_keys import Signed, read_signed
from services.auth.domain.provider import ProviderConfig
from tests.support.fakes.clock import FakeClock
from tests.support.lying_provider import KEY, OTHER_KEY, jwk_of

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
TEMPLATE = "https://login.microsoftonline.com/{tenantid}/v2.0"
CURVE = ec.generate_private_key(ec.SECP256R1())
OTHER_CURVE = ec.generate_private_key(ec.SECP384R1())
WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)
CLAIMS = {"iss": "https://a.example", "sub": "ada"}


def plain(key: rsa.RSAPrivateKey = KEY, **changes: Any) -> dict[str, Any]:
    """A key that says nothing of what it is for; None: without."""
    said = {**jwk_of(key, "one"), "use": None, "alg": None, **changes}
    return {k: v for k, v in said.items() if v is not None}


def curve(key: ec.EllipticCurvePrivateKey, kid: str = "one") -> dict[str, Any]:
    """The same of a curve."""
    public: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": kid}


def token(key: Any = KEY, alg: str = "RS256", kid: str | None = "one", **claims: Any) -> str:
    """Signed so."""
    headers = {"kid": kid} if kid is not None else {}
    return jwt.encode({**CLAIMS, **claims}, key, algorithm=alg, headers=headers)


async def read(
    text: object, *keys: Mapping[str, Any], algorithms: tuple[str, ...] = ("RS256",), **config: Any
) -> str:
    """ "" when it counts, else why not."""

    async def fetch() -> Mapping[str, Any]:
        return {"keys": list(keys)}

    named = {"name": "a", "title": "A", "kind": "oidc", "issuer": CLAIMS["iss"]}
    used = {"client_id": "us", "scopes": "openid", "algorithms": algorithms}
    found = await read_signed(
        text, KeptDocument(fetch, FakeClock()), ProviderConfig(**{**named, **used, **config})
    )
    return "" if isinstance(found, Signed) else found.reason


async def test_the_named_key_counts() -> None:
    """Among others, whether or not it says what it is for; without a name the only one that fits."""
    other = plain(OTHER_KEY, kid="two")
    assert await read(token(), jwk_of(KEY, "one"), other) == ""
    assert await read(token(), plain(), other) == ""
    assert await read(token(kid=None), plain(), curve(CURVE)) == ""
    assert await read(token(CURVE, "ES256"), curve(CURVE), algorithms=("ES256",)) == ""
    assert await read(token(alg="PS256"), plain(), algorithms=("RS256", "PS256")) == ""


@pytest.mark.parametrize("alg", ["RS512", "PS256", "RS384"])
async def test_an_algorithm_that_is_not_on_the_list_is_refused_though_the_key_would_do(
    alg: str,
) -> None:
    """The list is the operator's, not the token's, nor the key's."""
    assert await read(token(alg=alg), plain()) == "id_token_alg"
    assert await read(token(alg=alg), plain(), algorithms=(alg,)) == ""


async def test_a_shared_secret_is_no_key_whatever_anybody_says() -> None:
    """HS256 on the list, an ``oct`` key in the document, the client secret: none of them signs."""
    secret = "s" * 32
    document = {"kty": "oct", "kid": "one", "k": "c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M"}
    forged = token(secret, "HS256")

    assert await read(forged, document, algorithms=("HS256",)) == "id_token_alg"
    assert await read(forged, document) == "id_token_alg"
    assert await read(
        jwt.encode(CLAIMS, None, algorithm="none"), plain(), algorithms=("none",)
    ) == ("id_token_alg")


NO_KEYS: list[tuple[str, tuple[Mapping[str, Any], ...]]] = [
    ("no keys", ()),
    ("another name", (plain(kid="two"),)),
    ("two of one name", (plain(), plain(OTHER_KEY))),
    ("for encryption", (plain(use="enc"),)),
    ("for another algorithm", (plain(alg="RS512"),)),
    ("of another kind", (curve(CURVE),)),
    ("no name", (plain(kid=None),)),
    ("no objects", (["one"], "one", 7, None)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("what", "keys"), NO_KEYS, ids=[what for what, _ in NO_KEYS])
async def test_without_one_fitting_key_of_that_name_nothing_counts(
    what: str, keys: tuple[Mapping[str, Any], ...]
) -> None:
    """Two that fit are none: which would it be?"""
    assert await read(token(), *keys) == "id_token_key"


async def test_without_a_name_two_keys_that_fit_are_none() -> None:
    """A token that names no key is not tried against all of them."""
    assert await read(token(kid=None), plain(), plain(OTHER_KEY, kid="two")) == "id_token_key"


@pytest.mark.parametrize(
    "keys",
    [
        (plain(OTHER_KEY),),
        (plain(n="AQAB"),),
        (plain(n=7),),
        (plain(e="***"),),
        ({"kty": "RSA", "kid": "one"},),
    ],
    ids=["another key", "a tiny modulus", "a number", "no base64", "nothing in it"],
)
async def test_a_key_that_is_wrong_or_broken_is_no_error_but_a_refusal(
    keys: tuple[Mapping[str, Any], ...],
) -> None:
    """Whatever stands in the document, nothing is raised out of it."""
    assert await read(token(), *keys) == "id_token_signature"


async def test_weak_keys_and_wrong_curves_are_refused() -> None:
    """RSA of 1024 bits; ES256 with a P-384 key."""
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        weak = token(WEAK)
    assert await read(weak, plain(WEAK)) == "id_token_signature"
    mismatched = token(CURVE, "ES256")
    assert await read(mismatched, curve(OTHER_CURVE), algorithms=("ES256",)) == (
        "id_token_signature"
    )


async def test_a_tenants_own_key_signs_for_no_other_tenant() -> None:
    """Microsoft's keys name their issuer; a key without one is of no tenant in particular."""
    said = {"iss": TEMPLATE.replace("{tenantid}", TENANT), "tid": TENANT}
    other = TEMPLATE.replace("{tenantid}", TENANT.replace("7", "8"))
    many = {"issuer": TEMPLATE}

    assert await read(token(**said), plain(), **many) == ""
    assert await read(token(**said), plain(issuer=TEMPLATE), **many) == ""
    assert await read(token(**said), plain(issuer=said["iss"]), **many) == ""
    assert await read(token(**said), plain(issuer=other), **many) == "id_token_key"
    assert await read(token(**said), plain(issuer=7), **many) == "id_token_key"


async def test_a_new_key_is_found_after_a_rotation_once_the_cool_down_is_over() -> None:
    """And the old one is gone with it."""
    clock, keys = FakeClock(), [plain()]

    async def fetch() -> Mapping[str, Any]:
        return {"keys": list(keys)}

    kept = KeptDocument(fetch, clock)
    config = ProviderConfig("a", "A", "oidc", "https://a.example", "us", "openid")
    assert isinstance(await read_signed(token(), kept, config), Signed)
    keys[:] = [plain(OTHER_KEY, kid="two")]
    new = token(OTHER_KEY, kid="two")

    assert not isinstance(await read_signed(new, kept, config), Signed)
    clock.advance(int(COOL_DOWN_SECONDS * 1000))
    assert isinstance(await read_signed(new, kept, config), Signed)
    assert not isinstance(await read_signed(token(), kept, config), Signed)
