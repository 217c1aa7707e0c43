"""Applications that do not answer, as lines in the terminal of `up`: one for each, until it has answered again.

Traefik then says "Bad Gateway" and nothing else; whoever forgot to start the application looks for it here.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from ctl.access_log import Tail
from ctl.up.plan import Plan
from shared.catalogue import CatalogueError, load_catalogue

PAUSE = 0.2  # seconds between two looks at the log
WITHIN = 2.0  # seconds for one connection
_UNANSWERED = {502, 504}
_ROUTER = re.compile(r"service-(.+)-\d+@\w+", re.ASCII)
_PORTS = {"https": 443}


class Absent:
    """Told each line of Traefik's access log; says who does not answer.

    *upstreams*: where each service is now. *listens*: whether anybody does at an address.
    """

    def __init__(
        self,
        upstreams: Callable[[], Mapping[str, str]],
        listens: Callable[[str], Awaitable[bool]],
        say: Callable[[str], None],
    ) -> None:
        self._upstreams, self._listens, self._say = upstreams, listens, say
        self._told: set[str] = set()

    async def hear(self, line: str) -> None:
        """A 502 may be the application's own word: only where nobody listens it is told of."""
        service, status = _outcome(line)
        if 200 <= status < 300:
            self._told.discard(service)
        if status not in _UNANSWERED or service in self._told:
            return
        upstream = self._upstreams().get(service)
        if upstream is not None and not await self._listens(upstream):
            self._told.add(service)
            self._say(f"no answer  {service}  does not answer at {upstream}: is it started?")


async def follow(plan: Plan, say: Callable[[str], None]) -> None:
    """Say which application was asked for and did not answer, from now on. Never returns."""
    tail = Tail(plan.layout.log("access"))
    absent = Absent(lambda: _upstreams(plan), listens, say)
    while True:
        for line in tail.more(raw=True):
            await absent.hear(line)
        await asyncio.sleep(PAUSE)


async def listens(upstream: str) -> bool:
    """Whether a connection to *upstream* (a URL) opens."""
    address = urlsplit(upstream)
    try:
        async with asyncio.timeout(WITHIN):
            port = address.port or _PORTS.get(address.scheme, 80)
            _, writer = await asyncio.open_connection(address.hostname, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _upstreams(plan: Plan) -> dict[str, str]:
    """As they are written now: the file with the application of ``--app`` is made anew at each change.

    Nobody's while a file is being written.
    """
    try:
        newest = max(plan.catalogue, plan.layout.services, key=lambda file: file.stat().st_mtime_ns)
        return {service.name: service.upstream for service in load_catalogue(newest).services}
    except (OSError, CatalogueError):
        return {}


def _outcome(line: str) -> tuple[str, int]:
    """The service that Traefik routed to and what the client heard; ("", 0) for anything else."""
    try:
        entry = json.loads(line)
    except ValueError:
        return "", 0
    if not isinstance(entry, dict):
        return "", 0
    router = _ROUTER.fullmatch(str(entry.get("RouterName", "")))
    status = entry.get("DownstreamStatus")
    return (router[1], status) if router and isinstance(status, int) else ("", 0)
