"""Pages of the edge over raw sockets: who gets one behind which proxy, and that its bytes end there."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.edge.http.contracts import CONTRACTS
from shared.setting_types import LOOPBACK
from tests.support.door_heads import head_of, line_of
from tests.support.edge import COOKIE, ORIGIN, token
from tests.support.edge_http import Door, Reply, open_door, parse
from tests.support.waiting import PATIENCE

PROXIES = [contract.proxy for contract in CONTRACTS]
WITH_PAGES = {
    "traefik",
    "caddy",
    "haproxy",
    "envoy",
}  # nginx drops a refusal's body and asks for the page
SESSION = b"Cookie: %b=%b\r\n" % (COOKIE.encode(), token())
NAVIGATION = b"Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
FETCH = b"Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
TITLE = "<title>This is not for you · Acme</title>".encode()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """A fresh edge."""
    async with open_door() as opened:
        yield opened


def check(proxy: str, target: str, more: bytes) -> bytes:
    """A check as *proxy* sends it, with the client's lines *more*."""
    host = b"Host: localhost:8080\r\n"
    return line_of(proxy, target) + b"\r\n" + host + head_of(proxy, target) + more + b"\r\n"


def is_page(reply: Reply) -> bool:
    """Whether the refusal is the page; one that is half of it is neither."""
    shown = TITLE in reply.rest
    assert shown == (reply.get("content-type") == "text/html; charset=utf-8")
    assert reply.get("content-length") == str(len(reply.rest))
    return shown


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_person_who_may_not_gets_a_page_where_the_proxy_hands_one_on(
    door: Door, proxy: str
) -> None:
    """403 either way, with its reason, kept by nobody; a script and a program get no page."""
    for more, person in [
        (NAVIGATION + SESSION, True),
        (b"Accept: text/html\r\n" + SESSION, True),
        (FETCH + SESSION, False),
        (NAVIGATION + b"Authorization: Bearer " + token() + b"\r\n", False),
    ]:
        reply = parse(await door.send(check(proxy, "/staff", more)))

        assert (reply.status, reply.get("x-latchwire-reason")) == (403, "not_allowed")
        assert reply.get("cache-control") == "no-store"
        assert is_page(reply) is (person and proxy in WITH_PAGES)


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_person_is_never_shown_a_page_where_logging_in_helps(
    door: Door, proxy: str
) -> None:
    """401 is a redirect, or for nginx the address of one; 503 is 503 and logs nobody out."""
    reply = parse(await door.send(check(proxy, "/demo", NAVIGATION)))
    name = "x-latchwire-location" if proxy == "nginx" else "location"
    assert reply.status == (401 if proxy == "nginx" else 302)
    assert reply.get(name) == f"{ORIGIN}/auth/login?next=/demo"
    assert not is_page(reply)

    door.desk.revocations.staleness = 11
    reply = parse(await door.send(check(proxy, "/staff", NAVIGATION + SESSION)))
    assert reply.status == 503
    assert not is_page(reply)


async def test_the_next_answer_on_the_connection_is_not_mixed_up_with_the_page(door: Door) -> None:
    """The page's length is exact: what follows on the same connection begins where it ends."""
    page = check("traefik", "/staff", NAVIGATION + SESSION)
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    try:
        for _ in range(2):
            writer.write(page + check("traefik", "/demo", SESSION))
            async with asyncio.timeout(PATIENCE):
                refused = parse(await reader.readuntil(b"\r\n\r\n"))
                body = await reader.readexactly(int(refused.get("content-length")))
                allowed = parse(await reader.readuntil(b"\r\n\r\n"))
            assert (refused.status, body.endswith(b"</html>\n"), allowed.status) == (403, True, 200)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("line", "more", "status", "page"),
    [
        (b"GET /refused", NAVIGATION, 403, True),
        (b"GET /refused?next=//evil.test", NAVIGATION, 403, True),
        (b"POST /refused", NAVIGATION + b"Content-Length: 0\r\n", 403, True),
        (b"GET /refused", b"Accept: text/html\r\n", 403, True),
        (b"GET /refused", FETCH, 403, False),
        (b"GET /refused", b"", 403, False),
        (b"GET /refused", NAVIGATION + b"Authorization: Bearer x\r\n", 403, False),
        (b"GET /refused/", NAVIGATION, 404, False),
        (b"GET /refused/x", NAVIGATION, 404, False),
        (b"GET //refused", NAVIGATION, 404, False),
        (b"GET /%72efused", NAVIGATION, 404, False),
    ],
)
async def test_the_page_that_nginx_asks_for_never_lets_anybody_in(
    door: Door, line: bytes, more: bytes, status: int, page: bool
) -> None:
    """403 like the refusal it stands for, also to who is logged in; a page for people only."""
    for credential in (b"", SESSION):
        request = line + b" HTTP/1.1\r\nHost: edge\r\n" + more + credential + b"\r\n"
        reply = parse(await door.send(request))

        assert reply.status == status
        assert is_page(reply) is page


@pytest.mark.parametrize(
    ("url", "trusted", "back"),
    [
        (f"{ORIGIN}/demo?a=1".encode(), True, "next=/demo%3Fa%3D1&amp;again=1"),
        (f"{ORIGIN}/demo?a=1".encode(), False, "again=1"),
        (b"https://evil.test/demo", True, "again=1"),
        (b"/demo", True, "again=1"),
        (b"", True, "again=1"),
    ],
)
async def test_the_page_that_nginx_asks_for_leads_back_to_what_nginx_was_asked_for(
    url: bytes, trusted: bool, back: str
) -> None:
    """Of a proxy that is believed, and nowhere but where the login reaches."""
    lines = b"X-Original-Method: GET\r\nX-Original-URL: " + url + b"\r\n" if url else b""
    async with open_door(trusted=LOOPBACK if trusted else ()) as door:
        answer = await door.send(
            b"GET /refused HTTP/1.1\r\nHost: edge\r\n" + NAVIGATION + lines + b"\r\n"
        )

    assert f'href="{ORIGIN}/auth/login?{back}"' in answer.decode()


REFERENCES = [
    (b"X-Latchwire-Reason: not_allowed\r\nX-Request-Id: req-12345678\r\n", True, True),
    (b"X-Latchwire-Reason: not_allowed\r\nX-Request-Id: req-12345678\r\n", False, False),
    (b"X-Latchwire-Reason: not_allowed\r\n", True, False),
    (b"X-Request-Id: req-12345678\r\n", True, False),
    (b"X-Latchwire-Reason: <b>\r\nX-Request-Id: req-12345678\r\n", True, False),
    (b"X-Latchwire-Reason: not_allowed\r\nX-Request-Id: <b>12345678\r\n", True, False),
]


@pytest.mark.parametrize(("lines", "trusted", "shown"), REFERENCES)
async def test_the_page_that_nginx_asks_for_has_the_reference_of_the_refusal(
    lines: bytes, trusted: bool, shown: bool
) -> None:
    """Both parts, as nginx heard them, and nothing that could be a sign of HTML."""
    async with open_door(trusted=LOOPBACK if trusted else ()) as door:
        answer = await door.send(
            b"GET /refused HTTP/1.1\r\nHost: edge\r\n" + NAVIGATION + lines + b"\r\n"
        )

    reference = "<p>Reference for support: not_allowed · req-12345678</p>"
    assert (reference in answer.decode()) is shown
    assert ("Reference" in answer.decode()) is shown


async def test_a_head_request_for_the_page_gets_its_length_and_no_byte_of_it(door: Door) -> None:
    """A body after the answer to HEAD would be read as the next answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    try:
        writer.write(b"HEAD /refused HTTP/1.1\r\nHost: edge\r\n" + NAVIGATION + b"\r\n")
        writer.write(check("traefik", "/demo", SESSION))
        async with asyncio.timeout(PATIENCE):
            head = parse(await reader.readuntil(b"\r\n\r\n"))
            following = parse(await reader.readuntil(b"\r\n\r\n"))
        assert (head.status, following.status) == (403, 200)
        assert int(head.get("content-length")) > 1_000
    finally:
        writer.close()
