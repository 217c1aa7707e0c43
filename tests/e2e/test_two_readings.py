"""Traefik and the edge read the same request: what one of them reads otherwise must not open anything."""

from collections.abc import Iterator

import pytest

from tests.support.raw import RawAnswer, exchange
from tests.support.servers import free_port
from tests.support.stack import Stack, start_stack
from tests.support.visitor import log_in, open_client

CATALOGUE = """\
services:
  demo:
    host: app.localhost
    paths: [/demo]
    upstream: http://127.0.0.1:{demo}
    public_paths: [/demo/public]
  site:
    paths: [/]
    upstream: http://127.0.0.1:{demo}
    require_auth: false
"""
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A protected service on a host of its own, and an open one on every other."""
    state = tmp_path_factory.mktemp("hosts") / "state"
    state.mkdir()
    demo = free_port()
    (state / "services.yaml").write_text(CATALOGUE.format(demo=demo))
    running = start_stack(state)
    yield running
    running.up.kill()


async def ask(stack: Stack, host: str, path: str = "/demo") -> RawAnswer:
    """Without any credential, on *host* at the front door's port."""
    return await exchange(stack.url, path, host=host)


@pytest.mark.parametrize(
    "host", ["app.localhost", "APP.localhost", "app.localhost.", "App.LocalHost."]
)
async def test_no_spelling_of_a_host_gets_past_its_login(hosts: Stack, host: str) -> None:
    """Traefik takes a last dot for the same host; so does the edge."""
    port = hosts.url.rpartition(":")[2]

    for name in (host, f"{host}:{port}"):
        answer = await ask(hosts, name)
        assert (answer.status, answer.reason) == (401, "no_credentials"), name
    assert (await ask(hosts, host, "/demo/public")).status == 200


@pytest.mark.parametrize("host", ["app.localhost..", "app..localhost", ".app.localhost", "."])
async def test_a_host_with_empty_labels_is_nobodys(hosts: Stack, host: str) -> None:
    """Not even the open service's."""
    answer = await ask(hosts, host)

    assert answer.status in {400, 403, 404}
    assert "Host" not in answer.body


async def test_the_edge_is_told_which_service_traefik_chose(hosts: Stack) -> None:
    """Whatever the next difference is: an answer for the open service does not open the closed one."""
    edge = hosts.run["addresses"]["edge"]
    forwarded = (
        "X-Forwarded-Method: GET",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: elsewhere.localhost",
        "X-Forwarded-Uri: /demo",
    )

    wrong = await exchange(edge, "/check/traefik/demo", *forwarded)
    right = await exchange(edge, "/check/traefik/site", *forwarded)

    assert (wrong.status, wrong.reason) == (403, "wrong_service")
    assert right.status == 200


@pytest.mark.parametrize("character", "!$&'()*+,:=@")
async def test_an_escaped_reserved_character_changes_nobodys_rule(
    stack: Stack, character: str
) -> None:
    """Traefik routes on it escaped and the edge reads it decoded; no prefix can hold one, so both agree."""
    escaped = f"%{ord(character):02X}"
    assert (await exchange(stack.url, f"/{escaped}demo")).status in {400, 403, 404}

    for folder, expected in (("/demo", (401, "no_credentials")), ("/demo/public", (200, ""))):
        for spelling in (escaped, character):
            answer = await exchange(stack.url, f"{folder}/{spelling}x")
            assert (answer.status, answer.reason) == expected, (folder, spelling)


async def test_a_websocket_on_a_cookie_needs_the_very_origin(stack: Stack) -> None:
    """Cross-site WebSocket hijacking by a sibling, seen from the edge through the real Traefik."""
    async with open_client(stack.url) as client:
        tokens = await log_in(client, stack.inbox, "socket@example.com")
    cookie = f"Cookie: latchwire-dev={tokens['access_token']}"
    sibling = "Origin: http://sibling.localhost"

    async def open_socket(*lines: str) -> tuple[int, str]:
        answer = await exchange(stack.url, "/demo", cookie, *HANDSHAKE, *lines)
        return answer.status, answer.reason

    assert await open_socket() == (403, "csrf_failed")
    assert await open_socket(sibling) == (403, "csrf_failed")
    assert await open_socket(sibling, "Sec-Fetch-Site: same-site") == (403, "csrf_failed")
    assert await open_socket(sibling, "Sec-Fetch-Mode: websocket") == (403, "csrf_failed")
    assert (await open_socket(f"Origin: {stack.url}"))[0] == 200  # the demo only speaks HTTP
