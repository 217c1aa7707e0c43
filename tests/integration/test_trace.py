"""One trace from a person's request over NATS to the mail server, and in every line that was logged."""

import io
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from nats.aio.msg import Msg

from services.auth.http.context import CONTEXT, Context
from services.auth.http.middleware import name_request
from services.mailer.mails import MailWriter
from services.mailer.settings import MailerSettings
from services.mailer.wiring import make_writer
from shared import contract
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.log import configure_logging
from shared.messages import Freshness, Heartbeat, Probe
from shared.trace import Trace, current_trace, within
from tests.conftest import BusFactory
from tests.support.auth_workers import ADA, URL, AuthWorkers, bearer, running_workers
from tests.support.mailer import running_mailer
from tests.support.servers import NatsServer, RedisServer
from tests.support.smtp import ScriptedSMTP, scripted_smtp
from tests.support.waiting import eventually

ID, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{ID}-{SPAN}-01"
SENT = {"traceparent": PARENT, "X-Request-Id": "proxy-7f3a9c"}
TRACE = Trace(ID, SPAN, 1, "proxy-7f3a9c")
HEARD = ("login.requested", "mail.sent", "token.revoked")


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged, as a worker writes it in production."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging(worker="test", level="info", fmt="json")
    written = io.StringIO()
    cast("logging.StreamHandler[io.StringIO]", root.handlers[0]).setStream(written)
    yield written
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def parsed(lines: io.StringIO) -> list[dict[str, str]]:
    """The lines of the one request."""
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [line for line in found if line.get("request_id") == "proxy-7f3a9c"]


def noting(heard: dict[str, dict[str, str]]) -> Callable[[Msg], Awaitable[None]]:
    """Write down the headers of what is heard, by subject."""

    async def note(message: Msg) -> None:
        heard[message.subject] = dict(message.headers or {})

    return note


def letters_of(secrets_dir: Path, port: int) -> MailWriter:
    """The letters of this installation."""
    settings = MailerSettings(
        url=URL,
        secrets_dir=secrets_dir,
        mail_from="login@acme.com",
        smtp_url=f"smtp://127.0.0.1:{port}",
    )
    return make_writer(settings)


@asynccontextmanager
async def everything(
    nats: NatsServer, redis: RedisServer, bus_of: BusFactory
) -> AsyncIterator[tuple[AuthWorkers, ScriptedSMTP]]:
    """Auth, revocation and mailer on one bus."""
    async with (
        scripted_smtp() as smtp,
        running_workers(nats, redis, nats.secrets_dir, doors=1) as workers,
        running_mailer(
            await bus_of("mailer"),
            redis.url,
            smtp.port,
            letters=letters_of(nats.secrets_dir, smtp.port),
        ),
    ):
        yield workers, smtp


async def test_a_request_is_one_trace_through_every_worker(
    nats_server: NatsServer, redis_server: RedisServer, bus_of: BusFactory, lines: io.StringIO
) -> None:
    """HTTP, the events, the mail, the revocation: one trace and request id, a step of its own each."""
    heard: dict[str, dict[str, str]] = {}
    operator = await bus_of("operator")
    async with everything(nats_server, redis_server, bus_of) as (workers, smtp):
        for name in HEARD:
            await operator.client.subscribe(name, cb=noting(heard))
        for _ in range(2):  # the first may be answered before all is written
            await operator.client.flush()
        tokens = await workers.sign_in()
        await eventually(lambda: smtp.accepted and "mail.sent" in heard)
        heard.clear()
        asked = await workers.call("POST", "/auth/login", {"email": ADA}, headers=SENT)
        await eventually(lambda: "mail.sent" in heard)
        ended = bearer(tokens["access_token"]) | SENT
        left = await workers.call("POST", "/auth/logout", headers=ended)
        await eventually(lambda: "revocation.applied" in lines.getvalue())
        await eventually(lambda: set(heard) == set(HEARD))

    assert (asked.status, left.status) == (202, 204)
    assert asked.headers["X-Request-Id"] == "proxy-7f3a9c"
    traces = [headers["traceparent"].split("-") for headers in heard.values()]
    assert set(heard) == set(HEARD)
    assert [trace[1] for trace in traces] == [ID] * 3
    assert len({SPAN, *(trace[2] for trace in traces)}) == 4
    assert {headers["X-Request-Id"] for headers in heard.values()} == {"proxy-7f3a9c"}
    assert smtp.accepted[-1].message["Traceparent"] == heard["login.requested"]["traceparent"]
    said = parsed(lines)
    assert {line["trace_id"] for line in said} == {ID}
    assert {"message.handled", "mail.tried", "revocation.applied"} <= {
        line["event"] for line in said
    }


async def test_a_question_is_answered_in_the_askers_trace(bus_of: BusFactory) -> None:
    """Across accounts too, and a signal; a heartbeat of nobody's request stays without."""
    edge, worker = await bus_of("edge-1"), await bus_of("revocation")
    seen: list[Trace | None] = []

    async def answer(_probe: Probe) -> Freshness:
        seen.append(current_trace())
        return Freshness(last_seq=1, backlog_ms=0, epoch="e")

    async def hear(_beat: Heartbeat) -> None:
        seen.append(current_trace())

    await worker.answer(contract.BLOCKLIST_PROBE, answer)
    await worker.listen(contract.EDGE_HEARTBEAT, hear)
    beat = Heartbeat(
        edge_id="edge-1", at=1, epoch="e", seq=1, ready=True, staleness_ms=0, blocklist_size=0
    )
    with within(TRACE):
        await edge.ask(contract.BLOCKLIST_PROBE, Probe(edge_id="edge-1"))
        await edge.signal(contract.EDGE_HEARTBEAT.of("edge-1"), beat)
    await edge.signal(contract.EDGE_HEARTBEAT.of("edge-1"), beat)
    await eventually(lambda: len(seen) == 3)

    names = [found and (found.trace_id, found.request_id) for found in seen]
    assert names == [(ID, "proxy-7f3a9c")] * 2 + [None]


CLIENTS: dict[str, tuple[str, list[tuple[str, str]], bool, bool]] = {
    "a proxy of ours": ("127.0.0.0/8", list(SENT.items()), True, True),
    "somebody else": ("10.0.0.0/8", list(SENT.items()), False, False),
    "nothing": ("127.0.0.0/8", [], False, False),
    "two of each": ("127.0.0.0/8", list(SENT.items()) * 2, False, False),
    "a malformed trace": (
        "127.0.0.0/8",
        [("traceparent", PARENT.upper()), ("X-Request-Id", "proxy-7f3a9c")],
        False,
        True,
    ),
    "a request id that is none": (
        "127.0.0.0/8",
        [("traceparent", PARENT), ("X-Request-Id", "<b>x</b>/../")],
        True,
        False,
    ),
}


@pytest.mark.parametrize(("proxies", "headers", "trace", "named"), CLIENTS.values(), ids=CLIENTS)
async def test_only_a_proxy_of_ours_names_trace_and_request(
    proxies: str, headers: list[tuple[str, str]], *, trace: bool, named: bool
) -> None:
    """Anybody else, and whoever is ambiguous, gets new ones: nobody writes into somebody's trace."""
    seen: list[Trace] = []

    async def handle(_request: web.Request) -> web.Response:
        found = current_trace()
        assert found is not None
        seen.append(found)
        return web.Response()

    context = SimpleNamespace(
        clock=SystemClock(), ids=SystemIds(), trusted_proxies=(ip_network(proxies),)
    )
    app = web.Application(middlewares=[name_request])
    app[CONTEXT] = cast("Context", context)
    app.router.add_get("/", handle)
    async with TestClient(TestServer(app)) as client:
        await client.get("/", headers=cast("Any", headers))

    assert (seen[0].trace_id == ID, seen[0].request_id == "proxy-7f3a9c") == (trace, named)
    assert len(seen[0].trace_id) == 32
    assert len(seen[0].request_id) >= 8
