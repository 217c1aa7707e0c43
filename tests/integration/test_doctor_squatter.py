"""Whoever listens on the echo's port before the doctor does: he hears no token, and is not believed."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ctl import exits
from ctl.doctor.credentials import Credential
from ctl.doctor.echo import OPEN, Echo, EchoError, answer_to, echo_route, is_served, serving
from ctl.doctor.findings import Examination
from ctl.doctor.own_token import NAME
from ctl.doctor.through import Ground, attack, attack_with, with_echo
from ctl.doctor.wire import Front
from ctl.main import main
from services.edge.domain.decision import Allowed
from shared.catalogue import parse_catalogue
from shared.clock import SystemClock
from shared.ids import SystemIds
from tests.support.edge import Desk, make_desk, request, token
from tests.support.servers import free_port

ISSUER = "http://localhost:8080"
HIS = Credential("your token", token().decode())
CREDENTIALS = (b"authorization", b"cookie")


@dataclass
class Squatter:
    """Another user of this machine, who listens at the port and speaks as the echo does."""

    port: int
    heard: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heard.append(head)
        writer.write(answer_to(head))
        await writer.drain()
        writer.close()


@dataclass
class Gate:
    """A proxy that asks the edge's own rules, and hands on to *port* who is let in."""

    desk: Desk
    port: int

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        fields = request(first.split(b" ")[1].decode())
        for name, _, value in (line.partition(b":") for line in lines):
            if name.strip().lower() in CREDENTIALS:
                fields.setdefault(name.strip().lower(), []).append(value.strip())
        decision = self.desk.check(fields)
        if isinstance(decision, Allowed):
            writer.write(await self._handed_on(head))
        else:
            said = (decision.code.encode(), b"Content-Length: 0\r\nConnection: close")
            writer.write(b"HTTP/1.1 401 X\r\nX-Latchwire-Reason: %s\r\n%s\r\n\r\n" % said)
        await writer.drain()
        writer.close()

    async def _handed_on(self, head: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(head)
        answer = await reader.read()
        writer.close()
        return answer


@asynccontextmanager
async def squatted(written: Echo, port: int) -> AsyncIterator[tuple[Ground, Squatter]]:
    """An installation whose services.yaml has the lines of *written*; somebody else listens at *port*."""
    text = "\n".join(["services:", *written.lines(None)])
    squatter, front = Squatter(port), free_port()
    gate = Gate(make_desk(text), port)
    ground = Ground(
        Front("127.0.0.1", front, None), ISSUER, parse_catalogue(text), SystemClock(), SystemIds()
    )
    async with AsyncExitStack() as stack:
        for serve, where in ((squatter.serve, port), (gate.serve, front)):
            await stack.enter_async_context(await asyncio.start_server(serve, "127.0.0.1", where))
        yield ground, squatter


async def test_without_an_echo_of_its_own_the_doctor_sends_nothing_to_the_lines() -> None:
    """They stayed in services.yaml, and the port is anybody's: who listens there gets nobody's token."""
    echo = Echo("127.0.0.1", free_port())
    async with squatted(echo, echo.port) as (ground, squatter):
        await attack(ground, [], Examination())
        await attack_with(ground, HIS, None, Examination())

    assert squatter.heard == []


def test_a_port_that_is_taken_ends_the_run_before_anything_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody else may be listening there: it is no success, and what to do is said."""
    (tmp_path / "services.yaml").write_text("services: {}\n")
    door, taken = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    with door, taken:
        door.setblocking(False)
        through = f"http://127.0.0.1:{door.getsockname()[1]}"
        echo = str(taken.getsockname()[1])
        words = ["doctor", "--no-bus", "--through", through, "--echo", echo]
        code = main(["--context", str(tmp_path), *words])
        with pytest.raises(BlockingIOError):
            door.accept()

    assert code == exits.FAILED
    assert f"port {echo} cannot be listened on" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["192.0.2.7", "0.0.0.0"])  # RFC 5737: nobody has it
def test_a_name_of_another_machine_ends_the_run_before_anything_is_sent(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever is there could hand on to the doctor what he must show, and keep the token."""
    (tmp_path / "services.yaml").write_text("services: {}\n")
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.setblocking(False)
        through = f"http://127.0.0.1:{door.getsockname()[1]}"
        words = ["doctor", "--no-bus", "--through", through, "--echo", f"{host}:{free_port()}"]
        code = main(["--context", str(tmp_path), *words])
        with pytest.raises(BlockingIOError):
            door.accept()

    assert code == exits.FAILED
    assert f"no echo: {host} is not this machine" in capsys.readouterr().err


async def test_lines_that_lead_elsewhere_are_not_believed() -> None:
    """Of an earlier run, to another port: who listens there could hand on to the doctor what he must show."""
    written, asked = Echo("127.0.0.1", free_port()), Echo("127.0.0.1", free_port())
    async with squatted(written, written.port) as (ground, squatter), serving(asked) as listening:
        with pytest.raises(EchoError, match=f"127.0.0.1:{written.port}"):
            await with_echo(ground, listening, print)

    assert squatter.heard == []


async def test_who_speaks_as_the_echo_does_is_not_the_echo() -> None:
    """What counts is what the doctor's own listener has received, and not what is answered."""
    echo, port = Echo("127.0.0.1", free_port()), free_port()
    async with squatted(echo, port) as (ground, squatter), serving(echo) as listening:
        door = ground.door(ground.front)
        assert await door.shown(echo_route(None), OPEN), "he speaks like it"

        assert not await is_served(door, echo_route(None), listening)

    assert len(squatter.heard) == 2


async def test_the_doctors_own_listener_is_the_echo() -> None:
    """The same ground with nobody else on it."""
    echo = Echo("127.0.0.1", free_port())
    async with squatted(echo, free_port()) as (ground, _), serving(echo) as listening:
        front = Front("127.0.0.1", echo.port, None)
        found = await with_echo(replace(ground, front=front), listening, print)

    assert [route.name for route in found.routes] == [NAME]
