"""What the flows of auth rely on: the same suite on the fake and on a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

import pytest

from services.auth.adapters.redis_attempts import RedisAttempts
from services.auth.adapters.redis_people import RedisPeople
from services.auth.adapters.redis_scripts import Scripts
from services.auth.adapters.redis_sessions import RedisSessions
from services.auth.domain.client import UNKNOWN, Client
from services.auth.domain.ending import PendingEnd, reuse_of
from services.auth.domain.limits import Rate
from services.auth.domain.link import Attempt
from services.auth.domain.session import SESSION_MS, Session
from services.auth.ports import (
    Advanced,
    Attempts,
    Budget,
    Budgets,
    Exchange,
    Exchanged,
    NetworkLimited,
    NotExchanged,
    Opened,
    OpenSession,
    Over,
    People,
    Sessions,
    StoreUnsettledError,
    UsedBefore,
)
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.redis import connect_redis
from tests.support.fakes.auth_store import FakeAttempts, FakeAuthStore, FakePeople, FakeSessions
from tests.support.trust import SINCE, vouch_for, withdraw

ADA = "ada@acme.com"
TTL = 600_000
GRACE = 10_000
LATE = -1  # a window that is over before it began
MANY = Rate(1000, 60_000)


@dataclass
class Stores:
    attempts: Attempts
    sessions: Sessions
    people: People
    doubt: Callable[[], Awaitable[None]]  # nobody vouches for the store any more
    whole_since: Callable[[int], Awaitable[None]]


@pytest.fixture(params=["fake", "redis"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    """Both implementations."""
    if request.param == "fake":
        store = FakeAuthStore(SystemClock())

        async def doubt() -> None:
            store.settled = False

        async def whole_since(since: int) -> None:
            store.since = since

        ports = FakeAttempts(store), FakeSessions(store), FakePeople(store)
        yield Stores(*ports, doubt, whole_since)
        return
    server = request.getfixturevalue("redis_server")
    async with connect_redis(server.url) as redis:
        await vouch_for(redis)

        async def set_since(since: int) -> None:
            await redis.set(SINCE, since)

        scripts = Scripts(redis, b"i" * 32, SystemClock())
        adapters = RedisAttempts(scripts), RedisSessions(scripts), RedisPeople(scripts)
        yield Stores(*adapters, partial(withdraw, redis), set_since)


def new_attempt(email: str = ADA, **changes: object) -> Attempt:
    ulid = SystemIds().ulid(SystemClock().now_ms())
    base = Attempt(ulid, email, "sign_in", 0, 0, "kid", Client("203.0.113.0/24", "Firefox"), "b")
    return replace(base, **changes)  # type: ignore[arg-type]


def new_session(sub: str = ADA) -> Session:
    ids = SystemIds()
    ulid = ids.ulid(SystemClock().now_ms())
    return Session(ulid, sub, sub, 0, 0, 1, 0, ids.secret(), Client("n", "u"), "latchwire", "link")


def budgets(
    address: Rate = MANY,
    network: Rate = MANY,
    whole: Rate = MANY,
    site: Rate = MANY,
    email: str = ADA,
) -> Budgets:
    return Budgets(
        address=Budget(f"address|{email}", address),
        known=Budget(f"known|{email}", address),
        networks=(Budget("one|n", network), Budget("household|n", MANY), Budget("site|n", site)),
        whole=Budget("whole", whole),
    )


def exchange_of(attempt: Attempt, **changes: object) -> Exchange:
    base = Exchange(
        attempt=attempt,
        by_code=False,
        right=True,
        watermark=0,
        session=new_session(attempt.email),
        session_ms=SESSION_MS,
        browser="browser-1",
        browser_ms=1_000_000,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def is_next_after(at_ms: int, watermark: int) -> bool:
    """The first instant after *watermark*; the present where it has gone by in the meantime."""
    return at_ms == watermark + 1 or watermark < at_ms <= SystemClock().now_ms()


async def open_one(stores: Stores, attempt: Attempt | None = None) -> Attempt:
    attempt = attempt or new_attempt()
    assert isinstance(await stores.attempts.open(attempt, TTL, budgets()), Opened)
    return attempt


async def sign_in(stores: Stores, email: str = ADA) -> Session:
    attempt = await open_one(stores, new_attempt(email))
    result = await stores.attempts.exchange(exchange_of(attempt))
    assert isinstance(result, Exchanged)
    return result.session


async def test_an_opened_attempt_is_found_as_it_was_asked_for(stores: Stores) -> None:
    """Everything the confirm page shows survives the store; times are the store's."""
    attempt = await open_one(stores, new_attempt(next="/a?b=c"))

    found = await stores.attempts.find(attempt.login_id)

    assert found is not None
    expected = replace(
        attempt, requested_at_ms=found.requested_at_ms, expires_at_ms=found.expires_at_ms
    )
    assert expected == found
    assert found.expires_at_ms - found.requested_at_ms == TTL


async def test_an_attempt_opened_after_a_watermark_is_later_than_it(stores: Stores) -> None:
    """A watermark a little ahead of the store's clock does not void what was asked for since."""
    first = await stores.attempts.open(new_attempt(), TTL, budgets())
    assert isinstance(first, Opened)
    attempt, ahead = new_attempt(), first.at_ms + 1_500

    opened = await stores.attempts.open(attempt, TTL, budgets(), after_ms=ahead)
    result = await stores.attempts.exchange(exchange_of(attempt, watermark=ahead))

    assert isinstance(opened, Opened)
    assert (is_next_after(opened.at_ms, ahead), opened.muted) == (True, "")
    assert isinstance(result, Exchanged)
    assert result.session.sst > ahead


async def test_opening_twice_after_a_lost_answer_counts_once(stores: Stores) -> None:
    """A retried command neither doubles the attempt nor eats another mail of the address."""
    attempt, one = new_attempt(), budgets(address=Rate(1, 60_000))
    first = await stores.attempts.open(attempt, TTL, one)
    second = await stores.attempts.open(attempt, TTL, one)

    assert isinstance(first, Opened)
    assert first == second


async def test_the_sixth_mail_of_an_hour_is_muted_without_saying_so(stores: Stores) -> None:
    """Over five mails an hour the attempt is stored all the same, but opens nothing."""
    limit = budgets(address=Rate(5, 3_600_000))
    results = [await stores.attempts.open(new_attempt(), TTL, limit) for _ in range(7)]

    muted = [result.muted for result in results if isinstance(result, Opened)]
    assert muted == [""] * 5 + ["address_limit"] * 2


async def test_muted_requests_do_not_use_up_the_global_cap(stores: Stores) -> None:
    """Asking for strangers' addresses cannot stop everybody's mail."""
    limit = budgets(whole=Rate(1, 60_000))
    for _ in range(3):
        await stores.attempts.open(new_attempt("x@evil.test", muted="not_allowed"), TTL, limit)

    first = await stores.attempts.open(new_attempt(), TTL, limit)
    second = await stores.attempts.open(new_attempt(), TTL, limit)

    assert isinstance(first, Opened)
    assert first.muted == ""
    assert isinstance(second, Opened)
    assert second.muted == "global_limit"


async def test_a_network_over_its_limit_is_told_when_to_come_back(stores: Stores) -> None:
    """Nothing is stored, and the wait is within the window."""
    limit = budgets(network=Rate(2, 60_000))
    attempts = [new_attempt() for _ in range(3)]
    results = [await stores.attempts.open(attempt, TTL, limit) for attempt in attempts]

    assert isinstance(results[2], NetworkLimited)
    assert 0 < results[2].wait_ms <= 60_000
    assert await stores.attempts.find(attempts[2].login_id) is None


async def test_a_wider_network_over_its_limit_is_told_to_wait_too(stores: Stores) -> None:
    """Another /64 of the same site does not help."""
    limit = budgets(site=Rate(1, 60_000))
    await stores.attempts.open(new_attempt(), TTL, limit)
    other = replace(limit, networks=(Budget("one|m", MANY), *limit.networks[1:]))

    assert isinstance(await stores.attempts.open(new_attempt(), TTL, other), NetworkLimited)


async def test_strangers_cannot_use_up_what_a_known_browser_may_ask_for(stores: Stores) -> None:
    """A browser the person has signed in with has a budget of its own, of the same size."""
    attempt = await open_one(stores)
    result = await stores.attempts.exchange(exchange_of(attempt, browser="mine"))
    assert isinstance(result, Exchanged)
    limit = budgets(address=Rate(2, 3_600_000), email="asked by strangers")
    flood = [await stores.attempts.open(new_attempt(), TTL, limit) for _ in range(3)]
    own = [await stores.attempts.open(new_attempt(browser="mine"), TTL, limit) for _ in range(3)]

    expected = ["", "", "address_limit"]
    assert expected == [result.muted for result in flood if isinstance(result, Opened)]
    assert expected == [result.muted for result in own if isinstance(result, Opened)]


async def test_a_block_holds_for_every_tag_of_the_mailbox(stores: Stores) -> None:
    """Neither a new login, nor an open link, nor a session of ada+1@ outlives the block of ada@."""
    tagged = "ada+1@acme.com"
    session = await sign_in(stores, tagged)
    link, other = await open_one(stores, new_attempt(tagged)), await open_one(stores)
    await stores.people.block(ADA, "left", "root")
    asked = await stores.attempts.open(new_attempt(tagged), TTL, budgets())

    assert isinstance(asked, Opened)
    assert "blocked" == asked.muted
    for attempt in (link, other):
        assert isinstance(await stores.attempts.exchange(exchange_of(attempt)), NotExchanged)
    assert Over("blocked") == await stores.sessions.advance(session, 1, GRACE)
    assert "adam@acme.com" == (await sign_in(stores, "adam@acme.com")).sub


async def test_a_window_that_has_passed_makes_room_again(stores: Stores) -> None:
    """A limit is a sliding window, not a lock-out."""
    limit = budgets(network=Rate(1, 1))
    await stores.attempts.open(new_attempt(), TTL, limit)

    async with asyncio.timeout(5):
        while isinstance(await stores.attempts.open(new_attempt(), TTL, limit), NetworkLimited):
            pass


async def test_one_attempt_opens_one_session(stores: Stores) -> None:
    """The second exchange learns which session the first one opened, and opens none."""
    attempt = await open_one(stores)
    first = await stores.attempts.exchange(exchange_of(attempt))
    second = await stores.attempts.exchange(exchange_of(attempt))

    assert isinstance(first, Exchanged)
    assert UsedBefore(first.session.sid) == second
    assert [first.session] == await stores.sessions.of(ADA)


async def test_two_hundred_parallel_exchanges_open_one_session(stores: Stores) -> None:
    """Single use holds under concurrency."""
    attempt = await open_one(stores)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(stores.attempts.exchange(exchange_of(attempt))) for _ in range(200)
        ]

    assert sum(isinstance(task.result(), Exchanged) for task in tasks) == 1
    assert len(await stores.sessions.of(ADA)) == 1


async def test_an_exchange_repeated_after_a_lost_answer_gives_the_same_session(
    stores: Stores,
) -> None:
    """The client's retry of the very same step is not a second click."""
    attempt = await open_one(stores)
    exchange = exchange_of(attempt)
    first = await stores.attempts.exchange(exchange)
    second = await stores.attempts.exchange(exchange)

    assert isinstance(first, Exchanged)
    assert isinstance(second, Exchanged)
    assert first.session == second.session


async def test_five_wrong_codes_kill_the_code_but_not_the_link(stores: Stores) -> None:
    """The sixth try fails although it is right; the link of the same mail still works."""
    attempt = await open_one(stores)
    for _ in range(5):
        wrong = await stores.attempts.exchange(exchange_of(attempt, by_code=True, right=False))
        assert isinstance(wrong, NotExchanged)

    right = await stores.attempts.exchange(exchange_of(attempt, by_code=True))
    link = await stores.attempts.exchange(exchange_of(attempt))

    assert isinstance(right, NotExchanged)
    assert isinstance(link, Exchanged)


async def test_fifty_parallel_guesses_get_five_tries_together(stores: Stores) -> None:
    """Tries are counted in the same step that judges them."""
    attempt = await open_one(stores)
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(
                stores.attempts.exchange(exchange_of(attempt, by_code=True, right=False))
            )

    found = await stores.attempts.find(attempt.login_id)
    assert found is not None
    assert found.tries == 5


async def test_fifty_passwords_sent_with_one_link_at_once_share_five(stores: Stores) -> None:
    """Counted before they are judged; one taken back makes room for one, and codes are counted apart."""
    attempt = await open_one(stores)
    type_password, untype = stores.attempts.type_password, stores.attempts.untype_password

    counted = await asyncio.gather(*(type_password(attempt) for _ in range(50)))

    assert counted.count(True) == 5
    await untype(attempt)
    assert [await type_password(attempt), await type_password(attempt)] == [True, False]
    assert isinstance(await stores.attempts.exchange(exchange_of(attempt, by_code=True)), Exchanged)


async def test_a_link_that_is_gone_has_no_passwords_and_leaves_nothing(stores: Stores) -> None:
    """Taken back more often than counted gives none away, and no key without an end is written."""
    attempt, gone = await open_one(stores), new_attempt()

    for _ in range(3):
        await stores.attempts.untype_password(attempt)
    counted = [await stores.attempts.type_password(attempt) for _ in range(7)]
    assert counted == [True] * 5 + [False] * 2
    await stores.attempts.untype_password(gone)
    assert not await stores.attempts.type_password(gone)
    assert await stores.attempts.find(gone.login_id) is None


async def test_the_first_success_voids_the_older_links_of_that_person(stores: Stores) -> None:
    """Two mails are out: using one ends the other; another person's stays."""
    older, newer = await open_one(stores), await open_one(stores)
    other = await open_one(stores, new_attempt("bob@acme.com"))

    await stores.attempts.exchange(exchange_of(newer))

    assert isinstance(await stores.attempts.exchange(exchange_of(older)), NotExchanged)
    assert isinstance(await stores.attempts.exchange(exchange_of(other)), Exchanged)


async def test_an_older_link_still_works_while_none_was_used(stores: Stores) -> None:
    """A stranger who asks again cannot take a person's link away."""
    older = await open_one(stores)
    await open_one(stores)

    assert isinstance(await stores.attempts.exchange(exchange_of(older)), Exchanged)


async def test_a_muted_attempt_opens_nothing(stores: Stores) -> None:
    """Even with the right proof."""
    attempt = await open_one(stores, new_attempt(muted="not_allowed"))

    assert isinstance(await stores.attempts.exchange(exchange_of(attempt)), NotExchanged)


async def test_an_expired_attempt_opens_nothing(stores: Stores) -> None:
    """At its very last millisecond it is over."""
    attempt = new_attempt()
    await stores.attempts.open(attempt, 1, budgets())
    async with asyncio.timeout(5):
        while await stores.attempts.find(attempt.login_id) is not None:
            pass

    assert isinstance(await stores.attempts.exchange(exchange_of(attempt)), NotExchanged)


async def test_a_cancelled_attempt_opens_nothing(stores: Stores) -> None:
    """ "This was not me" is final, and said once."""
    attempt = await open_one(stores)

    assert await stores.attempts.cancel(attempt.login_id)
    assert not await stores.attempts.cancel(attempt.login_id)
    assert isinstance(await stores.attempts.exchange(exchange_of(attempt)), NotExchanged)


async def test_a_watermark_after_the_request_kills_the_unopened_link(stores: Stores) -> None:
    """A revoked person's mail opens nothing, not even a minute later."""
    attempt = await open_one(stores)
    found = await stores.attempts.find(attempt.login_id)
    assert found is not None

    result = await stores.attempts.exchange(exchange_of(attempt, watermark=found.requested_at_ms))

    assert isinstance(result, NotExchanged)


async def test_a_session_begins_after_every_watermark(stores: Stores) -> None:
    """A thousand times revoke and sign in within the same milliseconds: never born revoked."""
    for _ in range(100):
        before = (await stores.sessions.end_all(ADA, ADA, "everywhere", "user")).at_ms
        attempt = await open_one(stores)
        result = await stores.attempts.exchange(exchange_of(attempt))
        while isinstance(result, NotExchanged):  # asked within the very millisecond
            attempt = await open_one(stores)
            result = await stores.attempts.exchange(exchange_of(attempt))
        assert isinstance(result, Exchanged)
        assert before < result.session.sst


async def test_only_a_second_browser_of_a_known_person_is_new(stores: Stores) -> None:
    """The first sign-in ever is no news to its owner; another browser's is; then it is known."""
    seen = []
    for browser in ("one", "one", "two", "two", "one"):
        attempt = await open_one(stores)
        result = await stores.attempts.exchange(exchange_of(attempt, browser=browser))
        assert isinstance(result, Exchanged)
        seen.append(result.new_browser)

    assert seen == [False, False, True, False, False]


async def test_a_notice_is_stored_once(stores: Stores) -> None:
    """Repeated, it keeps its time; and no limit counts it."""
    notice = new_attempt(purpose="notice", sid="s")
    first = await stores.attempts.open_notice(notice, TTL)
    second = await stores.attempts.open_notice(notice, TTL)

    found = await stores.attempts.find(notice.login_id)
    assert first == second
    assert found is not None
    assert (found.purpose, found.sid) == ("notice", "s")


async def test_a_refresh_advances_and_its_repetition_gets_the_same_successor(
    stores: Stores,
) -> None:
    """Two tabs and lost answers converge on one token."""
    session = await sign_in(stores)
    first = await stores.sessions.advance(session, 1, GRACE)
    again = await stores.sessions.advance(session, 1, GRACE)
    onwards = await stores.sessions.advance(session, 2, GRACE)

    assert isinstance(first, Advanced)
    assert isinstance(again, Advanced)
    assert isinstance(onwards, Advanced)
    assert [first.counter, again.counter, onwards.counter] == [2, 2, 3]


async def test_a_token_is_issued_after_the_watermark_and_time_goes_on_from_there(
    stores: Stores,
) -> None:
    """A watermark a little ahead of the store's clock is passed; nothing later falls before it."""
    session = await sign_in(stores)
    ahead = session.sst + 1_500

    result = await stores.sessions.advance(session, 1, GRACE, after_ms=ahead)

    assert isinstance(result, Advanced)
    assert (result.counter, is_next_after(result.at_ms, ahead)) == (2, True)


async def test_a_hundred_parallel_refreshes_have_one_successor(stores: Stores) -> None:
    """Nothing forks."""
    session = await sign_in(stores)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(stores.sessions.advance(session, 1, GRACE)) for _ in range(100)]

    counters = {r.counter for r in (t.result() for t in tasks) if isinstance(r, Advanced)}
    assert {2} == counters


@pytest.mark.parametrize(("presented", "grace"), [(1, LATE), (0, GRACE), (9, GRACE)])
async def test_an_old_late_or_future_token_ends_the_session(
    stores: Stores, presented: int, grace: int
) -> None:
    """The previous one too late, a grandparent, and one from a store that was rolled back."""
    session = await sign_in(stores)
    await stores.sessions.advance(session, 1, GRACE)

    result = await stores.sessions.advance(session, presented, grace)
    after = await stores.sessions.advance(session, 2, GRACE)

    assert Over("refresh_reuse", announced=False) == result
    assert Over("refresh_reuse", announced=False) == after
    assert await stores.sessions.of(ADA) == []


async def test_a_reuse_is_remembered_as_announced(stores: Stores) -> None:
    """Once published, it is not published again."""
    session = await sign_in(stores)
    thief = Client("198.51.100.0/24", "curl")
    await stores.sessions.advance(session, 7, GRACE, client=thief)
    (end,) = await stores.sessions.unannounced()
    untold = await stores.sessions.find(session.sid)
    await stores.sessions.announced(end)

    assert reuse_of(session) == end
    assert untold is not None
    assert (ADA, session.secret, thief) == (untold.email, untold.secret, untold.client)
    assert Over("refresh_reuse", announced=True) == await stores.sessions.advance(session, 1, GRACE)
    assert await stores.sessions.unannounced() == []
    assert await nothing_is_left_of(stores, session)


async def test_announcing_an_unknown_session_makes_none(stores: Stores) -> None:
    """No half session is left behind by a write that came too late."""
    await stores.sessions.announced(PendingEnd("session", "nobody", "refresh_reuse", "auth", 0))

    assert await stores.sessions.find("nobody") is None


async def test_an_ended_session_renews_nothing_and_keeps_its_first_reason(stores: Stores) -> None:
    """The tombstone is in the way of every refresh; ending again is no error."""
    session = await sign_in(stores)
    first = await stores.sessions.end(session.sid, ADA, "logout", "user")
    second = await stores.sessions.end(session.sid, ADA, "ended_by_user", "user")

    assert PendingEnd("session", session.sid, "logout", "user", session.expires_at_ms) == first
    assert session.expires_at_ms == second.at_ms
    assert Over("logout") == await stores.sessions.advance(session, 1, GRACE)
    assert [first] == await stores.sessions.unannounced()


async def nothing_is_left_of(stores: Stores, session: Session) -> bool:
    """No address, no browser, no network, no secret."""
    found = await stores.sessions.find(session.sid)
    assert found is not None
    assert found.ended
    assert session.expires_at_ms == found.expires_at_ms
    left = (found.sub, found.email, found.secret, found.client, found.client_id, found.amr)
    return left == ("", "", "", UNKNOWN, "", "")


@pytest.mark.parametrize("way", ["logout", "everywhere", "block"])
async def test_a_tombstone_keeps_nothing_about_the_person(stores: Stores, way: str) -> None:
    """It stands for days, and needs a time and a reason for that."""
    session = await sign_in(stores)
    if way == "logout":
        await stores.sessions.end(session.sid, ADA, "logout", "user")
    elif way == "everywhere":
        await stores.sessions.end_all(ADA, ADA, "everywhere", "user")
    else:
        await stores.people.block(ADA, "left", "root")

    assert await nothing_is_left_of(stores, session)


async def test_every_end_is_remembered_until_it_is_announced(stores: Stores) -> None:
    """Known or unknown, of a session or of all; the newest of a person, the first of a session."""
    session = await sign_in(stores)
    unknown = await stores.sessions.end("nobody", ADA, "logout", "user")
    known = await stores.sessions.end(session.sid, ADA, "logout", "user")
    older = await stores.sessions.end_all(ADA, ADA, "everywhere", "user")
    newer = await stores.people.block(ADA, "left | it", "root")

    pending = await stores.sessions.unannounced()
    for end in (unknown, older):
        await stores.sessions.announced(end)
    left = await stores.sessions.unannounced()

    assert {unknown, known, newer} == set(pending)
    assert {known, newer} == set(left)
    assert newer.at_ms >= older.at_ms


async def test_a_logout_leaves_an_unannounced_reuse_what_its_mail_takes(stores: Stores) -> None:
    """The owner presses logout before the notice could be sent: it is sent all the same."""
    session = await sign_in(stores)
    await stores.sessions.advance(session, 7, GRACE)
    logout = await stores.sessions.end(session.sid, ADA, "logout", "user")
    await stores.sessions.end_all(ADA, ADA, "everywhere", "user")
    await stores.sessions.announced(logout)

    untold = await stores.sessions.find(session.sid)
    assert untold is not None
    assert ADA == untold.email
    assert reuse_of(session) in await stores.sessions.unannounced()


async def test_ending_an_unknown_session_says_that_nothing_is_known(stores: Stores) -> None:
    """The caller publishes all the same."""
    end = await stores.sessions.end("nobody", ADA, "logout", "user")

    assert PendingEnd("session", "nobody", "logout", "user", 0) == end


async def test_refreshes_racing_a_logout_never_survive_it(stores: Stores) -> None:
    """Whatever the order, after the tombstone no refresh succeeds."""
    session = await sign_in(stores)
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(stores.sessions.advance(session, 1, GRACE))
        group.create_task(stores.sessions.end(session.sid, ADA, "logout", "user"))

    for counter in (1, 2, 3):
        assert isinstance(await stores.sessions.advance(session, counter, GRACE), Over)


async def test_signing_out_everywhere_ends_all_and_voids_unopened_links(stores: Stores) -> None:
    """Both laptops and the mail that was never opened; another person is not touched."""
    one, two, bob = (
        await sign_in(stores),
        await sign_in(stores),
        await sign_in(stores, "bob@acme.com"),
    )
    link = await open_one(stores)

    await stores.sessions.end_all(ADA, ADA, "everywhere", "user")

    assert isinstance(await stores.sessions.advance(one, 1, GRACE), Over)
    assert isinstance(await stores.sessions.advance(two, 1, GRACE), Over)
    assert isinstance(await stores.sessions.advance(bob, 1, GRACE), Advanced)
    assert isinstance(await stores.attempts.exchange(exchange_of(link)), NotExchanged)


async def test_a_blocked_person_gets_nothing_until_unblocked(stores: Stores) -> None:
    """No mail, no link, no refresh; afterwards a new sign-in, but none of the old sessions."""
    session, link = await sign_in(stores), await open_one(stores)

    await stores.people.block(ADA, "left the company", "root")
    person = await stores.people.find(ADA)
    muted = await stores.attempts.open(new_attempt(), TTL, budgets())

    assert person.blocked_at_ms is not None
    assert person.sessions == 0
    assert isinstance(muted, Opened)
    assert muted.muted == "blocked"
    assert isinstance(await stores.attempts.exchange(exchange_of(link)), NotExchanged)
    assert isinstance(await stores.sessions.advance(session, 1, GRACE), Over)

    await stores.people.unblock(ADA)

    assert (await stores.people.find(ADA)).blocked_at_ms is None
    assert isinstance(await stores.sessions.advance(session, 1, GRACE), Over)


async def test_sessions_are_listed_newest_first_with_their_clients(stores: Stores) -> None:
    """What the account page shows."""
    first, second = await sign_in(stores), await sign_in(stores)

    listed = await stores.sessions.of(ADA)

    assert {first.sid, second.sid} == {session.sid for session in listed}
    assert listed[0].sst >= listed[1].sst
    assert Client("n", "u") == listed[0].client


async def test_a_store_nobody_vouches_for_opens_exchanges_and_advances_nothing(
    stores: Stores,
) -> None:
    """Neither does it say that something is not there: it may have been lost."""
    attempt, session = await open_one(stores), await sign_in(stores, "bob@acme.com")
    await stores.doubt()

    with pytest.raises(StoreUnsettledError):
        await stores.attempts.open(new_attempt(), TTL, budgets())
    with pytest.raises(StoreUnsettledError):
        await stores.attempts.exchange(exchange_of(attempt))
    with pytest.raises(StoreUnsettledError):
        await stores.attempts.exchange(exchange_of(attempt, by_code=True, right=False))
    with pytest.raises(StoreUnsettledError):
        await stores.sessions.advance(session, 1, GRACE)
    with pytest.raises(StoreUnsettledError):
        await stores.sessions.advance(session, 7, GRACE)
    with pytest.raises(StoreUnsettledError):
        await stores.attempts.find(new_attempt().login_id)
    with pytest.raises(StoreUnsettledError):
        await stores.sessions.find(new_session().sid)
    with pytest.raises(StoreUnsettledError):
        await stores.sessions.require_settled()

    kept = await stores.attempts.find(attempt.login_id)
    assert kept is not None
    assert (kept.state, kept.tries) == ("open", 0)
    assert await stores.sessions.find(session.sid) == session


async def test_a_store_nobody_vouches_for_still_ends_and_blocks(stores: Stores) -> None:
    """Who wants out gets out, whatever the store has forgotten."""
    session = await sign_in(stores)
    other = await sign_in(stores, "bob@acme.com")
    third = await sign_in(stores, "eve@acme.com")
    await stores.doubt()

    await stores.sessions.end(session.sid, ADA, "logout", "user")
    await stores.sessions.end_all("bob@acme.com", "bob@acme.com", "everywhere", "user")
    await stores.people.block("eve@acme.com", "left", "operator")

    found = [await stores.sessions.find(s.sid) for s in (session, other, third)]
    assert ["logout", "everywhere", "blocked"] == [s.ended for s in found if s]
    assert 3 == len(await stores.sessions.unannounced())


async def test_links_older_than_what_the_store_remembers_open_nothing(stores: Stores) -> None:
    """One that was used or cancelled in what was lost would be open again; one asked for since then opens."""
    old = await open_one(stores)
    found = await stores.attempts.find(old.login_id)
    assert found is not None
    await stores.whole_since(found.requested_at_ms)

    refused = await stores.attempts.exchange(exchange_of(old))
    await stores.whole_since(found.requested_at_ms + 1_000)
    asked_in_that_instant = await open_one(stores)
    opened = await stores.attempts.exchange(exchange_of(asked_in_that_instant))

    assert isinstance(refused, NotExchanged)
    assert isinstance(opened, Exchanged)


async def test_only_links_that_would_open_a_session_are_counted(stores: Stores) -> None:
    """Not the muted, cancelled, used, voided or old ones, and none of a person who is kept out."""

    async def count(email: str = ADA, watermark: int = 0) -> int:
        return await stores.attempts.unopened(email, watermark)

    first, second, third = [await open_one(stores) for _ in range(3)]
    await stores.attempts.open(new_attempt(muted="not_allowed"), TTL, budgets())
    await stores.attempts.open_notice(new_attempt(purpose="notice"), TTL)
    assert (3, 0) == (await count(), await count("bob@acme.com"))

    await stores.attempts.cancel(first.login_id)
    assert 2 == await count()
    found = await stores.attempts.find(third.login_id)
    assert found is not None
    assert 0 == await count(watermark=found.requested_at_ms)
    await stores.whole_since(found.requested_at_ms)
    assert 0 == await count()
    await stores.whole_since(0)

    assert isinstance(await stores.attempts.exchange(exchange_of(second)), Exchanged)
    assert 0 == await count()
    await open_one(stores, new_attempt("bob@acme.com"))
    assert 1 == await count("bob@acme.com")
    await stores.people.block("bob@acme.com", "left", "operator")
    assert 0 == await count("bob@acme.com")


async def test_who_signs_out_everywhere_can_sign_in_again_in_the_same_instant(
    stores: Stores,
) -> None:
    """What is asked for afterwards is later than what it ended, and so is the session it opens."""
    for _ in range(20):
        end = await stores.sessions.end_all(ADA, ADA, "everywhere", "user")
        session = await sign_in(stores)
        assert session.sst > end.at_ms


SUB = "01K5ZZZZZZZZZZZZZZZZZZZZZZ"


def as_account(attempt: Attempt, sub: str = SUB) -> Exchange:
    """The exchange of somebody whose ``sub`` is not the address."""
    return exchange_of(attempt, session=replace(new_session(sub), email=attempt.email))


def opening_of(asked_at_ms: int, **changes: object) -> OpenSession:
    base = OpenSession(
        session=replace(new_session(SUB), email=ADA),
        session_ms=SESSION_MS,
        asked_at_ms=asked_at_ms,
        watermark=0,
        browser="browser-1",
        browser_ms=1_000_000,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


async def account_signs_in(stores: Stores) -> Session:
    result = await stores.attempts.exchange(as_account(await open_one(stores)))
    assert isinstance(result, Exchanged)
    return result.session


async def test_an_account_has_its_sessions_by_id_and_is_known_by_address(stores: Stores) -> None:
    """Blocks, browsers and links are the address's: they are there before anybody has an account."""
    assert not await stores.attempts.remembers(ADA)
    session = await account_signs_in(stores)

    assert [session] == await stores.sessions.of(SUB)
    assert [] == await stores.sessions.of(ADA)
    assert await stores.attempts.remembers(ADA)
    assert not await stores.attempts.remembers("bob@acme.com")


@pytest.mark.parametrize("blocked", [ADA, "ada+1@acme.com"])
async def test_a_block_of_the_address_keeps_the_account_out(stores: Stores, blocked: str) -> None:
    """It neither renews nor opens; a block of one tag is none of the mailbox."""
    session, link = await account_signs_in(stores), await open_one(stores)
    await stores.people.block(blocked, "left", "root")
    at_ms = await stores.sessions.now()

    results = (
        await stores.sessions.advance(session, 1, GRACE),
        await stores.attempts.judge(link, by_code=False, right=True, watermark=0),
        await stores.sessions.open(opening_of(at_ms)),
        await stores.attempts.exchange(as_account(link)),
    )

    opened = [isinstance(result, Advanced | Exchanged) for result in results if result]
    let_in = (*opened, *[True for result in results if result is None])
    assert let_in == (blocked != ADA,) * len(results)


async def test_ending_all_of_an_account_ends_its_sessions_and_voids_its_links(
    stores: Stores,
) -> None:
    """The sessions by id, the links by address; another account's stay."""
    session, link = await account_signs_in(stores), await open_one(stores)
    other = await stores.attempts.exchange(
        as_account(await open_one(stores, new_attempt("bob@acme.com")), "01BOB")
    )
    assert isinstance(other, Exchanged)
    asked = await stores.sessions.now()

    end = await stores.sessions.end_all(SUB, ADA, "password_reset", "user")

    assert PendingEnd("subject", SUB, "password_reset", "user", end.at_ms) == end
    assert end in await stores.sessions.unannounced()
    assert Over("password_reset") == await stores.sessions.advance(session, 1, GRACE)
    assert isinstance(await stores.attempts.exchange(as_account(link)), NotExchanged)
    assert isinstance(await stores.sessions.open(opening_of(asked)), NotExchanged)
    assert isinstance(await stores.sessions.advance(other.session, 1, GRACE), Advanced)


async def test_what_is_ended_up_to_an_instant_spares_what_began_since(stores: Stores) -> None:
    """An end that a crash repeats an hour later is the end that it was."""
    before = await account_signs_in(stores)
    instant = await stores.sessions.instant("01ENTRY")
    after, link = await account_signs_in(stores), await open_one(stores)
    again = await stores.sessions.instant("01ENTRY")
    ends = [
        await stores.sessions.end_all(SUB, ADA, "password_reset", "user", at_ms=again)
        for _ in range(2)
    ]

    assert instant == again == ends[0].at_ms == ends[1].at_ms
    assert after.sst > instant
    assert Over("password_reset") == await stores.sessions.advance(before, 1, GRACE)
    assert isinstance(await stores.sessions.advance(after, 1, GRACE), Advanced)
    assert [after.sid] == [session.sid for session in await stores.sessions.of(SUB)]
    assert isinstance(await stores.attempts.exchange(as_account(link)), Exchanged)


async def test_an_older_end_does_not_undo_a_newer_one(stores: Stores) -> None:
    """Neither its watermark nor the note that it is to be published."""
    session = await account_signs_in(stores)
    early = await stores.sessions.instant("01EARLY")
    late = await stores.sessions.end_all(SUB, ADA, "everywhere", "user")
    await stores.sessions.end_all(SUB, ADA, "password_reset", "user", at_ms=early)

    assert late in await stores.sessions.unannounced()
    assert isinstance(await stores.sessions.open(opening_of(early)), NotExchanged)
    assert Over("everywhere") == await stores.sessions.advance(session, 1, GRACE)


async def test_the_clock_says_no_time_twice_the_other_way_round(stores: Stores) -> None:
    """Who reads it before and after something knows that the something lies between."""
    ahead = await stores.sessions.now() + 1_500
    first = await stores.sessions.now(after_ms=ahead)
    second = await stores.sessions.now()
    instant = await stores.sessions.instant("01ENTRY")
    end = await stores.sessions.end_all(SUB, ADA, "everywhere", "user")

    assert is_next_after(first, ahead)
    assert first <= second <= instant < end.at_ms


async def test_a_session_without_a_link_is_opened_like_one_with(stores: Stores) -> None:
    """After every watermark, once for each sid, and with a word about the browser."""
    asked = await stores.sessions.now()
    opening = opening_of(asked, watermark=asked - 1)
    first = await stores.sessions.open(opening)
    again = await stores.sessions.open(opening)
    elsewhere = await stores.sessions.open(opening_of(asked, browser="browser-2"))

    assert isinstance(first, Exchanged)
    assert isinstance(again, Exchanged)
    assert isinstance(elsewhere, Exchanged)
    assert (first.session, False) == (again.session, again.new_browser)
    assert (False, True) == (first.new_browser, elsewhere.new_browser)
    assert first.session.expires_at_ms == first.session.sst + SESSION_MS
    assert first.session == await stores.sessions.find(first.session.sid)


async def test_a_proof_from_before_an_end_opens_nothing(stores: Stores) -> None:
    """A password that was read before it was reset, a store that lost what it was told since."""
    asked = await stores.sessions.now()
    refused = await stores.sessions.open(opening_of(asked, watermark=asked))
    await stores.whole_since(asked)
    lost = await stores.sessions.open(opening_of(asked))
    await stores.doubt()

    assert (NotExchanged, NotExchanged) == (type(refused), type(lost))
    with pytest.raises(StoreUnsettledError):
        await stores.sessions.open(opening_of(asked))


async def test_parallel_guesses_share_their_tries_before_anything_is_proven(
    stores: Stores,
) -> None:
    """Fifty wrong codes and then the right one: no address counts as proven by it."""
    attempt = await open_one(stores)

    async def guess(*, right: bool) -> object:
        return await stores.attempts.judge(attempt, by_code=True, right=right, watermark=0)

    assert await guess(right=True) is None
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(guess(right=False))

    assert isinstance(await guess(right=True), NotExchanged)
    found = await stores.attempts.find(attempt.login_id)
    assert found is not None
    assert (found.state, found.tries) == ("open", 5)


async def test_judging_uses_nothing_up(stores: Stores) -> None:
    """The exchange after it opens the session, and the next one is told which."""
    attempt = await open_one(stores)
    for _ in range(2):
        assert await stores.attempts.judge(attempt, by_code=False, right=True, watermark=0) is None
    opened = await stores.attempts.exchange(as_account(attempt))

    assert isinstance(opened, Exchanged)
    judged = await stores.attempts.judge(attempt, by_code=False, right=True, watermark=0)
    assert UsedBefore(opened.session.sid) == judged


async def test_an_attempt_is_consumed_once_and_voids_its_siblings(stores: Stores) -> None:
    """Those for the same purpose; whoever repeats the very same step is told that it was done."""
    first, second = [
        await open_one(stores, new_attempt(purpose="reset_password")) for _ in range(2)
    ]
    link = await open_one(stores)

    async def consume(attempt: Attempt, mark: str = "", *, right: bool = True) -> bool:
        return await stores.attempts.consume(
            attempt, by_code=False, right=right, watermark=0, mark=mark
        )

    assert not await consume(second, right=False)
    assert await consume(second, "mark")
    assert [True, False, False] == [await consume(second, mark) for mark in ("mark", "other", "")]
    assert not await consume(first)
    assert isinstance(await stores.attempts.exchange(as_account(link)), Exchanged)


async def test_two_hundred_parallel_consumers_are_one(stores: Stores) -> None:
    """Single use holds under concurrency, without a session too."""
    attempt = await open_one(stores, new_attempt(purpose="reset_password"))
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                stores.attempts.consume(attempt, by_code=False, right=True, watermark=0)
            )
            for _ in range(200)
        ]

    assert 1 == sum(task.result() for task in tasks)


async def test_the_active_organisation_is_the_session_s(stores: Stores) -> None:
    """Set with a renewal, kept by the next, left with ""; a tombstone says none."""
    session = await account_signs_in(stores)
    seen = []
    for counter, org in enumerate(("01ORG", None, ""), start=1):
        await stores.sessions.advance(session, counter, GRACE, org=org)
        found = await stores.sessions.find(session.sid)
        seen.append(found and found.org)
    assert isinstance(await stores.sessions.advance(session, 3, GRACE, org="01B"), Advanced)
    repeated = await stores.sessions.find(session.sid)
    await stores.sessions.end(session.sid, SUB, "logout", "user")
    ended = await stores.sessions.find(session.sid)

    assert repeated is not None
    assert ended is not None
    assert ["01ORG", "01ORG", ""] == seen
    assert ("01B", "") == (repeated.org, ended.org)


async def test_what_waits_for_a_proof_is_kept_with_its_attempt(stores: Stores) -> None:
    """A provider's login, as it was written."""
    attempt = await open_one(stores, new_attempt(identity="ticket"))

    found = await stores.attempts.find(attempt.login_id)

    assert found is not None
    assert "ticket" == found.identity


async def test_a_session_is_looked_at_with_the_time_before_what_is_read_after_it(
    stores: Stores,
) -> None:
    """The same as finding it; what is unknown is unknown, unless the store may have lost it."""
    session = await account_signs_in(stores)
    found, now = await stores.sessions.look(session.sid)
    instant = await stores.sessions.instant("01ENTRY")
    nobody, _ = await stores.sessions.look(new_session().sid)
    await stores.doubt()

    assert (session, None) == (found, nobody)
    assert session.sst <= now <= instant
    with pytest.raises(StoreUnsettledError):
        await stores.sessions.look(new_session().sid)


@pytest.mark.parametrize(
    ("used", "older"), [("sign_in", "verify_email"), ("verify_email", "sign_in")]
)
async def test_links_that_open_a_session_are_one_kind(
    stores: Stores, used: str, older: str
) -> None:
    """Both are counted, and the first that is used voids the others; one to set a password stays."""
    other, link = [await open_one(stores, new_attempt(purpose=name)) for name in (older, used)]
    reset = await open_one(stores, new_attempt(purpose="reset_password"))

    assert 2 == await stores.attempts.unopened(ADA, 0)
    assert isinstance(await stores.attempts.exchange(as_account(link)), Exchanged)
    assert 0 == await stores.attempts.unopened(ADA, 0)
    assert isinstance(await stores.attempts.exchange(as_account(other)), NotExchanged)
    assert await stores.attempts.consume(reset, by_code=False, right=True, watermark=0)
