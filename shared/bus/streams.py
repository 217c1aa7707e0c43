"""Provisioning: bring streams and consumers to what the contract says, and say what differed.

Only the provisioner's credential can do this; workers use what exists. A difference is reported and, unless
only checking, mended; what JetStream cannot change in place is reported as such and left alone.
"""

import contextlib
from dataclasses import dataclass
from typing import Any

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RePublish,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from shared import contract
from shared.bus.connection import Bus
from shared.contract import Durable, Stream
from shared.ids import Ids

DUPLICATE_WINDOW = 600.0  # seconds; longer than any publisher keeps trying
EPOCH = "epoch"


@dataclass(frozen=True)
class Difference:
    """Something that was not as the contract says. *mended* is False when only checking or impossible."""

    what: str
    field: str
    found: str
    wanted: str
    mended: bool


async def apply_streams(
    bus: Bus, ids: Ids, *, check: bool = False, replicas: int = 1, restored: bool = False
) -> list[Difference]:
    """Create or mend every stream and consumer of the contract; with *check*, only compare.

    BLOCKLIST's epoch is made when the stream is, and renewed when it was *restored* from a copy. Either
    way TOKEN is replayed into it, and until that is done nobody gets a proof of freshness.
    """
    differences: list[Difference] = []
    if not check and (restored or await _is_absent(bus, contract.BLOCKLIST)):
        await _replay(bus, contract.REVOCATION)
    if restored and not check:
        differences.append(await _renew_epoch(bus, ids, contract.BLOCKLIST))
    for stream in contract.STREAMS:
        differences += await _apply_stream(bus, ids, stream, check=check, replicas=replicas)
    for durable in contract.DURABLES:
        differences += await _apply_consumer(bus, durable, check=check)
    return differences


def stream_config(stream: Stream, *, replicas: int, epoch: str | None) -> StreamConfig:
    """JetStream's configuration of *stream*."""
    dest = f"{stream.republish_to}.{{{{wildcard(1)}}}}" if stream.republish_to else None
    return StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_age=stream.max_age.total_seconds() if stream.max_age else 0,
        max_bytes=stream.max_bytes,
        max_msg_size=stream.max_msg_size,
        max_msgs_per_subject=1 if stream.last_per_subject else -1,
        num_replicas=replicas,
        duplicate_window=DUPLICATE_WINDOW,
        allow_direct=stream.last_per_subject,
        allow_msg_ttl=stream.last_per_subject,
        republish=RePublish(src=stream.subjects[0], dest=dest) if dest else None,
        metadata={EPOCH: epoch} if epoch else {},
    )


def consumer_config(durable: Durable) -> ConsumerConfig:
    """JetStream's configuration of *durable*; max_deliver is unlimited: nothing is given up silently."""
    return ConsumerConfig(
        durable_name=durable.name,
        ack_policy=AckPolicy.EXPLICIT,
        deliver_policy=DeliverPolicy.ALL,
        filter_subject=durable.filter_subject,
        ack_wait=durable.ack_wait,
        max_deliver=-1,
        max_ack_pending=durable.max_ack_pending,
        max_waiting=512,
    )


async def _is_absent(bus: Bus, stream: Stream) -> bool:
    try:
        await bus.js.stream_info(stream.name)
    except NotFoundError:
        return True
    return False


async def _replay(bus: Bus, durable: Durable) -> None:
    """Forget what *durable* has acknowledged. Before the stream exists: while there is no consumer,

    a worker cannot tell its backlog and answers no probe.
    """
    with contextlib.suppress(NotFoundError):
        await bus.js.delete_consumer(durable.stream.name, durable.name)


async def _renew_epoch(bus: Bus, ids: Ids, stream: Stream) -> Difference:
    found = (await bus.js.stream_info(stream.name)).config
    before = (found.metadata or {}).get(EPOCH, "-")
    epoch = ids.secret()[:22]
    wanted = stream_config(stream, replicas=found.num_replicas or 1, epoch=epoch)
    mended = await _mend(bus.js.update_stream(wanted))
    return Difference(f"stream {stream.name}", EPOCH, before, epoch, mended)


async def _apply_stream(
    bus: Bus, ids: Ids, stream: Stream, *, check: bool, replicas: int
) -> list[Difference]:
    what = f"stream {stream.name}"
    try:
        found = (await bus.js.stream_info(stream.name)).config
    except NotFoundError:
        if not check:
            epoch = ids.secret()[:22] if stream.last_per_subject else None
            await bus.js.add_stream(stream_config(stream, replicas=replicas, epoch=epoch))
        return [Difference(what, "", "absent", "present", not check)]
    epoch = (found.metadata or {}).get(EPOCH)
    wanted = stream_config(stream, replicas=found.num_replicas or replicas, epoch=epoch)
    rows = _compare(found, wanted, _STREAM_FIELDS)
    mended = bool(rows) and not check and await _mend(bus.js.update_stream(wanted))
    return [Difference(what, name, a, b, mended) for name, a, b in rows]


async def _apply_consumer(bus: Bus, durable: Durable, *, check: bool) -> list[Difference]:
    what = f"consumer {durable.stream.name}/{durable.name}"
    wanted = consumer_config(durable)
    try:
        found = (await bus.js.consumer_info(durable.stream.name, durable.name)).config
    except NotFoundError:
        if not check:
            await bus.js.add_consumer(durable.stream.name, wanted)
        return [Difference(what, "", "absent", "present", not check)]
    rows = _compare(found, wanted, _CONSUMER_FIELDS)
    mended = (
        bool(rows) and not check and await _mend(bus.js.add_consumer(durable.stream.name, wanted))
    )
    return [Difference(what, name, a, b, mended) for name, a, b in rows]


_STREAM_FIELDS = (
    "subjects", "retention", "storage", "discard", "max_age", "max_bytes", "max_msg_size",
    "max_msgs_per_subject", "duplicate_window", "allow_direct", "allow_msg_ttl", "republish",
)  # fmt: skip
_CONSUMER_FIELDS = (
    "ack_policy", "deliver_policy", "filter_subject", "ack_wait", "max_deliver", "max_ack_pending",
)  # fmt: skip


def _compare(found: Any, wanted: Any, fields: tuple[str, ...]) -> list[tuple[str, str, str]]:
    pairs = ((f, _plain(getattr(found, f)), _plain(getattr(wanted, f))) for f in fields)
    return [(name, a, b) for name, a, b in pairs if a != b]


def _plain(value: Any) -> str:
    """One spelling for what JetStream and this page write differently (absent, zero, false)."""
    if isinstance(value, RePublish):
        return f"{value.src} -> {value.dest}"
    if value is None or value is False or value == 0:
        return "-"
    if isinstance(value, float):
        return f"{value:g}"
    return str(getattr(value, "value", value))


async def _mend(update: Any) -> bool:
    try:
        await update
    except APIError:
        return False  # JetStream cannot change this in place; the difference stays reported
    return True
