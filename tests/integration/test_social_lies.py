"""A provider that lies, hangs, floods or is not there, and browsers that come back with what is not theirs.

Each gets a clear page and code within bounded time; nobody is signed in, and nothing is written of anybody.
"""

import hmac
import itertools
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization

from tests.support.auth_workers import bearer
from tests.support.lying_provider import (
    CLIENT_ID,
    KEY,
    OTHER_KEY,
    LyingProvider,
    ProviderScript,
    answers,
    floods,
    hangs,
    person,
    signed,
    stops_halfway,
)
from tests.support.page_visitor import Answer, visiting
from tests.support.servers import free_port
from tests.support.social import FROM_ELSEWHERE, SocialSite, running_social

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = itertools.count(1)

BOUND = 15.0  # seconds: the provider's own limit is two, the rest is this machine's
TOKEN, KEYS, DISCOVERY = "/token", "/keys", "/.well-known/openid-configuration"
# Providers whose discovery is wrong: what is kept of the honest one must not hide that.
CROOKED = "abcdefghijkl"
CROOKED_YAML = "".join(
    f"bad-{letter}:\n  issuer: {{url}}/{letter}\n  client_id: {CLIENT_ID}\n"
    "  allow_private: true\n  timeout: 2\n"
    for letter in CROOKED
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SocialSite]:
    """One for all; every test has people of its own."""
    with socket.socket() as inside:
        inside.bind(("127.0.0.1", free_port()))  # nobody else is ever told of it
        inside.listen()
        port = inside.getsockname()[1]
        more = CROOKED_YAML + (
            f"inside:\n  issuer: https://127.0.0.1:{port}\n  client_id: {CLIENT_ID}\n  timeout: 1\n"
            f"by-name:\n  issuer: https://localhost:{port}\n  client_id: {CLIENT_ID}\n  timeout: 1\n"
        )
        directory = tmp_path_factory.mktemp("social")
        async with running_social(directory, more=more) as running:
            yield running
        inside.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody ever knocked
            inside.accept()


@pytest.fixture(autouse=True)
def honest(site: SocialSite) -> None:
    """Both providers begin every test without a lie."""
    site.sso.honest()
    site.other.honest()


@pytest.fixture
def email() -> str:
    """An address nobody else has."""
    return f"liar{next(_numbers)}@acme.com"


def claims(**changes: Any) -> Callable[[LyingProvider], None]:
    """An ID Token with these claims; None: without."""

    def tell(provider: LyingProvider) -> None:
        provider.claims = lambda said: {
            k: v for k, v in {**said, **changes}.items() if v is not None
        }

    return tell


def signing(how: Callable[[dict[str, Any]], Any]) -> Callable[[LyingProvider], None]:
    """An ID Token signed in another way."""

    def tell(provider: LyingProvider) -> None:
        provider.sign = how

    return tell


def script(path: str, answer: Any) -> Callable[[LyingProvider], None]:
    """Another answer of an endpoint."""

    def tell(provider: LyingProvider) -> None:
        provider.scripts[path] = answer

    return tell


def with_public_key(said: dict[str, Any]) -> str:
    """HS256 with the public key as its secret: what a library that trusts ``alg`` takes."""
    head = jwt.utils.base64url_encode(b'{"alg":"HS256","kid":"one","typ":"JWT"}')
    body = jwt.utils.base64url_encode(json.dumps(said).encode())
    pem = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    mac = jwt.utils.base64url_encode(hmac.digest(pem, head + b"." + body, "sha256"))
    return b".".join([head, body, mac]).decode()


def with_crit(said: dict[str, Any]) -> str:
    """A header that says: refuse me unless you know ``exp``'s extension."""
    headers = {"kid": "one", "crit": ["urn:x"], "urn:x": 1}
    return jwt.encode(said, KEY, algorithm="RS256", headers=headers)


NOW = int(time.time())
UNPROVEN, FAILED, AWAY = "provider_not_proven", "provider_failed", "provider_unavailable"
STATUS = {UNPROVEN: 403, FAILED: 502, AWAY: 503}

LIES: dict[str, tuple[Callable[[LyingProvider], None], str]] = {
    "another issuer": (claims(iss="https://evil.example"), UNPROVEN),
    "issuer with a slash more": (claims(iss="http://127.0.0.1/"), UNPROVEN),
    "no issuer": (claims(iss=None), UNPROVEN),
    "another audience": (claims(aud="somebody else"), UNPROVEN),
    "no audience": (claims(aud=None), UNPROVEN),
    "two audiences and no azp": (claims(aud=[CLIENT_ID, "other"]), UNPROVEN),
    "made for another party": (claims(aud=[CLIENT_ID, "other"], azp="other"), UNPROVEN),
    "our audience, another azp": (claims(azp="other"), UNPROVEN),
    "another nonce": (claims(nonce="x" * 43), UNPROVEN),
    "no nonce": (claims(nonce=None), UNPROVEN),
    "a nonce that is a list": (claims(nonce=["x"]), UNPROVEN),
    "expired": (claims(exp=NOW - 400), UNPROVEN),
    "no expiry": (claims(exp=None), UNPROVEN),
    "expiry as text": (claims(exp=str(NOW + 300)), UNPROVEN),
    "issued tomorrow": (claims(iat=NOW + 86_400), UNPROVEN),
    "issued yesterday": (claims(iat=NOW - 86_400), UNPROVEN),
    "valid from tomorrow": (claims(nbf=NOW + 86_400), UNPROVEN),
    "another access token's hash": (claims(at_hash="AAAAAAAAAAAAAAAAAAAAAA"), UNPROVEN),
    "no subject": (claims(sub=None), UNPROVEN),
    "an empty subject": (claims(sub=""), UNPROVEN),
    "a number for a subject": (claims(sub=7), UNPROVEN),
    "a subject of 300 letters": (claims(sub="x" * 300), UNPROVEN),
    "a subject with a NUL": (claims(sub="ada\x00"), UNPROVEN),
    "half a surrogate pair": (claims(sub="\ud800"), UNPROVEN),
    "alg none": (signing(lambda c: jwt.encode(c, None, algorithm="none")), UNPROVEN),
    "alg HS256 with the client secret": (
        signing(lambda c: jwt.encode(c, "a+secret:with/signs%" * 2, algorithm="HS256")),
        UNPROVEN,
    ),
    "alg HS256 with the public key": (signing(with_public_key), UNPROVEN),
    "an algorithm that is not on the list": (
        signing(lambda c: signed(c, alg="RS512")),
        UNPROVEN,
    ),
    "another key under the same name": (signing(lambda c: signed(c, key=OTHER_KEY)), UNPROVEN),
    "a name of no key": (signing(lambda c: signed(c, kid="two")), UNPROVEN),
    "a critical extension": (signing(with_crit), UNPROVEN),
    "no token at all": (signing(lambda _c: None), UNPROVEN),
    "a number for a token": (signing(lambda _c: 7), UNPROVEN),
    "two dots": (signing(lambda _c: ".."), UNPROVEN),
    "a token of a megabyte": (signing(lambda _c: "x" * 200_000), UNPROVEN),
    "it does not know the code": (
        script(TOKEN, answers({"error": "invalid_grant"}, 400)),
        UNPROVEN,
    ),
    "it does not know us": (script(TOKEN, answers({"error": "invalid_client"}, 401)), FAILED),
    "a page in place of JSON": (script(TOKEN, answers("<html>hello</html>")), FAILED),
    "JSON that is a list": (script(TOKEN, answers([1, 2])), FAILED),
    "JSON nested a hundred thousand deep": (script(TOKEN, answers("[" * 100_000)), FAILED),
    "bytes that are no text": (script(TOKEN, answers(b"\xff\xfe\x00")), FAILED),
    "NaN": (script(TOKEN, answers('{"access_token": NaN}')), FAILED),
    "no access token": (script(TOKEN, answers({"token_type": "Bearer"})), FAILED),
    "another kind of token": (
        script(TOKEN, answers({"access_token": "a", "token_type": "mac"})),
        FAILED,
    ),
    "a redirect to this machine": (
        script(TOKEN, answers({}, 302, Location="http://169.254.169.254/latest/meta-data")),
        FAILED,
    ),
    "a redirect that keeps the body": (
        script(TOKEN, answers({}, 307, Location="https://evil.example/")),
        FAILED,
    ),
    "a bomb": (script(TOKEN, answers(b"\x1f\x8b", 200, **{"Content-Encoding": "gzip"})), FAILED),
    "megabytes": (script(TOKEN, floods()), FAILED),
    "an error of its own": (script(TOKEN, answers("oops", 500)), AWAY),
    "too many requests": (script(TOKEN, answers({}, 429)), AWAY),
    "no answer": (script(TOKEN, hangs()), AWAY),
    "half an answer": (script(TOKEN, stops_halfway()), AWAY),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_signs_nobody_in(site: SocialSite, email: str, lie: str) -> None:
    """A page and a code, in time; no session, no account, no login is linked."""
    tell, code = LIES[lie]
    site.sso.who = person(f"liar-{lie}"[:200], email)
    tell(site.sso)
    await came_to_nothing(site, "sso", email, code)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(site: SocialSite, email: str, status: int) -> None:
    """Also none that could be reached: neither the code nor the secret goes where an answer points."""
    site.sso.who = person(f"redirected-{status}", email)
    elsewhere = f"{site.other.url}{TOKEN}"
    site.sso.scripts[TOKEN] = answers({}, status, Location=elsewhere)
    await came_to_nothing(site, "sso", email, FAILED)

    assert site.other.asked == []


@pytest.mark.parametrize(
    ("name", "path", "document"),
    [
        ("github", "/user", {"id": "7"}),
        ("github", "/user", {"id": True}),
        ("github", "/user", {"id": -1}),
        ("github", "/user", {"login": "ada"}),
        ("github", "/user", [1]),
        ("facebook", "/me", {"id": 7}),
        ("facebook", "/me", {"id": "7 OR 1=1"}),
        ("facebook", "/me", {"id": ""}),
        ("facebook", "/me", None),
    ],
)
async def test_a_user_api_that_names_nobody_signs_nobody_in(
    site: SocialSite, email: str, name: str, path: str, document: Any
) -> None:
    """The number is all that counts there, so it has to be one."""
    site.sso.who = person("7", email)
    site.sso.scripts[path] = answers(document)
    await came_to_nothing(site, name, email, FAILED)


async def test_userinfo_of_somebody_else_signs_nobody_in(site: SocialSite, email: str) -> None:
    """An address is taken from userinfo only when that is about the subject of the ID Token."""
    site.sso.who = person("me", email)
    site.sso.claims = lambda said: {k: v for k, v in said.items() if not k.startswith("email")}
    site.sso.scripts["/userinfo"] = answers({"sub": "you", "email": email, "email_verified": True})
    await came_to_nothing(site, "sso", email, UNPROVEN)


async def came_to_nothing(site: SocialSite, name: str, email: str, code: str) -> None:
    """Log in at *name*: a page says *code*, and nothing has happened."""
    async with visiting(site.auth.doors[0]) as visitor:
        began = time.monotonic()
        answer = await site.log_in(visitor, name)
        took = time.monotonic() - began

        says(answer, code)
        assert took < BOUND
        assert await site.signed_in(visitor) is None
    assert await site.account(email) is None
    assert await site.identities.find(site.sso.url, site.sso.who.sub) is None


def says(answer: Answer, code: str) -> None:
    """A readable page, with the code in the header, and nothing of the provider's text in it."""
    assert (answer.status, answer.headers["X-Latchwire-Reason"]) == (STATUS[code], code)
    (title,) = answer.page.all("h1")
    assert title == {}
    assert "Traceback" not in answer.body
    assert "Latchwire" not in answer.body
    assert "Set-Cookie" not in answer.headers or "latchwire-dev=" not in str(answer.headers)
    assert answer.headers["Cache-Control"] == "no-store"


# What is wrong with the document (its issuer is right unless it says so), or what comes in its place.
BAD_DISCOVERY: list[tuple[dict[str, Any] | ProviderScript, str]] = [
    ({"issuer": "https://evil.example"}, FAILED),
    ({"issuer": "{issuer}/"}, FAILED),
    ({"code_challenge_methods_supported": ["plain"]}, FAILED),
    ({"token_endpoint": "javascript:alert(1)"}, FAILED),
    ({"authorization_endpoint": "https://a:b@evil.example/"}, FAILED),
    ({"jwks_uri": None}, FAILED),
    (answers("<html>"), FAILED),
    (answers("gone", 404), FAILED),
    (answers({}, 301, Location="http://10.0.0.1/"), FAILED),
    (floods(), FAILED),
    (hangs(), AWAY),
    (answers("down", 503), AWAY),
]


@pytest.mark.parametrize("letter", CROOKED)
async def test_a_provider_that_cannot_be_discovered_gets_nobody_sent_to_it(
    site: SocialSite, letter: str
) -> None:
    """Wrong issuer, downgraded PKCE, odd addresses, garbage, silence: a page, in time, and no redirect."""
    lie, code = BAD_DISCOVERY[CROOKED.index(letter)]
    if isinstance(lie, dict):
        issuer = f"{site.sso.url}/{letter}"
        lie = answers(site.sso.metadata(**{"issuer": issuer, **_fill(lie, issuer)}))
    site.sso.scripts[f"/{letter}{DISCOVERY}"] = lie
    async with visiting(site.auth.doors[0]) as visitor:
        began = time.monotonic()
        answer = await visitor.get(f"/auth/oauth/bad-{letter}?next=/demo")

        assert time.monotonic() - began < BOUND
        says(answer, code)


def _fill(changes: dict[str, Any], issuer: str) -> dict[str, Any]:
    return {
        k: v.replace("{issuer}", issuer) if isinstance(v, str) else v for k, v in changes.items()
    }


@pytest.mark.parametrize("name", ["inside", "by-name"])
async def test_a_provider_inside_is_never_asked(site: SocialSite, name: str) -> None:
    """By address or by name: no connection is made to a private one that nobody allowed (the fixture looks)."""
    async with visiting(site.auth.doors[0]) as visitor:
        says(await visitor.get(f"/auth/oauth/{name}"), AWAY)


async def test_a_provider_that_is_down_is_said_to_be(site: SocialSite, email: str) -> None:
    """And the next one that comes back works: nothing was used up but the state."""
    site.other.who = person("down", email)
    site.other.scripts[DISCOVERY] = answers("down", 503)
    async with visiting(site.auth.doors[0]) as visitor:
        says(await visitor.get("/auth/oauth/other"), AWAY)
        site.other.honest()
        site.other.who = person("down", email)

        assert "/auth/login/sent" in (await site.log_in(visitor, "other")).location


# ---- what a browser brings back ----


@dataclass(frozen=True)
class Return:
    """How the return is bent."""

    change: Callable[[dict[str, str]], dict[str, str]]
    code: str
    status: int


SPENT = "provider_login_spent"
RETURNS = {
    "no state": Return(lambda q: {**q, "state": ""}, SPENT, 410),
    "a state of somebody's invention": Return(lambda q: {**q, "state": "x" * 43}, SPENT, 410),
    "a state that is no state": Return(lambda q: {**q, "state": "../../etc"}, SPENT, 410),
    "another issuer": Return(lambda q: {**q, "iss": "https://evil.example"}, UNPROVEN, 403),
    "no issuer, though it names itself": Return(lambda q: {**q, "iss": ""}, UNPROVEN, 403),
    "a code of somebody's invention": Return(lambda q: {**q, "code": "x"}, UNPROVEN, 403),
    "no code": Return(lambda q: {**q, "code": ""}, FAILED, 502),
    "access denied": Return(
        lambda q: {"state": q["state"], "error": "access_denied"}, "provider_denied", 403
    ),
    "an error with markup": Return(
        lambda q: {
            "state": q["state"],
            "error": "<script>",
            "error_description": "<b>call +1 900 555</b>",
        },
        FAILED,
        502,
    ),
    "not now": Return(lambda q: {"state": q["state"], "error": "server_error"}, AWAY, 503),
}


@pytest.mark.parametrize("kind", RETURNS)
async def test_a_return_that_was_bent_signs_nobody_in(
    site: SocialSite, email: str, kind: str
) -> None:
    """And the provider's, or anybody's, text is on no page."""
    bent = RETURNS[kind]
    site.sso.who = person(f"bent-{kind}", email)
    site.sso.back = bent.change
    async with visiting(site.auth.doors[0]) as visitor:
        answer = await site.log_in(visitor)

        assert (answer.status, answer.headers["X-Latchwire-Reason"]) == (bent.status, bent.code)
        assert (
            "900 555" not in answer.body
        )  # three digits alone may be in the address of the style sheet
        assert await site.signed_in(visitor) is None
    assert await site.account(email) is None


async def test_a_program_gets_the_same_as_a_problem_document(site: SocialSite) -> None:
    """The code, and no page, for who asks for no page."""
    path = f"/auth/oauth/sso/callback?state={'x' * 43}&code=c"
    answer = await site.auth.call("GET", path)

    assert answer.status == 410
    assert (await answer.json())["code"] == SPENT


async def test_a_return_counts_once(site: SocialSite, email: str) -> None:
    """The same address again, as from the history, signs nobody in and asks the provider nothing."""
    site.sso.who = person("twice", email)
    async with visiting(site.auth.doors[0]) as visitor:
        back = site.sso.answer(await site.leave(visitor))
        assert (await visitor.get(back, FROM_ELSEWHERE)).status == 303
        site.sso.asked.clear()

        again = await visitor.get(back, FROM_ELSEWHERE)

        assert (again.status, again.headers["X-Latchwire-Reason"]) == (410, SPENT)
        assert site.sso.asked == []


async def test_a_return_counts_in_the_browser_that_left_only(site: SocialSite, email: str) -> None:
    """A stranger's callback signs nobody in as the stranger, and the one who left can still come back."""
    site.sso.who = person("other browser", email)
    async with (
        visiting(site.auth.doors[0]) as leaver,
        visiting(site.auth.doors[0]) as stranger,
    ):
        back = site.sso.answer(await site.leave(leaver))
        await stranger.get("/auth/login")
        site.sso.asked.clear()
        refused = await stranger.get(back, FROM_ELSEWHERE)

        assert (refused.status, refused.headers["X-Latchwire-Reason"]) == (410, SPENT)
        assert site.sso.asked == []
        assert await site.signed_in(stranger) is None
        assert (await leaver.get(back, FROM_ELSEWHERE)).status == 303
        assert await site.signed_in(leaver) is not None


@pytest.mark.parametrize(("left_for", "back_as"), [("sso", "other"), ("github", "facebook")])
async def test_a_code_goes_to_no_other_provider_than_the_state_names(
    site: SocialSite, email: str, left_for: str, back_as: str
) -> None:
    """Mix-up: nobody is asked, and the state is spent; also where no provider names itself in its answer."""
    site.sso.who = person("7", email)
    async with visiting(site.auth.doors[0]) as visitor:
        back = site.sso.answer(await site.leave(visitor, left_for))
        site.sso.asked.clear()
        site.other.asked.clear()

        mixed = back.replace(f"/{left_for}/", f"/{back_as}/")
        says(await visitor.get(mixed, FROM_ELSEWHERE), UNPROVEN)
        assert site.sso.asked == site.other.asked == []
        assert (await visitor.get(back, FROM_ELSEWHERE)).status == 410


@pytest.mark.parametrize("twice", ["state", "code", "iss"])
async def test_a_parameter_that_is_there_twice_is_read_in_no_way(
    site: SocialSite, email: str, twice: str
) -> None:
    """400, whichever of the two was the right one."""
    async with visiting(site.auth.doors[0]) as visitor:
        back = site.sso.answer(await site.leave(visitor))

        assert (await visitor.get(f"{back}&{twice}=x", FROM_ELSEWHERE)).status == 400


async def test_what_is_sent_to_the_provider_is_bound_and_says_no_secret(site: SocialSite) -> None:
    """S256, 256 bits of state and nonce, new each time, its own redirect address; the verifier is not in it."""
    async with visiting(site.auth.doors[0]) as visitor:
        sent = [await site.leave(visitor, next_="/demo") for _ in range(2)]

    queries = [{k: v[0] for k, v in parse_qs(urlsplit(url).query).items()} for url in sent]
    for query in queries:
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert query["redirect_uri"] == "http://localhost:8080/auth/oauth/sso/callback"
        assert query["scope"] == "openid email"
        assert query["tenant"] == "a"  # the endpoint's own query stays
        assert "code_verifier" not in query
        assert "/demo" not in urlencode(query)
    for name in ("state", "nonce", "code_challenge"):
        assert len(queries[0][name]) == 43
        assert queries[0][name] != queries[1][name]


async def test_a_key_that_is_new_at_the_provider_is_found_and_asked_for_once_a_minute(
    site: SocialSite, email: str
) -> None:
    """A rotation is followed; unknown names do not make auth ask the provider each time."""
    site.other.who = person("rotated", email)
    async with visiting(site.auth.doors[0]) as visitor:
        assert (await site.log_in(visitor, "other")).status == 303
        site.other.asked.clear()
        site.other.sign = lambda c: signed(c, kid="unknown")
        for _ in range(3):
            says(await site.log_in(visitor, "other"), UNPROVEN)

    assert site.other.asked.count(KEYS) <= 1


async def test_nothing_of_the_provider_is_kept(site: SocialSite, email: str) -> None:
    """Its tokens open nothing here."""
    site.sso.who = person("kept", email)
    async with visiting(site.auth.doors[0]) as visitor:
        await site.log_in(visitor)

    for token in ("at-code-0", signed({"sub": "kept", "aud": "latchwire"})):
        answer = await site.auth.call("GET", "/auth/me", headers=bearer(token))
        assert answer.status == 401
