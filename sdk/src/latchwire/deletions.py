"""Erase what a service keeps of a person whose account was deleted, and hear what becomes of accounts.

    async def erase(erasure: Erasure) -> Outcome:
        await orders.forget(erasure.sub, erasure.email)   # may be called again: nothing left is no error
        return "done"

    async with (
        connect(servers, name="service-shop", nkey_seed=seed) as client,
        serve_deletions(client, "shop", erase),
    ):
        ...

Auth asks every service that its operator lists until it says ``done``: after a restart, a lost answer, a week.
So nothing has to be remembered here, and *erase* has to be repeatable.
"""

import asyncio
import contextlib
import json
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from latchwire._ending import end
from latchwire._strict import parse_json_object

ERASE: Final = "user.erase"
ANSWER_WITHIN: Final = 3.0  # seconds; auth waits five
AT_ONCE: Final = 16
REMEMBERED: Final = 1000  # ends that auth has not asked about again

Outcome = Literal["done", "later"]
Fact = Literal["registered", "verified", "password_changed", "roles_changed", "deleted"]
FACTS: Final[tuple[Fact, ...]] = get_args(Fact)

_log = logging.getLogger("latchwire.deletions")


@dataclass(frozen=True, slots=True)
class Erasure:
    """Whose data is to be erased. Times in Unix ms; after *deadline_ms* the operator sees that you are late."""

    deletion_id: str
    sub: str
    email: str = field(repr=False)
    requested_at_ms: int
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class UserFact:
    """What became of an account. *at_ms* in Unix ms; *id* is the same each time this is told.

    *previous_sub* (``registered``): what tokens of this person said before; what you keep under it is theirs.
    *org* (``roles_changed``): in which organisation, "" for what an operator grants.
    """

    fact: Fact
    sub: str
    id: str
    at_ms: int
    previous_sub: str | None = None
    org: str = ""


Erase = Callable[[Erasure], Awaitable[Outcome]]
Heard = Callable[[UserFact], Awaitable[None]]


@asynccontextmanager
async def serve_deletions(
    client: Client, name: str, erase: Erase, *, answer_within: float = ANSWER_WITHIN
) -> AsyncIterator[None]:
    """Answer for the service *name* (its credential is ``service-<name>``) for as long as the block lasts.

    *erase* says ``done`` when nothing is left, ``later`` to be asked again. One that takes longer than
    *answer_within* seconds goes on, and auth hears ``later`` until it has ended; one that raises is ``failed``,
    logged here, and asked again. Of several processes of a service one is asked at a time; another one may be
    asked while the first is still at it.

    Raises:
        nats.errors.Error: there is no connection to subscribe on.
    """
    desk = _Desk(erase, answer_within)
    subscription = await client.subscribe(f"{ERASE}.{name}", queue=name, cb=desk.asked)
    await _settle(client)
    try:
        yield
    finally:
        with contextlib.suppress(nats.errors.Error):  # the connection may be gone already
            await subscription.unsubscribe()
        await desk.close()


@asynccontextmanager
async def hear_users(client: Client, heard: Heard) -> AsyncIterator[None]:
    """Tell *heard* one fact after the other, for as long as the block lasts.

    Live, and live only: what is said while nobody listens is not said again. What must not be missed is asked
    for (`serve_deletions`). An exception of *heard* is logged, and the next fact is told.
    """
    facts: asyncio.Queue[UserFact] = asyncio.Queue()

    async def received(message: Msg) -> None:
        fact = _fact(message)
        if fact is not None:
            facts.put_nowait(fact)

    subscriptions = [await client.subscribe(f"user.{fact}", cb=received) for fact in FACTS]
    await _settle(client)
    telling = asyncio.create_task(_tell(facts, heard))
    try:
        yield
    finally:
        for subscription in subscriptions:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()
        await end(telling)


async def _settle(client: Client) -> None:
    """Return when the server knows our subscriptions.

    nats-py 2.16 writes the PING of a flush ahead of what is still buffered: the second answer proves it.
    """
    await client.flush()
    await client.flush()


class _Desk:
    """The erasures under way in this process, by the id of the deletion."""

    def __init__(self, erase: Erase, answer_within: float) -> None:
        self._erase = erase
        self._answer_within = answer_within
        self._working: OrderedDict[str, asyncio.Task[Outcome]] = OrderedDict()
        self._answering: set[asyncio.Task[None]] = set()

    async def asked(self, message: Msg) -> None:
        """One question; answered beside the others."""
        erasure = _erasure(message.data)
        if erasure is None:
            _log.warning("deletions.undecodable")
            return
        answering = asyncio.create_task(self._answer(message, erasure))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)

    async def close(self) -> None:
        """Give up what is under way: auth asks again."""
        for task in [*self._answering, *self._working.values()]:
            if not task.done():
                with contextlib.suppress(Exception):  # what it failed with, while it was given up
                    await end(task)

    async def _answer(self, message: Msg, erasure: Erasure) -> None:
        state, note = await self._state(erasure)
        body = {"state": state, **({"note": note} if note else {})}
        with contextlib.suppress(nats.errors.Error):  # asked again
            await message.respond(json.dumps(body).encode())

    async def _state(self, erasure: Erasure) -> tuple[str, str]:
        task = self._working.get(erasure.deletion_id) or self._begin(erasure)
        if task is None:
            return "later", "busy"
        await asyncio.wait((task,), timeout=self._answer_within)
        if not task.done():
            return "later", "at work"
        self._working.pop(erasure.deletion_id, None)
        if task.cancelled():
            return "later", "stopped"
        error = task.exception()
        if error is None:
            return task.result(), ""
        # Its text stays here: it may name the person.
        _log.error("deletions.handler_failed %s", erasure.deletion_id, exc_info=error)
        return "failed", type(error).__name__

    def _begin(self, erasure: Erasure) -> "asyncio.Task[Outcome] | None":
        if sum(not task.done() for task in self._working.values()) >= AT_ONCE:
            return None
        task = asyncio.create_task(self._run(erasure))
        self._working[erasure.deletion_id] = task
        ended = [known for known, task in self._working.items() if task.done()]
        for known in ended[: max(0, len(self._working) - REMEMBERED)]:
            del self._working[known]  # asked again, it is begun again
        return task

    async def _run(self, erasure: Erasure) -> Outcome:
        outcome = await self._erase(erasure)
        if outcome not in {"done", "later"}:
            raise TypeError("an erase handler returns 'done' or 'later'")
        return outcome


async def _tell(facts: "asyncio.Queue[UserFact]", heard: Heard) -> None:
    while True:
        fact = await facts.get()
        try:
            await heard(fact)
        except Exception:  # noqa: BLE001 - one fact that cannot be used must not end the rest
            _log.exception("deletions.fact_failed %s", fact.fact)


def _erasure(body: bytes) -> Erasure | None:
    said = parse_json_object(body)
    if said is None:
        return None
    texts = [said.get(name) for name in ("deletion_id", "sub", "email")]
    times = [said.get(name) for name in ("requested_at", "deadline")]
    if not all(_is_text(text) for text in texts) or not all(_is_time(time) for time in times):
        return None
    deletion_id, sub, email = map(str, texts)
    requested_at_ms, deadline_ms = (int(time or 0) for time in times)
    return Erasure(deletion_id, sub, email, requested_at_ms, deadline_ms)


def _fact(message: Msg) -> UserFact | None:
    name = message.subject.removeprefix("user.")
    said = parse_json_object(message.data)
    known = next((fact for fact in FACTS if fact == name), None)
    if (
        known is None
        or said is None
        or not _is_text(said.get("sub"))
        or not _is_time(said.get("at"))
    ):
        _log.warning("deletions.undecodable")
        return None
    previous, org = said.get("previous_sub"), said.get("org", "")
    return UserFact(
        fact=known,
        sub=said["sub"],
        id=str(said.get("id", "")),
        at_ms=said["at"],
        previous_sub=previous if _is_text(previous) else None,
        org=org if isinstance(org, str) else "",
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_time(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
