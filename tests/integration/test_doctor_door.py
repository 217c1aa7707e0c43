"""The doctor at a gateway that makes every mistake: each one is found, where it is and nowhere else."""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ctl.doctor.checks import DOOR
from ctl.doctor.door import Door
from ctl.doctor.findings import Finding
from ctl.doctor.pages import look_at_pages
from ctl.doctor.routes import routes_of
from ctl.doctor.transport import look_at_tls
from ctl.doctor.wire import Front, NoAnswerFromDoorError
from shared.clock import SystemClock
from shared.ids import SystemIds
from tests.support.leaky_door import HOST, leaky_catalogue, leaky_door
from tests.support.servers import free_port
from tests.support.smtp import make_certificate

# What is seen failing here; with `OF_TLS` and `UNSEEN` it is every check of the door.
OF_ROUTES = {
    "door.open_route": {"unchecked"},
    "door.unexposed": {"hidden"},
    "door.header_opens": {"believing", "gullible"},  # the other by a token that nobody signed
    "door.method_opens": {"methodical", "believing"},  # the other by X-HTTP-Method-Override
    "door.path_opens": {"decoding"},
    "door.identity_passes": {"believing", "decoding"},
    "door.alias_passes": {"believing", "decoding"},
    "door.own_passes": {"decoding"},
    "door.trailer_passes": {"believing", "decoding"},
    "door.upgrade_passes": {"believing", "decoding"},
    "door.server_error": {"fragile"},
    "door.limited": {"limited"},
    "door.unclear": {"lost"},
}
OF_PAGES = {
    "door.internals", "door.redirects_away", "door.cors", "door.cookies", "door.security_headers", "door.hsts",
}  # fmt: skip
OF_TLS = {"door.tls", "door.tls_old", "door.tls_expires", "door.plain_http"}
UNSEEN = {"door.no_echo"}
# In test_doctor_tokens.py, and the one about time in test_doctor_counterfeits.py.
OF_TOKENS = {
    "door.token_misplaced", "door.token_altered", "door.revoked_passes", "door.revoked_late", "door.untried",
}  # fmt: skip


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """Through the leaky gateway, over plain http."""
    async with leaky_door() as port:
        yield Door(Front("127.0.0.1", port, None), f"https://{HOST}", HOST, SystemIds())


def by_check(findings: list[Finding]) -> dict[str, set[str]]:
    """The services where each check failed."""
    found: dict[str, set[str]] = defaultdict(set)
    for finding in findings:
        found[finding.check].add(finding.where.split(" ")[0])
    return dict(found)


def test_every_check_of_the_door_is_seen_failing() -> None:
    """A check that nobody saw failing may be one that cannot fail."""
    assert DOOR.keys() == OF_ROUTES.keys() | OF_PAGES | OF_TLS | UNSEEN | OF_TOKENS


async def test_each_mistake_is_found_at_the_service_that_makes_it(door: Door) -> None:
    """Header, method, spelling, unprotected, unexposed, made-up identity: and no other service is accused."""
    await door.attack(routes_of(leaky_catalogue()), [])

    assert by_check(door.findings) == OF_ROUTES


async def test_the_finding_names_the_header_the_method_and_the_spelling(door: Door) -> None:
    """What an operator has to send to see it too."""
    await door.attack(routes_of(leaky_catalogue()), [])
    seen = {finding.seen for finding in door.findings}

    assert "X-Forwarded-Uri: /believing/open: 200" in seen
    assert "a token nobody signed: 200" in seen
    assert "POST: 200" in seen
    assert "/decoding/open/..%2flatchwire-doctor: 200" in seen
    assert "X_User_Id reaches the service" in seen
    assert "X-Client-Id reaches the service" in seen
    assert {"Upgrade (h2c): switched", "Upgrade (made up): reaches the service"} <= seen


async def test_no_service_that_shows_its_headers_is_said(door: Door) -> None:
    """Then whether a made-up identity passes is not known, and that is no good news."""
    routes = [route for route in routes_of(leaky_catalogue()) if not route.open]

    await door.attack(routes, [])

    assert by_check(door.findings).keys() >= UNSEEN


async def test_an_open_path_that_is_named_shows_what_passes(door: Door) -> None:
    """``--echo``: for installations whose open routes show nothing."""
    await door.attack([], ["/believing/open"])

    assert by_check(door.findings).keys() == {
        "door.identity_passes", "door.alias_passes", "door.trailer_passes", "door.upgrade_passes",
    }  # fmt: skip


async def test_what_auth_shows_is_looked_at_over_tls(tmp_path: Path) -> None:
    """Flags of cookies, headers of pages, internals, foreign origins, and where ``next`` leads."""
    server, trusting = make_certificate(tmp_path, HOST)
    async with leaky_door(server) as port:
        door = Door(Front("127.0.0.1", port, trusting), f"https://{HOST}", HOST, SystemIds())
        await look_at_pages(door, routes_of(leaky_catalogue()))

    assert by_check(door.findings).keys() == OF_PAGES


async def test_a_certificate_that_ends_soon_and_plain_http_are_found(tmp_path: Path) -> None:
    """It ends within the hour, TLS 1.0 is spoken, and http answers instead of redirecting."""
    server, trusting = make_certificate(tmp_path, HOST)
    _accept_everything(server)
    async with leaky_door(server) as port, leaky_door() as plain_port:
        front = Front("127.0.0.1", port, trusting)
        found = await look_at_tls(front, HOST, SystemClock().now_ms(), plain_port=plain_port)

    assert by_check(found).keys() == OF_TLS - {"door.tls"}


async def test_a_certificate_nobody_vouches_for_is_found_and_the_rest_still_looked_at(
    tmp_path: Path,
) -> None:
    """Whoever is between could show it: the first thing to say, and no reason to stop."""
    server, _ = make_certificate(tmp_path, HOST)
    async with leaky_door(server) as port:
        front = Front("127.0.0.1", port, ssl.create_default_context())
        found = await look_at_tls(front, HOST, SystemClock().now_ms())
        answer = await Door(front.trusting(), f"https://{HOST}", HOST, SystemIds()).ask("/metrics")

    assert by_check(found).keys() == {"door.tls"}
    assert answer is not None
    assert answer.status == 200


async def test_a_door_that_is_shut_is_out_of_reach() -> None:
    """Nothing is known of it: that is another exit code than clean."""
    front = Front("127.0.0.1", free_port(), ssl.create_default_context())

    with pytest.raises(NoAnswerFromDoorError):
        await look_at_tls(front, HOST, SystemClock().now_ms())


async def test_an_answer_whose_body_never_ends_still_tells_that_it_let_somebody_in() -> None:
    """The connection stays open, nothing says how long the body is: the status was enough."""
    over = asyncio.Event()

    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await over.wait()
        writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        front = Front("127.0.0.1", port, None)
        answer = await Door(front, "http://localhost", "localhost", SystemIds()).ask("/")
        over.set()

    assert answer is not None
    assert answer.passed
    assert b"abc" in answer.body


async def test_a_door_that_never_answers_holds_nobody_up() -> None:
    """Each attempt has a deadline of its own."""
    never = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        front = Front("127.0.0.1", port, None, timeout=0.1)
        answer = await Door(front, "http://localhost", "localhost", SystemIds()).ask("/")
        never.set()

    assert answer is None


def _accept_everything(server: ssl.SSLContext) -> None:
    """TLS 1.0 and its ciphers, which OpenSSL refuses by default."""
    server.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        server.minimum_version = ssl.TLSVersion.TLSv1
