"""`RevocationFeed.open` against real servers: who is let in, what wakes, how it ends."""

import signal
from pathlib import Path

import pytest

from latchwire import (
    Claims,
    Event,
    EventStream,
    FeedClosedError,
    FeedConnectError,
    Record,
    RevocationFeed,
    Revoked,
    Verifier,
)
from latchwire.assertions import Assertion
from latchwire.testing import FakeEdge
from shared.bus.permissions import render_accounts
from shared.clock import SystemClock
from shared.secrets import public_key
from tests.conftest import BusFactory
from tests.support.documents import operators, signed, write
from tests.support.feed import FAR_MS, Writer
from tests.support.sdk_worlds import MAX_STALENESS, feed_options, open_feed
from tests.support.servers import CREDENTIALS, NatsServer, free_port, start_in_thread
from tests.support.tokens import POLICY, SigningKey, jwks, make_claims, ring, sign, signing_key
from tests.support.waiting import eventually

KEY = b"test" * 8  # of tests.support.feed


async def read(events: EventStream, count: int) -> list[Event]:
    """The next *count* events."""
    return [await anext(events) for _ in range(count)]


async def test_a_service_that_nobody_answers_is_told_so(tmp_path: Path, secrets_dir: Path) -> None:
    """Within its own time, not after sixty tries."""
    link = RevocationFeed.open(
        f"nats://127.0.0.1:{free_port()}",
        name="service-shop",
        nkey_seed=(secrets_dir / "nats" / "service-shop.seed").read_text().strip(),
        blocklist_key=KEY,
        connect_timeout=0.3,
    )

    with pytest.raises(FeedConnectError):
        async with link:
            pytest.fail("it was let in")


async def test_a_seed_that_the_server_does_not_know_is_said_aloud(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    """The reason is in the error; nothing of the seed is."""
    stranger, said = _new_seed(), ""
    for patience in (1.0, 5.0, 20.0):  # a busy machine may not even have asked within one
        link = RevocationFeed.open(
            nats_server.url,
            name="service-shop",
            nkey_seed=stranger,
            blocklist_key=KEY,
            connect_timeout=patience,
        )
        with pytest.raises(FeedConnectError) as refused:
            async with link:
                pytest.fail("it was let in")
        said = str(refused.value)
        if said != "no answer":
            break

    assert "authorization violation" in said.lower()
    assert stranger not in said


def _new_seed() -> str:
    import nkeys

    raw: bytes = nkeys.encode_seed(b"x" * 32, nkeys.PREFIX_BYTE_USER)
    return raw.decode("ascii")


@pytest.mark.parametrize("key", [b"short", "", "not base64!", "c2hvcnQ"])
async def test_what_is_no_blocklist_key_is_refused_before_anything_is_connected(
    key: bytes | str,
) -> None:
    """With a wrong key nothing would ever be found revoked."""
    with pytest.raises(ValueError, match=r"blocklist\.key"):
        async with RevocationFeed.open(
            "nats://127.0.0.1:1", name="service-shop", nkey_seed="", blocklist_key=key
        ):
            pytest.fail("it was let in")


async def test_what_was_missed_while_cut_off_is_told_one_by_one(
    nats_server: NatsServer, secrets_dir: Path, writer: Writer
) -> None:
    """Read to fill the gap, and told as if it had been heard; nothing is told twice."""
    async with open_feed(nats_server, secrets_dir) as feed:
        await feed.wait_ready(60)
        events = feed.events()
        await writer.revoke("heard")
        assert feed._subscription is not None
        await feed._subscription.unsubscribe()
        await feed._client.flush()
        await feed._client.flush()
        await writer.revoke("missed")
        last = await writer.revoke("missed too")

        told = await read(events, 3)
        await eventually(lambda: feed.seq == last)
        feed._subscription = None
        await feed.start()

    assert [Revoked, Revoked, Revoked] == [type(event) for event in told]
    assert [] == [event async for event in events]


async def test_a_connection_that_is_closed_for_good_ends_the_reading_with_an_error(
    nats_server: NatsServer, secrets_dir: Path, writer: Writer
) -> None:
    """And the readiness check says what to do."""
    async with open_feed(nats_server, secrets_dir) as feed:
        await feed.wait_ready(60)
        events = feed.events()
        assert feed.problem() is None

        await feed._client.close()

        with pytest.raises(FeedClosedError):
            await anext(events)
        assert "start this process again" in (feed.problem() or "")


async def test_a_rotation_of_the_token_keys_reaches_the_service_by_itself(
    nats_server: NatsServer, secrets_dir: Path, writer: Writer, bus_of: BusFactory
) -> None:
    """Signed by an operator; what anybody else signs changes nothing."""
    old, new, forged = (signing_key("EdDSA", name) for name in ("old", "new", "forged"))
    operator, now_ms = await bus_of("operator"), SystemClock().now_ms
    verifier = Verifier(ring(old), POLICY, now_ms=now_ms)
    options = feed_options(nats_server, secrets_dir)
    async with RevocationFeed.open(
        **options, operators=operators(), on_keys=verifier.replace_keys
    ) as feed:
        verifier.attach(feed)
        await feed.wait_ready(60)

        def accepts(key: SigningKey) -> bool:
            token = sign(make_claims(now_ms=now_ms()), key)
            return isinstance(verifier.verify(token), Claims)

        assert accepts(old)
        stranger = signing_key("EdDSA", "stranger")
        await write(operator, "keys", signed(jwks(forged), 1, key=stranger))
        await write(operator, "keys", signed(jwks(old, new), 2))
        await eventually(lambda: accepts(new))

        assert accepts(old)
        assert not accepts(forged)


async def test_an_edge_that_is_withdrawn_is_believed_no_more_by_itself(
    nats_server: NatsServer, secrets_dir: Path, writer: Writer, bus_of: BusFactory
) -> None:
    """The operator's document takes its key away; a service that follows the feed asks nobody."""
    one, two = FakeEdge(kid="edge-1.00000001"), FakeEdge(kid="edge-2.00000002")
    operator = await bus_of("operator")
    verifier = one.verifier("shop")
    both = {"keys": [*one.jwks["keys"], *two.jwks["keys"]]}

    def believed() -> tuple[bool, bool]:
        found = [verifier.verify(edge.assertion("shop")) for edge in (one, two)]
        return isinstance(found[0], Assertion), isinstance(found[1], Assertion)

    options = feed_options(nats_server, secrets_dir)
    async with RevocationFeed.open(
        **options, operators=operators(), on_edges=verifier.replace_keys
    ) as feed:
        await feed.wait_ready(60)
        assert believed() == (True, False)
        await write(operator, "edges", signed(both, 1, name="edges"))
        await eventually(lambda: believed() == (True, True))
        await write(operator, "edges", signed(two.jwks, 2, name="edges"))
        await eventually(lambda: believed() == (False, True))


async def test_keys_need_both_their_operators_and_somebody_who_takes_them() -> None:
    """One without the other is a mistake that would show only at the next rotation."""
    with pytest.raises(ValueError, match="go together"):
        async with RevocationFeed.open(
            "nats://127.0.0.1:1",
            name="service-shop",
            nkey_seed="",
            blocklist_key=KEY,
            operators=operators(),
        ):
            pytest.fail("it was let in")


async def test_a_server_that_dies_and_returns_costs_the_service_nothing(
    nats_server: NatsServer, secrets_dir: Path, writer: Writer
) -> None:
    """kill -9 and restart: connected again by itself, and what happens then is told."""
    async with open_feed(nats_server, secrets_dir) as feed:
        await feed.wait_ready(60)
        events = feed.events()
        nats_server.kill()
        await eventually(lambda: not feed._client.is_connected)
        await start_in_thread(nats_server)
        await eventually(lambda: writer.bus.connected)
        await writer.revoke("later", Record(FAR_MS))

        (event,) = await read(events, 1)

    assert isinstance(event, Revoked)
    assert "session" == event.scope


async def test_a_credential_that_was_withdrawn_leaves_the_service_refusing_until_it_is_given_back(
    nats_server: NatsServer, secrets_dir: Path, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    """NATS reads accounts without it: stale, and the log says why, once and not at each of many tries."""
    async with open_feed(nats_server, secrets_dir) as feed:
        await feed.wait_ready(60)
        events = feed.events()
        let_in(nats_server, *(name for name in CREDENTIALS if name != "service-shop"))

        await eventually(feed.is_stale, within=MAX_STALENESS + 30)
        assert 1 <= caplog.text.count("Authorization Violation") <= 3
        assert "no proof" in (feed.problem() or "")
        let_in(nats_server, *CREDENTIALS)
        await feed.wait_ready(60)
        await writer.revoke("afterwards")

        assert isinstance(await anext(events), Revoked)


def let_in(server: NatsServer, *names: str) -> None:
    """Have a running server read accounts with exactly these credentials."""
    accounts = server.log.with_name("accounts.conf")
    accounts.write_text(render_accounts({name: public_key(server.seed(name)) for name in names}))
    server.signal(signal.SIGHUP)
