"""A BLOCKLIST that holds less than it must is noticed, and one that merely forgets what has lapsed is not."""

from collections.abc import Sequence

import pytest

from latchwire.records import record_key
from services.revocation.flows.wholeness import (
    CATCH_UP_SECONDS,
    LOOK_AGAIN_SECONDS,
    SAMPLE,
    SOON_MS,
    BlocklistDoubtedError,
    BlocklistLostError,
    Wholeness,
)
from shared.bus import Position
from shared.bus.state import StoredMessage
from shared.contract import TOKEN_REVOKED, Durable
from shared.messages import TokenRevoked
from tests.support.fakes.clock import FakeClock

KEY = b"test" * 8


class Past:
    """Acknowledged events, newest first, the keys that BLOCKLIST holds, and the connection to both."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.events: list[StoredMessage] = []
        self.held: set[str] = set()
        self.asked = 0
        self.reconnections = 0
        self.times: dict[int, str] = {}  # of BLOCKLIST's messages, by sequence

    def say(self, event: TokenRevoked, *, held: bool = True) -> None:
        """*event* was acknowledged, and is in BLOCKLIST or not."""
        body = TOKEN_REVOKED.encode(event)
        self.events.insert(0, StoredMessage(body, self.clock.now_ms()))
        if held:
            self.held.add(record_key(KEY, event.scope, event.target))

    async def acknowledged(self, durable: Durable, most: int) -> list[StoredMessage]:
        self.asked += 1
        return self.events[:most]

    async def get_each(self, keys: Sequence[str]) -> list[tuple[bytes, int] | None]:
        return [(b"", 1) if key in self.held else None for key in keys]

    async def stored_at(self, seq: int) -> str | None:
        return self.times.get(seq)


@pytest.fixture
def clock() -> FakeClock:
    """A clock at rest."""
    return FakeClock()


@pytest.fixture
def past(clock: FakeClock) -> Past:
    """Thirty sessions, all there."""
    past = Past(clock)
    for number in range(30):
        past.say(TokenRevoked(scope="session", sid=f"s{number}"))
    return past


@pytest.fixture
def wholeness(past: Past, clock: FakeClock) -> Wholeness:
    """Has seen nothing yet."""
    return Wholeness(past, past, clock, KEY)


async def test_a_whole_list_is_looked_up_once(wholeness: Wholeness, past: Past) -> None:
    """And not again while it only grows."""
    for last in (30, 31, 40):
        await wholeness.check(Position("e", 1, last, last))

    assert past.asked == 1
    assert wholeness.trouble() is None


async def doubted(wholeness: Wholeness, clock: FakeClock, position: Position) -> None:
    """The first look at one that lacks something, and the pause after it."""
    for _ in range(2):
        with pytest.raises(BlocklistDoubtedError):
            await wholeness.check(position)
    assert wholeness.trouble() is None
    clock.advance(int(LOOK_AGAIN_SECONDS * 1000))


async def lost(wholeness: Wholeness, clock: FakeClock, position: Position) -> None:
    """Doubted, and lost at the second look."""
    await doubted(wholeness, clock, position)
    with pytest.raises(BlocklistLostError):
        await wholeness.check(position)


@pytest.mark.parametrize(
    "position",
    [Position("e", 31, 30, 0), Position("e", 31, 33, 3), Position("e", 1, 10, 10)],
    ids=["purged", "purged and used", "restored"],
)
async def test_one_that_lost_records_proves_nothing_any_more(
    wholeness: Wholeness, past: Past, clock: FakeClock, position: Position
) -> None:
    """Also when it has grown again since: what was lost is still missing."""
    await wholeness.check(Position("e", 1, 30, 30))
    past.held.clear()
    await doubted(wholeness, clock, position)
    clock.advance(int(CATCH_UP_SECONDS * 1000))

    for now in (position, Position("e", 31, 500, 470)):
        with pytest.raises(BlocklistLostError, match="streams apply --restored"):
            await wholeness.check(now)

    assert wholeness.trouble()


async def test_a_bad_moment_is_no_loss(wholeness: Wholeness, past: Past, clock: FakeClock) -> None:
    """A second later it is all there: no proof in between, and no operator is called."""
    held = set(past.held)
    past.held.clear()
    await doubted(wholeness, clock, Position("e", 1, 30, 30))
    past.held |= held

    await wholeness.check(Position("e", 1, 30, 30))

    assert wholeness.trouble() is None
    past.held.clear()
    await doubted(wholeness, clock, Position("e", 1, 30, 29))


async def test_one_put_back_while_nobody_was_connected_is_looked_up(
    wholeness: Wholeness, past: Past, clock: FakeClock
) -> None:
    """From a copy that is no older than what this worker saw last, or when it has grown again since."""
    await wholeness.check(Position("e", 1, 10, 10))
    past.held.clear()
    past.reconnections += 1

    await lost(wholeness, clock, Position("e", 1, 30, 30))


async def test_a_new_connection_is_looked_over_once(wholeness: Wholeness, past: Past) -> None:
    """What is whole then is not looked up with each proof."""
    for reconnections in (0, 0, 1, 1):
        past.reconnections = reconnections
        await wholeness.check(Position("e", 1, 30, 30))

    assert past.asked == 2


async def test_one_that_is_back_after_it_did_not_answer_is_looked_up(
    wholeness: Wholeness, past: Past, clock: FakeClock
) -> None:
    """It may have been taken away and put back from a copy, over the same connection."""
    await wholeness.check(Position("e", 1, 30, 30))
    past.held.clear()
    wholeness.unseen()

    await doubted(wholeness, clock, Position("e", 1, 30, 30))


async def test_one_that_ends_earlier_has_lost_records_that_nobody_looks_up(
    wholeness: Wholeness, clock: FakeClock
) -> None:
    """What services revoked: no proof at once, and lost when no leader was only behind for a moment."""
    await wholeness.check(Position("e", 1, 35, 35))
    earlier = Position("e", 1, 30, 30)
    await doubted(wholeness, clock, earlier)
    with pytest.raises(BlocklistDoubtedError):
        await wholeness.check(earlier)
    clock.advance(int(CATCH_UP_SECONDS * 1000))

    with pytest.raises(BlocklistLostError):
        await wholeness.check(earlier)
    with pytest.raises(BlocklistLostError):
        await wholeness.check(Position("e", 1, 40, 40))


@pytest.mark.parametrize("doubted_first", [True, False])
async def test_one_that_ended_earlier_and_has_grown_since_is_another(
    wholeness: Wholeness, past: Past, clock: FakeClock, doubted_first: bool
) -> None:
    """Where this worker saw the end, something else is stored now."""
    past.times[35] = "then"
    await wholeness.check(Position("e", 1, 35, 35, last_ts="then"))
    if doubted_first:
        await doubted(wholeness, clock, Position("e", 1, 30, 30))
    else:
        wholeness.unseen()
    past.times[35] = "later"
    grown = Position("e", 1, 36, 36, last_ts="just now")
    if not doubted_first:
        await doubted(wholeness, clock, grown)

    with pytest.raises(BlocklistLostError):
        await wholeness.check(grown)


async def test_the_end_that_was_seen_may_lapse_or_be_replaced(
    wholeness: Wholeness, past: Past
) -> None:
    """That says nothing; that it is still what it was says that nothing was put back."""
    await wholeness.check(Position("e", 1, 35, 35, last_ts="then"))
    for times in ({}, {35: "then"}):
        past.times = times
        wholeness.unseen()

        await wholeness.check(Position("e", 1, 36, 36, last_ts="later"))

        assert wholeness.trouble() is None


async def test_a_doubt_ends_with_its_epoch_and_with_a_question_that_nobody_answered(
    wholeness: Wholeness, past: Past, clock: FakeClock
) -> None:
    """A bad moment of each is not two of one."""
    past.held.clear()
    for epoch in ("e", "f"):
        await doubted(wholeness, clock, Position(epoch, 1, 30, 30))
    wholeness.unseen()
    await lost(wholeness, clock, Position("f", 1, 30, 30))


async def test_a_leader_that_was_behind_for_a_moment_has_lost_nothing(
    wholeness: Wholeness, clock: FakeClock
) -> None:
    """It was elected just now, and reads what the others have."""
    await wholeness.check(Position("e", 1, 35, 35))
    await doubted(wholeness, clock, Position("e", 1, 34, 34))

    await wholeness.check(Position("e", 1, 35, 35))

    assert wholeness.trouble() is None


async def test_what_lacked_something_is_looked_up_again_though_it_has_grown(
    wholeness: Wholeness, past: Past, clock: FakeClock
) -> None:
    """By the second look it holds more than ever, and not what it lacked."""
    await wholeness.check(Position("e", 1, 30, 30))
    past.held.clear()
    await doubted(wholeness, clock, Position("e", 1, 20, 20))

    with pytest.raises(BlocklistLostError):
        await wholeness.check(Position("e", 1, 60, 60))


async def test_two_bad_moments_with_a_new_connection_between_them_are_no_loss(
    wholeness: Wholeness, past: Past, clock: FakeClock
) -> None:
    """Each is the first of its kind."""
    held = set(past.held)
    past.held.clear()
    for reconnections in (1, 2, 3):
        past.reconnections = reconnections
        await doubted(wholeness, clock, Position("e", 1, 30, 30))

    past.held |= held
    await wholeness.check(Position("e", 1, 30, 30))
    assert wholeness.trouble() is None


async def test_what_lapses_while_others_are_written_is_no_loss(
    wholeness: Wholeness, past: Past
) -> None:
    """On a busy list, that is all the time: it is not looked up each time."""
    for last, messages in ((30, 30), (31, 29), (33, 25)):
        await wholeness.check(Position("e", 1, last, messages))

    assert past.asked == 1


async def test_another_epoch_begins_anew(
    wholeness: Wholeness, past: Past, clock: FakeClock
) -> None:
    """The operator has had TOKEN replayed: what is acknowledged again is there again."""
    past.held.clear()
    await lost(wholeness, clock, Position("e", 1, 30, 30))
    past.events.clear()

    await wholeness.check(Position("f", 1, 30, 30))

    assert wholeness.trouble() is None


async def test_a_new_process_finds_it_too(
    wholeness: Wholeness, past: Past, clock: FakeClock
) -> None:
    """It has seen nothing before, and looks before its first proof."""
    past.held.remove(record_key(KEY, "session", f"s{30 - SAMPLE}"))
    await lost(wholeness, clock, Position("e", 1, 30, 29))


async def test_what_need_not_be_there_is_not_missed(
    wholeness: Wholeness, past: Past, clock: FakeClock
) -> None:
    """Lapsed or about to, nobody's, unreadable: none of these has a record, or for long."""
    past.say(TokenRevoked(scope="subject", sub="Ada <ada@example.com>"), held=False)
    soon = clock.now_ms() + SOON_MS - 10_000
    past.say(TokenRevoked(scope="session", sid="soon", affected_until=soon), held=False)
    past.events.insert(0, StoredMessage(b"{", clock.now_ms()))

    await wholeness.check(Position("e", 1, 30, 30))
    await wholeness.check(Position("e", 1, 30, 29))

    assert past.asked == 2
