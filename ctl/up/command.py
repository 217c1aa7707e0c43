"""The command ``up``: what it starts and ends, in which order, and what it prints."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from contextlib import AsyncExitStack

from ctl.up import away, ports, refusals, watch
from ctl.up import layout as files
from ctl.up.certify import certify
from ctl.up.documents import publish_at_start
from ctl.up.layout import Layout
from ctl.up.named import NamedFileError
from ctl.up.obstacles import CannotStartError, alone, refuse_taken
from ctl.up.options import Options, add_options, parse
from ctl.up.plan import INSIDE, Plan, make_plan
from ctl.up.streams import provision
from ctl.up.supervisor import PartError, Supervisor
from shared.catalogue import CatalogueError
from shared.clock import SystemClock
from shared.secrets import SecretsError


class _StopRequested(Exception):
    """Ctrl-C, SIGTERM, or the terminal is gone."""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``up`` to the command line."""
    parser = commands.add_parser(
        "up", help="run the whole product on this machine, with a mailbox and a demo"
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until Ctrl-C or until a part dies; the exit code."""
    try:
        options = parse(arguments, os.environ)
    except ValueError as error:
        sys.stderr.write(f"latchwire up: {error}\n")
        return 2
    try:
        with alone(Layout(options.state)) as layout:
            return asyncio.run(_up(options, layout))
    except (CannotStartError, CatalogueError, NamedFileError, SecretsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


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
    refuse_taken(options, wanted, layout)
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
