"""examples/asserted_service behind the real Traefik, edge and auth: around the gateway nothing is gained."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import raw
from tests.support.servers import ROOT, free_port
from tests.support.stack import Stack, start_stack
from tests.support.visitor import log_in, open_client
from tests.support.waiting import eventually

PAGE = (ROOT / "examples" / "asserted_service" / "README.md").read_text()
SHOP, LEDGER = "3001", "3002"  # the ports of the page


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


def of_the_page(language: str, ports: dict[str, int]) -> list[str]:
    """Its blocks in *language*, with these ports in place of its own."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for written, free in ports.items():
        blocks = [block.replace(written, str(free)) for block in blocks]
    return blocks


def typed(stack: Stack, script: str, folder: Path) -> subprocess.Popen[bytes]:
    """What the page says to type, in the checkout: only the state directory is this stack's.

    Nothing is in the environment but where the gateway is, and that keys are asked for often.
    """
    script = script.replace("./latchwire ", f"./latchwire --context {stack.up.state} ")
    script = script.replace(".latchwire/", f"{stack.up.state}/")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    environment |= {"GATEWAY": stack.url, "KEYS_SECONDS": "0.2"}
    with (folder / "said").open("ab") as said:
        return subprocess.Popen(
            ["bash", "-ec", script],
            cwd=ROOT,
            env=environment,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


def end(running: subprocess.Popen[bytes]) -> None:
    """It, and what it has started."""
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()


async def both_listen(ports: list[int], running: subprocess.Popen[bytes], said: Path) -> None:
    """Return when both services take connections."""

    def listen() -> bool:
        assert running.poll() is None, said.read_text()
        return all(is_open(port) for port in ports)

    await eventually(listen, within=60)


def is_open(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


async def ada_of(stack: Stack) -> str:
    """ada's Authorization line."""
    async with open_client(stack.url) as client:
        tokens = await log_in(client, stack.inbox, "ada@example.com")
    return f"Authorization: Bearer {tokens['access_token']}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """As the page says to set it up; once for all tests of this file."""
    folder = tmp_path_factory.mktemp("asserted")
    state = folder / "state"
    state.mkdir()
    shop, ledger = free_port(), free_port()
    ports = {SHOP: shop, LEDGER: ledger}
    (catalogue,) = of_the_page("yaml", ports)
    (state / "services.yaml").write_text(f"services:\n{catalogue}")
    with ExitStack() as ending:
        stack = start_stack(state)
        ending.callback(stack.up.kill)
        ending.callback(stack.up.end)
        running = typed(stack, of_the_page("console", ports)[0].rstrip(), folder)
        ending.callback(end, running)
        asyncio.run(both_listen([shop, ledger], running, folder / "said"))
        ada = asyncio.run(ada_of(stack))
        yield Site(stack, f"http://127.0.0.1:{shop}", f"http://127.0.0.1:{ledger}", ada)


async def ask(url: str, path: str, *lines: str) -> tuple[int, Any]:
    """The status, and the body as JSON."""
    answer = await raw.exchange(url, path, *lines)
    return answer.status, json.loads(answer.body) if answer.body else None


def test_around_the_gateway_it_answers_what_the_page_shows(site: Site) -> None:
    """The command and its answer, as written."""
    port = int(site.shop.rpartition(":")[2])
    script = of_the_page("console", {SHOP: port})[1]

    done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, check=False)

    shown = of_the_page("text", {})[0].splitlines()
    assert [line for line in shown if line not in done.stdout.splitlines()] == [], done


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
    await until_served(site, before | {new})
    assert (await ask(site.stack.url, "/shop", site.ada))[1]["kid"] == old

    assert site.latchwire("edges", "withdraw", old)["withdrawn"] == [old]
    await until_served(site, before - {old} | {new})

    async def believed() -> bool:
        status, told = await ask(site.stack.url, "/shop", site.ada)
        return status == 200 and told["kid"] == new

    await eventually(believed)


async def test_an_edge_that_is_withdrawn_is_made_again_by_certify(site: Site) -> None:
    """By its name alone; then `certify` without one finds who lacks a key, and makes nobody else a new one."""
    before = await served(site)
    (old,) = {kid for kid in before if kid.startswith("edge-2.")}

    assert site.latchwire("edges", "withdraw", "edge-2")["withdrawn"] == [old]
    await until_served(site, before - {old})
    made = site.latchwire("edges", "certify")["certified"]

    (new,) = set(made) - before
    assert new.startswith("edge-2.")
    await until_served(site, before - {old} | {new})


async def until_served(site: Site, kids: set[str]) -> None:
    """Return when auth serves exactly *kids*: a command waits for the edges, and auth may hear later."""

    async def so() -> bool:
        return await served(site) == kids

    await eventually(so)


async def served(site: Site) -> set[str]:
    """The names of the keys at /.well-known/edges/jwks.json; nothing private is among their members."""
    status, document = await ask(site.stack.url, "/.well-known/edges/jwks.json")
    assert status == 200
    assert all(key.keys() == {"use", "alg", "kid", "kty", "crv", "x"} for key in document["keys"])
    return {key["kid"] for key in document["keys"]}
