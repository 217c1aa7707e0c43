"""A service that only answers what comes through the gateway, and calls another one for whoever called it.

The edge puts an assertion beside each request: a JWT of one minute, by the edge's own key, for this service
alone. Whoever finds this port without the gateway has none, whatever other headers they send.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from latchwire import AssertionVerifier, InvalidJWKSError, KeyRing
from latchwire.aiohttp import ASSERTION, assertion_middleware
from latchwire.assertions import HEADER


@dataclass(frozen=True)
class Config:
    """*name* is this service's in services.yaml, *issuer* is LATCHWIRE_URL, *token* its own service token.

    *keys_seconds*: so soon a new edge is believed, and one that was withdrawn no more.
    """

    name: str
    issuer: str
    gateway: str
    token: str
    keys_seconds: float = 60.0


async def whoami(request: web.Request) -> web.Response:
    """GET /{name}: who calls, as the edge says it."""
    return web.json_response(asdict(request[ASSERTION]))


def make_app(config: Config) -> web.Application:
    """The application; it fetches the edges' keys before its first request, and again and again."""
    verifier = AssertionVerifier(KeyRing(()), config.issuer, config.name)
    app = web.Application(middlewares=[assertion_middleware(verifier, public=["/health"])])

    async def background(_app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as http:
            await load_keys(http, config, verifier)
            following = asyncio.create_task(follow_keys(http, config, verifier))
            yield
            following.cancel()

    async def forward(request: web.Request) -> web.Response:
        """GET /{name}/ask/{other}: what the service *other* says of who calls it, through the gateway.

        The service's own token says who sends the request, the assertion it received on whose behalf.
        """
        url = f"{config.gateway}/{request.match_info['other']}"
        headers = {"Authorization": f"Bearer {config.token}", HEADER: request.headers[HEADER]}
        async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
            text = await answer.text()
            return web.Response(text=text, status=answer.status, content_type="application/json")

    app.cleanup_ctx.append(background)
    app.router.add_get("/health", health)
    app.router.add_get(f"/{config.name}", whoami)
    app.router.add_get(f"/{config.name}/ask/{{other:[a-z]+}}", forward)
    return app


async def health(_request: web.Request) -> web.Response:
    """GET /health: open to everybody."""
    return web.Response(text="ok")


async def load_keys(
    http: aiohttp.ClientSession, config: Config, verifier: AssertionVerifier
) -> None:
    """Believe the edges whose keys auth serves now. Raises: aiohttp.ClientError, InvalidJWKSError."""
    url = f"{config.gateway}/.well-known/edges/jwks.json"
    async with http.get(url, raise_for_status=True) as answer:
        verifier.replace_keys(KeyRing.from_jwks(await answer.text()))


async def follow_keys(
    http: aiohttp.ClientSession, config: Config, verifier: AssertionVerifier
) -> None:
    """The same again and again; while auth is away the keys of before count."""
    while True:
        await asyncio.sleep(config.keys_seconds)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, InvalidJWKSError):
            await load_keys(http, config, verifier)


def main() -> None:
    """Listen on the loopback interface."""
    gateway = os.environ.get("GATEWAY", "http://localhost:8080")
    path = os.environ.get("SERVICE_TOKEN_FILE", "")
    config = Config(
        name=os.environ.get("NAME", "shop"),
        issuer=os.environ.get("ISSUER", gateway),
        gateway=gateway,
        token=Path(path).read_text().strip() if path else "",
        keys_seconds=float(os.environ.get("KEYS_SECONDS", "60")),
    )
    web.run_app(make_app(config), host="127.0.0.1", port=int(os.environ.get("PORT", "3000")))


if __name__ == "__main__":
    main()
