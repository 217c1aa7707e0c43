"""One command's conversation with the bus: connect, say as whom, translate what goes wrong to an exit code."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog

from ctl import exits
from ctl.installation import Installation, NoInstallationError, find_installation
from ctl.output import complain
from shared.bus import Bus, BusUnavailableError, NoAnswerError, connect_bus
from shared.clock import Clock, SystemClock
from shared.contract import Role
from shared.ids import Ids, SystemIds
from shared.secrets import SecretsError, load_seed
from shared.trace import make_trace, within

CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class Session:
    """What a command works with. *timeout* in seconds."""

    bus: Bus
    installation: Installation
    clock: Clock
    ids: Ids
    timeout: float
    json: bool


Work = Callable[[Session], Awaitable[int]]


class UnreachableError(Exception):
    """The bus does not answer, or refuses this credential."""


def operate(arguments: argparse.Namespace, work: Work, *, role: Role = Role.OPERATOR) -> int:
    """Run *work* as *role*; the exit code."""
    quiet_libraries()
    try:
        return asyncio.run(_operate(arguments, work, role))
    except (NoInstallationError, SecretsError) as error:
        complain(str(error))
        return exits.USAGE
    except (UnreachableError, BusUnavailableError) as error:
        complain(f"the bus is out of reach: {error}")
        return exits.UNREACHABLE
    except NoAnswerError as error:
        complain(f"nobody answered {error} in time")
        return exits.FAILED
    except KeyboardInterrupt:
        return exits.DONE


async def _operate(arguments: argparse.Namespace, work: Work, role: Role) -> int:
    installation = find_installation(arguments.context)
    seed = load_seed(installation.secrets_dir, role.value)
    complain(f"latchwire {installation.url} ({installation.origin}) as {role.value}")
    clock, ids = SystemClock(), SystemIds()
    async with AsyncExitStack() as stack:
        connection = connect_bus(
            url=installation.nats_url,
            role=role,
            name=role.value,
            seed=seed,
            clock=clock,
            ids=ids,
        )
        try:
            async with asyncio.timeout(min(CONNECT_SECONDS, arguments.timeout)):
                bus = await stack.enter_async_context(connection)
        except TimeoutError:
            raise UnreachableError(
                f"no connection to {installation.nats_url} as {role.value}"
            ) from None
        heed_interrupt()
        session = Session(bus, installation, clock, ids, arguments.timeout, arguments.json)
        with within(make_trace(ids, clock.now_ms())):  # all that one command says is one trace
            return await work(session)


def heed_interrupt() -> None:
    """Raise the Ctrl-C that a wait lost: in Python 3.11 a wait_for whose answer comes in the same turn does.

    Raises:
        asyncio.CancelledError: this task was told to end, and goes on.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def quiet_libraries() -> None:
    """What goes wrong is said once, by the command; standard output is the answer and nothing else."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.getLogger("nats").setLevel(logging.CRITICAL)
