"""Attempts with a real token: only where it belongs it may count, as it is, until it is revoked.

It goes out in GET requests alone, over a connection whose other end has proved its name or is this machine,
and stands in no finding.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ctl.doctor.counterfeits import SERVICE, altered, bearer, misplaced
from ctl.doctor.door import Door
from ctl.doctor.findings import Finding
from ctl.doctor.routes import Route
from ctl.doctor.wire import Answer, Headers
from shared.clock import Clock

KEYS = "/.well-known/jwks.json"
ASSERTION = "X-Latchwire-Assertion"  # a service's own to send: what it passes on
IN_A_ROW = 8  # answers that say the same: there may be several edges behind the door
PAUSE_SECONDS = 0.02
KNOWN_WITHIN = 15.0  # seconds
LATE_MS = 1_000


@dataclass(frozen=True, repr=False)
class Credential:
    """A real token, and how people are told of it. *disposable*: it ends with the run, whoever reads it."""

    name: str
    token: str
    disposable: bool = False


async def public_keys(door: Door) -> list[dict[str, Any]]:
    """Auth's, as everybody gets them; none where the door does not show them."""
    answer = await door.ask(KEYS)
    try:
        content = json.loads(answer.body) if answer and answer.passed else {}
        keys = content["keys"]
    except (ValueError, KeyError, TypeError):
        return []
    return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []


@dataclass
class Trial:
    """One real token at every route. *made*: further tokens that must count nowhere, by name.

    *counted*: the routes where the real one told something.
    """

    door: Door
    credential: Credential
    made: Sequence[tuple[str, str]] = ()
    counted: list[Route] = field(default_factory=list)
    shown: list[bool] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    async def run(self, routes: Iterable[Route]) -> None:
        """Add to the door's findings."""
        for route in routes:
            if route.closed and route.exposed:
                await self._at(route)
        name = self.credential.name
        if not self.counted:
            why = ", ".join(dict.fromkeys(self.refusals)) or "no protected route"
            self.door.found("door.untried", name, f"it counts at no route: {why}")
        elif self.shown and not any(self.shown):
            seen = f"none of {len(self.shown)} protected routes it opens shows them"
            self.door.found("door.no_echo", name, seen)

    async def _at(self, route: Route) -> None:
        good = bearer(self.credential.token)
        plain = await self.door.ask(route.closed, host=route.host)
        known = await self.door.ask(route.closed, host=route.host, headers=good)
        if plain is None or known is None or not _tells(plain, known):
            self.refusals.append(_why(plain, known))
            return
        self.counted.append(route)
        await self._misplaced(route, known)
        await self._altered(route, known)
        if known.status < 400:
            await self._beside(route, good)

    async def _misplaced(self, route: Route, known: Answer) -> None:
        token, disposable = self.credential.token, self.credential.disposable
        attempts = [
            (name, f"{route.closed}{query}", lines)
            for name, query, lines in misplaced(token, disposable=disposable)
        ]
        await self._try("door.token_misplaced", route, known, attempts)

    async def _altered(self, route: Route, known: Answer) -> None:
        others = [*altered(self.credential.token, await public_keys(self.door)), *self.made]
        attempts = [(name, route.closed, bearer(token)) for name, token in others]
        await self._try("door.token_altered", route, known, attempts)

    async def _try(
        self, check: str, route: Route, known: Answer, attempts: Iterable[tuple[str, str, Headers]]
    ) -> None:
        async def one(name: str, target: str, headers: Headers) -> None:
            answer = await self.door.ask(target, host=route.host, headers=headers)
            if answer is None:
                return
            where = route.at(route.closed)
            if answer.passed or told(answer) == told(known):
                self.door.found(check, where, f"{self.credential.name}, {name}: {answer.status}")
            elif answer.status == 429:
                self.door.found("door.limited", where, "429 Too Many Requests")
            elif answer.status == 500:
                self.door.found("door.server_error", where, f"{name}: 500")

        await self.door.all(one(*attempt) for attempt in attempts)

    async def _beside(self, route: Route, good: Headers) -> None:
        """Made-up identities and other protocols, sent by somebody who is let in."""
        without = (ASSERTION,) if self.credential.token.startswith(SERVICE) else ()
        await self.door.upgrades(route, route.closed, good)
        self.shown.append(await self.door.identity(route, route.closed, good, without))


def told(answer: Answer) -> tuple[int, str]:
    """What an answer says of the credential: its status, and the edge's reason where the proxy hands it on."""
    return answer.status, answer.one("x-latchwire-reason")


def counts(answer: Answer | None) -> bool:
    """Whether it was given to somebody who is known, let in or not."""
    return answer is not None and answer.status not in (401, 429) and answer.status < 500


def _tells(plain: Answer, known: Answer) -> bool:
    """Whether what a token gets can be told from what nobody, and what two tokens, get."""
    if not counts(known) or told(plain) == told(known):
        return False
    hides_reasons = not told(plain)[1] and not told(known)[1]
    return not (known.status == 403 and hides_reasons)  # two_credentials is a 403 too


def _why(plain: Answer | None, known: Answer | None) -> str:
    if plain is None or known is None:
        return "no answer over a connection that proves its name"
    if told(plain) == told(known) and plain.passed:
        return "open without it"
    status, reason = told(known)
    return f"{status} {reason or 'without X-Latchwire-Reason'}"


async def watch_revocation(
    wait: "Wait", revoke: Callable[[], Awaitable[None]], patience: float
) -> float | None:
    """Revoke the token, and return after how many ms the door refuses it: None when that was not seen.

    Waits *patience* seconds; a token that then still counts is a finding.
    """
    await revoke()
    began = wait.clock.monotonic()
    at = await wait.until(began + patience, _refused)
    where = wait.route.at(wait.route.closed)
    if at is None:
        seen = f"{wait.credential.name} still counts {patience:g} s after it was revoked"
        wait.door.found("door.revoked_passes", where, seen)
        return None
    after_ms = (at - began) * 1000
    wait.door.add(judge_end(where, after_ms))
    return after_ms


def judge_end(where: str, after_ms: float) -> list[Finding]:
    """Whether a revoked token was refused at once."""
    late = after_ms > LATE_MS
    return [Finding("door.revoked_late", where, f"after {after_ms / 1000:.1f} s")] if late else []


def _refused(answer: Answer | None) -> bool:
    return answer is not None and answer.status == 401


@dataclass
class Wait:
    """Asks with a token until the door says the same so often that every edge behind it has."""

    door: Door
    route: Route
    credential: Credential
    clock: Clock

    async def until(self, deadline: float, wanted: Callable[[Answer | None], bool]) -> float | None:
        """When the first of `IN_A_ROW` wanted answers came (monotonic s); None: not before *deadline*."""
        row: list[float] = []
        while len(row) < IN_A_ROW:
            headers = bearer(self.credential.token)
            answer = await self.door.ask(self.route.closed, host=self.route.host, headers=headers)
            now = self.clock.monotonic()
            row = [*row, now] if wanted(answer) else []
            if not row:
                if now >= deadline:
                    return None
                await asyncio.sleep(PAUSE_SECONDS)
        return row[0]


async def until_known(
    door: Door, routes: Iterable[Route], credential: Credential, clock: Clock
) -> None:
    """Wait until every edge behind the door has a token that was made just now; at most `KNOWN_WITHIN`."""
    for route in routes:
        if not (route.closed and route.exposed) or route.limited:
            continue
        if _refused(await door.ask(route.closed, host=route.host)):
            wait = Wait(door, route, credential, clock)
            await wait.until(clock.monotonic() + KNOWN_WITHIN, counts)
            return
