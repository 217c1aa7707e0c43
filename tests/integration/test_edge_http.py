"""The edge over raw sockets: whatever bytes come, the answer is a refusal and never a 5xx or a 200."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from latchwire.records import Record
from services.edge.http.fields import MAX_FIELD_BYTES
from shared.unreadable import refuse_by, refuse_plainly
from tests.support.edge import COOKIE, ORIGIN, token
from tests.support.edge_http import HEAD, IDENTITY, Door, open_door, parse
from tests.support.tokens import NOW_MS, make_claims
from tests.support.waiting import PATIENCE

GOOD = token()
BEARER = b"Authorization: Bearer " + GOOD + b"\r\n"
SESSION = f"{COOKIE}=".encode() + GOOD
NAVIGATION = b"Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """A fresh edge."""
    async with open_door() as door:
        yield door


async def test_a_good_token_gets_200_with_every_identity_header_once(door: Door) -> None:
    """All nine, whatever the client claims to be."""
    spoof = b"X-User-Id: admin\r\nX_User_Id: admin\r\nX-User-Roles: admin\r\n"
    reply = await door.check(BEARER + spoof)

    assert reply.status == 200
    assert all(len(reply.headers[name]) == 1 for name in IDENTITY)
    assert reply.get("x-user-id") == "ada@example.com"
    assert reply.get("x-user-roles") == "reader"
    assert reply.get("x-latchwire-assertion").count(".") == 2
    assert reply.get("content-length") == "0"
    assert "server" not in reply.headers


async def test_a_public_route_gets_200_with_every_identity_header_empty(door: Door) -> None:
    """Nobody is a value too: the client's own headers must not survive."""
    reply = await door.check(BEARER, head=HEAD.replace(b"/demo", b"/open"))

    assert reply.status == 200
    assert [reply.get(name) for name in IDENTITY if name != "x-request-id"] == [""] * 8


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
async def test_the_method_of_the_check_says_nothing(door: Door, method: str) -> None:
    """HAProxy asks with HEAD, Envoy with the original method."""
    line = f"{method} /check/traefik HTTP/1.1".encode()

    good, none = await door.check(BEARER, line=line), await door.check(line=line)

    assert (good.status, none.status) == (200, 401)
    assert good.rest == none.rest == b""


async def test_a_body_is_neither_read_nor_waited_for(door: Door) -> None:
    """forwardBody does not hold up the decision."""
    line = b"POST /check/traefik HTTP/1.1"

    assert (await door.check(BEARER + b"Content-Length: 1000000\r\n", line=line)).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/check",
        "/check/",
        "/check/traefik/",
        "/check/traefik/Demo",
        "/check/traefik/demo/",
        "/check/traefik/Demo?x=1",
        "/check/apache",
        "/check/envoy",
        "/check/envoy/demo",
        "/check/envoyx/@/demo",
        "/check/traefik/@/demo",
        "/health",
        "/metrics",
        "/ready",
        "//check/traefik",
        "/check/traefik/../traefik",
        "/check%2ftraefik",
        "http://edge/check/traefik",
    ],
)
async def test_every_other_path_is_a_bare_404(door: Door, path: str) -> None:
    """Nothing here but the one endpoint; health and metrics live on another port."""
    reply = await door.check(BEARER, line=f"GET {path} HTTP/1.1".encode())

    assert (reply.status, reply.rest) == (404, b"")
    assert "x-user-id" not in reply.headers


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        (b"", 401, "no_credentials"),
        (b"Authorization: Bearer \xff.a.b\r\n", 401, "token_invalid"),
        (b"Authorization: Bearer\r\n", 401, "token_invalid"),
        (b"Authorization: Basic " + GOOD + b"\r\n", 401, "token_invalid"),
        (b"Authorization: Bearer " + b"a" * 6000 + b"\r\n", 401, "token_invalid"),
        (b"Authorization: Bearer " + b"a" * 30_000 + b"\r\n", 401, "token_invalid"),
        (BEARER + BEARER, 403, "two_credentials"),
        (BEARER + b"authorization: Bearer x\r\n", 403, "two_credentials"),
        (b"Cookie: " + SESSION + b"; " + SESSION + b"\r\n", 403, "two_credentials"),
        (b"Cookie: " + SESSION + b"\r\nCookie: " + SESSION + b"\r\n", 403, "two_credentials"),
        (b"Cookie: " + SESSION + b"\r\ncookie: a=b; " + SESSION + b"\r\n", 403, "two_credentials"),
        (
            BEARER + b"Cookie: " + COOKIE.encode() + b"=" + token(sub="eve@x.org") + b"\r\n",
            403,
            "two_subjects",
        ),
        (b"Cookie: " + COOKIE.encode() + b"=\xff\xfe\r\n", 401, "token_invalid"),
        (BEARER + b"X-Forwarded-Uri: /open\r\n", 403, "bad_forwarded"),
        (BEARER + b"X-Forwarded-Method: GET\r\n", 403, "bad_forwarded"),
        (BEARER + b"X-Forwarded-Host: other\r\n", 403, "bad_forwarded"),
    ],
)
async def test_what_is_refused_says_why_in_a_code_and_nothing_else(
    door: Door, headers: bytes, status: int, code: str
) -> None:
    """Status, X-Latchwire-Reason, no body, no store, no identity, no cookie."""
    reply = await door.check(headers)

    assert (reply.status, reply.get("x-latchwire-reason"), reply.rest) == (status, code, b"")
    assert reply.get("cache-control") == "no-store"
    assert not {"x-user-id", "set-cookie", "location"} & reply.headers.keys()


async def test_a_401_tells_api_clients_what_to_do(door: Door) -> None:
    """RFC 6750 §3: no error code where no credential came, the code where one did."""
    none, junk = await door.check(), await door.check(b"Authorization: Bearer x\r\n")

    realm = f'Bearer realm="{ORIGIN.partition("://")[2]}"'
    assert none.get("www-authenticate") == realm
    assert junk.get("www-authenticate") == (
        f'{realm}, error="invalid_token", error_description="token_invalid"'
    )


@pytest.mark.parametrize("size", [40_000, 100_000, 10_000_000])
async def test_a_huge_token_is_refused_and_never_logged(
    door: Door, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Over the header limit the server itself answers 400 and hangs up, without repeating it."""
    caplog.set_level(logging.DEBUG)

    data = b"GET /check/traefik HTTP/1.1\r\n" + HEAD + b"Authorization: Bearer "
    answer = await door.send(data + b"CANARY" * (size // 6) + b"\r\n\r\n")

    assert not answer or parse(answer).status == 400
    assert "CANARY" not in caplog.text


LINE = b"GET /check/traefik HTTP/1.1\r\nHost: edge\r\n"
SMUGGLED = LINE + HEAD + BEARER


@pytest.mark.parametrize(
    "data",
    [
        SMUGGLED + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        SMUGGLED + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        SMUGGLED + b"Content-Length: +5\r\n\r\nhello",
        SMUGGLED + b"Transfer-Encoding: xchunked\r\n\r\n",
        SMUGGLED + b"Transfer-Encoding : chunked\r\n\r\n",
        SMUGGLED + b"X: a\r\n b\r\n\r\n",
        LINE + HEAD + b"Authorization: Bearer\r\n " + GOOD + b"\r\n\r\n",
        LINE + HEAD + b"Authorization : Bearer " + GOOD + b"\r\n\r\n",
        (SMUGGLED + b"\r\n").replace(b"\r\n", b"\n"),
        SMUGGLED + b"X: a\rb\r\n\r\n",
        SMUGGLED + b"X: a\x00b\r\n\r\n",
        SMUGGLED + b": empty\r\n\r\n",
        b"GET  /check/traefik HTTP/1.1\r\n" + HEAD + BEARER + b"\r\n",
        b"GET /check/traefik\r\n\r\n",
        b"GET /check/traefik HTTP/9.9\r\n" + HEAD + BEARER + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100 + b"\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_a_request_two_parsers_could_read_differently_gets_no_yes(
    door: Door, data: bytes
) -> None:
    """Request smuggling shapes: refused, or no answer; there is a good token in most of them."""
    answer = await door.send(data)

    assert not answer or parse(answer).status in {400, 403, 404}


async def test_many_headers_and_long_ones_do_not_break_the_check(door: Door) -> None:
    """At the limits of what the server reads, the decision is the same."""
    padding = b"".join(b"X-P%d: %b\r\n" % (n, b"v" * 50) for n in range(80))

    assert (await door.check(BEARER + padding)).status == 200
    assert (await door.check(padding)).status == 401


async def test_connections_are_kept_and_pipelined_requests_answered_in_order(door: Door) -> None:
    """Two checks in one packet: two answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(LINE + HEAD + BEARER + b"\r\n" + LINE + HEAD + b"\r\n")
    async with asyncio.timeout(PATIENCE):
        first = parse(await reader.readuntil(b"\r\n\r\n"))
        second = parse(await reader.readuntil(b"\r\n\r\n"))
    writer.close()

    assert (first.status, second.status) == (200, 401)


@pytest.mark.parametrize(
    ("line", "extra"), [(b"1.0", b""), (b"1.1", b"Host: edge\r\nConnection: close\r\n")]
)
async def test_a_client_that_wants_the_end_gets_it(door: Door, line: bytes, extra: bytes) -> None:
    """HTTP/1.0 (nginx's default) and Connection: close."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(b"GET /check/traefik HTTP/" + line + b"\r\n" + HEAD + BEARER + extra + b"\r\n")
    async with asyncio.timeout(PATIENCE):
        reply = parse(await reader.read())
    writer.close()

    assert (reply.status, reply.get("connection")) == (200, "close")


async def test_an_upgrade_is_answered_and_never_switched(door: Door) -> None:
    """Caddy passes Connection: Upgrade on to the check."""
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"

    assert (await door.check(BEARER + upgrade)).status == 200
    assert (await door.check(upgrade)).status == 401


async def test_a_browser_is_sent_to_sign_in_and_comes_back(door: Door) -> None:
    """302 for reading, 303 for a form; never for a script."""
    get = await door.check(NAVIGATION)
    post = await door.check(NAVIGATION, head=HEAD.replace(b"Method: GET", b"Method: POST"))
    script = await door.check(b"Sec-Fetch-Mode: cors\r\nAccept: text/html\r\n")

    assert (get.status, get.get("location")) == (302, f"{ORIGIN}/auth/login?next=/demo")
    assert (post.status, post.get("location")) == (303, f"{ORIGIN}/auth/login?next=/demo&unsent=1")
    assert get.get("cache-control") == "no-store"
    assert script.status == 401


async def test_a_browser_whose_token_ran_out_is_sent_to_renew_it(door: Door) -> None:
    """A session that lives on is not asked to sign in again."""
    door.desk.clock.advance(3_600_000)

    reply = await door.check(NAVIGATION + b"Cookie: " + SESSION + b"\r\n")

    assert (reply.status, reply.get("location")) == (302, f"{ORIGIN}/auth/continue?next=/demo")
    assert (await door.check(BEARER)).get("x-latchwire-reason") == "token_expired"


async def test_a_browser_whose_roles_changed_is_sent_to_renew_it(door: Door) -> None:
    """Refused access tokens are no end of the session; whether that is over, auth says."""
    claims = make_claims()
    door.desk.revocations.revoke(
        "subject", claims["sub"], Record(NOW_MS + 3_600_000, tokens_before=NOW_MS + 1)
    )

    reply = await door.check(NAVIGATION + b"Cookie: " + SESSION + b"\r\n")

    assert (reply.status, reply.get("location")) == (302, f"{ORIGIN}/auth/continue?next=/demo")
    assert (await door.check(BEARER)).get("x-latchwire-reason") == "token_revoked"


async def test_signed_in_but_not_allowed_is_a_403_and_no_loop(door: Door) -> None:
    """A redirect would come straight back."""
    head = HEAD.replace(b"/demo", b"/staff")

    reply = await door.check(NAVIGATION + b"Cookie: " + SESSION + b"\r\n", head=head)

    assert (reply.status, reply.get("x-latchwire-reason")) == (403, "not_allowed")


async def test_a_stale_edge_says_503_to_everybody_and_sends_nobody_to_log_in(door: Door) -> None:
    """Not even a browser without a cookie."""
    door.desk.revocations.staleness = 11

    for headers in (b"", BEARER, NAVIGATION, NAVIGATION + b"Cookie: " + SESSION + b"\r\n"):
        reply = await door.check(headers)
        assert (reply.status, reply.get("x-latchwire-reason")) == (503, "stale")
        assert reply.get("retry-after") == "1"


async def test_a_request_id_is_kept_when_it_is_one_and_made_when_not(door: Door) -> None:
    """No log injection, no header injection, never two of the same."""
    kept = await door.check(BEARER + b"X-Request-Id: req-0123456789\r\n")
    odd = await door.check(BEARER + b'X-Request-Id: a b"<script>\r\n')
    twice = await door.check(b"X-Request-Id: req-0123456789\r\nX-Request-Id: req-1\r\n")

    assert kept.get("x-request-id") == "req-0123456789"
    assert re.fullmatch(r"[0-9A-Z]{26}-[0-9a-f]+", odd.get("x-request-id"))
    assert twice.get("x-request-id") not in {"", odd.get("x-request-id"), "req-1"}


async def test_a_refusal_is_one_line_without_token_path_or_person(door: Door) -> None:
    """Reason, service and outcome; in a flood a count instead of lines."""
    with capture_logs() as lines:
        about = b"X-Request-Id: req-0123456789\r\nTraceparent: 00-%b-%b-01\r\n" % (
            b"a1" * 16,
            b"b2" * 8,
        )
        await door.check(BEARER + about, head=HEAD.replace(b"/demo", b"/staff/secret-path"))
        for _ in range(30):
            await door.check()
        door.desk.clock.advance(1_000)
        await door.check()

    refusals = [line for line in lines if line["event"] == "check.refused"]
    assert refusals[0] == {
        "event": "check.refused",
        "log_level": "info",
        "reason": "not_allowed",
        "service": "staff",
        "outcome": "deny",
        "detail": "roles",
        "request_id": "req-0123456789",
        "trace_id": "a1" * 16,
    }
    assert len({line["request_id"] for line in refusals}) == 21
    assert len(refusals) == 21
    assert [x["count"] for x in lines if x["event"] == "check.refusals_withheld"] == [11]
    assert not re.search(r"secret-path|ada@|eyJ", repr(lines))


@pytest.mark.parametrize("ours", [True, False])
async def test_a_flood_of_what_cannot_be_read_is_a_few_lines_and_a_count(
    ours: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A header beyond aiohttp's limit, from anybody: with the answer of our own, and without it."""
    huge = LINE + b"Authorization: Bearer " + b"a" * (MAX_FIELD_BYTES + 1_000) + b"\r\n\r\n"
    caplog.set_level("INFO")
    async with open_door() as door:
        if ours:
            refuse_by(door.server, refuse_plainly, door.desk.clock)  # as the worker does
        with capture_logs() as lines:
            for _ in range(40):
                await door.send(huge)
            door.desk.clock.advance(1_000)
            await door.send(huge)

    own = [line for line in lines if line["event"] == "request.unreadable"]
    foreign = [record for record in caplog.records if record.message == "request.unreadable"]
    assert (len(own), len(foreign)) == ((21, 0) if ours else (0, 21))
    counts = [line.get("withheld", line.get("count", 0)) for line in lines]
    assert sum(counts) == 20
    assert b"aaa" not in repr((lines, caplog.text)).encode()


async def test_checks_are_counted_by_outcome_and_reason(door: Door) -> None:
    """No label names a user, a path or a host."""
    await door.check(BEARER)
    await door.check()
    await door.check(NAVIGATION)

    assert dict(door.counts.items()) == {
        ("traefik", "allow", "token"): 1,
        ("traefik", "deny", "no_credentials"): 1,
        ("traefik", "redirect", "no_credentials"): 1,
    }
