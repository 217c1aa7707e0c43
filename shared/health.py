"""``/health`` (alive), ``/ready`` (useful, else why not) and ``/metrics`` of a worker's admin port."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Probe = Callable[[], str | None]


class Health:
    """Named readiness checks; a check returns None when fine, else one reason without secrets."""

    def __init__(self) -> None:
        self._probes: dict[str, Probe] = {}
        self._notes: dict[str, Probe] = {}

    def check(self, name: str, probe: Probe) -> None:
        """Add a check; a worker is ready when all of them are fine."""
        self._probes[name] = probe

    def note(self, name: str, probe: Probe) -> None:
        """Add something to look at that does not keep the worker from being useful."""
        self._notes[name] = probe

    def notes(self) -> dict[str, str]:
        """What an operator has to look at, by name."""
        return _said(self._notes)

    def problems(self) -> dict[str, str]:
        """What keeps this worker from being ready, by check."""
        return _said(self._probes)


def _said(probes: dict[str, Probe]) -> dict[str, str]:
    found = {name: probe() for name, probe in probes.items()}
    return {name: reason for name, reason in found.items() if reason}


def admin_application(health: Health) -> web.Application:
    """The admin routes; never to be exposed."""

    async def alive(_request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def ready(_request: web.Request) -> web.Response:
        problems = health.problems()
        status = "not ready" if problems else "ready"
        body = {"status": status, "problems": problems, "notes": health.notes()}
        return web.json_response(body, status=503 if problems else 200)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/health", alive)
    app.router.add_get("/ready", ready)
    app.router.add_get("/metrics", metrics)
    return app
