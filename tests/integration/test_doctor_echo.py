"""The doctor's own echo: what reaches services is seen where no service of the installation shows it."""

import pytest

from ctl.doctor.catalogue import judge_catalogue
from ctl.doctor.door import Door
from ctl.doctor.echo import Echo, answer_to, echo_route, is_served, read_echo, serving
from ctl.doctor.findings import Finding
from ctl.doctor.wire import Front
from shared.catalogue import parse_catalogue
from shared.ids import SystemIds
from tests.support.servers import free_port

URL = "https://auth.acme.com"
MARKER = "lwdabcdefghijkl"


async def test_a_door_that_lets_everything_through_is_seen_by_the_echo() -> None:
    """Nobody is before it here: made-up identities, their aliases and other protocols arrive, and are told."""
    echo = Echo("127.0.0.1", free_port())
    async with serving(echo) as listening:
        door = Door(Front("127.0.0.1", echo.port, None), URL, "auth.acme.com", SystemIds())
        served = await is_served(door, echo_route(None), listening)
        await door.attack([echo_route(None)], [])

    assert served
    assert {found.check for found in door.findings} == {
        "door.open_route", "door.identity_passes", "door.alias_passes", "door.upgrade_passes",
        "door.trailer_passes",
    }  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "Cookie: __Host-latchwire=canary",
        "Authorization: Bearer canary",
        "X-User-Email: canary@acme.com",
        f"X-Canary: {MARKER}-canary",
        f"X-Canary: canary {MARKER}",
        f"{MARKER}: canary",
    ],
)
def test_the_echo_shows_nobody_else_anything(line: str) -> None:
    """Whoever is logged in may open its page while the doctor runs, and a script of theirs may read it."""
    answer = answer_to(f"GET / HTTP/1.1\r\nX-User-Id: {MARKER}n1z\r\n{line}\r\n\r\n".encode())

    assert b"canary" not in answer
    assert answer.endswith(f"X-User-Id: {MARKER}n1z\n".encode())


@pytest.mark.parametrize(
    "head", [b"", b"\r\n", b"GET / HTTP/1.1", b"\xff\r\n\xff:\xff\r\n\r\n", b":\r\n:"]
)
def test_whatever_is_sent_to_the_echo_has_an_answer(head: bytes) -> None:
    """It listens where a proxy may send it anything."""
    assert answer_to(head).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("host", [None, "auth.acme.com"])
def test_its_lines_are_a_service_whose_only_smell_is_that_they_stayed(host: str | None) -> None:
    """While no doctor runs, whoever listens on that port is a page of the host."""
    lines = Echo("10.0.0.5", 9109).lines(host)
    catalogue = parse_catalogue("\n".join(["services:", *lines]))
    (service,) = catalogue.services

    assert (service.host, service.upstream) == (host, "http://10.0.0.5:9109")
    assert service.require_auth
    found = Finding("catalogue.echo", "latchwire-doctor", "http://10.0.0.5:9109")
    assert judge_catalogue(catalogue, URL) == [found]


def test_a_port_alone_is_this_machine_and_a_name_is_a_name() -> None:
    """Where the proxy is elsewhere it needs one, and nobody is let near it without."""
    assert read_echo("9109") == Echo("127.0.0.1", 9109)
    assert read_echo("localhost:9109") == Echo("127.0.0.1", 9109), "::1 may be somebody else"
    assert read_echo("ctl:9109") == Echo("ctl", 9109)


@pytest.mark.parametrize(
    "text", ["", "whoami", "0", "65536", "a b:1", "http://x:1", "[::1]:9109", "-1"]
)
def test_what_is_neither_a_path_nor_a_port_is_refused(text: str) -> None:
    """With what to write."""
    with pytest.raises(ValueError, match="9109"):
        read_echo(text)
