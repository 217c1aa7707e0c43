"""Every JOSE rule of the yardstick, J-01 to J-36, as rows of one table.

Rules about fetching keys hold because nothing here can fetch: those rows watch the interpreter's audit
events for sockets, files and processes.
"""

import base64
import json
import re
import tempfile
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import latchwire
from latchwire.claims import Claims
from latchwire.tokens import Refused, TokenPolicy, decode_access_token, verify_access_token
from shared.ids import b64url
from shared.secrets import create_secrets
from tests.support.jose import (
    Row,
    at,
    bad,
    bare_pem,
    body,
    by_hmac,
    by_pyjwt,
    claims,
    es256_twin,
    good,
    head,
    headers,
    holds,
    literally,
    loaded,
    members,
    oct_key,
    other_trailing_bits,
    pem,
    public_bytes,
    reaches_nothing,
    roca_key,
    rsa_key,
    spelled,
    touching_outside,
    unloadable,
    verified,
    with_key,
    with_signature,
)
from tests.support.tokens import (
    ABSENT,
    AUDIENCE,
    ISSUER,
    NOW_MS,
    POLICY,
    jwks,
    make_claims,
    ring,
    seal,
    sign,
    sign_bytes,
    signing_key,
)

ROOT = Path(__file__).resolve().parents[2]
NOW = NOW_MS // 1000
HEADER, PAYLOAD = "header is not one JSON object", "payload is not one JSON object"
BASE64, SEGMENTS = "not canonical base64url", "not three segments"
ALG, TYP, MEMBERS, KID = "alg is not the key's", "typ", "header members", "kid unknown"
SET, USE = "the key set is not an object with 1 to 64 keys", "use is not sig"
NEEDS = "alg RS256 needs kty RSA with n and e"
GUESSABLE = ("secret", "changeme", "your-256-bit-secret", "password", "latchwire", "")
OTHER_ALGORITHMS = ("RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
KEY_PARAMS = {
    "jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
    "jku": "http://127.0.0.1:9/jwks.json",
    "x5u": "http://127.0.0.1:9/cert",
    "x5c": ["MIIB"],
    "x5t": "AAAA",
    "x5t#S256": "AAAA",
}
REQUIRED = (
    *("iss", "aud", "sub", "email", "jti", "sid", "client_id"),
    *("auth_time", "iat", "exp", "iat_ms", "sst"),
)
TEXTS = REQUIRED[:7]
ODD_TEXTS = (
    *("", "a\r\nb", "a\0", "\x85", "\u2028", "\ud800", "é" * 128, "x" * 256),
    *(7, 1.5, True, ["a"], {}),
)
ODD_TIMES = (
    *("1800000000", " 1800000000 ", "9_999_999_999", "١٨", 1e300, 1800000000.0, True, -5, 0),
    *([1], {}, 10**399, 1_500_000_000, 4_200_000_000, 1_500_000_000_000),
)
ODD_LISTS = (
    *("admin", {"admin": 1}, [1], [""], ["a,b"], ["a\n"], [None], ["r"] * 65, None, [["a"]]),
)


# --- properties ----------------------------------------------------------------------------------


def the_watch_sees_a_file() -> bool:
    with touching_outside() as seen:
        Path(__file__).read_bytes()
    return "open" in seen


def unknown_kids_fetch_nothing_and_change_nothing() -> bool:
    before = ring().kids
    signed = [f"{b64url(head(kid=f'kid-{n}'))}.{b64url(body())}".encode() for n in range(2000)]
    quiet = reaches_nothing(*[seal(text, b"x" * 256) for text in signed])
    return quiet and ring().kids == before


def a_bad_set_leaves_the_good_ring() -> bool:
    before = ring()
    return loaded({"keys": [oct_key("x")]}) != "loaded" and before.kids == ring().kids


def our_own_set_is_public_and_complete() -> bool:
    with tempfile.TemporaryDirectory() as directory:
        create_secrets(Path(directory), date="20270115", credentials=())
        text = (Path(directory) / "jwks.json").read_text()
    stated = [set(key) for key in json.loads(text)["keys"]]
    return loaded(text) == "loaded" and stated == [{"kty", "use", "alg", "kid", "n", "e"}]


def twin_has_the_same_jti() -> bool:
    twin = verify_access_token(es256_twin(), ring(), POLICY, now_ms=NOW_MS)
    return isinstance(twin, Claims) and twin.jti == make_claims()["jti"]


def a_jumping_clock_leaves_no_trace() -> bool:
    token, hour, day = sign(make_claims()), 3_600_000, 86_400_000
    times = (0, day, -day, hour, -hour, 0)
    outcomes = [verified(token, now_ms=NOW_MS + t).partition(":")[0] for t in times]
    late, early = "token_expired", "token_invalid"
    return outcomes == ["accepted", late, early, late, early, "accepted"]


def cannot_be_configured(issuer: str = ISSUER, audience: str = AUDIENCE, leeway: int = 5) -> bool:
    try:
        TokenPolicy(issuer, audience, leeway)
    except ValueError:
        return True
    return False


def no_source_reads_an_unverified_token() -> bool:
    forbidden = re.compile(r"get_unverified|verify_signature|PyJWKClient|jwt\.decode")
    tops = [ROOT / top for top in ("services", "shared", "sdk", "ctl")]
    sources = [path for top in tops for path in top.rglob("*.py")]
    return len(sources) > 5 and not [p for p in sources if forbidden.search(p.read_text("utf-8"))]


def unsigned_claims_are_never_handed_out() -> bool:
    token = with_signature("RS256", b"x" * 256)
    return isinstance(decode_access_token(token, ring(), POLICY), Refused)


def refusals_repeat_nothing() -> bool:
    canary = "canary-7f3a"
    tokens = [sign(make_claims(**{name: canary + "\n"})) for name in make_claims()]
    tokens += [sign(make_claims(), kid=canary), sign(make_claims(), typ=canary), canary.encode()]
    outcomes = [verified(token) for token in tokens]
    one_code = {outcome.partition(":")[0] for outcome in outcomes} == {"token_invalid"}
    return one_code and canary not in repr(outcomes)


# --- the table -----------------------------------------------------------------------------------

ALGORITHMS_AND_KEYS = [
    *[
        good(
            "J-01", f"the {a} key's own", partial(lambda a: sign(make_claims(), signing_key(a)), a)
        )
        for a in ("RS256", "ES256", "EdDSA")
    ],
    *[bad("J-01", f"signed with {a}", ALG, partial(by_pyjwt, a)) for a in OTHER_ALGORITHMS],
    *[
        bad("J-01", f"signed with {a}", ALG, partial(lambda a: by_hmac(bare_pem(), a), a))
        for a in ("HS256", "HS384", "HS512")
    ],
    bad(
        "J-01",
        "right kid and alg, another key",
        "signature",
        lambda: sign(make_claims(), signing_key(name="thief"), kid=signing_key().kid),
    ),
    bad(
        "J-01",
        "the EC key's kid on an RSA token",
        ALG,
        lambda: sign(make_claims(), kid=signing_key("ES256").kid),
    ),
    bad("J-02", "HMAC with the PEM", ALG, lambda: by_hmac(pem())),
    bad("J-02", "HMAC with the PEM's body", ALG, lambda: by_hmac(bare_pem())),
    bad("J-02", "HMAC with the DER", ALG, lambda: by_hmac(base64.b64decode(bare_pem()))),
    bad("J-02", "HMAC with the JWK", ALG, lambda: by_hmac(json.dumps(jwks()["keys"][0]).encode())),
    bad(
        "J-02",
        "HMAC with raw Ed25519",
        ALG,
        lambda: by_hmac(public_bytes(signing_key("EdDSA"), Encoding.Raw, PublicFormat.Raw)),
    ),
    bad(
        "J-02",
        "HMAC with the EC point",
        ALG,
        lambda: by_hmac(
            public_bytes(signing_key("ES256"), Encoding.X962, PublicFormat.UncompressedPoint)
        ),
    ),
    *headers("J-03", ALG, "alg", ("none", "None", "nOnE", "NONE", "", "HS256 ", "rs256")),
    *headers("J-03", MEMBERS, "alg", (None, ABSENT, ["RS256"], {"a": 1}, 256)),
    bad("J-03", "none, no signature", SEGMENTS, lambda: by_hmac(b"").rpartition(b".")[0] + b"."),
    bad(
        "J-04", "empty signature", SEGMENTS, lambda: sign(make_claims()).rpartition(b".")[0] + b"."
    ),
    bad("J-04", "empty header", SEGMENTS, lambda: b"." + sign(make_claims()).partition(b".")[2]),
    bad(
        "J-04", "empty payload", SEGMENTS, lambda: b"..".join(sign(make_claims()).split(b".")[::2])
    ),
    bad("J-04", "two segments", SEGMENTS, lambda: sign(make_claims()).rpartition(b".")[0]),
    bad("J-04", "four segments", SEGMENTS, lambda: sign(make_claims()) + b".AAAA"),
    bad("J-04", "five segments, as a JWE", SEGMENTS, lambda: sign(make_claims()) + b".AAAA.AAAA"),
    bad("J-04", "nothing", SEGMENTS, lambda: b""),
    bad("J-04", "only dots", SEGMENTS, lambda: b".."),
    bad("J-04", "flattened JSON", SEGMENTS, lambda: b'{"protected":"e30","payload":"e30"}'),
    bad("J-04", "general JSON", SEGMENTS, lambda: b'{"payload":"e30","signatures":[]}'),
    *[row for n, v in KEY_PARAMS.items() for row in headers("J-05", MEMBERS, n, [v])],
    holds(
        "J-05",
        "none of these connects anywhere",
        lambda: reaches_nothing(*[sign(make_claims(), **{n: v}) for n, v in KEY_PARAMS.items()]),
    ),
    *headers("J-05", MEMBERS, "foo", ["bar"]),
    *headers(
        "J-06",
        KID,
        "kid",
        (
            "../../../../dev/null",
            "'; DROP TABLE keys;--",
            "\0",
            "k" * 500,
            "",
            "http://127.0.0.1/k",
        ),
    ),
    *headers("J-06", "too long", "kid", ["k" * 10_000]),
    *headers("J-06", MEMBERS, "kid", (7, None, ABSENT, ["a"], {"a": 1})),
    holds("J-06", "a path opens no file", lambda: reaches_nothing(sign({}, kid="/etc/passwd"))),
    holds("J-06", "a good token opens nothing", lambda: reaches_nothing(sign(make_claims()))),
    holds("J-06", "the watch itself sees a file", the_watch_sees_a_file),
    holds("J-07", "2000 unknown kids", unknown_kids_fetch_nothing_and_change_nothing),
]

KEY_SETS = [
    unloadable("J-08", "an address", SET, lambda: "https://auth.example.com/jwks.json"),
    unloadable("J-08", "an error page", SET, lambda: "<html>502</html>"),
    unloadable(
        "J-08",
        "more than 64 KiB",
        "the key set is larger than 65536 bytes",
        lambda: {**jwks(), "pad": "x" * 65_536},
    ),
    holds("J-08", "a bad set leaves the good ring", a_bad_set_leaves_the_good_ring),
    holds("J-09", "our own set is public and complete", our_own_set_is_public_and_complete),
    *[
        row
        for name in ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
        for row in members("J-09", "holds a private or secret member", name, ["AQAB"])
    ],
    *members("J-09", "alg is not RS256, ES256 or EdDSA", "alg", [ABSENT]),
    *members("J-09", "kid missing, empty or too long", "kid", [ABSENT]),
    *members("J-09", USE, "use", [ABSENT]),
    *[row for name in ("kty", "n", "e") for row in members("J-09", NEEDS, name, [ABSENT])],
    Row("J-10", "the usual three keys", lambda: loaded(jwks()), "loaded"),
    Row("J-10", "the same as text", lambda: loaded(json.dumps(jwks())), "loaded"),
    Row("J-10", "key_ops verify", lambda: loaded(with_key(key_ops=["verify"])), "loaded"),
    unloadable(
        "J-10",
        "a kid twice",
        "two keys are named 'twin'",
        lambda: {"keys": [signing_key(a).public_jwk(kid="twin") for a in ("RS256", "ES256")]},
    ),
    unloadable(
        "J-10",
        "a secret among public keys",
        "key 3: holds a private or secret member",
        lambda: {"keys": [*jwks()["keys"], oct_key("secret")]},
    ),
    *members("J-10", USE, "use", ("enc", "", None, ["sig"])),
    *members(
        "J-10",
        "key_ops is not exactly verify",
        "key_ops",
        (["encrypt"], ["verify", "sign"], [], "verify", None),
    ),
    *members(
        "J-10",
        "alg is not RS256, ES256 or EdDSA",
        "alg",
        ("HS256", "PS256", "none", None, ["RS256"]),
    ),
    *members("J-10", "alg ES256 needs kty EC, crv P-256 and 32-byte x and y", "alg", ["ES256"]),
    *members("J-10", "alg EdDSA needs kty OKP, crv Ed25519 and 32-byte x", "alg", ["EdDSA"]),
    *members("J-10", "kid missing, empty or too long", "kid", ("", 7, None, "k" * 129)),
    *members("J-10", "kid not printable", "kid", ["a\n"]),
    unloadable(
        "J-10",
        "a member twice",
        SET,
        lambda: json.dumps(jwks()).replace('"kid":', '"kid":"x","kid":', 1),
    ),
    *[
        unloadable("J-10", f"a set {document!r:.20}", SET, partial(lambda d: d, document))
        for document in ({}, {"keys": []}, {"keys": {}}, "[]", "", "[" * 5000, {"keys": [{}] * 65})
    ],
    unloadable("J-10", "a key that is none", "key 0: not an object", lambda: {"keys": [None]}),
    unloadable("J-10", "no JSON", "the key set is not JSON", lambda: "\ud800"),
    unloadable("J-10", "not even text", "the key set is not JSON", lambda: b"{}"),
    unloadable(
        "J-11", "RSA-1024", "key 0: RSA key not of 2048 to 8192 bits", lambda: rsa_key(1024)
    ),
    unloadable(
        "J-11",
        "RSA-16384",
        "key 0: RSA key not of 2048 to 8192 bits",
        lambda: with_key(n=b64url(b"\xff" * 2048)),
    ),
    unloadable("J-11", "e = 3", "key 0: RSA exponent or modulus is weak", lambda: rsa_key(2048, 3)),
    *members("J-11", "RSA exponent or modulus is weak", "e", ("AQ", b64url(b"\1\0\2"))),
    *members("J-11", "RSA exponent or modulus is weak", "n", [b64url(b"\xff" * 255 + b"\xfe")]),
    *members("J-11", NEEDS, "n", (b64url(b"\0" + b"\xff" * 256), "é", "A", 7)),
    unloadable("J-11", "ROCA", "key 0: RSA key is of the kind of CVE-2017-15361", roca_key),
    unloadable(
        "J-11",
        "EC point off its curve",
        "key 0: not a valid public key",
        lambda: with_key("ES256", x=b64url((5).to_bytes(32, "big"))),
    ),
    unloadable(
        "J-11",
        "EC on another curve",
        "key 0: alg ES256 needs kty EC, crv P-256 and 32-byte x and y",
        lambda: with_key("ES256", crv="P-384"),
    ),
    unloadable(
        "J-11",
        "Ed25519 of 31 bytes",
        "key 0: alg EdDSA needs kty OKP, crv Ed25519 and 32-byte x",
        lambda: with_key("EdDSA", x=b64url(b"x" * 31)),
    ),
    *[bad("J-12", f"HMAC with {s!r}", ALG, partial(by_hmac, s.encode())) for s in GUESSABLE],
    *[
        unloadable(
            "J-12",
            f"{secret!r} as a key",
            "key 0: holds a private or secret member",
            partial(lambda s: {"keys": [oct_key(s)]}, secret),
        )
        for secret in GUESSABLE
    ],
]

FORM = [
    *headers("J-13", MEMBERS, "crit", (["exp"], [], "exp", [1], ["b64", "b64"], ["gone"], None)),
    *headers("J-14", MEMBERS, "b64", (True, False, "false", None)),
    bad("J-14", "b64 with crit", MEMBERS, lambda: sign(make_claims(), b64=False, crit=["b64"])),
    *headers("J-15", MEMBERS, "zip", ["DEF"]),
    *headers("J-15", MEMBERS, "enc", ["A128GCM"]),
    *headers("J-15", MEMBERS, "cty", ["JWT"]),
    *[
        good("J-16", f"typ {t}", partial(lambda t: sign(make_claims(), typ=t), t))
        for t in ("AT+JWT", "application/at+jwt", "Application/AT+JWT")
    ],
    *headers("J-16", TYP, "typ", ("JWT", "jwt", "", "at+jwt ", "application/jwt", "text/at+jwt")),
    *headers("J-16", MEMBERS, "typ", (None, 1, ABSENT, ["at+jwt"])),
    *headers(
        "J-17",
        TYP,
        "typ",
        ("refresh+jwt", "secevent+jwt", "logout+jwt", "id_token", "dpop+jwt", "state+jwt"),
    ),
    bad("J-17", "an ID token", TYP, lambda: sign(make_claims(aud="browser"), typ="JWT")),
    bad("J-17", "a refresh token", SEGMENTS, lambda: b"1.20270115-a.01J0S1D.1." + b"A" * 43),
    bad("J-17", "a link token", SEGMENTS, lambda: b"A" * 64),
    *[
        bad("J-18", f"{what} segment {n}", BASE64, partial(spelled, n, change))
        for n in range(3)
        for what, change in (
            ("= after", lambda s: s + b"="),
            ("== after", lambda s: s + b"=="),
            ("a line end after", lambda s: s + b"\n"),
            ("a blank before", lambda s: b" " + s),
            ("foreign characters in", lambda s: s[:4] + b"!!!!" + s[4:]),
        )
    ],
    bad("J-18", "other trailing bits", BASE64, lambda: spelled(2, other_trailing_bits)),
    bad(
        "J-18",
        "the alphabet with + and /",
        BASE64,
        lambda: spelled(2, lambda _: base64.b64encode(b"\xfb\xef\xff" * 85)),
    ),
    bad("J-19", "a second spelling", BASE64, lambda: sign(make_claims()) + b"="),
    holds("J-19", "the ES256 twin has the same jti", twin_has_the_same_jti),
    bad("J-20", "alg twice", HEADER, lambda: sign_bytes(head()[:-1] + b',"alg":"RS256"}', body())),
    bad("J-20", "kid twice", HEADER, lambda: sign_bytes(b'{"kid":"x",' + head()[1:], body())),
    *[
        bad("J-20", what, PAYLOAD, partial(lambda e: sign_bytes(head(), body(e)), extra))
        for what, extra in (
            ("another sub", ',"sub":"eve@example.com"'),
            ("the same sub", ',"sub":"ada@example.com"'),
            ("sub with an escape", ',"\\u0073ub":"eve@example.com"'),
            ("inside an unknown member", ',"x":{"a":1,"a":2}'),
        )
    ],
    *[
        bad(
            "J-21",
            f"header as {e}",
            HEADER,
            partial(lambda e: sign_bytes(_as(head(), e), body()), e),
        )
        for e in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig")
    ],
    *[
        bad(
            "J-21",
            f"payload as {e}",
            PAYLOAD,
            partial(lambda e: sign_bytes(head(), _as(body(), e)), e),
        )
        for e in ("utf-16", "utf-16-be", "utf-32", "utf-8-sig")
    ],
    bad("J-21", "not UTF-8", PAYLOAD, lambda: sign_bytes(head(), body().replace(b"ada", b"\xff"))),
    *[
        bad("J-22", f"payload {n} deep", why, partial(lambda n: sign_bytes(head(), _deep(n)), n))
        for n, why in ((65, PAYLOAD), (1000, PAYLOAD), (100_000, "too long"))
    ],
    *[
        bad("J-22", f"header {n} deep", why, partial(lambda n: sign_bytes(b"[" * n, body()), n))
        for n, why in ((65, HEADER), (2000, HEADER), (100_000, "too long"))
    ],
    good("J-22", "an unknown member ten deep", lambda: sign_bytes(head(), _deep(10))),
    bad("J-23", "4097 bytes", "too long", lambda: b"A" * 4097),
    bad("J-23", "well signed, 5 kB", "too long", lambda: sign(make_claims(pad="x" * 3500))),
    bad("J-23", "10 MB", "too long", lambda: b".".join([b"A" * 5_000_000] * 2 + [b"A"])),
    good("J-23", "well signed, 3 kB", lambda: sign(make_claims(pad="x" * 1500))),
    *[
        bad("J-24", f"{token!r:.20}", BASE64, partial(bytes, token))
        for token in (b"\xff.a.b", "é.é.é".encode(), b"\0.\0.\0", b"a.b.\xff")
    ],
    *[
        bad("J-25", f"{v!r:.20}, not bytes", "not bytes", partial(lambda v: v, v))
        for v in (None, "a.b.c", 7, [], bytearray(b"a.b.c"))
    ],
    *[
        bad("J-25", f"header {t!r}", HEADER, partial(lambda t: sign_bytes(t, body()), t))
        for t in (b"[]", b"null", b'"x"', b"7", b"{", b"\0", b"NaN")
    ],
    *[
        bad("J-25", f"payload {t!r}", PAYLOAD, partial(lambda t: sign_bytes(head(), t), t))
        for t in (b"[]", b"null", b'"x"', b"7", b"{", b"\0", b"NaN")
    ],
    *[
        bad(
            "J-25",
            f"{a} signature of {n} {fill!r}",
            "signature",
            partial(with_signature, a, fill * n),
        )
        for a, sizes in (
            ("RS256", (1, 255, 256, 257)),
            ("ES256", (1, 63, 64, 65)),
            ("EdDSA", (1, 63, 64, 65)),
        )
        for n in sizes
        for fill in (b"\0", b"\xff")
    ],
]

CLAIMS = [
    *[row for name in REQUIRED for row in claims("J-26", name, name, (ABSENT, None))],
    *[
        row
        for name in ("org", "csrf", "roles", "amr")
        for row in claims("J-26", name, name, [None])
    ],
    good(
        "J-26",
        "without the optional ones",
        lambda: sign(make_claims(roles=ABSENT, org=ABSENT, amr=ABSENT)),
    ),
    good("J-26", "with unknown ones", lambda: sign(make_claims(acr="1", x={"y": [1.5]}))),
    *[row for name in TEXTS for row in claims("J-27", name, name, ODD_TEXTS)],
    *[row for name in ("org", "csrf") for row in claims("J-27", name, name, ODD_TEXTS[1:])],
    *[row for name in ("roles", "amr") for row in claims("J-27", name, name, ODD_LISTS)],
    *claims("J-27", "too long", "jti", ["j" * 1_000_000]),
    *[
        row
        for name in ("auth_time", "iat", "exp", "iat_ms", "sst", "nbf")
        for row in claims("J-28", name, name, ODD_TIMES)
    ],
    *[
        bad("J-28", f"exp written {t:.12}", PAYLOAD, partial(literally, "exp", t))
        for t in ("NaN", "Infinity", "-Infinity", "01", "tru", "")
    ],
    *[
        bad("J-28", f"exp written {t:.12}", "exp", partial(literally, "exp", t))
        for t in ("1e999", "1.80000001e9", "1800000100.0", "1" * 2000, "-0", "null")
    ],
    *claims("J-28", "iat_ms", "iat_ms", [NOW_MS - 60_000]),
    *claims("J-28", "nbf", "nbf", [NOW + 1]),
    good("J-28", "nbf at iat", lambda: sign(make_claims(nbf=NOW))),
    *claims("J-29", "lifetime above the ceiling", "exp", (NOW + 901, NOW + 315_360_000)),
    *claims("J-29", "exp", "exp", (NOW, NOW - 1)),
    good("J-29", "900 seconds", lambda: sign(make_claims(exp=NOW + 900))),
    at("J-30", "a second before exp", NOW + 59, "accepted", exp=NOW + 60),
    at("J-30", "at exp, inside the leeway", NOW + 60, "accepted", exp=NOW + 60),
    at("J-30", "a second before the leeway ends", NOW + 64, "accepted", exp=NOW + 60),
    at("J-30", "as the leeway ends", NOW + 65, "token_expired: exp", exp=NOW + 60),
    at("J-30", "a second later", NOW + 66, "token_expired: exp", exp=NOW + 60),
    at("J-30", "before exp, no leeway", NOW + 59, "accepted", 0, exp=NOW + 60),
    at("J-30", "at exp, no leeway", NOW + 60, "token_expired: exp", 0, exp=NOW + 60),
    at("J-30", "4 s ahead of us", NOW - 4, "accepted"),
    at("J-30", "6 s ahead of us", NOW - 6, "token_invalid: issued in the future"),
    *claims("J-30", "issued in the future", "sst", [NOW_MS + 5001]),
    *claims("J-30", "issued in the future", "auth_time", [NOW + 6]),
    holds("J-30", "a leeway above 60 s", lambda: cannot_be_configured(leeway=61)),
    holds("J-31", "the clock jumps an hour, a day, and back", a_jumping_clock_leaves_no_trace),
    *claims(
        "J-32",
        "iss is another",
        "iss",
        (ISSUER + "/", ISSUER.upper(), ISSUER[:-1], ISSUER + "0", "http://localhost"),
    ),
    *claims("J-32", "iss", "iss", [[ISSUER]]),
    *claims("J-33", "aud is another", "aud", ("Latchwire", "latchwir", "latchwire2", "other")),
    *claims("J-33", "aud", "aud", (["latchwire"], ["latchwire", "evil"], [], {"latchwire": 1})),
    holds("J-33", "a policy without audience", lambda: cannot_be_configured(audience="")),
    holds("J-33", "a policy without issuer", lambda: cannot_be_configured(issuer="")),
    *claims("J-34", "sub", "sub", (7, 1.5, ["a"], None)),
    holds("J-35", "no source reads an unverified token", no_source_reads_an_unverified_token),
    holds("J-35", "unsigned claims are never handed out", unsigned_claims_are_never_handed_out),
    holds("J-35", "nor exported", lambda: "unverified" not in repr(latchwire.__all__).lower()),
    holds("J-36", "every refusal has one code and repeats nothing", refusals_repeat_nothing),
]

ROWS = [*ALGORITHMS_AND_KEYS, *KEY_SETS, *FORM, *CLAIMS]


def _as(data: bytes, encoding: str) -> bytes:
    return data.decode().encode(encoding)


def _deep(levels: int) -> bytes:
    return body(',"x":' + "[" * levels + "]" * levels)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_jose_rule(row: Row) -> None:
    """Each attack of the yardstick has the outcome its rule demands, for that rule's reason."""
    outcome = row.act()

    assert row.expected == outcome


def test_every_rule_from_j01_to_j36_has_a_row() -> None:
    """No rule of the yardstick is left out of the table."""
    assert {f"J-{n:02}" for n in range(1, 37)} == {row.rule for row in ROWS}
