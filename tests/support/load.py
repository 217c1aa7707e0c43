"""Load on a fleet, written down: publishers that revoke until they are acknowledged, askers that check tokens.

``async with under_load(fleet) as load`` publishes and checks while the block runs; `Load.settle` then asks
every edge about every session once more.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import aiohttp

from shared import contract
from shared.bus import Bus, BusUnavailableError, NoAnswerError
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.messages import TokenRevoked
from tests.support.cluster import MAX_STALENESS, WHOLE_WITHIN, Fleet, now
from tests.support.edge import request
from tests.support.history import Check, Effect, History, Seen, Window, summary, violations
from tests.support.waiting import eventually

CLOCK, IDS = SystemClock(), SystemIds()
PUBLISHERS = ("auth", "operator", "operator")
PAUSE = 0.02  # seconds between two events of a publisher, and between two rounds of an asker
HELD = 2.0  # seconds a check may take: a stopped edge holds its askers
STRIDE = 7919  # a prime: askers come by every acknowledged session, old and new
SLACK = 0.25  # seconds a busy machine needs to answer
BOUND = MAX_STALENESS + SLACK  # within which an edge closes


@dataclass
class Load:
    """What goes on. *alive* are sessions that nobody revokes."""

    fleet: Fleet
    history: History = field(default_factory=History)
    alive: list[str] = field(default_factory=list)
    healthy: list[Window] = field(default_factory=list)
    first: int = 0  # BLOCKLIST's end when it all began
    _tokens: dict[str, bytes] = field(default_factory=dict)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    def session(self) -> str:
        """A new session."""
        sid = IDS.ulid(CLOCK.now_ms())
        edge = next(iter(self.fleet.edges.values()))
        self._tokens[sid] = edge.token(sid=sid, jti=IDS.ulid(CLOCK.now_ms()))
        return sid

    @property
    def acknowledged(self) -> int:
        """How many sessions' revocations were acknowledged so far."""
        return len(self.history.acknowledged)

    async def more(self, count: int = 30, within: float = WHOLE_WITHIN) -> None:
        """Return when *count* further revocations were acknowledged."""
        goal = self.acknowledged + count
        message = f"no {count} further acknowledgements"
        await eventually(lambda: self.acknowledged >= goal, within=within, message=message)

    @asynccontextmanager
    async def all_well(self, *edges: str, within: float = 2.0) -> AsyncIterator[None]:
        """While the block runs *edges* (all of them) may refuse nothing without a reason."""
        begin = now()
        yield
        self.healthy.append(Window(begin, now(), edges or tuple(self.fleet.edges), within))

    async def revoke(self, bus: Bus, sid: str) -> None:
        """Publish until it is acknowledged, under one id."""
        event = TokenRevoked(scope="session", sid=sid, id=IDS.ulid(CLOCK.now_ms()))
        assert event.id is not None
        self.history.begin(event.id, sid, now())
        while True:
            with contextlib.suppress(BusUnavailableError):
                await bus.publish(contract.TOKEN_REVOKED, event)
                self.history.acknowledge(event.id, now())
                return

    async def check(self, http: aiohttp.ClientSession, edge: str, sid: str) -> Seen:
        """One check as Traefik sends it; written down."""
        began = now()
        seen = await self._ask(http, edge, self._tokens[sid])
        self.history.checks.append(Check(edge, sid, began, now(), seen))
        return seen

    async def _ask(self, http: aiohttp.ClientSession, edge: str, token: bytes) -> Seen:
        fields = request("/demo", bearer=token)
        headers = {n.decode(): v.decode() for n, values in fields.items() for v in values}
        url = f"http://127.0.0.1:{self.fleet.edges[edge].port}/check/traefik"
        try:
            async with (
                asyncio.timeout(HELD),
                http.get(url, headers=headers, allow_redirects=False) as answer,
            ):
                return _seen(answer.status, answer.headers.get("X-Latchwire-Reason", ""))
        except (TimeoutError, aiohttp.ClientError):
            return "unanswered"

    async def _publish(self, name: str) -> None:
        async with self.fleet.bus(name) as bus:
            while not self._stop.is_set():
                await self.revoke(bus, self.session())
                await self._pause()

    async def _ask_on(self, edge: str) -> None:
        """One that lives, one that was revoked at some time, and the one revoked last."""
        async with aiohttp.ClientSession() as http:
            for turn in count():
                if self._stop.is_set():
                    return
                dead = list(self.history.acknowledged)
                await self.check(http, edge, self.alive[turn % len(self.alive)])
                if dead:
                    await self.check(http, edge, dead[turn * STRIDE % len(dead)])
                    await self.check(http, edge, dead[-1])
                await self._pause()

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PAUSE):
                await self._stop.wait()

    async def settle(self, *, effects: bool = True) -> None:
        """When every part is whole and nothing waits: ask every edge about every session.

        *effects*: read also how often BLOCKLIST was written, which means nothing after it was lost.
        """
        await self.fleet.whole()
        async with self.fleet.bus("operator") as bus:
            await self.fleet.drained(bus)
            await self._caught_up(bus)
            if effects:
                await self._read_effects(bus)
        async with aiohttp.ClientSession() as http:
            for edge in self.fleet.edges:
                for sid in (*self.alive, *self.history.attempted):
                    await eventually(partial(self._answered, http, edge, sid))

    async def _answered(self, http: aiohttp.ClientSession, edge: str, sid: str) -> bool:
        """Whether the edge says yes or no: "not now" of a busy machine is no last word."""
        return await self.check(http, edge, sid) not in {"unsure", "unanswered"}

    async def _caught_up(self, bus: Bus) -> None:
        """A fresh proof covers all: each edge has heard BLOCKLIST's end from the leader."""
        position = await bus.stream_position(contract.BLOCKLIST)

        async def there() -> bool:
            try:
                found = await bus.ask(contract.OP_EDGES_LIST, _EVERY_EDGE)
            except NoAnswerError:
                return False  # the one asked stands still
            beats = {s.beat.edge_id: s.beat for s in found.edges}
            return all(
                name in beats
                and beats[name].epoch == position.epoch
                and beats[name].seq >= position.last_seq
                for name in self.fleet.edges
            )

        await eventually(there, within=WHOLE_WITHIN, message="an edge is behind")

    async def _read_effects(self, bus: Bus) -> None:
        """What BLOCKLIST holds now that it did not hold before, and how often it was written."""
        sids = {self.fleet.key(sid): sid for sid in self.history.attempted}
        position = await bus.stream_position(contract.BLOCKLIST)
        self.history.writes, seq = position.last_seq - self.first, self.first
        while (found := await bus.next_state(seq + 1)) is not None:
            seq = found.seq
            sid = sids.get(found.key, found.key)
            self.history.effects.append(Effect(sid, position.epoch, seq))

    def violations(self) -> list[str]:
        """What this history shows to be broken."""
        bounds = {name: patience + SLACK for name, patience in self.fleet.patience.items()}
        return violations(self.history, bounds=bounds, healthy=self.healthy)

    def __str__(self) -> str:
        return summary(self.history)


_EVERY_EDGE = contract.OP_EDGES_LIST.model()


def _seen(status: int, reason: str) -> Seen:
    if status == 200:
        return "accepted"
    if status == 503:
        return "unsure"
    return "revoked" if (status, reason) == (401, "token_revoked") else "wrong"


@asynccontextmanager
async def under_load(
    fleet: Fleet, publishers: tuple[str, ...] = PUBLISHERS, *, of: Load | None = None
) -> AsyncIterator[Load]:
    """Publish and ask while the block runs; on the way out every publisher finishes its last event.

    *of*: go on with this load's history.
    """
    load = of or await _new(fleet)
    load._stop.clear()
    async with asyncio.TaskGroup() as group:
        for name in publishers:
            group.create_task(load._publish(name))
        for edge in fleet.edges:
            group.create_task(load._ask_on(edge))
        try:
            yield load
        finally:
            load._stop.set()


async def _new(fleet: Fleet) -> Load:
    load = Load(fleet)
    load.alive += [load.session() for _ in range(3)]
    async with fleet.bus("operator") as bus:
        load.first = (await bus.stream_position(contract.BLOCKLIST)).last_seq
    return load
