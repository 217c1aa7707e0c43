"""A deletion whose every step fails once, before it did anything or after: finished, and nothing is doubled."""

from pathlib import Path
from typing import Any

import pytest

from services.auth.adapters.sql_deletions import SQLDeletions
from services.auth.domain.deletion import OWN, Deletion
from services.auth.flows.deletion import DeletionFlow
from services.auth.flows.erasing import Eraser
from services.auth.ports import StoreUnavailableError
from services.auth.ports.accounts import AccountsUnavailableError
from shared.contract import LOGIN_REQUESTED, TOKEN_REVOKED, USER_DELETED
from shared.messages import EraseAnswer
from tests.support.accounts_world import ADA, AWAY, FIREFOX, World, open_world
from tests.support.fakes.auth_memory import FakeErasers, FakeMemory

DAY = 86_400_000


class Deleting:
    """The flow and the task of one process, on a world whose ports can fail."""

    def __init__(self, world: World, services: tuple[str, ...] = ("shop",)) -> None:
        self.world = world
        self.erasers = FakeErasers()
        self.ledger = SQLDeletions(world.database, world.keys.index)
        counted: Any = world._counted
        ledger = counted(self.ledger, AccountsUnavailableError)
        self.flow = DeletionFlow(
            deletions=ledger,
            subjects=world.subjects,
            relay=world.relay,
            keys=world.keys,
            clock=world.clock,
            ids=world.ids,
            services=services,
            deadline_ms=7 * DAY,
        )
        memory = counted(FakeMemory(world.store), StoreUnavailableError)
        self.eraser = Eraser(ledger, self.erasers, memory, world.clock)

    async def finish(self) -> None:
        """As another process does it, in the course of a day."""
        await self.world.settle()
        for _ in range(5):
            await self.eraser.look()
            self.world.clock.advance(600_000)


@pytest.mark.parametrize(("late", "again"), [(False, False), (True, True)])
async def test_each_step_may_fail_once(late: bool, again: bool, tmp_path: Path) -> None:
    """Asked *again* by the person or not: sessions are over, the services erase, each word is said once."""
    at, failed = 0, list[str]()
    while True:
        at += 1
        directory = tmp_path / str(at)
        directory.mkdir()
        async with open_world(directory) as world:
            account = await world.person()
            deleting = Deleting(world)
            world.clock.advance(1)
            world.faults.arm(at, late=late)
            try:
                await deleting.flow.delete(account.sub, ADA, FIREFOX)
                await deleting.eraser.look()
            except AWAY:
                failed.append(world.faults.failed)
                gone = await world.accounts.by_sub(account.sub) is None
                if again or not gone:
                    world.faults.arm(0)
                    await deleting.flow.delete(account.sub, ADA, FIREFOX)
            else:
                failed.append(world.faults.failed)
            await deleting.finish()
            await check(world, deleting, account.sub)
        if not failed[-1]:
            break
    assert len(failed) >= 14, failed
    steps = {"SQLDeletions.delete", "SQLDeletions.claim", "SQLDeletions.done", "FakeMemory.forget"}
    assert steps <= set(failed)


async def check(world: World, deleting: Deleting, sub: str) -> None:
    """What holds of a finished deletion."""
    (row,) = await deleting.ledger.page(every=True, after="", limit=9)
    assert row.deletion.completed_at_ms is not None, world.faults.failed
    assert (row.deletion.sub, row.deletion.email) == (sub, "")
    assert await world.accounts.by_email(ADA) is None
    assert world.living(sub) == []
    assert len(world.said(USER_DELETED)) == 1
    goodbyes = [mail for mail in world.said(LOGIN_REQUESTED) if mail.notice == "account_deleted"]
    assert len(goodbyes) == 1
    assert any(event.sub == sub for event in world.said(TOKEN_REVOKED))
    assert {service for service, _ in deleting.erasers.asked} == {"shop"}
    assert [attempt for attempt in world.store.attempts.values() if attempt.email == ADA] == []
    assert ADA not in world.store.browsers or world.store.browsers[ADA] == {}


ANSWERS: dict[str, tuple[EraseAnswer | None, str]] = {
    "nobody there": (None, "no answer"),
    "at work": (EraseAnswer(state="later", note="at work"), "later: at work"),
    "later": (EraseAnswer(state="later"), "later"),
    "it failed": (EraseAnswer(state="failed", note="LookupError"), "failed: LookupError"),
    "it failed at length": (
        EraseAnswer(state="failed", note="x" * 255),
        ("failed: " + "x" * 255)[:255],
    ),
    "it failed with what a terminal would obey": (
        EraseAnswer(state="failed", note="a\x9b2J\u202eb"),
        "failed: a\ufffd2J\ufffdb",
    ),
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_what_is_not_done_is_noted_and_asked_again(answer: str, tmp_path: Path) -> None:
    """Not before its pause; then it is done, and the address goes."""
    said, noted = ANSWERS[answer]
    async with open_world(tmp_path) as world:
        account = await world.person()
        deleting = Deleting(world)
        deleting.erasers.says = [said]
        world.clock.advance(1)
        deletion = await deleting.flow.delete(account.sub, ADA, FIREFOX)
        assert isinstance(deletion, Deletion)

        for _ in range(3):
            await deleting.eraser.look()
        (waiting,) = await deleting.ledger.page(every=False, after="", limit=9)
        world.clock.advance(10_000)
        await deleting.eraser.look()

        assert {one.service: one.note for one in waiting.answers} == {OWN: "", "shop": noted}
        assert waiting.deletion.email == ADA, "the service may need it"
        assert await deleting.ledger.page(every=False, after="", limit=9) == []
        assert [request.email for _, request in deleting.erasers.asked] == [ADA, ADA]


async def test_who_is_late_stays_and_is_shown(tmp_path: Path) -> None:
    """After the deadline it is asked as before, and whoever looks at auth sees it."""
    async with open_world(tmp_path) as world:
        account = await world.person()
        deleting = Deleting(world)
        deleting.erasers.says = [None] * 100
        world.clock.advance(1)
        await deleting.flow.delete(account.sub, ADA, FIREFOX)
        await deleting.eraser.look()
        assert deleting.eraser.remark() is None

        world.clock.advance(7 * DAY + 1)
        await deleting.eraser.look()
        assert deleting.eraser.remark() == "1 over the deadline: see `latchwire deletions list`"

        deleting.erasers.says = []
        world.clock.advance(601_000)
        await deleting.eraser.look()
        await deleting.eraser.look()
        assert deleting.eraser.remark() is None


async def test_without_services_auth_alone_has_to_forget(tmp_path: Path) -> None:
    """Complete with its own answer."""
    async with open_world(tmp_path) as world:
        account = await world.person()
        deleting = Deleting(world, services=())
        world.clock.advance(1)
        await deleting.flow.delete(account.sub, ADA, FIREFOX)
        await deleting.eraser.look()

        (row,) = await deleting.ledger.page(every=True, after="", limit=9)
        assert [one.service for one in row.answers] == [OWN]
        assert row.deletion.completed_at_ms is not None
