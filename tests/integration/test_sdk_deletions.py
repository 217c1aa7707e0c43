"""`latchwire.deletions` against a real server with its two accounts: auth asks, a guest answers."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import nats.errors
import pytest
from nats.aio.client import Client

from latchwire.connect import connect
from latchwire.deletions import FACTS, Erasure, Outcome, UserFact, hear_users, serve_deletions
from shared.bus import Bus, NoAnswerError
from shared.clock import SystemClock
from shared.contract import (
    USER_DELETED,
    USER_ERASE,
    USER_PASSWORD_CHANGED,
    USER_REGISTERED,
    USER_ROLES_CHANGED,
    USER_VERIFIED,
)
from shared.ids import SystemIds
from shared.messages import (
    EraseAnswer,
    EraseUser,
    UserDeleted,
    UserPasswordChanged,
    UserRegistered,
    UserRolesChanged,
    UserVerified,
)
from tests.conftest import BusFactory
from tests.support.servers import NatsServer
from tests.support.waiting import eventually

NOW = SystemClock().now_ms()
IDS = SystemIds()
SHOP = "service-shop"
ADA = "ada@acme.com"


@pytest.fixture
async def auth(bus_of: BusFactory) -> Bus:
    """Who asks."""
    return await bus_of("auth")


@pytest.fixture
async def shop(nats_server: NatsServer) -> AsyncIterator[Client]:
    """The connection of a service."""
    async with connect(nats_server.url, name=SHOP, nkey_seed=nats_server.seed(SHOP)) as client:
        yield client


def question(deletion_id: str = "") -> EraseUser:
    return EraseUser(
        deletion_id=deletion_id or IDS.ulid(NOW), sub="ada", email=ADA, requested_at=NOW, deadline=NOW + 1
    )  # fmt: skip


async def ask(auth: Bus, request: EraseUser, name: str = "shop") -> EraseAnswer:
    return await auth.ask(USER_ERASE.of(name), request, timeout=60.0)


async def done(_erasure: Erasure) -> Outcome:
    return "done"


async def test_a_service_erases_and_says_so(auth: Bus, shop: Client) -> None:
    """It is told whom; asked again, it erases again; when it has left, nobody answers."""
    asked: list[Erasure] = []

    async def erase(erasure: Erasure) -> Outcome:
        asked.append(erasure)
        return "done" if len(asked) > 1 else "later"

    request = question()
    async with serve_deletions(shop, "shop", erase):
        states = [(await ask(auth, request)).state for _ in range(3)]

    assert states == ["later", "done", "done"]
    assert asked == [Erasure(request.deletion_id, "ada", ADA, NOW, NOW + 1)] * 3
    assert ADA not in repr(asked)
    with pytest.raises(NoAnswerError):
        await ask(auth, request)


async def test_a_slow_erasure_goes_on_while_auth_hears_later(auth: Bus, shop: Client) -> None:
    """Begun once, however often it is asked about; its end is what the next question hears."""
    begun, go = 0, asyncio.Event()

    async def erase(_erasure: Erasure) -> Outcome:
        nonlocal begun
        begun += 1
        await go.wait()
        return "done"

    request = question()
    async with serve_deletions(shop, "shop", erase, answer_within=0.05):
        first = [await ask(auth, request) for _ in range(3)]
        go.set()
        last = await ask(auth, request)

    assert {(answer.state, answer.note) for answer in first} == {("later", "at work")}
    assert (last.state, begun) == ("done", 1)


async def test_one_that_fails_says_what_kind_of_error_and_nothing_of_the_person(
    auth: Bus, shop: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer goes over the bus and rests in the ledger; the traceback stays with the service."""

    async def erase(erasure: Erasure) -> Outcome:
        raise LookupError(erasure.email)

    async def mistyped(_erasure: Erasure) -> Outcome:
        return "fertig"  # type: ignore[return-value]

    with caplog.at_level(logging.ERROR, "latchwire.deletions"):
        async with serve_deletions(shop, "shop", erase):
            failed = await ask(auth, question())
    async with serve_deletions(shop, "shop", mistyped):
        wrong = await ask(auth, question())

    assert (failed.state, failed.note) == ("failed", "LookupError")
    assert (wrong.state, wrong.note) == ("failed", "TypeError")
    ours = [record for record in caplog.records if record.name == "latchwire.deletions"]
    assert [record.exc_info is not None for record in ours] == [True] * 2


BODIES = (
    b"",
    b"[]",
    b"{",
    b'{"sub": "ada"}',
    b'{"deletion_id": 1, "sub": "a", "email": "e"}',
    b"\xff",
)


async def test_what_is_no_question_is_not_answered_and_harms_nothing(
    auth: Bus, shop: Client
) -> None:
    """The next one is."""
    async with serve_deletions(shop, "shop", done):
        for body in BODIES:
            with pytest.raises(nats.errors.TimeoutError):
                await auth.client.request("user.erase.shop", body, timeout=0.05)
        assert (await ask(auth, question())).state == "done"


async def test_too_many_at_once_are_put_off(auth: Bus, shop: Client) -> None:
    """Sixteen are at work, the others are asked again; leaving ends those at work."""
    ended: list[str] = []

    async def erase(erasure: Erasure) -> Outcome:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(erasure.deletion_id)
        return "done"

    async with serve_deletions(shop, "shop", erase, answer_within=0.2), asyncio.TaskGroup() as many:
        asking = [many.create_task(ask(auth, question())) for _ in range(20)]

    notes = [task.result().note for task in asking]
    assert sorted(notes) == ["at work"] * 16 + ["busy"] * 4
    assert len(ended) == 16


async def test_of_several_processes_of_a_service_one_is_asked(
    auth: Bus, nats_server: NatsServer
) -> None:
    """Each question goes to one of three."""
    asked: list[int] = []

    def process(number: int) -> None:
        async def erase(_erasure: Erasure) -> Outcome:
            asked.append(number)
            return "done"

        erasers.append(erase)

    erasers: list[object] = []
    async with AsyncExitStack() as stack:
        for number in range(3):
            process(number)
            connection = connect(nats_server.url, name=SHOP, nkey_seed=nats_server.seed(SHOP))
            client = await stack.enter_async_context(connection)
            await stack.enter_async_context(serve_deletions(client, "shop", erasers[number]))  # type: ignore[arg-type]
        for _ in range(100):  # the server chooses by chance
            await ask(auth, question())

    assert len(asked) == 100
    assert set(asked) == {0, 1, 2}


async def test_a_service_cannot_answer_for_another(auth: Bus, shop: Client) -> None:
    """Its credential hears its own name and no other, and no wildcard."""
    heard: list[str] = []

    async def listening(message: object) -> None:
        heard.append(str(message))

    for subject in ("user.erase.billing", "user.erase.*", "user.erase.>", "user.>", "user.*"):
        await shop.subscribe(subject, cb=listening)  # type: ignore[arg-type]
    await shop.flush()
    async with serve_deletions(shop, "shop", done):
        with pytest.raises(NoAnswerError):
            await ask(auth, question(), "billing")
        await auth.publish(USER_DELETED, UserDeleted(id=IDS.ulid(NOW), at=NOW, sub="ada"))
        assert (await ask(auth, question())).state == "done"
    assert heard == []


async def test_what_becomes_of_accounts_is_heard(auth: Bus, shop: Client) -> None:
    """Every fact with what it says; one whose handling fails does not hold up the next."""
    heard: list[UserFact] = []

    async def hear(fact: UserFact) -> None:
        heard.append(fact)
        if fact.fact == "registered":
            raise LookupError

    new, ids = IDS.ulid(NOW), [IDS.ulid(NOW) for _ in FACTS]
    async with hear_users(shop, hear):
        await auth.publish(
            USER_REGISTERED, UserRegistered(id=ids[0], at=NOW, sub=new, previous_sub=ADA)
        )
        await auth.publish(USER_VERIFIED, UserVerified(id=ids[1], at=NOW, sub=new))
        await auth.publish(USER_PASSWORD_CHANGED, UserPasswordChanged(id=ids[2], at=NOW, sub=new))
        changed = UserRolesChanged(id=ids[3], at=NOW, sub=new, org="acme")
        await auth.publish(USER_ROLES_CHANGED, changed)
        await auth.publish(USER_DELETED, UserDeleted(id=ids[4], at=NOW, sub=new))
        await eventually(lambda: len(heard) == len(FACTS))
    await auth.publish(USER_VERIFIED, UserVerified(id=IDS.ulid(NOW), at=NOW, sub=new))

    told = {fact.id: fact for fact in heard}
    assert [told[one].fact for one in ids] == list(FACTS)
    assert told[ids[0]] == UserFact("registered", new, ids[0], NOW, previous_sub=ADA)
    assert told[ids[3]] == UserFact("roles_changed", new, ids[3], NOW, org="acme")
    assert len(heard) == len(FACTS), "after the block nothing is told"
