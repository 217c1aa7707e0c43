"""How every worker lives: settings, one TaskGroup, signals, and a shutdown in three steps.

1. stop fetching and accepting (``runtime.stopping`` is set);
2. finish what was begun, within ``drain_timeout``;
3. cancel the rest. What was not acknowledged is delivered again, so nothing is lost by step 3.
"""

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, NoReturn, TypeVar

import structlog
from aiohttp import web

from latchwire.keys import InvalidJWKSError
from shared.bus import Bus, GrantError, connect_bus, verify_grants
from shared.catalogue import CatalogueError
from shared.clock import Clock, SystemClock
from shared.contract import Role
from shared.health import Health, admin_application
from shared.ids import Ids, SystemIds
from shared.log import configure_logging
from shared.secrets import SecretsError, load_seed
from shared.settings import SettingsError, SettingsT, WorkerSettings
from shared.unreadable import Refuse, refuse_by, refuse_plainly

log = structlog.get_logger()

T = TypeVar("T")
Start = Callable[[SettingsT, "Runtime"], Awaitable[None]]


class StartRefusedError(Exception):
    """The worker must not start as things are; the text says why, and what to do."""


REFUSALS = (
    StartRefusedError,
    GrantError,
    SecretsError,
    CatalogueError,
    InvalidJWKSError,
    OSError,
)
EXIT_FAILED = 1
EXIT_USAGE = 2
CANCEL_AGAIN_SECONDS = 0.5


class Runtime:
    """What a composition root stands on: time, ids, tasks, doors and an orderly end."""

    def __init__(self, tasks: asyncio.TaskGroup, stack: AsyncExitStack) -> None:
        self.clock: Clock = SystemClock()
        self.ids: Ids = SystemIds()
        self.stopping = asyncio.Event()
        self.health = Health()
        self.failure: str | None = None
        self.started = False
        self._tasks = tasks
        self._stack = stack
        self._spawned: list[asyncio.Task[None]] = []
        self._background: list[asyncio.Task[None]] = []
        self.health.check("start", lambda: None if self.started else "starting")

    async def enter(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enter *context*; it is left at the end, in reverse order."""
        return await self._stack.enter_async_context(context)

    def spawn(self, name: str, work: Coroutine[Any, Any, None], *, drains: bool = True) -> None:
        """Run *work* for the worker's life; if it ends before `stopping`, the worker ends.

        Work that *drains* heeds `stopping` and is waited for; other work has nothing to finish and is
        cancelled once the rest has drained.
        """
        task = self._tasks.create_task(self._watch(name, work), name=name)
        (self._spawned if drains else self._background).append(task)

    def stop(self, reason: str, *, failed: bool = False) -> None:
        """Begin the shutdown."""
        if failed and self.failure is None:
            self.failure = reason
        if not self.stopping.is_set():
            log.info("worker.stopping", reason=reason)
            self.stopping.set()

    async def connect_bus(
        self, role: Role, settings: WorkerSettings, name: str | None = None
    ) -> Bus:
        """Connect with this worker's credential and prove its grants.

        Raises:
            GrantError: the credential may not do what the contract says.
            SecretsError: its seed is missing.
        """
        credential = name or role.value
        bus = await self.enter(
            connect_bus(
                url=settings.nats_url,
                role=role,
                name=credential,
                seed=load_seed(settings.secrets_dir, credential),
                clock=self.clock,
                ids=self.ids,
                on_closed=lambda: self.stop("the bus closed the connection for good", failed=True),
            )
        )
        await verify_grants(bus)
        self.health.check("nats", lambda: None if bus.connected else "not connected")
        return bus

    async def serve_http(
        self, app: web.Application | web.Server, listen: str, refuse: Refuse = refuse_plainly
    ) -> None:
        """Serve on ``host:port``; stops accepting when the shutdown begins.

        *refuse* makes the answer to what cannot be read as a request.
        """
        runner: web.BaseRunner = (
            web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
            if isinstance(app, web.Application)
            else web.ServerRunner(app, shutdown_timeout=2.0)
        )
        await runner.setup()
        assert runner.server is not None
        refuse_by(runner.server, refuse, self.clock)
        self._stack.push_async_callback(runner.cleanup)
        host, _, port = listen.rpartition(":")
        site = web.TCPSite(runner, host.strip("[]"), int(port), reuse_port=False)
        await site.start()
        self.spawn(f"http {listen}", self._close_door(site))

    async def serve_admin(self, listen: str) -> None:
        """Serve ``/health``, ``/ready`` and ``/metrics``."""
        await self.serve_http(admin_application(self.health), listen)

    async def drain(self, seconds: float) -> None:
        """Step 2: wait for the spawned parts to finish, at most *seconds*; then step 3."""
        pending = [task for task in self._spawned if not task.done()]
        if pending:
            _, pending_set = await asyncio.wait(pending, timeout=seconds)
            for task in pending_set:
                log.warning("worker.cancelled", part=task.get_name())
        await _end([*self._spawned, *self._background])

    async def _close_door(self, site: web.TCPSite) -> None:
        await self.stopping.wait()
        await site.stop()

    async def _watch(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:  # the worker ends in order, and says which part failed
            log.exception("worker.part_failed", part=name)
            self.stop(f"{name} failed", failed=True)
        else:
            if not self.stopping.is_set():
                self.stop(f"{name} ended", failed=True)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel until they are done.

    Once is not enough: in Python 3.11 a wait_for whose answer comes in the same turn loses the cancellation.
    """
    while alive := [task for task in tasks if not task.done()]:
        for task in alive:
            task.cancel()
        await asyncio.wait(alive, timeout=CANCEL_AGAIN_SECONDS)


def run_worker(
    name: str,
    settings_type: type[SettingsT],
    start: Callable[[SettingsT, Runtime], Awaitable[None]],
) -> NoReturn:
    """A worker's whole life; exits 0 after an orderly stop, 1 after a failure, 2 for bad settings."""
    try:
        settings = settings_type.load()
    except SettingsError as error:
        for problem in error.problems:
            sys.stderr.write(f"{name}: {problem}\n")
        sys.exit(EXIT_USAGE)
    configure_logging(worker=name, level=settings.log_level, fmt=settings.log_format)
    log.info("worker.starting", settings=settings.public())
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        sys.exit(runner.run(_live(settings, start)))


async def _live(settings: SettingsT, start: Callable[[SettingsT, Runtime], Awaitable[None]]) -> int:
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        runtime = Runtime(tasks, stack)
        _stop_on_signals(runtime)
        starting = tasks.create_task(_start(settings, runtime, start))
        await runtime.stopping.wait()
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        await runtime.drain(settings.drain_timeout)
        failure = runtime.failure
    log.info("worker.stopped", failure=failure)
    return EXIT_FAILED if failure else 0


async def _start(
    settings: SettingsT, runtime: Runtime, start: Callable[[SettingsT, Runtime], Awaitable[None]]
) -> None:
    try:
        await start(settings, runtime)
    except REFUSALS as error:
        log.error("worker.start_refused", error=str(error))  # noqa: TRY400 - the text is enough
        runtime.stop("could not start", failed=True)
    except Exception:  # reported with its traceback, then the worker ends in order
        log.exception("worker.start_failed")
        runtime.stop("could not start", failed=True)
    else:
        runtime.started = True
        # What a worker is made of stays: a full collection that walks it again stalls the loop for 20 ms.
        gc.collect()
        gc.freeze()
        log.info("worker.started")


def _stop_on_signals(runtime: Runtime) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, runtime.stop, number.name)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not made for this platform; asyncio's own loop serves
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
