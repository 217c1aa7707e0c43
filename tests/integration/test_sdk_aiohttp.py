"""The SDK's aiohttp middleware on a real socket: who gets in, what the others hear, when sockets close."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import pytest
from aiohttp import WSMsgType

from tests.support.raw import RawAnswer, exchange
from tests.support.sdk_site import PUBLIC, Site, start_site
from tests.support.waiting import PATIENCE


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A service, its issuer and its feed."""
    async with start_site() as site:
        yield site


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client."""
    async with aiohttp.ClientSession() as session:
        yield session


def bearer(token: str) -> dict[str, str]:
    """The header of RFC 6750."""
    return {"Authorization": f"Bearer {token}"}


async def test_who_has_a_good_token_is_named_to_the_handler(
    site: Site, http: aiohttp.ClientSession
) -> None:
    """``request[CLAIMS]``."""
    async with http.get(f"{site.url}/me", headers=bearer(site.issuer.token(sub="u-7"))) as answer:
        assert (200, "u-7") == (answer.status, await answer.text())


async def test_without_a_credential_the_challenge_names_no_error(
    site: Site, http: aiohttp.ClientSession
) -> None:
    """RFC 6750 section 3.1."""
    async with http.get(f"{site.url}/me") as answer:
        assert (401, "Bearer") == (answer.status, answer.headers["WWW-Authenticate"])
        assert {"code": "no_credentials"} == await answer.json()
        assert "no-store" == answer.headers["Cache-Control"]


@pytest.mark.parametrize("code", ["token_revoked", "token_expired", "token_invalid"])
async def test_a_refused_token_is_401_with_its_code(
    site: Site, http: aiohttp.ClientSession, code: str
) -> None:
    """The same codes as the edge's."""
    token = site.issuer.token(sid="s")
    if code == "token_revoked":
        site.feed.revoke_session("s")
    elif code == "token_expired":
        site.issuer.clock.advance(906)
    else:
        token = token[:-5]

    async with http.get(f"{site.url}/me", headers=bearer(token)) as answer:
        challenge = f'Bearer error="invalid_token", error_description="{code}"'
        assert (401, challenge) == (answer.status, answer.headers["WWW-Authenticate"])


async def test_a_stale_feed_is_503_for_everybody_and_logs_nobody_out(
    site: Site, http: aiohttp.ClientSession
) -> None:
    """Also for those without a token: a 401 would make clients throw theirs away."""
    site.feed.go_stale()

    for headers in (bearer(site.issuer.token()), {}):
        async with http.get(f"{site.url}/me", headers=headers) as answer:
            assert (503, "1") == (answer.status, answer.headers["Retry-After"])
            assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize(
    ("lines", "status", "reason"),
    [
        (("Authorization: Bearer {t}", "Authorization: Bearer {t}"), 400, "two_credentials"),
        (("Authorization: Bearer {t}", "authorization: Basic eA=="), 400, "two_credentials"),
        (
            ("Authorization: Bearer {t}", "Sec-WebSocket-Protocol: x, latchwire.bearer.{t}"),
            400,
            "two_credentials",
        ),
        (("Authorization: Basic eA==",), 401, "token_invalid"),
        (("Authorization: Bearer",), 401, "token_invalid"),
        (("Authorization: Bearer  {t}",), 401, "token_invalid"),
        (("Authorization: Bearer {t},{t}",), 401, "token_invalid"),
        (("Authorization: Bearer \xff\xfe\x80",), 401, "token_invalid"),
        (("Authorization: Bearer " + "a." * 3000,), 401, "token_invalid"),
        (("Sec-WebSocket-Protocol: latchwire.bearer.",), 401, "token_invalid"),
        (("Sec-WebSocket-Protocol: \xff, latchwire.bearer.\xff",), 401, "token_invalid"),
    ],
)
async def test_no_header_bytes_make_a_500_or_let_anybody_in(
    site: Site, lines: tuple[str, ...], status: int, reason: str
) -> None:
    """Exactly one credential, and whatever is none is refused as what it is."""
    token = site.issuer.token()

    answer = await exchange(site.url, "/me", *(line.replace("{t}", token) for line in lines))

    assert (status, reason) == (answer.status, answer.reason)


async def test_an_escaped_slash_does_not_make_a_path_public(site: Site) -> None:
    """What the router takes for another path is another path."""
    escaped = PUBLIC[0] + PUBLIC[1:].replace("/", "%2F")

    assert RawAnswer(200, "", "hello") == await exchange(site.url, PUBLIC)
    assert 401 == (await exchange(site.url, escaped)).status


async def test_a_socket_is_closed_the_moment_its_session_dies_and_only_that(
    site: Site, http: aiohttp.ClientSession
) -> None:
    """4401 and the code; the other one still answers."""
    url = f"{site.url}/socket"
    mine = await http.ws_connect(url, headers=bearer(site.issuer.token(sid="mine")))
    theirs = await http.ws_connect(url, headers=bearer(site.issuer.token(sid="theirs")))
    await mine.send_str("hello")
    assert "hello" == await mine.receive_str(timeout=PATIENCE)

    site.feed.revoke_session("mine")
    end = await mine.receive(timeout=PATIENCE)

    assert (WSMsgType.CLOSE, 4401, "token_revoked") == (end.type, end.data, end.extra)
    await theirs.send_str("still here")
    assert "still here" == await theirs.receive_str(timeout=PATIENCE)
    await theirs.close()


async def test_a_socket_of_which_nothing_is_known_any_more_is_closed_until_later(
    site: Site, http: aiohttp.ClientSession
) -> None:
    """1013: the client comes back, and hears 503 until somebody can tell again."""
    token = bearer(site.issuer.token())
    socket = await http.ws_connect(f"{site.url}/socket", headers=token)

    site.feed.go_stale()
    end = await socket.receive(timeout=PATIENCE)

    assert (WSMsgType.CLOSE, 1013, "stale") == (end.type, end.data, end.extra)


async def test_a_client_that_does_not_read_cannot_keep_its_connection(site: Site) -> None:
    """Revoked while the handler waits for it to take what was sent: cut off all the same."""
    token = site.issuer.token(sid="deaf")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(site.url.rpartition(":")[2]))
    upgrade = (
        "GET /flood HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    )
    writer.write(upgrade.encode())
    assert b"101 " in await reader.readline()

    site.feed.revoke_session("deaf")

    async with asyncio.timeout(PATIENCE):
        await site.left.wait()
        with suppress(ConnectionError):
            while await reader.read(65_536):
                pass
    writer.close()


async def test_a_browser_may_offer_its_token_as_a_subprotocol(
    site: Site, http: aiohttp.ClientSession
) -> None:
    """It cannot set headers on a WebSocket; the token is not echoed."""
    token = site.issuer.token()

    socket = await http.ws_connect(
        f"{site.url}/socket", protocols=["echo", f"latchwire.bearer.{token}"]
    )

    assert "echo" == socket.protocol
    await socket.close()


async def test_a_revoked_token_opens_no_socket(site: Site, http: aiohttp.ClientSession) -> None:
    """The handshake is a request like any other."""
    token = site.issuer.token(sid="gone")
    site.feed.revoke_session("gone")

    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(f"{site.url}/socket", headers=bearer(token))

    assert 401 == refused.value.status
