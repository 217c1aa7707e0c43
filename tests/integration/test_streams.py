"""`streams apply`: whatever differs is reported; what can be changed is mended, and nothing else is touched."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import (
    AckPolicy,
    DeliverPolicy,
    DiscardPolicy,
    RePublish,
    RetentionPolicy,
    StorageType,
    StreamSource,
)
from nats.js.errors import APIError

from shared import contract
from shared.bus import Bus
from shared.bus.streams import apply_streams, consumer_config, stream_config
from shared.ids import SystemIds
from tests.support.servers import NatsServer, free_port, make_nats, start_in_thread
from tests.support.waiting import eventually

IDS = SystemIds()
MENDED, LEFT = True, False


@pytest.fixture
async def provisioner(tmp_path: Path, secrets_dir: Path) -> AsyncIterator[Bus]:
    """The provisioner's bus, on a server without any stream."""
    server = make_nats(tmp_path / "bare", secrets_dir)
    server.start()
    try:
        async with server.connect("provisioner") as bus:
            yield bus
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("stream", "field", "wrong", "outcome"),
    [
        (contract.LOGIN, "subjects", ["login.requested"], MENDED),
        (contract.LOGIN, "retention", RetentionPolicy.WORK_QUEUE, LEFT),
        (contract.LOGIN, "storage", StorageType.MEMORY, LEFT),
        (contract.LOGIN, "discard", DiscardPolicy.OLD, MENDED),
        (contract.USER, "discard", DiscardPolicy.NEW, MENDED),
        (contract.LOGIN, "max_age", 1200.0, MENDED),
        (contract.LOGIN, "max_bytes", 1 << 20, MENDED),
        (contract.LOGIN, "max_msgs", 100, MENDED),
        (contract.LOGIN, "max_msg_size", 100, MENDED),
        (contract.LOGIN, "max_msgs_per_subject", 1, MENDED),
        (contract.LOGIN, "duplicate_window", 60.0, MENDED),
        (contract.LOGIN, "allow_direct", True, MENDED),
        (contract.LOGIN, "allow_msg_ttl", True, LEFT),
        (contract.BLOCKLIST, "allow_msg_ttl", False, MENDED),
        (contract.BLOCKLIST, "allow_direct", False, MENDED),
        (contract.BLOCKLIST, "max_msgs_per_subject", 5, MENDED),
        (contract.BLOCKLIST, "republish", None, MENDED),
        (contract.BLOCKLIST, "republish", RePublish(src="bl.*", dest="other.{{wildcard(1)}}"), MENDED),
        (contract.BLOCKLIST, "sources", [StreamSource("elsewhere")], LEFT),
    ],
)  # fmt: skip
async def test_a_stream_that_differs_is_reported_and_mended_where_possible(
    provisioner: Bus, stream: contract.Stream, field: str, wrong: Any, outcome: bool
) -> None:
    """Each field, made wrong first: --check only tells; then it is mended, or still reported."""
    right = stream_config(stream, replicas=1, epoch="e" if stream.last_per_subject else None)
    await provisioner.js.add_stream(right.evolve(**{field: wrong}))

    expected = (f"stream {stream.name}", field)
    assert await told(provisioner, check=True, of=stream) == {expected: LEFT}
    assert await told(provisioner, of=stream) == {expected: outcome}
    after = await told(provisioner, check=True, of=stream)

    assert after == ({} if outcome is MENDED else {expected: LEFT})


async def told(
    bus: Bus, *, check: bool = False, of: contract.Stream, **options: Any
) -> dict[tuple[str, str], bool]:
    """What `apply_streams` says about *of* and its consumers: (what, field) and whether it was mended."""
    found = await apply_streams(bus, IDS, check=check, **options)
    return {
        (d.what, d.field): d.mended
        for d in found
        if d.field and (d.what == f"stream {of.name}" or d.what.startswith(f"consumer {of.name}/"))
    }


async def test_a_mirror_is_reported_and_left_alone(provisioner: Bus) -> None:
    """It has no subjects of its own; nothing we could write makes it ours."""
    await provisioner.js.add_stream(name="USER", mirror=StreamSource("elsewhere"))

    found = await told(provisioner, of=contract.USER)

    assert found["stream USER", "mirror"] is LEFT
    assert ("stream USER", "subjects") in found


async def test_what_cannot_be_mended_does_not_keep_the_rest_from_it(provisioner: Bus) -> None:
    """Storage stays what it is; the age beside it is set right; foreign metadata stays."""
    right = stream_config(contract.LOGIN, replicas=1, epoch=None)
    await provisioner.js.add_stream(
        right.evolve(storage=StorageType.MEMORY, max_age=60.0, metadata={"team": "blue"}),
        duplicate_window=60.0,
    )

    found = await told(provisioner, of=contract.LOGIN)
    config = (await provisioner.js.stream_info("LOGIN")).config

    assert found == {
        ("stream LOGIN", "storage"): LEFT,
        ("stream LOGIN", "max_age"): MENDED,
        ("stream LOGIN", "duplicate_window"): MENDED,
    }
    assert config.max_age == 3600
    assert (config.metadata or {})["team"] == "blue"


async def test_a_blocklist_without_an_epoch_gets_one_and_its_past(provisioner: Bus) -> None:
    """Reported; then written, and TOKEN is replayed as into a restored one."""
    await apply_streams(provisioner, IDS)
    before = (await provisioner.js.consumer_info("TOKEN", "revocation")).created
    config = (await provisioner.js.stream_info("BLOCKLIST")).config
    await provisioner.js.update_stream(config.evolve(metadata={}))

    checked = await told(provisioner, check=True, of=contract.BLOCKLIST)
    mended = await told(provisioner, of=contract.BLOCKLIST)
    metadata = (await provisioner.js.stream_info("BLOCKLIST")).config.metadata or {}
    consumer = await provisioner.js.consumer_info("TOKEN", "revocation")

    assert checked == {("stream BLOCKLIST", "epoch"): LEFT}
    assert mended == {("stream BLOCKLIST", "epoch"): MENDED}
    assert len(metadata["epoch"]) == 22
    assert consumer.created != before
    assert await apply_streams(provisioner, IDS) == []


@pytest.mark.parametrize(
    ("field", "wrong", "outcome"),
    [
        ("ack_policy", AckPolicy.ALL, LEFT),
        ("deliver_policy", DeliverPolicy.NEW, LEFT),
        ("filter_subject", "login.failed", MENDED),
        ("ack_wait", 5.0, MENDED),
        ("max_deliver", 3, MENDED),
        ("max_ack_pending", 10, MENDED),
        ("max_waiting", 7, LEFT),
    ],
)
async def test_a_consumer_that_differs_is_reported_and_mended_where_possible(
    provisioner: Bus, field: str, wrong: Any, outcome: bool
) -> None:
    """Each field, made wrong first; a `max_deliver` of three would give up mails silently."""
    await provisioner.js.add_stream(stream_config(contract.LOGIN, replicas=1, epoch=None))
    right = consumer_config(contract.MAILER)
    await provisioner.js.add_consumer("LOGIN", right.evolve(**{field: wrong}))

    expected = ("consumer LOGIN/mailer", field)
    assert await told(provisioner, check=True, of=contract.LOGIN) == {expected: LEFT}
    assert await told(provisioner, of=contract.LOGIN) == {expected: outcome}
    after = await told(provisioner, check=True, of=contract.LOGIN)

    assert after == ({} if outcome is MENDED else {expected: LEFT})


async def test_a_consumer_that_nobody_uses_any_more_is_removed(provisioner: Bus) -> None:
    """What an earlier version pulled from would be told as a growing backlog for ever."""
    await apply_streams(provisioner, IDS)
    durable = contract.Durable("projection", contract.BLOCKLIST, "bl.*", contract.Role.REVOCATION)
    await provisioner.js.add_consumer("BLOCKLIST", consumer_config(durable))

    checked = await apply_streams(provisioner, IDS, check=True)
    mended = await apply_streams(provisioner, IDS)

    rows = [("consumer BLOCKLIST/projection", "present", "absent")]
    assert [(d.what, d.found, d.wanted) for d in checked] == rows
    assert [(d.what, d.found, d.wanted) for d in mended] == rows
    assert ([d.mended for d in checked], [d.mended for d in mended]) == ([False], [True])
    assert await apply_streams(provisioner, IDS) == []


async def test_copies_that_a_lone_server_cannot_make_are_reported(provisioner: Bus) -> None:
    """`--replicas 3` on one server: never silently one copy."""
    await apply_streams(provisioner, IDS)

    found = await told(provisioner, of=contract.TOKEN, replicas=3)

    assert found == {("stream TOKEN", "num_replicas"): LEFT}


@pytest.fixture
def cluster(tmp_path: Path, secrets_dir: Path) -> Iterator[list[NatsServer]]:
    """Three nats-servers (not started) that make one cluster."""
    servers = [make_nats(tmp_path / f"nats-{n}", secrets_dir) for n in range(3)]
    routes = [free_port() for _ in servers]
    for number, (server, port) in enumerate(zip(servers, routes, strict=True)):
        config = tmp_path / f"nats-{number}" / "nats-server.conf"
        others = ", ".join(f"nats://127.0.0.1:{p}" for p in routes if p != port)
        text = config.read_text().replace("server_name: latchwire", f"server_name: n{number}")
        config.write_text(
            f"{text}\ncluster {{ name: test, listen: 127.0.0.1:{port}, routes: [{others}] }}\n"
        )
        assert server.log.parent == config.parent
    yield servers
    for server in servers:
        server.kill()


async def test_more_copies_are_made_where_there_are_servers_for_them(
    cluster: list[NatsServer],
) -> None:
    """R1 becomes R3 when asked for, is reported before, and stays so when nothing is asked."""
    await asyncio.gather(*(start_in_thread(server) for server in cluster))
    async with cluster[0].connect("provisioner") as bus:

        async def provisioned() -> bool:
            try:
                await apply_streams(bus, IDS)
            except (APIError, TimeoutError):
                return False  # no leader yet
            return True

        async def says(expected: dict[tuple[str, str], bool], **options: Any) -> bool:
            try:
                return await told(bus, of=contract.TOKEN, **options) == expected
            except (APIError, TimeoutError):
                return False  # it has no leader just now

        copies = ("stream TOKEN", "num_replicas")
        await eventually(provisioned, within=60)
        await eventually(partial(says, {copies: LEFT}, check=True, replicas=3), within=60)
        # Until the third server has joined, there are too few for three.
        await eventually(partial(says, {copies: MENDED}, replicas=3), within=60)
        await eventually(partial(says, {}, check=True), within=60)
        assert (await bus.js.stream_info("TOKEN")).config.num_replicas == 3
