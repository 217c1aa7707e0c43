"""What password logins rely on: the same suite on the fake and on a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import pytest

from services.auth.adapters.redis_scripts import Scripts
from services.auth.adapters.redis_tries import RedisTries
from services.auth.domain.client import Client
from services.auth.domain.limits import Rate
from services.auth.domain.tries import TryAllowed, TryLimits
from services.auth.ports import NetworkLimited, StoreUnsettledError
from services.auth.ports.tries import Tries
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.redis import connect_redis
from tests.support.fakes.auth_store import FakeAuthStore
from tests.support.fakes.auth_tries import FakeTries
from tests.support.servers import RedisServer
from tests.support.trust import vouch_for, withdraw

ADA = "ada@acme.com"
HERE = Client("203.0.113.0/24", "Firefox")
MANY = Rate(1000, 60_000)
HOUR = 3_600_000


@dataclass
class Counting:
    make: Callable[[TryLimits], Tries]
    know: Callable[[str, str], Awaitable[None]]  # an address signed in with this browser once
    doubt: Callable[[], Awaitable[None]]

    def tries(self, address: Rate = MANY, network: Rate = MANY) -> Tries:
        return self.make(TryLimits(address, network))


@pytest.fixture(params=["fake", "redis"])
async def counting(request: pytest.FixtureRequest) -> AsyncIterator[Counting]:
    """Both implementations."""
    clock, ids = SystemClock(), SystemIds()
    if request.param == "fake":
        store = FakeAuthStore(clock)

        async def know(email: str, browser: str) -> None:
            store.browsers[email][browser] = clock.now_ms()

        async def doubt() -> None:
            store.settled = False

        yield Counting(lambda limits: FakeTries(store, limits), know, doubt)
        return
    server = request.getfixturevalue("redis_server")
    async with connect_redis(server.url) as redis:
        await vouch_for(redis)
        scripts = Scripts(redis, b"i" * 32, clock)

        async def know_in_redis(email: str, browser: str) -> None:
            key = scripts.subject(email, "browsers")
            await redis.zadd(key, {scripts.browser(browser): clock.now_ms()})

        yield Counting(
            lambda limits: RedisTries(scripts, limits, clock, ids),
            know_in_redis,
            partial(withdraw, redis),
        )


async def begin(tries: Tries, browser: str = "", email: str = ADA) -> TryAllowed:
    allowed = await tries.begin(email, browser, HERE)
    assert isinstance(allowed, TryAllowed)
    return allowed


async def test_the_longer_somebody_guesses_the_longer_each_guess_takes(counting: Counting) -> None:
    """Five for nothing, then a second more for every five, ten at most."""
    tries = counting.tries()

    delays = [(await begin(tries)).delay_ms for _ in range(60)]

    assert [1000 * min(10, number // 5) for number in range(60)] == delays


async def test_guesses_made_at_once_do_not_share_a_place(counting: Counting) -> None:
    """Fifty in parallel wait and are muted as fifty in turn."""
    tries = counting.tries(address=Rate(20, HOUR))
    async with asyncio.TaskGroup() as group:
        begun = [group.create_task(begin(tries)) for _ in range(50)]

    results = [task.result() for task in begun]
    assert sum(result.muted for result in results) == 30
    assert [0] * 5 == sorted(result.delay_ms for result in results)[:5]
    assert 1000 == sorted(result.delay_ms for result in results)[5]


async def test_after_too_many_wrong_passwords_a_right_one_is_answered_as_wrong(
    counting: Counting,
) -> None:
    """Muted, and not counted: whoever goes on and on does not keep the person out for longer."""
    tries = counting.tries(address=Rate(3, HOUR))

    muted = [(await begin(tries)).muted for _ in range(6)]
    first = (await begin(counting.tries(address=Rate(4, HOUR)))).muted

    assert [False] * 3 + [True] * 3 == muted
    assert not first


async def test_a_window_that_has_passed_makes_room_again(counting: Counting) -> None:
    """No lock-out."""
    tries = counting.tries(address=Rate(1, 40))
    assert not (await begin(tries)).muted

    async with asyncio.timeout(5):
        while (await begin(tries)).muted:
            pass


async def test_strangers_cannot_slow_down_or_mute_a_browser_the_person_knows(
    counting: Counting,
) -> None:
    """It has a budget and a tarpit of its own; one it does not know has not, whatever it calls itself."""
    await counting.know(ADA, "mine")
    tries = counting.tries(address=Rate(6, HOUR))
    for number in range(8):
        await begin(tries, f"stranger {number}")

    own = [await begin(tries, "mine") for _ in range(8)]
    other = await begin(tries, "hers", "bob@acme.com")

    assert [False] * 6 + [True] * 2 == [allowed.muted for allowed in own]
    assert [0] * 5 + [1000] * 3 == [allowed.delay_ms for allowed in own]
    assert (other.delay_ms, other.muted) == (0, False)


async def test_a_browser_known_to_one_person_is_a_stranger_to_another(counting: Counting) -> None:
    """An attacker's own account gives no budget for others' addresses."""
    await counting.know("eve@acme.com", "eve's")
    tries = counting.tries(address=Rate(2, HOUR))
    await begin(tries)
    await begin(tries, "eve's")

    assert (await begin(tries, "eve's")).muted
    assert (await begin(tries)).muted


async def test_tags_of_one_mailbox_share_its_budget(counting: Counting) -> None:
    """ada+1@ is no second budget for guessing at ada's."""
    tries = counting.tries(address=Rate(2, HOUR))
    await begin(tries, "", "ada+1@acme.com")
    await begin(tries, "", "ada+2@acme.com")

    assert (await begin(tries)).muted


async def test_a_right_password_is_not_counted(counting: Counting) -> None:
    """Whoever signs in all day is neither delayed nor muted, in no network."""
    tries = counting.tries(address=Rate(2, HOUR), network=Rate(2, HOUR))
    for _ in range(10):
        allowed = await begin(tries)
        assert (allowed.muted, allowed.delay_ms) == (False, 0)
        await tries.passed(allowed)


async def test_a_right_password_frees_the_known_browser_and_nothing_else(
    counting: Counting,
) -> None:
    """What strangers, or others in the network, have against them stays."""
    await counting.know(ADA, "mine")
    tries = counting.tries(address=Rate(6, HOUR), network=Rate(15, HOUR))
    for _ in range(6):
        await begin(tries)
    for _ in range(5):
        await begin(tries, "mine")
    slow = await begin(tries, "mine")
    await tries.passed(slow)

    assert 1000 == slow.delay_ms
    assert 0 == (await begin(tries, "mine")).delay_ms
    assert (await begin(tries)).muted
    for _ in range(2):
        await begin(tries, "mine")
    assert isinstance(await tries.begin(ADA, "mine", HERE), NetworkLimited)


async def test_a_try_nobody_looked_at_is_not_counted(counting: Counting) -> None:
    """A store that was away costs nobody a try; what was wrong before stays."""
    await counting.know(ADA, "mine")
    tries = counting.tries(address=Rate(2, HOUR), network=Rate(3, HOUR))
    await begin(tries, "mine")
    for _ in range(10):
        await tries.undone(await begin(tries, "mine"))

    assert not (await begin(tries, "mine")).muted
    assert (await begin(tries, "mine")).muted
    assert isinstance(await tries.begin(ADA, "mine", HERE), NetworkLimited)


@pytest.mark.parametrize(
    ("network", "other"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("2001:db8:1:1::/64", "2001:db8:1:1::/64"),
    ],
)
async def test_a_network_that_guesses_too_much_is_told_when_to_come_back(
    counting: Counting, network: str, other: str
) -> None:
    """Whatever the address; nothing is counted against that address then."""
    tries = counting.tries(address=Rate(1, HOUR), network=Rate(2, HOUR))
    for number in range(2):
        await tries.begin(f"person{number}@acme.com", "", Client(network, ""))

    limited = await tries.begin(ADA, "", Client(other, ""))

    assert isinstance(limited, NetworkLimited)
    assert 0 < limited.wait_ms <= HOUR
    assert not (await begin(tries, email=ADA) if ":" in network else await _elsewhere(tries)).muted


async def _elsewhere(tries: Tries) -> TryAllowed:
    allowed = await tries.begin(ADA, "", Client("198.51.100.0/24", ""))
    assert isinstance(allowed, TryAllowed)
    return allowed


@pytest.mark.parametrize(
    ("step", "room"), [("2001:db8:0:{:x}::/64", 6), ("2001:db8:0:{:x}00::/64", 20)]
)
async def test_a_household_and_a_site_have_bounds_too(
    counting: Counting, step: str, room: int
) -> None:
    """Three times one network's for a /56, ten times for a /48."""
    tries = counting.tries(network=Rate(2, HOUR))
    results = [
        await tries.begin(ADA, "", Client(step.format(number), "")) for number in range(room + 1)
    ]

    assert [True] * room + [False] == [isinstance(result, TryAllowed) for result in results]


async def test_a_store_nobody_vouches_for_counts_nothing(counting: Counting) -> None:
    """After a loss of data guesses would begin anew: refused until it is trusted."""
    tries = counting.tries()
    await counting.doubt()

    with pytest.raises(StoreUnsettledError):
        await tries.begin(ADA, "", HERE)


async def test_the_time_of_a_try_is_the_one_clocks(counting: Counting) -> None:
    """What ends a person's sessions later has a later time."""
    tries = counting.tries()
    first, second = await begin(tries), await begin(tries)

    assert 0 < first.at_ms <= second.at_ms


async def test_a_try_repeated_after_a_lost_answer_counts_once(redis_server: RedisServer) -> None:
    """The client repeats a script whose connection broke; it is the same try, and gets the same answer."""

    class SameIds(SystemIds):
        def ulid(self, now_ms: int) -> str:
            return super().ulid(0)[:10] + "0" * 16

    async with connect_redis(redis_server.url) as redis:
        await vouch_for(redis)
        clock = SystemClock()
        scripts = Scripts(redis, b"i" * 32, clock)
        tries = RedisTries(scripts, TryLimits(Rate(2, HOUR), Rate(2, HOUR)), clock, SameIds())

        answers = [await begin(tries) for _ in range(5)]

        assert [answers[0]] * 5 == answers
