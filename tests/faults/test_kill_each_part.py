"""kill -9 of each part in the middle of the loop: started again, nothing else touched, nothing lost.

DESIGN §10, promise 2. Each row kills one part while people ask for links, click them, renew sessions,
are checked and log out; `tests/faults/test_mailer_killed.py` goes through every step of a mail.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jwt
import pytest

from shared.contract import REVOCATION
from shared.redis import connect_redis
from tests.support.breakable import MAX_STALENESS, PARTS, Breakable, look, watching
from tests.support.smtp import Answer, Received
from tests.support.visitor import Client
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

CROWD = 6  # people at once: enough for some to be answered before and some after the kill
HEALED = 60.0  # seconds of patience until nothing answers 503 any more

each_part = pytest.mark.parametrize("part", PARTS)


@dataclass
class Crowd:
    """Many requests at once: *answers* by person, *first* is set by the first that succeeded."""

    answers: dict[str, list[int]] = field(default_factory=dict)
    first: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, person: str, status: int) -> None:
        """Somebody was answered."""
        self.answers.setdefault(person, []).append(status)
        if status < 300:
            self.first.set()

    def who_got(self, status: int) -> set[str]:
        """Everybody who was answered *status* at least once."""
        return {person for person, got in self.answers.items() if status in got}


Task = Callable[[Crowd], Awaitable[object]]


@asynccontextmanager
async def killed_in_the_middle(
    house: Breakable, part: str, work: list[Task]
) -> AsyncIterator[Crowd]:
    """Do all *work* at once and kill *part* at the first success; the block runs when all is whole."""
    crowd = Crowd()
    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        for task in work:
            group.create_task(_run(task, crowd))
        await crowd.first.wait()
        await house.restart(part)
    await house.whole()
    yield crowd


async def _run(task: Task, crowd: Crowd) -> None:
    await task(crowd)


@each_part
async def test_an_accepted_login_is_never_lost_and_mailed_once(
    house: Breakable, client: Client, part: str
) -> None:
    """Each 202 becomes exactly one mail; who was not told 202 gets one or none, and never two."""
    people = [f"ask-{part}-{n}@example.com" for n in range(CROWD)]

    def ask(person: str) -> Task:
        async def task(crowd: Crowd) -> None:
            status, _ = await client.post("/auth/login", {"email": person})
            crowd.note(person, status)

        return task

    async with killed_in_the_middle(house, part, [ask(person) for person in people]) as crowd:
        for person in crowd.who_got(202):
            await house.mail(person)
        await house.mail_is_settled()

    assert crowd.who_got(202) <= {p for p in people if house.mails(p)}
    assert not [p for p in people if _differ(house.mails(p), allowed=part == "mailer")]


def _differ(mails: list[Received], *, allowed: bool) -> bool:
    """More than one mail; where *allowed* (the dot of RFC 1047), more than one text."""
    return len({mail.content for mail in mails} if allowed else mails) > 1


@each_part
async def test_no_link_opens_two_sessions(house: Breakable, client: Client, part: str) -> None:
    """Two clicks on each link around the kill and one after it: at most one of the three gets in."""
    people = [f"click-{part}-{n}@example.com" for n in range(CROWD)]
    links = {person: await house.link(client, person) for person in people}
    sessions: dict[str, list[dict[str, Any]]] = {person: [] for person in people}

    async def click(person: str, crowd: Crowd) -> bool:
        status, answer = await client.post("/auth/link", {"token": links[person]})
        crowd.note(person, status)
        if status == 200:
            sessions[person].append(answer)
        return bool(status < 500)

    def clicks(person: str) -> Task:
        return lambda crowd: click(person, crowd)

    work = [clicks(person) for person in people for _ in range(2)]
    async with killed_in_the_middle(house, part, work) as crowd:
        for person in people:
            await eventually(partial(click, person, crowd), within=HEALED)

    assert [p for p, opened in sessions.items() if len(opened) > 1] == []
    for opened in filter(None, sessions.values()):
        seen = await eventually(partial(_sessions, client, opened[0]["access_token"]))
        assert len(seen) == 1
    # Auth alone speaks to Redis: with both alive no click can have been half done.
    if part not in {"auth", "redis"}:
        assert all(sessions.values()), crowd.answers


@each_part
async def test_nobody_is_logged_out_by_a_refresh_in_flight(
    house: Breakable, client: Client, part: str
) -> None:
    """An answer that was lost is asked for again with the same token, and no session ends."""
    people = [f"renew-{part}-{n}@example.com" for n in range(CROWD)]
    tokens = {p: (await house.log_in(client, p))["refresh_token"] for p in people}

    async def renew(person: str, crowd: Crowd) -> bool:
        body = {"refresh_token": tokens[person]}
        status, answer = await client.post("/auth/refresh", body)
        crowd.note(person, status)
        assert status != 401, answer
        if status == 200:
            tokens[person] = answer["refresh_token"]
        return bool(status == 200)

    def three_times(person: str) -> Task:
        async def task(crowd: Crowd) -> None:
            for _ in range(3):
                await eventually(partial(renew, person, crowd), within=HEALED)

        return task

    async with killed_in_the_middle(house, part, [three_times(p) for p in people]) as crowd:
        for person in people:
            await eventually(partial(renew, person, crowd), within=HEALED)


@pytest.mark.parametrize("part", ["auth", "redis"])
async def test_a_renewal_whose_answer_was_lost_with_its_part_is_repeated(
    house: Breakable, client: Client, part: str
) -> None:
    """The session has moved on and nobody was told: the same token gets the same successor."""
    tokens = await house.log_in(client, f"unanswered-{part}@example.com")
    sid = jwt.decode(tokens["access_token"], options={"verify_signature": False})["sid"]
    body = {"refresh_token": tokens["refresh_token"]}

    _, unheard = await client.post("/auth/refresh", body)
    async with connect_redis(house.lab.plan.redis_url) as redis:
        assert await redis.hget(f"lw:session:{sid}", "counter") == b"2"  # type: ignore[misc]
    await house.restart(part)
    await house.whole()

    async def told() -> tuple[int, Any] | None:
        status, answer = await client.post("/auth/refresh", body)
        return (
            (status, answer) if status != 503 else None
        )  # who vouches for Redis looks again first

    status, answer = await eventually(told) or (0, {})
    assert (status, answer.get("refresh_token")) == (200, unheard["refresh_token"]), answer
    status, _ = await client.post("/auth/refresh", {"refresh_token": answer["refresh_token"]})
    assert status == 200


@each_part
async def test_open_sessions_are_checked_correctly_throughout(
    house: Breakable, client: Client, part: str
) -> None:
    """Before, during and after: the revoked token never, the good one whenever anything answers."""
    revoked = (await house.log_in(client, f"out-{part}@example.com"))["access_token"]
    assert (await client.post("/auth/logout", token=revoked))[0] == 204
    await eventually(lambda: _is(client, revoked, 401))
    good = (await house.log_in(client, f"in-{part}@example.com"))["access_token"]

    async with watching(client, good) as welcome, watching(client, revoked) as refused:
        await eventually(lambda: welcome.looks and refused.looks)
        await house.restart(part)
        await house.whole()

    assert 200 not in refused.statuses
    assert not welcome.statuses & {401, 403}, "somebody was logged out"
    if part not in {"edge", "revocation", "nats"}:
        assert [seen for seen in welcome.looks if seen.status != 200] == []
    await eventually(lambda: _is(client, good, 200), within=HEALED)
    assert (await look(client, revoked)).reason == "token_revoked"


@each_part
async def test_an_acknowledged_logout_holds(house: Breakable, client: Client, part: str) -> None:
    """Killed right after the 204: not accepted after `max_staleness`, and refused in the end, renewals too."""
    tokens = await house.log_in(client, f"leave-{part}@example.com")
    access = tokens["access_token"]
    assert await _is(client, access, 200)

    async with watching(client, access) as watch:
        status, _ = await client.post("/auth/logout", token=access)
        acknowledged = time.monotonic()
        await house.restart(part)
        await house.whole()
        await eventually(lambda: watch.looks[-1].reason == "token_revoked", within=HEALED)

    assert status == 204
    assert watch.accepted_since(acknowledged + MAX_STALENESS) == []

    async def renewal() -> int:
        status, _ = await client.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]})
        return status if status != 503 else 0

    assert await eventually(renewal, within=HEALED) == 401


async def test_a_logout_that_reached_a_worker_which_died_before_applying_it_holds(
    house: Breakable, client: Client
) -> None:
    """The event is in the dead worker's hands: edges count it as missing until the next worker has it."""
    access = (await house.log_in(client, "orphan@example.com"))["access_token"]
    async with watching(client, access) as watch:
        house.lab.signal("revocation", signal.SIGSTOP)  # it still is handed what it asked for
        status, _ = await client.post("/auth/logout", token=access)
        acknowledged = time.monotonic()
        await eventually(lambda: _is_delivered(house))
        await house.restart("revocation")
        await house.whole()
        await eventually(lambda: watch.looks[-1].reason == "token_revoked", within=HEALED)

    assert status == 204
    assert watch.accepted_since(acknowledged + MAX_STALENESS) == []


@pytest.mark.parametrize("part", ["mailer", "redis", "nats", "auth"])
async def test_killed_while_a_mail_is_being_sent_it_is_sent_once(
    house: Breakable, client: Client, part: str
) -> None:
    """The mail server hesitates after RCPT: whoever dies now, one mail is sent and its link works."""
    person = f"sending-{part}@example.com"
    gate = asyncio.Event()
    house.smtp.once("RCPT", Answer(gate=gate), match=person)
    assert (await client.post("/auth/login", {"email": person}))[0] == 202
    await eventually(lambda: not any(rule.times for rule in house.smtp.rules))

    await house.lab.kill9(part)
    gate.set()
    await house.lab.start(part)

    await house.whole()
    await house.mail(person)
    await house.mail_is_settled()
    assert len(house.mails(person)) == 1
    assert (await house.log_in(client, person))["access_token"]


async def _sessions(client: Client, token: str) -> list[dict[str, Any]]:
    """The sessions of whoever holds *token*; none while auth says "not now"."""
    status, seen = await client.get("/auth/sessions", token)
    assert status in {200, 503}, seen
    return list(seen["sessions"]) if status == 200 else []


async def _is(client: Client, token: str, status: int) -> bool:
    return (await look(client, token)).status == status


async def _is_delivered(house: Breakable) -> bool:
    """The server has handed the event to the stopped worker."""
    async with house.bus("operator") as bus:
        return bool((await bus.state.consumer(REVOCATION))["num_ack_pending"])
