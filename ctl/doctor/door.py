"""Attempts through the front door: what is protected must stay closed, and services must believe nobody.

No attempt here has a credential that is worth anything (`credentials` has those that do), and none changes
anything: what is sent with an unsafe method goes to a path that is protected.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from ctl.doctor import tricks
from ctl.doctor.findings import Finding
from ctl.doctor.routes import LEAF, Route
from ctl.doctor.wire import Answer, Front, Headers, NoAnswerFromDoorError, send
from shared.ids import Ids

AT_ONCE = 8  # a gateway is not to be brought down by its doctor
NO_EDGE = frozenset({404, 405})  # what is not the edge's to say

Attempt = tuple[str, str, str, Headers]  # what it is called, target, method, headers


@dataclass
class Door:
    """The front door of one installation. *issuer*: LATCHWIRE_URL; *home*: its host."""

    front: Front
    issuer: str
    home: str
    ids: Ids
    findings: list[Finding] = field(default_factory=list)
    attempts: int = 0
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def attack(self, routes: Iterable[Route], echoes: Iterable[str]) -> None:
        """Everything at every route; *echoes* are further open paths whose services show what they get."""
        listed = list(routes)
        await self.all(self._route(route) for route in listed)
        shown = [r for r in listed if r.open and r.exposed]
        shown += [Route("--echo", None, "", path, "", exposed=True) for path in echoes]
        await self.all(self.upgrades(route, route.open) for route in shown)
        seen = [await self.identity(route, route.open) for route in shown]
        if not any(seen):
            self.found("door.no_echo", "services", f"none of {len(shown)} open routes shows them")

    async def ask(
        self,
        target: str,
        *,
        host: str | None = None,
        method: str = "GET",
        headers: Headers = (),
        body: bytes = b"",
    ) -> Answer | None:
        """One attempt; None where nothing that is HTTP came back."""
        async with self._turns:
            self.attempts += 1
            try:
                where = host or self.home
                return await send(
                    self.front, target, method=method, host=where, headers=headers, body=body
                )
            except (NoAnswerFromDoorError, OSError):
                return None

    async def _route(self, route: Route) -> None:
        if not route.closed:
            return
        plain = await self.ask(route.closed, host=route.host)
        if plain is None or not self._is_closed(route, plain):
            return
        if route.exposed:
            await self.all((self._headers(route), self._methods(route), self._paths(route)))

    def _is_closed(self, route: Route, plain: Answer) -> bool:
        """Whether the route refuses as it should; what is open needs no tricks."""
        where = route.at(route.closed)
        if plain.passed:
            check = "door.open_route" if route.exposed else "door.unexposed"
            self.found(check, where, f"{plain.status} without a credential")
            return False
        unclear = plain.status >= 500 or plain.status in NO_EDGE
        if route.exposed and unclear and not plain.one("x-latchwire-reason"):
            self.found("door.unclear", where, f"{plain.status}, and not by the edge")
        return plain.status < 500

    async def _headers(self, route: Route) -> None:
        public = route.open or "/"
        await self._try(
            "door.header_opens",
            route,
            [
                (name, route.closed, "GET", lines)
                for name, lines in tricks.headers(public, self.issuer)
            ],
        )

    async def _methods(self, route: Route) -> None:
        preflight = (("Origin", tricks.EVIL), ("Access-Control-Request-Method", "GET"))
        attempts: list[Attempt] = [(method, route.closed, method, ()) for method in tricks.METHODS]
        override = ("X-HTTP-Method-Override", "GET")
        attempts.append(("POST as GET", route.closed, "POST", (override,)))
        await self._try("door.method_opens", route, attempts)
        answer = await self.ask(route.closed, host=route.host, method="OPTIONS", headers=preflight)
        if answer and reads_with_cookies(answer):
            self.found("door.cors", route.at(route.closed), "a preflight from anywhere is granted")

    async def _paths(self, route: Route) -> None:
        nothing = await self.ask(f"/{LEAF}-{self._marker()}", host=route.host)
        if nothing is None or nothing.passed:
            return  # something open takes every path of this host: a 200 would tell nothing
        targets = [*tricks.spellings(route.closed)]
        targets += tricks.climbs(route.climb, LEAF) if route.climb else ()
        await self._try("door.path_opens", route, [(t, t, "GET", ()) for t in targets])

    async def _try(
        self,
        check: str,
        route: Route,
        attempts: Iterable[Attempt],
    ) -> None:
        async def one(name: str, target: str, method: str, headers: Headers) -> None:
            answer = await self.ask(target, host=route.host, method=method, headers=headers)
            if answer is None:
                return
            where = route.at(route.closed)
            if answer.passed:
                self.found(check, where, f"{name}: {answer.status}")
            elif answer.status == 429:
                self.found("door.limited", where, "429 Too Many Requests")
            elif answer.status == 500:
                self.found("door.server_error", where, f"{name}: 500")

        await self.all(one(*attempt) for attempt in attempts)

    async def upgrades(self, route: Route, path: str, more: Headers = ()) -> None:
        """Ask where one is let in for other protocols: one that is switched to, or that the service hears of.

        *more*: header lines that let one in.
        """
        marker = self._marker()
        for protocol, lines in tricks.upgrades(marker):
            answer = await self.ask(path, host=route.host, headers=(*lines, *more))
            if answer is not None and (answer.status == 101 or marker.encode() in answer.body):
                name = "made up" if protocol == marker else protocol
                seen = "switched" if answer.status == 101 else "reaches the service"
                self.found("door.upgrade_passes", route.at(path), f"Upgrade ({name}): {seen}")

    async def identity(
        self, route: Route, path: str, more: Headers = (), without: Iterable[str] = ()
    ) -> bool:
        """Send made-up identity headers where one is let in; whether the service shows what it got.

        *more*: header lines that let one in. *without*: names that the sender may use.
        """
        marker = self._marker()
        control = f"{marker}echo"
        listed = [
            attempt
            for attempt in tricks.identity(marker, route.own)
            if attempt[1].lower() not in {name.lower() for name in without}
        ]
        lines = [("Accept", "application/json"), ("X-Latchwire-Doctor", control)]
        lines += [(header, value) for _, header, value in listed]
        answer = await self.ask(path, host=route.host, headers=[*lines, *more])
        if answer is None or control.encode() not in answer.body:
            return False
        for check, header, value in listed:
            if value.encode() in answer.body:
                self.found(check, route.at(path), f"{header} reaches the service")
        await self._behind_a_body(route, path, more)
        return True

    async def _behind_a_body(self, route: Route, path: str, more: Headers) -> None:
        name, value = "X-User-Id", f"{self._marker()}t"
        lines, body = tricks.behind_a_body(name, value)
        answer = await self.ask(path, host=route.host, headers=(*lines, *more), body=body)
        if answer is not None and value.encode() in answer.body:
            seen = f"{name} behind a body reaches the service"
            self.found("door.trailer_passes", route.at(path), seen)

    async def shown(self, route: Route, path: str) -> str | None:
        """What the service there got and shows; None: it shows nothing."""
        control = f"{self._marker()}echo"
        lines = (("X-Latchwire-Doctor", control),)
        answer = await self.ask(path, host=route.host, headers=lines)
        return control if answer is not None and control.encode() in answer.body else None

    def _marker(self) -> str:
        letters = [char for char in self.ids.secret().lower() if char.isalnum()]
        return f"lwd{''.join(letters[:12])}"

    def add(self, findings: Iterable[Finding]) -> None:
        """Write them down, each once."""
        self.findings = list(dict.fromkeys([*self.findings, *findings]))

    def found(self, check: str, where: str, seen: str) -> None:
        """Write one down, once."""
        self.add([Finding(check, where, seen)])

    async def all(self, works: Iterable[Coroutine[Any, Any, None]]) -> None:
        """All of *works* beside each other."""
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)


def reads_with_cookies(answer: Answer) -> bool:
    """Whether a browser shows this answer to a page of somebody else's, asked with the visitor's cookies."""
    mirrored = answer.one("access-control-allow-origin") == tricks.EVIL
    return mirrored and answer.one("access-control-allow-credentials") == "true"
