"""Five doors of one edge over raw sockets: the same decision, told so that each proxy understands it."""

from collections.abc import AsyncIterator

import pytest

from tests.support.door_heads import PROXIES, head_of
from tests.support.edge import COOKIE, ORIGIN, token
from tests.support.edge_http import Door, open_door
from tests.support.fakes.clock import FakeClock

GOOD = token()
BEARER = b"Authorization: Bearer " + GOOD + b"\r\n"
FOREIGN = b"Authorization: Bearer " + token(roles=["guest"]) + b"\r\n"
NAVIGATION = b"Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"


class BrokenKey:
    """A key that the machine does not let the edge use."""

    kid = "edge-1.00000000"

    def sign(self, signed: bytes) -> bytes:
        raise RuntimeError(len(signed))


class LostClock(FakeClock):
    """A clock that stops telling the time, one or the other of its *lost* ones."""

    lost = ""

    def now_ms(self) -> int:
        if self.lost == "the time of day":
            raise OSError(self.lost)
        return super().now_ms()

    def monotonic(self) -> float:
        if self.lost == "the time that passes":
            raise OSError(self.lost)
        return super().monotonic()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """A fresh edge."""
    async with open_door() as door:
        yield door


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize(
    ("target", "extra", "status", "code"),
    [
        ("/demo", BEARER, 200, ""),
        ("/demo/public", b"", 200, ""),
        ("/open?x=/demo", b"", 200, ""),
        ("/demo", b"", 401, "no_credentials"),
        ("/demo", b"Authorization: Bearer x.y.z\r\n", 401, "token_invalid"),
        ("/staff", FOREIGN, 403, "not_allowed"),
        ("/nowhere", BEARER, 403, "no_route"),
        ("/demo/../staff", BEARER, 403, "ambiguous_path"),
        ("/demo", BEARER + BEARER, 403, "two_credentials"),
    ],
)
async def test_the_same_request_ends_the_same_way_at_every_door(
    door: Door, proxy: str, target: str, extra: bytes, status: int, code: str
) -> None:
    """200, 401 or 403 and nothing else: what all five understand."""
    reply = await door.ask(proxy, target, extra)

    assert (reply.status, reply.get("x-latchwire-reason")) == (status, code)


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_stale_edge_says_503_at_every_door(door: Door, proxy: str) -> None:
    """nginx makes 500 of it, and our configuration 503 again; never 401."""
    door.desk.revocations.staleness = 60.0
    reply = await door.ask(proxy, "/demo", BEARER)

    assert (reply.status, reply.get("x-latchwire-reason")) == (503, "stale")
    assert reply.get("retry-after") == "1"


@pytest.mark.parametrize(("method", "status"), [("GET", 302), ("POST", 303)])
@pytest.mark.parametrize("proxy", ["traefik", "caddy", "haproxy", "envoy"])
async def test_a_browser_is_redirected_where_the_proxy_hands_it_on(
    door: Door, proxy: str, method: str, status: int
) -> None:
    """By the edge itself."""
    reply = await door.ask(proxy, "/demo", NAVIGATION, method=method)

    assert reply.status == status
    assert reply.get("location").startswith(f"{ORIGIN}/auth/login?next=")


async def test_nginx_hears_401_and_the_address_beside_it(door: Door) -> None:
    """It knows no redirect as an answer: 302 would be a 500 to the client."""
    reply = await door.ask("nginx", "/demo", NAVIGATION)

    assert reply.status == 401
    assert reply.get("x-latchwire-location").startswith(f"{ORIGIN}/auth/login?next=")
    assert "location" not in reply.headers


@pytest.mark.parametrize("proxy", PROXIES)
async def test_every_door_is_bound_to_the_service_it_names(door: Door, proxy: str) -> None:
    """The edge's reading and the proxy's choice have to agree."""
    right = await door.ask(proxy, "/demo", BEARER, service="demo")
    wrong = await door.ask(proxy, "/demo", BEARER, service="open")

    assert right.status == 200
    assert (wrong.status, wrong.get("x-latchwire-reason")) == (403, "wrong_service")


@pytest.mark.parametrize("proxy", PROXIES)
async def test_no_stranger_may_say_what_was_asked_for(proxy: str) -> None:
    """Only a configured proxy: from anywhere else even an open path is refused."""
    async with open_door(trusted=()) as door:
        reply = await door.ask(proxy, "/open")

    assert (reply.status, reply.get("x-latchwire-reason")) == (403, "untrusted_peer")


@pytest.mark.parametrize("proxy", PROXIES)
async def test_answers_are_counted_by_proxy(door: Door, proxy: str) -> None:
    """Each under its own name."""
    await door.ask(proxy, "/demo", BEARER)
    await door.ask(proxy, "/demo")

    assert dict(door.counts.items()) == {
        (proxy, "allow", "token"): 1,
        (proxy, "deny", "no_credentials"): 1,
    }


@pytest.mark.parametrize("proxy", ["traefik", "caddy", "haproxy", "nginx"])
@pytest.mark.parametrize("query", ["?", "?x=1", "?/demo/public", "?service=open&rd=//evil.example"])
async def test_a_query_on_the_check_says_nothing(door: Door, proxy: str, query: str) -> None:
    """Caddy appends the client's own."""
    lines = head_of(proxy, "/demo")
    line = f"GET /check/{proxy}/demo{query} HTTP/1.1".encode()

    assert (await door.check(line=line, head=lines)).status == 401
    assert (await door.check(BEARER, line=line, head=lines)).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "PROPFIND"])
async def test_the_method_of_envoys_check_is_the_requests(door: Door, method: str) -> None:
    """A cookie and an unsafe method need an origin there."""
    session = f"Cookie: {COOKIE}=".encode() + GOOD + b"\r\n"
    reply = await door.ask("envoy", "/demo", session, method=method)

    assert reply.status == (200 if method in {"GET", "HEAD"} else 403)


async def test_what_envoy_puts_behind_the_prefix_is_the_whole_target(door: Door) -> None:
    """Its query belongs to the request, and nothing in it leads to another door or service."""
    for target in ("/demo?a=/@/open", "/demo/@/open", "/demo?/check/traefik/open"):
        assert (await door.ask("envoy", target)).status == 401, target
    assert (await door.ask("envoy", "/open/@/demo")).status == 200
    assert (await door.ask("envoy", "/check/envoy/open/@/open")).status == 403


@pytest.mark.parametrize("proxy", PROXIES)
async def test_who_cannot_be_asserted_does_not_pass(proxy: str) -> None:
    """What goes wrong after the decision is our 503 as well, never a 500, and is not counted as let in."""
    async with open_door(key=BrokenKey()) as door:
        reply = await door.ask(proxy, "/demo", BEARER)
        nobody = await door.ask(proxy, "/open")

        assert (reply.status, reply.get("X-Latchwire-Reason")) == (503, "internal")
        assert reply.get("X-User-Id") == ""
        assert nobody.status == 200
        assert dict(door.counts.items()) == {
            (proxy, "unavailable", "internal"): 1,
            (proxy, "allow", "public"): 1,
        }


@pytest.mark.parametrize("lost", ["the time of day", "the time that passes"])
@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_refusal_that_cannot_be_written_is_a_refusal(proxy: str, lost: str) -> None:
    """Whatever was about to be said: the stable code and 503, on a connection that goes on, never a 500."""
    clock = LostClock()
    async with open_door(clock=clock) as door:
        before = await door.ask(proxy, "/demo")
        clock.lost = lost
        for extra in (b"", BEARER, FOREIGN, NAVIGATION):
            reply = await door.ask(proxy, "/demo", extra)
            assert (reply.status, reply.get("X-Latchwire-Reason")) == (503, "internal")
            assert (reply.get("Retry-After"), reply.get("Connection")) == ("1", "")
            assert "server" not in reply.headers
        clock.lost = ""

        assert before.status == (await door.ask(proxy, "/demo")).status == 401
