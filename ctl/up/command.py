"""The command ``up``: its arguments, what stands in its way, and what it prints."""

import argparse
import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from ctl.up import away, ports, refusals, watch
from ctl.up import layout as files
from ctl.up.certify import certify
from ctl.up.documents import publish_at_start
from ctl.up.layout import ROOT, Layout
from ctl.up.named import NamedFileError
from ctl.up.plan import INSIDE, Plan, make_plan
from ctl.up.streams import provision
from ctl.up.supervisor import PartError, Supervisor
from shared.catalogue import CatalogueError
from shared.clock import SystemClock
from shared.secrets import SecretsError

FRONT_DOOR = 8080
MAILBOX = 8025


class CannotStartError(Exception):
    """Something stands in the way; the message is what to print, with the cure."""


class _StopRequested(Exception):
    """Ctrl-C, SIGTERM, or the terminal is gone."""


@dataclass(frozen=True)
class Options:
    """What was asked for. *inside*: ports wanted for parts that otherwise take free ones.

    *accounts*: people have accounts, kept in SQLite in the state directory.
    """

    app: str | None
    port: int
    mail_port: int
    state: Path
    inside: Mapping[str, int]
    accounts: bool = False


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``up`` to the command line."""
    parser = commands.add_parser(
        "up", help="run the whole product on this machine, with a mailbox and a demo"
    )
    parser.add_argument("--app", help="put your application behind it at /: http://localhost:3000")
    parser.add_argument("--port", type=int, help=f"the front door (default {FRONT_DOOR})")
    parser.add_argument("--mail-port", type=int, help=f"the mailbox's page (default {MAILBOX})")
    parser.add_argument("--state", type=Path, help="where state is kept (default .latchwire)")
    parser.add_argument(
        "--accounts", action="store_true", help="people have accounts, kept in the state directory"
    )
    parser.add_argument(
        "--inside",
        action="append",
        default=[],
        metavar="NAME=PORT",
        help=f"a fixed port for a part that else takes a free one: {', '.join(INSIDE)}",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until Ctrl-C or until a part dies; the exit code."""
    try:
        options = parse(arguments, os.environ)
    except ValueError as error:
        sys.stderr.write(f"latchwire up: {error}\n")
        return 2
    try:
        with _alone(Layout(options.state)) as layout:
            return asyncio.run(_up(options, layout))
    except (CannotStartError, CatalogueError, NamedFileError, SecretsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def parse(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Options:
    """The options; APP, PORT, MAIL_PORT and ACCOUNTS of ``make up`` stand in for arguments.

    Raises:
        ValueError: a value does not fit.
    """
    return Options(
        app=_app(arguments.app or environ.get("APP") or None),
        port=_port("the front door", arguments.port or environ.get("PORT") or FRONT_DOOR),
        mail_port=_port("the mailbox", arguments.mail_port or environ.get("MAIL_PORT") or MAILBOX),
        state=(arguments.state or ROOT / ".latchwire").resolve(),
        inside=dict(_inside(pair) for pair in arguments.inside),
        accounts=arguments.accounts or _switch("ACCOUNTS", environ.get("ACCOUNTS", "")),
    )


def say(text: str) -> None:
    """Print a line; a terminal that has gone away is no reason to stop."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


async def _up(options: Options, layout: Layout) -> int:
    clock = SystemClock()
    began = clock.monotonic()
    plan = _prepare(options, layout, clock)
    stopping = _stop_on_signals()
    failure: PartError | None = None
    async with AsyncExitStack() as ending:
        try:
            async with asyncio.TaskGroup() as group:
                supervisor = Supervisor(group, clock, say)
                ending.push_async_callback(_end, plan, supervisor)
                group.create_task(_live(plan, supervisor, clock, began))
                await _until(stopping)
        except* _StopRequested:
            say("\nEnding.")
        except* PartError as failures:
            failure = _first(failures)
            say(f"\n{failure}\n\nEnding everything else.")
    return 1 if failure else 0


def _prepare(options: Options, layout: Layout, clock: SystemClock) -> Plan:
    """Everything that can be known to fail before a process is started."""
    wanted = dict(options.inside)
    demo = files.demo_port_of(layout)
    if demo is not None:
        wanted["demo"] = demo
    _refuse_taken(options, wanted, layout)
    layout.run.unlink(missing_ok=True)
    files.rotate_logs(layout)
    files.make_secrets(layout, clock)
    return make_plan(
        layout,
        port=options.port,
        mail_port=options.mail_port,
        inside=ports.choose(INSIDE, wanted),
        app=options.app,
        environ=os.environ,
        accounts=options.accounts,
    )


async def _until(stopping: asyncio.Event) -> None:
    await stopping.wait()
    raise _StopRequested


async def _live(plan: Plan, supervisor: Supervisor, clock: SystemClock, began: float) -> None:
    """Start all parts, print the addresses, then tell what is refused. Never returns."""
    say(f"Starting Latchwire; state and logs are in {plan.layout.root}\n")
    await supervisor.start(plan.stores)
    before = clock.monotonic()
    changes = await provision(plan.nats_url, plan.layout.secrets)
    say(f"  {'streams':<11} ready {clock.monotonic() - before:6.2f} s   {changes}")
    await publish_at_start(plan.nats_url, plan.layout.secrets, plan.text)
    await certify(plan.nats_url, plan.layout.secrets)
    workers, gateway = plan.workers[:-1], plan.workers[-1:]
    await supervisor.start(workers)
    # After auth: whom it does not find at once it asks again at longer and longer intervals.
    await supervisor.start(gateway)
    files.write_run(plan.layout, plan.run_file(supervisor.pids))
    say(_addresses(plan, clock.monotonic() - began))
    async with asyncio.TaskGroup() as following:
        following.create_task(refusals.follow(map(plan.layout.log, ("edge", "auth")), say))
        following.create_task(watch.follow(plan, say))
        following.create_task(away.follow(plan, say))


def _first(failures: BaseExceptionGroup[PartError]) -> PartError:
    """The one to tell about; the others mostly follow from it."""
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure


async def _end(plan: Plan, supervisor: Supervisor) -> None:
    """The front door first, then the workers, then what they stand on."""
    gateway, workers = plan.workers[-1:], plan.workers[:-1]
    for parts in (gateway, workers, plan.stores):
        await supervisor.stop(parts)
    plan.layout.run.unlink(missing_ok=True)
    say("All ended.")


def _addresses(plan: Plan, seconds: float) -> str:
    lines = [
        f"\nReady after {seconds:.1f} s.\n",
        f"  Front door   {plan.url}",
        f"  Demo         {plan.url}/demo        (open: {plan.url}/demo/public)",
        f"  Mailbox      {plan.mail_url}        (JSON: {plan.mail_url}/api/messages?to=ADDRESS)",
        f"  Services     {plan.layout.services}",
        f"  Addresses    {plan.layout.run}",
    ]
    kept = plan.layout.accounts
    if plan.accounts_url:
        lines.insert(3, f"  Accounts     {plan.url}/auth/register  (kept in {kept})")
    elif kept.exists():
        lines.append(f"\nAccounts are off; those kept in {kept} are not used.")
    if plan.app and plan.catalogue != plan.layout.services:
        stanza = files.APP_STANZA.format(upstream=plan.app)
        lines += [
            f"\nYour application answers at {plan.url}/ after a login. To keep it, add to services.yaml:\n",
            stanza.rstrip(),
        ]
    return "\n".join([*lines, "\nCtrl-C ends everything. Refused requests are shown below.\n"])


def _stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


@contextmanager
def _alone(layout: Layout) -> Iterator[Layout]:
    """Hold the state directory; two at once would write into the same stores.

    Raises:
        CannotStartError: another `up` holds it.
    """
    layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (layout.root / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CannotStartError(_already_running(layout, lock)) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield layout


def _already_running(layout: Layout, lock: TextIO) -> str:
    lock.seek(0)
    pid = lock.read().strip() or "?"
    return f"Latchwire is already running from {layout.root} (process {pid}).\nEnd it, or use another --state."


def _refuse_taken(options: Options, inside: Mapping[str, int], layout: Layout) -> None:
    cures = {"demo": f"change the port of services.demo in {layout.services}"}
    asked = [
        ("front door", options.port, "make up PORT={free}"),
        ("mailbox", options.mail_port, "make up MAIL_PORT={free}"),
        *((n, port, cures.get(n, f"--inside {n}={{free}}")) for n, port in inside.items()),
    ]
    taken = [row for row in asked if not ports.is_free(row[1])]
    if taken:
        raise CannotStartError("\n".join(_cure(*row) for row in taken))


def _cure(name: str, port: int, cure: str) -> str:
    free = next((p for p in range(port + 1, min(port + 100, 65536)) if ports.is_free(p)), 0)
    how = cure.format(free=free)
    return f"Port {port} ({name}) is taken. End what uses it, or: {how}"


def _app(url: str | None) -> str | None:
    if url is None:
        return None
    address = urlsplit(url)
    plain = address.path in {"", "/"} and not address.query and not address.fragment
    if address.scheme not in {"http", "https"} or not address.hostname or not plain:
        raise ValueError(f"--app must be an address such as http://localhost:3000, not {url}")
    return url.rstrip("/")


def _switch(name: str, value: str) -> bool:
    if value.lower() not in {"", "on", "off"}:
        raise ValueError(f"{name} must be on or off, not {value}")
    return value.lower() == "on"


def _port(name: str, value: str | int) -> int:
    if not str(value).isdigit() or not 1 <= int(value) <= 65535:
        raise ValueError(f"the port of {name} must be a number from 1 to 65535, not {value}")
    return int(value)


def _inside(pair: str) -> tuple[str, int]:
    name, _, port = pair.partition("=")
    if name not in INSIDE:
        raise ValueError(f"--inside {pair}: the parts are {', '.join(INSIDE)}")
    return name, _port(name, port)
