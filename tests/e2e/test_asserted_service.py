"""examples/asserted_service behind the real Traefik, edge and auth: around the gateway nothing is gained."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support import raw
from tests.support.servers import ROOT, Server, free_port
from tests.support.stack import Stack, start_stack
from tests.support.visitor import log_in, open_client
from tests.support.waiting import eventually

CATALOGUE = """\
services:
  shop:
    paths: [/shop]
    upstream: http://127.0.0.1:{shop}
    token_types: [user, service]
    callers: ["*"]
  ledger:
    paths: [/ledger]
    upstream: http://127.0.0.1:{ledger}
    token_types: [service]
    callers: [shop]
"""


@dataclass(frozen=True)
class Site:
    """A whole installation, the two services behind it, and somebody's Authorization line."""

    stack: Stack
    shop: str
    ledger: str
    ada: str

    def latchwire(self, *words: str) -> Any:
        """What a command answers in JSON."""
        done = self.stack.command("--json", "--yes", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def serve(stack: Stack, name: str, port: int, **more: str) -> Server:
    """The example under another name, started."""
    variables = {
        "NAME": name,
        "PORT": str(port),
        "GATEWAY": stack.url,
        "KEYS_SECONDS": "0.2",
        **more,
    }
    app = str(ROOT / "examples" / "asserted_service" / "app.py")
    words = [f"{key}={value}" for key, value in variables.items()]
    path = f"PYTHONPATH={ROOT / 'sdk' / 'src'}"
    server = Server(
        ["env", path, *words, sys.executable, app], port, stack.up.state / f"{name}.out"
    )
    server.start()
    return server


async def ada_of(stack: Stack) -> str:
    """ada's Authorization line."""
    async with open_client(stack.url) as client:
        tokens = await log_in(client, stack.inbox, "ada@example.com")
    return f"Authorization: Bearer {tokens['access_token']}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Once for all tests of this file."""
    state = tmp_path_factory.mktemp("asserted") / "state"
    state.mkdir()
    shop, ledger = free_port(), free_port()
    (state / "services.yaml").write_text(CATALOGUE.format(shop=shop, ledger=ledger))
    with ExitStack() as ending:
        stack = start_stack(state)
        ending.callback(stack.up.kill)
        ending.callback(stack.up.end)
        site = Site(stack, f"http://127.0.0.1:{shop}", f"http://127.0.0.1:{ledger}", "")
        token = state / "shop.token"
        token.write_text(site.latchwire("tokens", "create", "shop")["token"])
        token.chmod(0o600)
        ending.callback(serve(stack, "ledger", ledger).kill)
        ending.callback(serve(stack, "shop", shop, SERVICE_TOKEN_FILE=str(token)).kill)
        yield Site(stack, site.shop, site.ledger, asyncio.run(ada_of(stack)))


async def ask(url: str, path: str, *lines: str) -> tuple[int, Any]:
    """The status, and the body as JSON."""
    answer = await raw.exchange(url, path, *lines)
    return answer.status, json.loads(answer.body) if answer.body else None


async def test_through_the_gateway_a_service_knows_who_calls(site: Site) -> None:
    """The edge's word, signed, and nothing that the client sent."""
    status, told = await ask(site.stack.url, "/shop", site.ada, "X-Latchwire-Assertion: forged")

    assert status == 200, told
    assert (told["sub"], told["aud"], told["token_type"]) == ("ada@example.com", "shop", "user")
    assert told["kid"].startswith("edge-1.")


IDENTITY = (
    "X-User-Id: ada@example.com",
    "X-User-Email: ada@example.com",
    "X-User-Roles: admin",
    "X-Token-Type: user",
)


async def test_the_same_request_straight_to_the_service_is_refused(site: Site) -> None:
    """Her own token, and every identity header there is: the port alone is worth nothing."""
    for lines in ((site.ada,), IDENTITY, (site.ada, *IDENTITY), ("X-Latchwire-Assertion: ",)):
        assert await ask(site.shop, "/shop", *lines) == (401, {"code": "no_assertion"}), lines
    assert (await raw.exchange(site.shop, "/health")).status == 200


async def test_a_service_passes_on_who_called_it_and_the_next_knows_both(site: Site) -> None:
    """Its own token as bearer, beside it the assertion it received; through the gateway again."""
    status, told = await ask(site.stack.url, "/shop/ask/ledger", site.ada)

    assert status == 200, told
    assert (told["aud"], told["sub"], told["service"]) == ("ledger", "ada@example.com", "shop")
    assert told["actors"] == ["shop"]


async def test_nobody_but_that_service_can_pass_it_on(site: Site) -> None:
    """A person, with any assertion she likes, stays herself: and ledger is for services."""
    status, _ = await ask(site.stack.url, "/ledger", site.ada, "X-Latchwire-Assertion: x.y.z")

    assert status == 403


async def test_an_edge_s_key_is_renewed_and_the_old_one_withdrawn_while_everything_runs(
    site: Site,
) -> None:
    """The new one waits until the old one leaves the list; then the edge goes on with it, without a restart."""
    before = {key["kid"] for key in site.latchwire("edges", "keys")["keys"]}
    (old,) = {kid for kid in before if kid.startswith("edge-1.")}
    assert {kid.partition(".")[0] for kid in before} == {"edge-1", "edge-2"}

    (new,) = site.latchwire("edges", "certify", "edge-1", "--renew")["certified"]
    assert await served(site) == before | {new}
    assert (await ask(site.stack.url, "/shop", site.ada))[1]["kid"] == old

    assert site.latchwire("edges", "withdraw", old)["withdrawn"] == [old]
    assert await served(site) == before - {old} | {new}

    async def believed() -> bool:
        status, told = await ask(site.stack.url, "/shop", site.ada)
        return status == 200 and told["kid"] == new

    await eventually(believed, within=5)


async def served(site: Site) -> set[str]:
    """The names of the keys at /.well-known/edges/jwks.json; nothing private is among their members."""
    status, document = await ask(site.stack.url, "/.well-known/edges/jwks.json")
    assert status == 200
    assert all(key.keys() == {"use", "alg", "kid", "kty", "crv", "x"} for key in document["keys"])
    return {key["kid"] for key in document["keys"]}
