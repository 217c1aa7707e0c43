"""A provider that does as it is told: honest unless a test changes what it answers.

`provider.url` is its issuer. It speaks OpenID Connect, and GitHub's and Facebook's dialects beside. The next
answer of an endpoint is replaced by ``provider.scripts["/token"] = answer``, an ID Token's claims by
``provider.claims``, the way it is signed by ``provider.sign``.
"""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.ids import b64url as b64

CLIENT_ID, SECRET = "latch:wire", "a+secret:with/signs%"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

ProviderScript = Callable[[web.Request], Awaitable[web.StreamResponse]]
Sign = Callable[[dict[str, Any]], str]


def jwk_of(key: rsa.RSAPrivateKey, kid: str, **changes: Any) -> dict[str, Any]:
    """The public half."""
    public: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": kid, "use": "sig", "alg": "RS256", **changes}


def signed(claims: dict[str, Any], key: Any = KEY, kid: str = "one", alg: str = "RS256") -> str:
    """An ID Token as it should be."""
    return jwt.encode(claims, key, algorithm=alg, headers={"kid": kid} if kid else {})


@dataclass(frozen=True)
class Person:
    """Who is logged in at the provider. *given* are the claims about the address, as they are sent."""

    sub: str
    given: dict[str, Any]


def person(sub: str, email: str = "", verified: Any = True) -> Person:
    """Somebody with an address; *verified* None: nothing is said of it."""
    said = {"email": email} if email else {}
    return Person(sub, said | ({} if verified is None else {"email_verified": verified}))


@dataclass
class LyingProvider:
    """Its state. *asked* are the paths that were asked for, *codes* what waits for its exchange."""

    url: str
    who: Person = field(default_factory=lambda: person("1", "ada@acme.com"))
    scripts: dict[str, ProviderScript] = field(default_factory=dict)
    claims: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
    sign: Sign = signed
    back: Callable[[dict[str, str]], dict[str, str]] = lambda query: query
    jwks: list[dict[str, Any]] = field(default_factory=lambda: [jwk_of(KEY, "one")])
    asked: list[str] = field(default_factory=list)
    authorized: list[dict[str, str]] = field(default_factory=list)
    redeemed: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    names_itself: bool = True

    def honest(self) -> None:
        """Forget every script."""
        fresh = LyingProvider(self.url)
        for name in ("scripts", "claims", "sign", "back", "jwks", "who"):
            setattr(self, name, getattr(fresh, name))
        for log in (self.asked, self.authorized, self.redeemed):
            log.clear()

    def metadata(self, **changes: Any) -> dict[str, Any]:
        """What it says of itself."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize?tenant=a",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": self.names_itself,
            **changes,
        }

    # ---- what a browser does there ----

    def answer(self, location: str) -> str:
        """The person agrees: the path and query that the browser is sent back to."""
        asked = {k: v[0] for k, v in parse_qs(urlsplit(location).query).items()}
        self.authorized.append(asked)
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        query = self.back({"state": asked["state"], "code": code, "iss": self.url})
        return f"{urlsplit(asked['redirect_uri']).path}?{urlencode(query)}"

    # ---- its endpoints ----

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        script = self.scripts.get(request.path)
        if script is not None:
            return await script(request)
        known: dict[str, ProviderScript] = {
            "/.well-known/openid-configuration": self._discovery,
            "/keys": self._keys,
            "/token": self._token,
            "/userinfo": self._userinfo,
            "/user": self._user,
            "/emails": self._emails,
            "/me": self._me,
        }
        return await known[request.path](request)

    async def _discovery(self, _request: web.Request) -> web.Response:
        return web.json_response(self.metadata())

    async def _keys(self, _request: web.Request) -> web.Response:
        return web.json_response({"keys": self.jwks})

    async def _token(self, request: web.Request) -> web.Response:
        form = {k: str(v) for k, v in (await request.post()).items()}
        self.redeemed.append(form)
        asked = self.codes.pop(form.get("code", ""), None)
        if not self._knows_client(request, form):
            return web.json_response({"error": "invalid_client"}, status=401)
        if asked is None or form["redirect_uri"] != asked["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        challenge = hashlib.sha256(form["code_verifier"].encode()).digest()
        if b64(challenge) != asked["code_challenge"] or asked["code_challenge_method"] != "S256":
            return web.json_response({"error": "invalid_grant"}, status=400)
        body = {"access_token": "at-" + form["code"], "token_type": "Bearer", "expires_in": 60}
        if "nonce" in asked:
            body["id_token"] = self.sign(self.claims(self._claims(asked["nonce"])))
        return web.json_response(body)

    def _claims(self, nonce: str) -> dict[str, Any]:
        now = int(time.time())
        times = {"iat": now, "exp": now + 300}
        who = {"iss": self.url, "aud": CLIENT_ID, "sub": self.who.sub, "nonce": nonce}
        return {**who, **times, **self.who.given}

    def _knows_client(self, request: web.Request, form: dict[str, str]) -> bool:
        """By Basic or in the form, never both (RFC 6749 §2.3)."""
        header = request.headers.get("Authorization", "")
        if not header:
            return (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, SECRET)
        expected = base64.b64encode(b"latch%3Awire:a%2Bsecret%3Awith%2Fsigns%25").decode()
        return header == f"Basic {expected}" and "client_secret" not in form

    async def _userinfo(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"].startswith("Bearer at-")
        return web.json_response({"sub": self.who.sub, **self.who.given})

    async def _user(self, request: web.Request) -> web.Response:
        assert request.headers["User-Agent"], "GitHub refuses who does not say what it is"
        return web.json_response({"id": int(self.who.sub), "login": "ada", "email": None})

    async def _emails(self, _request: web.Request) -> web.Response:
        mine = {"email": self.who.given.get("email"), "primary": True}
        mine["verified"] = self.who.given.get("email_verified")
        other = {"email": "other@acme.com", "primary": False, "verified": True}
        return web.json_response([other, mine])

    async def _me(self, request: web.Request) -> web.Response:
        assert request.query["appsecret_proof"]
        return web.json_response({"id": self.who.sub, "email": self.who.given.get("email")})


def answers(body: Any, status: int = 200, **headers: str) -> ProviderScript:
    """An endpoint that answers *body*: an object as JSON, text and bytes as they are."""
    if not isinstance(body, bytes | str):
        body = json.dumps(body)
    content = body.encode() if isinstance(body, str) else body

    async def answer(_request: web.Request) -> web.Response:
        kind = {"Content-Type": "application/json"}
        return web.Response(status=status, body=content, headers={**kind, **headers})

    return answer


def hangs() -> ProviderScript:
    """An endpoint that never answers."""

    async def answer(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    return answer


def stops_halfway() -> ProviderScript:
    """An endpoint that begins its answer and never goes on."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"issuer": "')
        await asyncio.Event().wait()
        return response

    return answer


def floods() -> ProviderScript:
    """An endpoint that sends on and on, for as long as anybody reads."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b'["' + b"x" * 65_536 + b'"],')
        except ConnectionError:
            pass  # the reader has had enough: what is hoped for
        return response

    return answer


@asynccontextmanager
async def running_provider(port: int = 0) -> AsyncIterator[LyingProvider]:
    """A provider on 127.0.0.1."""
    app = web.Application()
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    provider = LyingProvider("")
    app.router.add_route("*", "/{path:.*}", provider._handle)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    taken = runner.addresses[0][1]
    provider.url = f"http://127.0.0.1:{taken}"
    try:
        yield provider
    finally:
        await runner.cleanup()
