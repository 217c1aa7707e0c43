"""Requests that no server can read, at doors that have no document of their own for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.edge_process import EdgeProcess, make_edge
from tests.support.raw import answer_of
from tests.support.servers import NatsServer


@pytest.fixture
def edge(nats_server: NatsServer, tmp_path: Path) -> Iterator[EdgeProcess]:
    """A running edge."""
    edge = make_edge(nats_server, tmp_path)
    edge.start()
    yield edge
    edge.kill()


@pytest.mark.parametrize("line", [b"Authorization: Bearer " + b"SECRET" * 6000, b"SECRET"])
async def test_what_cannot_be_read_is_not_repeated_nor_answered_by_name(
    edge: EdgeProcess, line: bytes
) -> None:
    """The check's door and the operators': 400, no word of the request, none of who serves."""
    data = b"GET /check/traefik HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n"
    for port in (edge.port, edge.admin):
        answer = await answer_of(port, data)

        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert answer.endswith(b"\r\n\r\n")
        assert b"SECRET" not in answer
        assert b"\r\nServer:" not in answer
        assert b"\r\nCache-Control: no-store\r\n" in answer
    assert "SECRET" not in edge.log.read_text()
