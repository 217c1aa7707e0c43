"""Events and the verifier's memory: how listening ends, what is kept, what a new set of keys changes."""

import asyncio
import gc

import pytest

from latchwire import (
    Claims,
    FeedClosedError,
    FeedConnectError,
    FeedStaleError,
    Refused,
    Resync,
    Verifier,
)
from latchwire.testing import FakeFeed, FakeIssuer
from tests.support.tokens import POLICY, make_claims, ring, sign
from tests.support.waiting import eventually


@pytest.fixture
def issuer() -> FakeIssuer:
    """Tokens on a clock that stands still."""
    return FakeIssuer()


@pytest.fixture
def feed(issuer: FakeIssuer) -> FakeFeed:
    """Fresh and empty."""
    return FakeFeed(clock=issuer.clock)


async def test_reading_ends_with_the_feed_after_what_was_already_told(feed: FakeFeed) -> None:
    """Nothing that was told is lost by a shutdown."""
    events = feed.events()
    feed.revoke_session("s")
    feed.stop()

    assert ["session"] == [event.scope async for event in events if not isinstance(event, Resync)]
    assert [] == [event async for event in feed.events()]


async def test_a_reader_hears_that_the_connection_is_gone_for_good(feed: FakeFeed) -> None:
    """So that the process can end and be started again; until then it refuses."""
    events = feed.events()

    async with asyncio.TaskGroup() as group:
        reading = group.create_task(_first_error(events))
        feed.close_for_good()

    assert isinstance(reading.result(), FeedClosedError)
    assert feed.is_stale()


async def _first_error(events: object) -> Exception | None:
    try:
        await anext(events)  # type: ignore[call-overload]
    except FeedClosedError as error:
        return error
    return None


async def test_a_reader_that_went_away_costs_nothing(feed: FakeFeed) -> None:
    """Leaving the ``async for`` is enough."""
    feed.events()
    gc.collect()

    feed.revoke_session("s")

    assert 0 == len(feed._hub._streams)


async def test_what_is_known_already_is_not_told_again(feed: FakeFeed) -> None:
    """The same record a second time changes nothing."""
    events = feed.events()
    feed.revoke_session("s")
    feed.revoke_session("s")
    feed.stop()

    assert 1 == len([event async for event in events])


async def test_a_watch_leaves_nothing_behind(issuer: FakeIssuer, feed: FakeFeed) -> None:
    """However it ends."""
    verifier = issuer.verifier(feed)
    claims = verifier.verify(issuer.token(sid="s"))
    assert isinstance(claims, Claims)
    feed.revoke_session("s")

    assert Refused("token_revoked", "session") == await verifier.until_refused(claims)
    watch = asyncio.create_task(verifier.until_refused(claims))
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch

    assert {} == feed._hub._watches


def test_a_fresh_feed_and_a_good_token_give_claims_in_text_or_bytes(
    issuer: FakeIssuer, feed: FakeFeed
) -> None:
    """And never an exception: what is no token is refused as one."""
    verifier, token = issuer.verifier(feed), issuer.token(sub="u")

    for given in (token, token.encode()):
        claims = verifier.verify(given)
        assert isinstance(claims, Claims)
        assert "u" == claims.sub
    for bad in ("", "a.b.c", "\ud800", b"\xff", token[:-1]):
        refused = verifier.verify(bad)
        assert isinstance(refused, Refused)
        assert "token_invalid" == refused.code


def test_what_is_remembered_is_bounded_and_what_is_in_use_survives(
    issuer: FakeIssuer, feed: FakeFeed
) -> None:
    """Two generations; a token that is asked about all the time is verified once."""
    verifier = Verifier(issuer.keys, issuer.policy, feed, capacity=10, now_ms=issuer.clock)
    used = issuer.token()

    for _ in range(100):
        verifier.verify(used)
        verifier.verify(issuer.token())
        assert len(verifier._young) + len(verifier._old) <= 20
        assert used.encode() in verifier._young | verifier._old


def test_a_remembered_token_is_asked_about_again_each_time(
    issuer: FakeIssuer, feed: FakeFeed
) -> None:
    """Time, revocation and keys are never remembered."""
    verifier = issuer.verifier(feed)
    revoked, expired, other = issuer.token(sid="s"), issuer.token(), issuer.token(seconds=600)
    for token in (revoked, expired, other):
        assert isinstance(verifier.verify(token), Claims)

    feed.revoke_session("s")
    assert Refused("token_revoked", "session") == verifier.verify(revoked)
    issuer.clock.advance(605)
    assert Refused("token_expired", "exp") == verifier.verify(other)
    assert isinstance(verifier.verify(expired), Claims)
    verifier.replace_keys(FakeIssuer(kid="next").keys)

    assert Refused("token_invalid", "kid unknown") == verifier.verify(expired)


def test_the_platforms_own_tokens_are_good_too(feed: FakeFeed) -> None:
    """RS256, as auth signs them."""
    claims = make_claims(now_ms=feed._now_ms())
    verifier = Verifier(ring(), POLICY, feed, now_ms=feed._now_ms)

    assert isinstance(verifier.verify(sign(claims)), Claims)


async def test_what_stays_open_ends_with_the_key_that_signed_its_token(
    issuer: FakeIssuer, feed: FakeFeed
) -> None:
    """A key that was taken out of the set: not at the token's expiry but now."""
    verifier = issuer.verifier(feed)
    claims = verifier.verify(issuer.token())
    assert isinstance(claims, Claims)
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(verifier.until_refused(claims))
        await eventually(lambda: feed._hub.watched)
        verifier.replace_keys(FakeIssuer(kid="next").keys)

    assert Refused("token_invalid", "kid unknown") == watch.result()


async def test_a_thousand_open_sockets_share_one_look_at_the_time(
    issuer: FakeIssuer, feed: FakeFeed
) -> None:
    """And all of them hear that the feed went stale, however it did."""
    verifier = issuer.verifier(feed)
    claims = verifier.verify(issuer.token())
    assert isinstance(claims, Claims)
    async with asyncio.TaskGroup() as group:
        watches = [group.create_task(verifier.until_refused(claims)) for _ in range(1000)]
        await eventually(lambda: feed._hub.watched)
        feed._staleness = 11.0  # nothing is told: time has passed

    assert {Refused("stale", "feed")} == {watch.result() for watch in watches}
    await eventually(lambda: feed._alarm is None)


def test_an_error_says_what_it_means() -> None:
    """Its docstring is its message."""
    assert "proof" in str(FeedStaleError())
    assert str(FeedConnectError("no answer")).startswith("no answer: No NATS server")


async def test_a_verifier_without_a_feed_lets_nobody_in(issuer: FakeIssuer, feed: FakeFeed) -> None:
    """An application is often put together before it is connected."""
    verifier, token = Verifier(issuer.keys, issuer.policy, now_ms=issuer.clock), issuer.token()
    claims = issuer.verifier(feed).verify(token)
    assert isinstance(claims, Claims)

    assert Refused("stale", "feed") == verifier.verify(token)
    assert Refused("stale", "feed") == await verifier.until_refused(claims)
    assert verifier.problem() is not None

    verifier.attach(feed)

    assert claims == verifier.verify(token)
    assert verifier.problem() is None
