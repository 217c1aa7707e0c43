"""The revocation feed against a real nats-server: joins, gaps, deaths, other epochs, liars."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from latchwire._stream import FeedReadError, Freshness, StreamReader, StreamState
from latchwire.blocklist import Blocklist
from latchwire.feed import RevocationFeed
from latchwire.records import Record
from shared.bus import Bus
from shared.clock import SystemClock
from tests.conftest import BusFactory
from tests.support.feed import FAR_MS, FOREVER, HASH_KEY, Writer, holds, make_feed, session_key
from tests.support.servers import NatsServer, start_in_thread
from tests.support.waiting import eventually


@pytest.fixture
async def edge(bus_of: BusFactory) -> Bus:
    """The bus of edge-1."""
    return await bus_of("edge-1")


@pytest.fixture
async def feed(edge: Bus, writer: Writer) -> AsyncIterator[RevocationFeed]:
    """A running feed that has proven itself once."""
    await writer.revoke("before")
    async with make_feed(edge) as feed:
        await eventually(lambda: feed.staleness_seconds() < 5)
        yield feed


async def settle(client: Client) -> None:
    """All that was written is at the server (nats-py's first PING overtakes what is buffered)."""
    await client.flush()
    await client.flush()


async def go_deaf(feed: RevocationFeed) -> None:
    """Lose deltas, as a slow consumer or a broken route would."""
    assert feed._subscription is not None
    await feed._subscription.unsubscribe()
    feed._subscription = None
    await settle(feed._client)


async def test_what_was_revoked_before_and_after_joining_is_known(
    feed: RevocationFeed, writer: Writer
) -> None:
    """Direct get brings the past, deltas the present."""
    assert holds(feed, "before")

    seq = await writer.revoke("after")

    await eventually(lambda: holds(feed, "after"))
    assert feed.seq == seq
    assert feed.fills == 0


async def test_a_large_list_arrives_whole(edge: Bus, writer: Writer) -> None:
    """More records than one batch of direct get, some replaced, all there."""
    for number in range(300):
        await writer.bus.js.publish_async(
            f"bl.{session_key(str(number % 250))}", Record(FAR_MS + number).pack()
        )
    await writer.bus.js.publish_async_completed()

    async with make_feed(edge) as feed:
        await feed.wait_ready(10)
        await eventually(lambda: feed.staleness_seconds() < 5)

        assert len(feed.blocklist) == 250
        assert feed.seq == 300


async def test_lost_deltas_are_filled_without_waiting_for_the_next(
    feed: RevocationFeed, writer: Writer
) -> None:
    """The probe tells that something is missing although nothing more happens; receipts need not wait."""
    heard: list[int] = []
    feed.on_applied.append(lambda _key, _record: heard.append(feed.seq))
    await go_deaf(feed)
    for name in ("x", "y", "y2"):
        await writer.revoke(name)
    seq = await writer.revoke("y", Record(FAR_MS + 1))

    await eventually(lambda: holds(feed, "x", "y", "y2"))
    await eventually(lambda: feed.seq == seq)
    assert heard[-1] == seq, "who waits for what is applied is woken at the end of a gap too"
    assert feed.fills >= 1


async def test_a_delta_beyond_a_gap_counts_at_once_and_the_gap_is_filled(
    feed: RevocationFeed, writer: Writer
) -> None:
    """A revocation never waits for another; only the claim of completeness does."""
    await go_deaf(feed)
    await writer.revoke("lost")
    await feed.start()
    await settle(feed._client)
    seq = await writer.revoke("heard")

    await eventually(lambda: holds(feed, "lost", "heard"))
    await eventually(lambda: feed.seq == seq)


async def test_sequences_that_have_expired_are_skipped_on_the_leaders_word(
    feed: RevocationFeed, writer: Writer
) -> None:
    """A tail that no longer exists does not hold up the proof for ever."""
    await go_deaf(feed)
    seq = await writer.revoke("short", ttl_seconds=1)
    await eventually(lambda: _absent(writer, "short"))

    await eventually(lambda: feed.seq >= seq)
    await eventually(lambda: feed.staleness_seconds() < 1.5)


async def _absent(writer: Writer, name: str) -> bool:
    return await writer.bus.get_state(session_key(name)) is None


async def test_a_killed_server_costs_nothing_once_it_is_back(
    feed: RevocationFeed, writer: Writer, nats_server: NatsServer
) -> None:
    """kill -9, restart: known is known, new is heard, freshness is proven again."""
    nats_server.kill()
    await eventually(lambda: not feed._client.is_connected)
    assert holds(feed, "before")
    await start_in_thread(nats_server)
    await eventually(lambda: writer.bus.connected)

    seq = await writer.revoke("later")

    await eventually(lambda: holds(feed, "before", "later") and feed.seq == seq)
    await eventually(lambda: feed.staleness_seconds() < 1.5)


async def test_what_happens_while_an_edge_is_cut_off_is_known_right_after(
    feed: RevocationFeed, writer: Writer, nats_server: NatsServer, bus_of: BusFactory
) -> None:
    """Written between the edge's disconnect and its return: filled without a further delta."""
    nats_server.kill()
    await eventually(lambda: not feed._client.is_connected)
    feed._client.options["reconnect_to_server_handler"] = None
    await start_in_thread(nats_server)
    fresh = Writer(await bus_of("revocation"))
    await fresh.revoke("meanwhile")

    await eventually(lambda: holds(feed, "meanwhile"))


async def test_a_recreated_stream_starts_over_and_the_old_list_refuses_until_then(
    feed: RevocationFeed, writer: Writer, nats_server: NatsServer, tmp_path: Path
) -> None:
    """A new epoch: nothing is mixed up by sequences that begin again at 1."""
    old_epoch, old_list = feed.epoch, feed.blocklist
    for name in ("a", "b", "c"):
        await writer.revoke(name)
    nats_server.kill()
    shutil.rmtree(tmp_path / "nats" / "js")
    await start_in_thread(nats_server)
    assert holds(feed, "a", "before")
    await nats_server.provision()
    await eventually(lambda: writer.bus.connected)
    await writer.revoke("new")

    await eventually(lambda: feed.epoch != old_epoch)
    await eventually(lambda: holds(feed, "new") and feed.seq == 1)
    assert feed.blocklist is not old_list
    assert not holds(feed, "a")
    await eventually(lambda: feed.staleness_seconds() < 1.5)


async def test_without_an_answer_there_is_no_proof(feed: RevocationFeed, writer: Writer) -> None:
    """A living connection proves nothing; staleness grows until somebody proves it."""
    writer.silent = True
    await eventually(lambda: feed.staleness_seconds() > 2.5)

    writer.silent = False

    await eventually(lambda: feed.staleness_seconds() < 1.5)


async def test_the_age_of_what_waits_to_be_written_is_part_of_the_staleness(
    feed: RevocationFeed, writer: Writer
) -> None:
    """A worker that is 30 s behind makes every edge 30 s stale, from its next answer on."""
    writer.backlog_ms = 30_000
    feed._proof.drop()

    await eventually(lambda: 30 <= feed.staleness_seconds() < 40)


async def test_a_proof_of_another_epoch_proves_nothing(
    feed: RevocationFeed, writer: Writer
) -> None:
    """Somebody who looks at another stream cannot vouch for this one; the list is not thrown away."""
    held = feed.blocklist
    writer.epoch = "another"

    await eventually(lambda: feed.staleness_seconds() > 2.5)
    assert feed.blocklist is held


async def test_before_the_first_proof_a_feed_is_infinitely_stale(edge: Bus) -> None:
    """Nobody answers probes: loaded, but not to be trusted."""
    async with make_feed(edge) as feed:
        await eventually(lambda: feed.ready)

        assert feed.staleness_seconds() == float("inf")


@pytest.fixture
async def thief(bus_of: BusFactory) -> Bus:
    """A stolen credential of a sibling edge."""
    return await bus_of("edge-2")


FORGED = Record(FAR_MS).pack()


def forged_headers(name: str, seq: int) -> dict[str, str]:
    """What the server would write on a delta."""
    subject = f"bl.{session_key(name)}"
    return {"Nats-Subject": subject, "Nats-Sequence": str(seq), "Nats-Stream": "BLOCKLIST"}


async def test_a_stolen_sibling_edge_cannot_revoke_anybody(
    feed: RevocationFeed, writer: Writer, thief: Bus
) -> None:
    """Neither on a delta's subject, nor on the one subject it may publish, nor by a borrowed reply."""
    victim = session_key("victim")
    for subject in (f"blocklist.{victim}", "revocation.probe", f"bl.{victim}"):
        await thief.client.publish(subject, FORGED, headers=forged_headers("victim", feed.seq + 1))
    for subject in ("revocation.probe", "CORE.API.STREAM.INFO.BLOCKLIST"):
        await thief.client.publish(subject, b"{}", reply=f"blocklist.{victim}")
    get = json.dumps({"seq": 1, "next_by_subj": "bl.*"}).encode()
    for call in ("DIRECT.GET", "STREAM.MSG.GET"):
        reply = f"blocklist.{victim}"
        await thief.client.publish(f"CORE.API.{call}.BLOCKLIST", get, reply=reply)
    await settle(thief.client)

    seq = await writer.revoke("afterwards")

    await eventually(lambda: holds(feed, "afterwards") and feed.seq == seq)
    assert not holds(feed, "victim")
    assert len(feed.blocklist) == 2


async def test_a_stolen_sibling_edge_hears_no_questions(
    feed: RevocationFeed, writer: Writer, thief: Bus
) -> None:
    """Whoever knew where an edge waits for an answer could have the server send it another one first."""
    heard: list[str] = []

    async def listen(message: Msg) -> None:
        heard.append(f"{message.subject} {message.reply}")

    for subject in (
        "blocklist.*",
        "blocklist.>",
        "revocation.probe",
        "revocation.>",
        "_INBOX_edge-1.>",
    ):
        await thief.client.subscribe(subject, cb=listen)
    await settle(thief.client)
    feed._proof.drop()

    await eventually(lambda: feed.staleness_seconds() < 5)
    await writer.revoke("heard")

    await eventually(lambda: heard)
    assert set(heard) == {f"blocklist.{session_key('heard')} "}


async def test_an_answer_that_is_none_does_not_end_the_question(bus_of: BusFactory) -> None:
    """Garbage that arrives first, whoever sent it, costs nothing but the wait for the real answer."""
    auth, liar, worker = (
        await bus_of("auth"),
        await bus_of("revocation"),
        await bus_of("revocation"),
    )
    answered = asyncio.Event()

    async def lie(message: Msg) -> None:
        await liar.client.publish(message.reply, b'{"type":"io.nats.jetstream.api.v1.stream_info"}')
        await settle(liar.client)
        answered.set()

    async def tell(message: Msg) -> None:
        await answered.wait()
        body = {"epoch": "e", "last_seq": 7, "backlog_ms": 0}
        await worker.client.publish(message.reply, json.dumps(body).encode())

    await liar.client.subscribe("revocation.probe", cb=lie)
    await worker.client.subscribe("revocation.probe", cb=tell)
    await settle(liar.client)
    await settle(worker.client)

    found = await StreamReader(auth.client, auth.api_prefix).probe("revocation.probe", b"{}")

    assert found == Freshness("e", 7, 0.0)


async def test_a_stream_that_is_missing_is_not_an_empty_one(
    edge: Bus, nats_server: NatsServer, tmp_path: Path
) -> None:
    """The leader says 404 of both; only one of them means that nothing is left to read."""
    reader = StreamReader(edge.client, edge.api_prefix)
    assert await reader.next_seq(1) is None
    nats_server.kill()
    shutil.rmtree(tmp_path / "nats" / "js")
    await start_in_thread(nats_server)
    await eventually(lambda: edge.connected)

    with pytest.raises(FeedReadError):
        await reader.next_seq(1)


async def test_a_machine_that_stood_still_answers_nobody_before_it_has_asked_again(
    edge: Bus, writer: Writer
) -> None:
    """The wall clock runs ahead: stale at that very moment, and proven anew right after."""
    ahead_ms = 0
    system = SystemClock()
    feed = RevocationFeed(
        edge.client,
        hash_key=HASH_KEY,
        api_prefix=edge.api_prefix,
        monotonic=system.monotonic,
        now_ms=lambda: system.now_ms() + ahead_ms,
    )
    async with feed:
        await eventually(lambda: feed.staleness_seconds() < 5)
        writer.silent = True

        ahead_ms = 3_000

        assert feed.staleness_seconds() == float("inf")
        writer.silent = False
        await eventually(lambda: feed.staleness_seconds() < 5)


class Documents:
    """A companion that reads DOCUMENT as told."""

    def __init__(self) -> None:
        self.seq = 0
        self.started = 0
        self.readable = True

    async def start(self, client: Client) -> None:
        """Counted."""
        self.started += 1

    async def stop(self) -> None:
        """Counted back."""
        self.started -= 1

    async def catch_up(self, seq: int) -> None:
        """As far as asked, if it can be read."""
        if not self.readable:
            raise FeedReadError("away")
        self.seq = seq


async def test_there_is_no_proof_before_the_documents_are_as_far_as_the_answer_says(
    edge: Bus, writer: Writer
) -> None:
    """An edge that enforces last week's keys is not fresh, whatever its blocklist holds."""
    documents = Documents()
    documents.readable = False
    writer.documents_seq = 3
    feed = RevocationFeed(
        edge.client, hash_key=HASH_KEY, api_prefix=edge.api_prefix, documents=documents
    )
    async with feed:
        await eventually(lambda: feed.ready)
        await eventually(lambda: "away" in feed._trouble.said)
        assert (documents.started, feed.staleness_seconds()) == (1, float("inf"))

        documents.readable = True

        await eventually(lambda: feed.staleness_seconds() < 5)
        assert documents.seq == 3
    assert documents.started == 0


async def test_a_worker_that_knows_how_far_it_must_be_asks_nobody(edge: Bus) -> None:
    """Its own answer is the proof; nobody on the bus answers probes here."""
    reader = StreamReader(edge.client, edge.api_prefix)

    async def know() -> Freshness:
        state = await reader.state()
        return Freshness(state.epoch, state.last_seq, 0.0)

    feed = RevocationFeed(edge.client, hash_key=HASH_KEY, api_prefix=edge.api_prefix, probe=know)
    async with feed:
        await eventually(lambda: feed.staleness_seconds() < 5)


class Doubted(StreamReader):
    """Hears "nothing left" *lies* times from who is no leader any more, and the end of its copy as *told*."""

    lies = 0
    told: int | None = None

    async def next_seq(self, seq: int) -> int | None:
        """A lie, or the leader's word."""
        if self.lies:
            self.lies -= 1
            return None
        return await super().next_seq(seq)

    async def state(self) -> StreamState:
        """The leader's word, or that of a copy that lags."""
        state = await super().state()
        return state if self.told is None else StreamState(state.epoch, self.told)


async def test_nothing_left_is_asked_twice(edge: Bus, writer: Writer) -> None:
    """A leader that was replaced while it stood still says it once, before it knows; nothing must be missed."""
    await writer.revoke("first")
    await writer.revoke("second")
    reader, into = Doubted(edge.client, edge.api_prefix), Blocklist(HASH_KEY)
    state = await reader.state()

    reader.lies = 1
    assert await reader.read_after(0, state, into) == state.last_seq
    assert len(into) == 2


async def test_nothing_left_is_not_believed_of_a_copy_that_ends_before(
    edge: Bus, writer: Writer
) -> None:
    """A leader that was cut off says it as often as it is asked, but its own end gives it away."""
    await writer.revoke("first")
    await writer.revoke("second")
    reader, into = Doubted(edge.client, edge.api_prefix), Blocklist(HASH_KEY)
    state = await reader.state()

    reader.lies, reader.told = 100, state.last_seq - 1
    with pytest.raises(FeedReadError):
        await reader.read_after(0, state, into)


async def test_a_question_goes_down_with_its_connection(
    edge: Bus, nats_server: NatsServer, bus_of: BusFactory
) -> None:
    """Nobody waits for the whole time-out when the server it asked is gone."""
    worker, asked = await bus_of("revocation"), asyncio.Event()

    async def hear(_message: Msg) -> None:
        asked.set()

    await worker.client.subscribe("revocation.probe", cb=hear)
    await settle(worker.client)
    loop = asyncio.get_running_loop()
    question = loop.create_task(
        StreamReader(edge.client, edge.api_prefix).probe("revocation.probe", b"{}")
    )
    await asked.wait()

    nats_server.kill()

    with pytest.raises(FeedReadError, match="the connection was lost"):
        await question


async def test_a_reader_that_was_too_slow_for_a_burst_reads_again_what_it_dropped(
    feed: RevocationFeed, writer: Writer
) -> None:
    """Should the client library drop deltas after all (SlowConsumerError), the next probe shows it."""
    assert feed._subscription is not None
    feed._subscription._pending_queue = asyncio.Queue(
        1
    )  # whoever empties it still waits at the old one
    names = [f"burst {number}" for number in range(200)]
    for name in names:
        await writer.bus.js.publish_async(f"bl.{session_key(name)}", FOREVER.pack())
    await writer.bus.js.publish_async_completed()

    await eventually(lambda: holds(feed, *names))
    await eventually(lambda: feed.staleness_seconds() < 1.5)


async def test_a_stream_set_back_to_an_older_copy_is_read_anew(
    feed: RevocationFeed, writer: Writer, nats_server: NatsServer, tmp_path: Path
) -> None:
    """The same epoch, but sequences that go backwards: what they mean now is not what they meant."""
    store, copy = tmp_path / "nats" / "js", tmp_path / "copy"
    nats_server.stop()
    shutil.copytree(store, copy)
    await start_in_thread(nats_server)
    await eventually(lambda: writer.bus.connected)
    for name in ("x", "y", "lost"):
        await writer.revoke(name)
    await eventually(lambda: feed.seq == 4 and holds(feed, "lost"))
    old_list, epoch = feed.blocklist, feed.epoch

    nats_server.kill()
    shutil.rmtree(store)
    copy.rename(store)
    await start_in_thread(nats_server)
    await eventually(lambda: writer.bus.connected)
    await writer.revoke("in its place")

    await eventually(lambda: feed.blocklist is not old_list)
    await eventually(lambda: holds(feed, "before", "in its place") and feed.seq == 2)
    assert feed.epoch == epoch
    await eventually(lambda: feed.staleness_seconds() < 1.5)
