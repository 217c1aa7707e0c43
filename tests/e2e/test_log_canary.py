"""Promise 5: what is secret never reaches a log, a stream, a subject, a Redis key or a process listing.

Every flow runs once at debug level with canaries for secrets; then every place where something could have
come to rest is searched. The last tests plant a canary in each kind of place: a search that cannot find
is worth nothing.
"""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.contract import OP_EXPLAIN, STREAMS
from shared.redis import connect_redis
from tests.support import sinks
from tests.support.canaries import Canaries
from tests.support.every_flow import admin_doors
from tests.support.explored import PROCESSES, Explored, explore
from tests.support.sinks import Leak, Sink, search
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(300)
in_its_loop = pytest.mark.asyncio(loop_scope="module")

NOTHING: set[Leak] = set()
LOGS = {f"log {part}.log" for part in (*PROCESSES, "access")}  # the last is Traefik's too
FILLED = ("LOGIN", "TOKEN", "BLOCKLIST", "OPS", "DEADLETTER")  # by the flows; USER is not yet
DISGUISES: dict[str, Callable[[str], str]] = {
    "whole": lambda secret: secret,
    "cut off": lambda secret: secret[:26],
    "its end": lambda secret: secret[20:],
    "in JSON": lambda secret: json.dumps({"a": {"b": secret}}),
    "in a URL": lambda secret: quote(f"http://x/?a={secret}", safe=""),
    "Base64": lambda secret: base64.b64encode(f"ab:{secret}".encode()).decode(),
    "hexadecimal": lambda secret: secret.encode().hex(),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def explored(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Explored]:
    """Every flow has run."""
    async with explore(tmp_path_factory.mktemp("canary") / "state") as installation:
        yield installation


def test_every_flow_has_left_its_traces(explored: Explored) -> None:
    """Nothing below is true only because nothing happened."""
    labels = {label.partition("#")[0] for label in explored.canaries.secrets}
    logged = b"".join(sink.content for sink in explored.logs())
    subjects = {subject for tap in explored.taps for subject, *_ in tap.heard}

    assert {
        "access token", "refresh token", "link token", "code", "form token", "basic",
        "cookie latchwire-dev", "cookie latchwire-dev-refresh", "cookie latchwire-dev-login",
        "cookie latchwire-dev-csrf", "client secret", "smtp password", "seed auth", "key link",
        "key refresh", "key csrf", "private key", "service token", "wrong service token",
    } <= labels  # fmt: skip
    for event in (
        "link.requested", "link.refused", "link.cancelled", "session.opened", "session.renewed",
        "session.reused", "end.announced", "check.refused", "mail.tried", "mail.sender_refused",
        "revocation.applied", "message.buried", "message.undecodable", "request.unavailable",
        "request.unreadable", "bus.disconnected", "service_token.issued", "service_token.revoked",
    ):  # fmt: skip
        assert event.encode() in logged, event
    assert b'"log_level": "debug"' in logged
    assert {
        "login.requested", "login.succeeded", "login.failed", "token.revoked", "mail.sent", "mail.failed",
        "deadletter.login.requested", "deadletter.token.revoked", OP_EXPLAIN.name, "edge.heartbeat.edge-1",
    } <= subjects  # fmt: skip
    assert explored.session_secrets.secrets


def test_no_log_holds_a_secret_or_an_address(explored: Explored) -> None:
    """Ours at debug level, and those of nats-server, redis-server and Traefik."""
    assert {sink.name for sink in explored.logs()} >= LOGS

    assert explored.leaks(explored.logs()) == NOTHING


def test_no_command_prints_a_secret(explored: Explored) -> None:
    """Not even the token that it is asked to explain."""
    printed = [Sink("output", output, sinks.ADDRESSES) for output in explored.outputs]

    assert len(printed) > 5
    assert explored.leaks(printed) == NOTHING


@in_its_loop
async def test_no_stream_holds_a_secret_and_only_the_named_ones_an_address(
    explored: Explored,
) -> None:
    """Subject, headers and body of every message of every stream, dead letters included."""
    stored = await explored.stored_messages()

    assert {sink.name for sink in stored} >= {f"stream {name} body" for name in FILLED}
    assert explored.leaks(stored) == NOTHING


def test_no_subject_or_header_on_the_bus_holds_a_secret_or_an_address(explored: Explored) -> None:
    """In either account, what is never stored included; bodies hold no secret either."""
    assert explored.leaks(explored.tapped()) == NOTHING


@in_its_loop
async def test_no_redis_key_holds_a_secret_or_an_address(explored: Explored) -> None:
    """Nor does a value: addresses where SECURITY.md says so, and of secrets only a session's own."""
    kept = [*explored.redis, *await sinks.redis_keys(explored.redis_url)]

    assert any(sink.name == "redis key b'lw:unannounced'" for sink in kept)
    for family in ("attempt", "session", "subject", "limit", "mail", "bl"):
        assert any(f"redis key b'lw:{family}:" in sink.name for sink in kept), family
    assert explored.leaks(kept) == NOTHING


def test_no_file_but_the_secrets_holds_a_secret(explored: Explored) -> None:
    """The stores as raw bytes, so that what was deleted meanwhile is seen too."""
    found = explored.files()

    assert any("nats/" in sink.name and b"login.requested" in sink.content for sink in found)
    assert any("redis/" in sink.name and b"lw:session:" in sink.content for sink in found)
    assert explored.leaks(found) == NOTHING


def test_no_process_listing_shows_a_secret_or_an_address(explored: Explored) -> None:
    """/proc/PID/cmdline and environ of every part."""
    shown = explored.processes()

    assert any(b"LATCHWIRE_SMTP_URL=smtp://mail-user@" in sink.content for sink in shown)
    assert explored.leaks(shown) == NOTHING


@in_its_loop
async def test_no_admin_door_shows_a_secret_or_an_address(explored: Explored) -> None:
    """/health, /ready and /metrics of every worker."""
    doors = admin_doors(explored.house)

    assert explored.leaks(await sinks.doors(doors)) == NOTHING


# From here on canaries are planted: the same search must find each, and nothing else.


@pytest.fixture
def planted() -> Canaries:
    """One secret and one address of this test's own."""
    canaries = Canaries()
    canaries.make("planted")
    canaries.address("planted")
    return canaries


def found_in(canaries: Canaries, places: Iterable[Sink]) -> set[str]:
    """Where the search finds any of *canaries*."""
    return {leak.where for leak in search(canaries, places)}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_planted_log_line_is_found(explored: Explored, disguise: str) -> None:
    """In any part's log; whole, cut off, or encoded."""
    canaries = Canaries()
    text = DISGUISES[disguise](canaries.make(disguise))
    for log in (explored.state / "logs").glob("*.log"):
        with log.open("a") as lines:
            lines.write(json.dumps({"event": "x.planted", "value": f"a {text} b"}) + "\n")

    assert found_in(canaries, explored.logs()) == LOGS


@pytest.mark.parametrize("form", [str, str.upper, quote], ids=["whole", "capitals", "in a URL"])
def test_a_planted_address_is_found(planted: Canaries, form: Callable[[str], str]) -> None:
    """However it is written."""
    line = Sink("log", f"to={form(planted.addresses['planted'])} sent".encode())

    assert found_in(planted, [line]) == {"log"}


@in_its_loop
async def test_planted_messages_are_found_in_every_stream(
    explored: Explored, planted: Canaries
) -> None:
    """In a subject, a header, a body; an address wherever none is allowed."""
    (secret,), (address,) = planted.secrets.values(), planted.addresses.values()
    subjects = [s.subjects[-1].replace("*", "x").replace(">", "x") for s in STREAMS]
    async with sinks.reading(explored.nats_url, explored.seed) as reader:
        for subject in subjects:
            await reader.jetstream().publish(subject, secret.encode(), headers={"X": secret})
        await reader.jetstream().publish(f"deadletter.{secret}", b"")
        for subject in ("login.succeeded", "deadletter.y"):
            await reader.jetstream().publish(subject, address.encode(), headers={"To": address})
    leaks = search(planted, await explored.stored_messages())

    both = {f"stream {s.name} {part}" for s in STREAMS for part in ("body", "headers")}
    assert {leak.where for leak in leaks if leak.what == "planted"} == both | {
        "stream DEADLETTER subject"
    }
    assert {leak.where for leak in leaks if leak.what == address} == {
        "stream LOGIN headers", "stream DEADLETTER body", "stream DEADLETTER headers",
    }  # fmt: skip


@in_its_loop
async def test_a_planted_subject_is_found_though_nothing_is_stored(
    explored: Explored, planted: Canaries
) -> None:
    """Core NATS: its subject, its headers, its body."""
    (secret,) = planted.secrets.values()
    async with (
        sinks.tapping(explored.nats_url, explored.seed, "CORE") as tap,
        sinks.reading(explored.nats_url, explored.seed) as client,
    ):
        await client.publish(f"x.{secret}", b"")
        await client.publish("x.y", b"", headers={"Z": secret})
        await client.publish("x.z", secret.encode())
        await eventually(lambda: len([s for s, *_ in tap.heard if s.startswith("x.")]) == 3)

    assert found_in(planted, tap.sinks()) == {
        "subject CORE",
        "headers CORE x.y",
        "message CORE x.z",
    }


@in_its_loop
async def test_planted_redis_keys_and_values_are_found(
    explored: Explored, planted: Canaries
) -> None:
    """Strings, hashes and sorted sets; an address in a key, or in a value that may not have one."""
    (secret,), (address,) = planted.secrets.values(), planted.addresses.values()
    async with connect_redis(explored.redis_url) as redis:
        await redis.set(f"lw:limit:{secret}", "1")
        await redis.set("lw:x:string", secret)
        await redis.hset("lw:x:hash", mapping={"a": secret})  # type: ignore[misc]
        await redis.zadd("lw:x:set", {secret: 1})
        await redis.set(f"lw:subject:{address}", "1")
        await redis.hset("lw:mail:x", mapping={"to": address})  # type: ignore[misc]

    assert found_in(planted, await sinks.redis_keys(explored.redis_url)) == {
        f"redis key b'lw:limit:{secret}'", "redis value b'lw:x:string'", "redis value b'lw:x:hash'",
        "redis value b'lw:x:set'", f"redis key b'lw:subject:{address}'", "redis value b'lw:mail:x'",
    }  # fmt: skip
    assert any(place.startswith("file redis/") for place in found_in(planted, explored.files()))


def test_a_planted_file_is_found(explored: Explored, planted: Canaries) -> None:
    """Anywhere below the state directory; the secrets directory is where secrets live."""
    (secret,) = planted.secrets.values()
    for place in ("run.json", "traefik/x.yml", "secrets/x"):
        (explored.state / place).write_text(secret)

    assert found_in(planted, explored.files()) == {"file run.json", "file traefik/x.yml"}


@in_its_loop
async def test_a_planted_argument_and_environment_are_found(planted: Canaries) -> None:
    """In a process of this test."""
    (secret,), (address,) = planted.secrets.values(), planted.addresses.values()
    command = (sys.executable, "-c", "import sys; sys.stdin.read()", address)
    running = await asyncio.create_subprocess_exec(
        *command, env={"TOKEN": secret}, stdin=asyncio.subprocess.PIPE
    )
    await eventually(lambda: secret.encode() in Path(f"/proc/{running.pid}/environ").read_bytes())
    shown = list(sinks.processes({"planted": running.pid}))
    await running.communicate(b"")

    assert search(planted, shown) == {
        Leak("arguments planted", address),
        Leak("environment planted", "planted"),
    }


@in_its_loop
async def test_a_planted_metric_and_a_printed_secret_are_found(planted: Canaries) -> None:
    """A door that says too much, and a command that does."""
    (secret,) = planted.secrets.values()

    async def say(request: web.Request) -> web.Response:
        return web.Response(text=secret if request.path == "/metrics" else "")

    app = web.Application()
    app.router.add_get("/{any}", say)
    async with TestServer(app) as server:
        shown = await sinks.doors({"planted": str(server.make_url("")).rstrip("/")})
    printed = await sinks.run_recorded(sys.executable, "-c", f"print('{secret}')")

    assert found_in(planted, shown) == {"door planted/metrics"}
    assert found_in(planted, [Sink("output", printed)]) == {"output"}
