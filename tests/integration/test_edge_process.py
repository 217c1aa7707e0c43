"""The edge as it runs: with the real revocation worker, and without it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import contract
from shared.messages import TokenRevoked
from tests.conftest import BusFactory
from tests.support.edge_process import EdgeProcess, make_edge
from tests.support.revocation import Worker, make_worker
from tests.support.servers import NatsServer, RedisServer, start_in_thread
from tests.support.waiting import eventually


@pytest.fixture
def worker(nats_server: NatsServer, redis_server: RedisServer, tmp_path: Path) -> Iterator[Worker]:
    """A running revocation worker."""
    worker = make_worker(nats_server, redis_server.url, tmp_path)
    worker.start()
    yield worker
    worker.kill()


@pytest.fixture
def edge(nats_server: NatsServer, tmp_path: Path) -> Iterator[EdgeProcess]:
    """A running edge that may be 2 s stale."""
    edge = make_edge(nats_server, tmp_path, max_staleness="2s")
    edge.start()
    yield edge
    edge.kill()


async def test_a_revoked_token_is_refused_at_once(
    edge: EdgeProcess, worker: Worker, bus_of: BusFactory
) -> None:
    """From token.revoked on the bus to 401 at the edge, cached or not."""
    operator = await bus_of("operator")
    token, other = edge.token(), edge.token(sid="01J00000000000000000000S1E")
    await eventually(lambda: _is(edge, token, (200, "")))

    event = TokenRevoked(scope="session", sid="01J00000000000000000000S1D")
    await operator.publish(contract.TOKEN_REVOKED, event)

    await eventually(lambda: _is(edge, token, (401, "token_revoked")))
    await eventually(lambda: _is(edge, other, (200, "")))  # 503 where a proof came late


async def test_without_a_proof_the_edge_refuses_within_its_bound_and_heals(
    edge: EdgeProcess, worker: Worker
) -> None:
    """A revocation worker that hangs: 503 and not ready, never 401; then 200 again by itself."""
    token = edge.token()
    await eventually(lambda: _is(edge, token, (200, "")))
    await eventually(lambda: _is_ready(edge))

    worker.signal(signal.SIGSTOP)
    await eventually(lambda: _is(edge, token, (503, "stale")))

    assert await edge.check() == (503, "stale")
    assert await edge.check("/open") == (200, "")
    assert await edge.check("/patient", bearer=token) == (200, "")
    status, problems = await edge.ready()
    assert status == 503
    assert "no proof" in problems["blocklist"]

    worker.signal(signal.SIGCONT)
    await eventually(lambda: _is(edge, token, (200, "")))


async def test_an_edge_without_a_bus_is_alive_and_refuses(
    nats_server: NatsServer, worker: Worker, tmp_path: Path
) -> None:
    """Started before NATS: 503 and not ready; then it joins by itself."""
    nats_server.kill()
    edge = make_edge(nats_server, tmp_path)
    try:
        await start_in_thread(edge)
        token = edge.token()

        assert await edge.check(bearer=token) == (503, "stale")
        status, problems = await edge.ready()
        assert (status, problems["blocklist"]) == (503, "the blocklist is not loaded yet")

        await start_in_thread(nats_server)
        await eventually(lambda: _is(edge, token, (200, "")))
    finally:
        edge.kill()


async def test_a_killed_bus_stops_the_edge_within_its_bound_and_costs_no_revocation(
    edge: EdgeProcess, worker: Worker, nats_server: NatsServer, bus_of: BusFactory
) -> None:
    """kill -9 of nats-server, a restart, a revocation: refused again, then exact."""
    token = edge.token()
    await eventually(lambda: _is(edge, token, (200, "")))
    nats_server.kill()
    await eventually(lambda: _is(edge, token, (503, "stale")))

    await start_in_thread(nats_server)
    operator = await bus_of("operator")
    await operator.publish(
        contract.TOKEN_REVOKED, TokenRevoked(scope="subject", sub="ada@example.com")
    )

    await eventually(lambda: _is(edge, token, (401, "token_revoked")))


async def test_the_metrics_tell_how_fresh_and_how_busy_without_naming_anybody(
    edge: EdgeProcess, worker: Worker
) -> None:
    """Outcomes, staleness, size; no user, path or host."""
    await eventually(lambda: _is(edge, edge.token(), (200, "")))
    metrics = await edge.metrics()

    allowed = 'latchwire_check_total{outcome="allow",proxy="traefik",reason="token"} 1.0'
    assert allowed in metrics
    await eventually(lambda: _tells(edge, "latchwire_edge_staleness_seconds 0."))
    assert "latchwire_blocklist_size 0.0" in metrics
    assert "ada@" not in metrics
    assert "/demo" not in metrics


async def test_an_edge_that_is_asked_to_end_ends_at_once(edge: EdgeProcess) -> None:
    """SIGTERM: exit 0 without waiting out the drain."""
    edge.stop()

    assert edge.process is not None
    assert edge.process.returncode == 0
    assert "worker.stopped" in edge.log.read_text()


async def test_a_catalogue_with_a_mistake_refuses_to_start_and_names_it(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    """Line, key and cure in the log; nothing is served."""
    edge = make_edge(nats_server, tmp_path)
    (tmp_path / "services.yaml").write_text("services:\n  demo:\n    pats: [/]\n")

    with pytest.raises(RuntimeError, match=r"services.yaml:3: services.demo.pats: unknown key"):
        edge.start()


async def _is(edge: EdgeProcess, token: bytes, expected: tuple[int, str]) -> bool:
    return await edge.check(bearer=token) == expected


async def _is_ready(edge: EdgeProcess) -> bool:
    return await edge.ready() == (200, {})


async def _tells(edge: EdgeProcess, line: str) -> bool:
    return line in await edge.metrics()
