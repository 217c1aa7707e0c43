"""The whole product for tests: `stack` as people start it, `lab` with parts that can be killed one by one."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from ctl.up import layout as files
from ctl.up import probes, process
from ctl.up.layout import Layout
from ctl.up.plan import INSIDE, Part, Plan, make_plan
from ctl.up.streams import provision
from shared.clock import SystemClock
from tests.support.command_forks import forked_words
from tests.support.servers import free_port
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN = 60.0  # seconds
END_WITHIN = 60.0  # seconds: each wave of parts may take as long as it is given
MAIL_WITHIN = 60.0  # seconds


class Inbox:
    """The development mailbox at *url*, read as its JSON."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def mails_to(self, address: str) -> list[dict[str, Any]]:
        """All mails to *address*, newest first."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self._url}/api/messages", params={"to": address}) as answer,
        ):
            found: list[dict[str, Any]] = await answer.json()
            return found

    async def mail_to(
        self, address: str, *, count: int = 1, within: float = MAIL_WITHIN
    ) -> dict[str, Any]:
        """The newest mail to *address* once there are at least *count*."""

        async def newest() -> dict[str, Any] | None:
            mails = await self.mails_to(address)
            return mails[0] if len(mails) >= count else None

        mail = await eventually(newest, within=within, message=f"no mail number {count}")
        assert mail is not None
        return mail


@dataclass
class Up:
    """One ``./latchwire up``: a process group's head, its output line by line.

    What it prints is taken at once, looked at or not: a pipe that nobody empties would hold it up.
    """

    process: subprocess.Popen[bytes]
    state: Path
    output: list[str] = field(default_factory=list)
    _more: threading.Condition = field(default_factory=threading.Condition)
    _ended: bool = False

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def start(cls, state: Path, *arguments: str, **environment: str) -> "Up":
        """Start it with *arguments*; nothing is waited for.

        Its parts are given ports of this test process: those that the system would offer are offered to
        others too, in the seconds until a part listens.
        """
        clean = {n: v for n, v in os.environ.items() if not n.startswith("LATCHWIRE_")}
        for name in ("APP", "PORT", "MAIL_PORT", "ACCOUNTS"):
            clean.pop(name, None)
        inside = [f"--inside={name}={free_port()}" for name in INSIDE]
        running = subprocess.Popen(
            [ROOT / "latchwire", "up", "--state", state, *inside, *arguments],
            env={**clean, **environment},
            cwd=state.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return cls(running, state)

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return "\n".join(self.output)

    def wait_for(self, text: str, within: float = READY_WITHIN) -> str:
        """Read until a line contains *text*; that line."""
        deadline = time.monotonic() + within
        seen = 0
        with self._more:
            while True:
                for line in self.output[seen:]:
                    if text in line:
                        return line
                seen = len(self.output)
                if self._ended or not self._more.wait(max(0.0, deadline - time.monotonic())):
                    raise AssertionError(f"{text!r} was not printed:\n{self.text}")

    def run(self) -> dict[str, Any]:
        """run.json."""
        content: dict[str, Any] = json.loads((self.state / "run.json").read_text())
        return content

    def wait(self, within: float = END_WITHIN) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + within
        self._reader.join(within)
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def end(self, number: int = signal.SIGINT, within: float = END_WITHIN) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.wait(within)

    def kill(self) -> None:
        """Whatever is left, by force; the kernel ends its parts."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(END_WITHIN)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        """Take lines to the end of the output."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.output.append(line.decode().rstrip("\n"))
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()


@dataclass
class Stack:
    """A ready `up`: *url* is the front door, *run* is run.json."""

    up: Up
    run: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.run["url"])

    @property
    def mail_url(self) -> str:
        return str(self.run["mail_url"])

    @property
    def inbox(self) -> Inbox:
        return Inbox(self.mail_url)

    def logs(self, part: str) -> str:
        """Everything *part* has logged."""
        return (self.up.state / "logs" / f"{part}.log").read_text()

    async def mail_to(
        self, address: str, *, count: int = 1, within: float = MAIL_WITHIN
    ) -> dict[str, Any]:
        """The newest mail to *address*, once there are *count*."""
        return await self.inbox.mail_to(address, count=count, within=within)

    def command(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run ``./latchwire --context STATE arguments`` as an operator, in a process that is forked."""
        return subprocess.run(
            [*forked_words(), "--context", self.up.state, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )


def start_stack(state: Path, *arguments: str, **environment: str) -> Stack:
    """`up` on free ports, ready."""
    chosen = {name: free_port() for name in ("front", "mail")}
    doors = ("--port", str(chosen["front"]), "--mail-port", str(chosen["mail"]))
    up = Up.start(state, *doors, *arguments, **environment)
    try:
        up.wait_for("Ready after")
    except AssertionError:
        up.kill()
        raise
    return Stack(up, up.run())


class Lab:
    """The parts of `up`, but supervised by the test: killed and started one by one, on the same ports."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._parts = {part.name: part for part in plan.parts}
        self._running: dict[str, asyncio.subprocess.Process] = {}

    @property
    def url(self) -> str:
        return self.plan.url

    @property
    def mail_url(self) -> str:
        return self.plan.mail_url

    @property
    def inbox(self) -> Inbox:
        return Inbox(self.mail_url)

    @property
    def layout(self) -> Layout:
        return self.plan.layout

    def pid(self, name: str) -> int:
        """The process id of *name*."""
        return self._running[name].pid

    def logs(self, name: str) -> str:
        """Everything *name* has logged, over all its lives."""
        return self._parts[name].program.log.read_text()

    def env(self, name: str) -> dict[str, str]:
        """The environment of *name*."""
        return dict(self._parts[name].program.env)

    async def mail_to(
        self, address: str, *, count: int = 1, within: float = MAIL_WITHIN
    ) -> dict[str, Any]:
        """The newest mail to *address*, once there are *count*."""
        return await self.inbox.mail_to(address, count=count, within=within)

    def change(self, name: str, *, argv: tuple[str, ...] = (), **settings: str) -> None:
        """From its next start, run *name* with another command line or other settings."""
        part = self._parts[name]
        env = {**part.program.env, **{f"LATCHWIRE_{n}": v for n, v in settings.items()}}
        program = replace(part.program, argv=argv or part.program.argv, env=env)
        self._parts[name] = replace(part, program=program)

    def runs(self, name: str) -> bool:
        """Whether *name* was started and has not ended."""
        running = self._running.get(name)
        return running is not None and running.returncode is None

    async def launch(self, name: str) -> None:
        """Start *name* without waiting until it is ready."""
        self._running[name] = await process.start(self._parts[name].program)

    async def ready(self, name: str, within: float = READY_WITHIN) -> None:
        """Wait until *name* is ready."""
        reason = await probes.until_ready(self._parts[name].probe, within)
        assert reason is None, f"{name}: {reason}\n{self.logs(name)[-3000:]}"

    async def start(self, name: str, within: float = READY_WITHIN) -> None:
        """Start *name* and wait until it is ready."""
        await self.launch(name)
        await self.ready(name, within)

    async def kill9(self, name: str) -> None:
        """kill -9."""
        self.signal(name, signal.SIGKILL)
        await self._running[name].wait()

    async def stop(self, name: str, within: float = 10.0) -> int:
        """SIGTERM; the exit code."""
        await process.stop(self._running[name], within)
        code = self._running[name].returncode
        assert code is not None
        return code

    def signal(self, name: str, number: int) -> None:
        """Send any signal (SIGSTOP, SIGCONT)."""
        self._running[name].send_signal(number)

    async def another(self, name: str, label: str, **settings: str) -> str:
        """A second process of worker *name*, called *label*, on ports of its own; its address.

        *settings* are names without ``LATCHWIRE_``: ``EDGE_ID="edge-2"``.
        """
        door, admin = free_port(), free_port()
        listens = {f"{name.upper()}_ADMIN": f"127.0.0.1:{admin}"}
        if name in {"auth", "edge"}:
            listens[f"{name.upper()}_LISTEN"] = f"127.0.0.1:{door}"
        changed = {f"LATCHWIRE_{n}": v for n, v in {**listens, **settings}.items()}
        first = self._parts[name]
        program = replace(
            first.program,
            env={**first.program.env, **changed},
            log=self.layout.log(label),
        )
        address = f"http://127.0.0.1:{door}"
        ready = probes.http(f"http://127.0.0.1:{admin}/ready")
        self._parts[label] = Part(label, program, address, ready)
        await self.start(label)
        return address

    async def up(self) -> None:
        """Start everything, as `up` does."""
        await self._start_all(self.plan.stores)
        await provision(self.plan.nats_url, self.layout.secrets)
        await self._start_all(self.plan.workers[:-1])
        await self._start_all(self.plan.workers[-1:])  # the gateway asks auth for its routes

    async def down(self) -> None:
        """End everything by force."""
        for running in self._running.values():
            if running.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    running.kill()
                await running.wait()

    async def _start_all(self, parts: tuple[Part, ...]) -> None:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(self.start(part.name))


async def make_lab(state: Path, catalogue: str = "", **settings: str) -> Lab:
    """A lab, nothing started.

    *catalogue*: its services.yaml, with ``{demo}`` for the demo's port; "": the one that `up` writes.
    *settings* are names without ``LATCHWIRE_``: ``MAX_STALENESS="2"``.
    """
    layout = Layout(state)
    await asyncio.to_thread(files.make_secrets, layout, SystemClock())
    chosen = {name: free_port() for name in (*INSIDE, "front", "mail")}
    if catalogue:
        layout.services.write_text(catalogue.format(demo=chosen["demo"]))
    environ = {n: v for n, v in os.environ.items() if not n.startswith("LATCHWIRE_")}
    plan = make_plan(
        layout,
        port=chosen.pop("front"),
        mail_port=chosen.pop("mail"),
        inside=chosen,
        app=None,
        environ={**environ, **{f"LATCHWIRE_{n}": v for n, v in settings.items()}},
    )
    return Lab(plan)


@asynccontextmanager
async def start_lab(state: Path, catalogue: str = "", **settings: str) -> AsyncIterator[Lab]:
    """A lab, everything ready; *catalogue* and *settings* as for `make_lab`."""
    lab = await make_lab(state, catalogue, **settings)
    try:
        await lab.up()
        yield lab
    finally:
        await lab.down()


def is_alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    if sys.platform != "linux":
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return True
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
