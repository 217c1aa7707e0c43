"""``/health`` (alive), ``/ready`` (useful, else why not) and ``/metrics`` of a worker's admin port."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Probe = Callable[[], str | None]


class Health:
    """Named readiness checks; a check returns None when fine, else one reason without secrets."""

    def __init__(self) -> None:
        self._probes: dict[str, Probe] = {}

    def check(self, name: str, probe: Probe) -> None:
        """Add a check; a worker is ready when all of them are fine."""
        self._probes[name] = probe

    def problems(self) -> dict[str, str]:
        """What keeps this worker from being ready, by check."""
        found = {name: probe() for name, probe in self._probes.items()}
        return {name: reason for name, reason in found.items() if reason}


def admin_application(health: Health) -> web.Application:
    """The admin routes; never to be exposed."""

    async def alive(_request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def ready(_request: web.Request) -> web.Response:
        problems = health.problems()
        body = {"status": "not ready" if problems else "ready", "problems": problems}
        return web.json_response(body, status=503 if problems else 200)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/health", alive)
    app.router.add_get("/ready", ready)
    app.router.add_get("/metrics", metrics)
    return app
