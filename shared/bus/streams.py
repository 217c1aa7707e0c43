"""Provisioning: bring streams and consumers to what the contract says, and say what differed.

Only the provisioner's credential can do this; workers use what exists. A difference is reported and, unless
only checking, mended; what JetStream cannot change in place is reported as such and left alone.
"""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RePublish,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamSource,
)
from nats.js.errors import APIError, NotFoundError

from shared import contract
from shared.bus.connection import Bus
from shared.contract import Durable, Stream
from shared.ids import Ids

DUPLICATE_WINDOW = 600.0  # seconds; longer than any publisher keeps trying
EPOCH = "epoch"

C = TypeVar("C", StreamConfig, ConsumerConfig)
_STREAM_FIELDS = (
    "subjects", "retention", "storage", "discard", "max_age", "max_bytes", "max_msgs", "max_msg_size",
    "max_msgs_per_subject", "discard_new_per_subject", "duplicate_window", "allow_direct", "allow_msg_ttl",
    "republish", "num_replicas", "sources", "mirror",
)  # fmt: skip
_CONSUMER_FIELDS = (
    "ack_policy", "deliver_policy", "filter_subject", "ack_wait", "max_deliver", "max_ack_pending",
    "max_waiting",
)  # fmt: skip
# Somebody chose to have messages copied in: which are ours cannot be told apart any more.
_NEVER_MENDED = frozenset({"sources", "mirror"})


@dataclass(frozen=True)
class Difference:
    """Something that was not as the contract says. *mended* is False when only checking or impossible."""

    what: str
    field: str
    found: str
    wanted: str
    mended: bool


async def apply_streams(
    bus: Bus, ids: Ids, *, check: bool = False, replicas: int | None = None, restored: bool = False
) -> list[Difference]:
    """Create or mend every stream and consumer of the contract; with *check*, only compare.

    BLOCKLIST's epoch is made when the stream is, when it has none, and renewed when it was *restored* from
    a copy. Either way TOKEN is replayed into it, and until that is done nobody gets a proof of freshness.

    *replicas*: copies of each stream; None leaves existing streams as they are and makes new ones with one.
    """
    differences: list[Difference] = []
    if not check and (restored or not await _epoch(bus, contract.BLOCKLIST)):
        for durable in (contract.REVOCATION, contract.REVOCATION_BY):
            await _replay(bus, durable)
    for stream in contract.STREAMS:
        if stream.last_per_subject:
            differences += await _apply_epoch(bus, ids, stream, check=check, renew=restored)
        differences += await _apply_stream(bus, ids, stream, check=check, replicas=replicas)
    for durable in contract.DURABLES:
        differences += await _apply_consumer(bus, durable, check=check)
    for stream_name, consumer in contract.RETIRED:
        differences += await _retire(bus, stream_name, consumer, check=check)
    return differences


def stream_config(stream: Stream, *, replicas: int, epoch: str | None) -> StreamConfig:
    """JetStream's configuration of *stream*."""
    dest = f"{stream.republish_to}.{{{{wildcard(1)}}}}" if stream.republish_to else None
    return StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD if stream.discard_old else DiscardPolicy.NEW,
        max_age=stream.max_age.total_seconds() if stream.max_age else 0,
        max_bytes=stream.max_bytes,
        max_msgs=-1,
        max_msg_size=stream.max_msg_size,
        max_msgs_per_subject=1 if stream.last_per_subject else stream.per_subject,
        discard_new_per_subject=_refuses_per_subject(stream),
        num_replicas=replicas,
        duplicate_window=DUPLICATE_WINDOW,
        allow_direct=stream.direct,
        allow_msg_ttl=stream.direct,
        republish=RePublish(src=stream.subjects[0], dest=dest) if dest else None,
        metadata={EPOCH: epoch} if epoch else {},
    )


def _refuses_per_subject(stream: Stream) -> bool:
    """Whether a subject that is full takes no more; where the last one counts, it forgets the oldest."""
    return stream.per_subject > 0 and stream.max_age is not None


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


async def _found(bus: Bus, stream: Stream) -> StreamConfig | None:
    try:
        return (await bus.js.stream_info(stream.name)).config
    except NotFoundError:
        return None


async def _epoch(bus: Bus, stream: Stream) -> str:
    """The epoch of *stream*; "" when there is no such stream, or it has none."""
    found = await _found(bus, stream)
    return ((found.metadata or {}) if found else {}).get(EPOCH, "")


async def _replay(bus: Bus, durable: Durable) -> None:
    """Forget what *durable* has acknowledged. Before the stream exists: while there is no consumer,

    a worker cannot tell its backlog and answers no probe.
    """
    with contextlib.suppress(NotFoundError):
        await bus.js.delete_consumer(durable.stream.name, durable.name)


async def _retire(bus: Bus, stream: str, consumer: str, *, check: bool) -> list[Difference]:
    try:
        await bus.js.consumer_info(stream, consumer)
    except NotFoundError:
        return []
    if not check:
        await bus.js.delete_consumer(stream, consumer)
    return [Difference(f"consumer {stream}/{consumer}", "", "present", "absent", not check)]


async def _apply_epoch(
    bus: Bus, ids: Ids, stream: Stream, *, check: bool, renew: bool
) -> list[Difference]:
    """Write an epoch where there is none, or another one; a stream that is absent gets its own later."""
    found = await _found(bus, stream)
    before = await _epoch(bus, stream)
    if found is None or (before and (check or not renew)):
        return []
    epoch = ids.secret()[:22]
    wanted = found.evolve(metadata={**(found.metadata or {}), EPOCH: epoch})
    mended = not check and await _accepted(bus.js.update_stream, wanted)
    wanted_epoch = epoch if mended else "a new one"
    return [Difference(f"stream {stream.name}", EPOCH, before or "-", wanted_epoch, mended)]


async def _apply_stream(
    bus: Bus, ids: Ids, stream: Stream, *, check: bool, replicas: int | None
) -> list[Difference]:
    what = f"stream {stream.name}"
    found = await _found(bus, stream)
    if found is None:
        if not check:
            epoch = ids.secret()[:22] if stream.last_per_subject else None
            await bus.js.add_stream(stream_config(stream, replicas=replicas or 1, epoch=epoch))
        return [Difference(what, "", "absent", "present", not check)]
    wanted = stream_config(stream, replicas=replicas or found.num_replicas or 1, epoch=None)
    rows = _compare(found, wanted, _STREAM_FIELDS)
    mended = set() if check else await _mend(bus.js.update_stream, found, wanted, list(rows))
    return [Difference(what, name, a, b, name in mended) for name, (a, b) in rows.items()]


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

    async def update(config: ConsumerConfig) -> None:
        await bus.js.add_consumer(durable.stream.name, replace(config, name=None))

    mended = set() if check else await _mend(update, found, wanted, list(rows))
    return [Difference(what, name, a, b, name in mended) for name, (a, b) in rows.items()]


def _compare(found: C, wanted: C, fields: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    pairs = {f: (_plain(getattr(found, f)), _plain(getattr(wanted, f))) for f in fields}
    return {name: (a, b) for name, (a, b) in pairs.items() if a != b}


def _plain(value: Any) -> str:
    """One spelling for what JetStream and this page write differently (absent, zero, false)."""
    if isinstance(value, RePublish):
        return f"{value.src} -> {value.dest}"
    if isinstance(value, StreamSource):
        return value.name
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value) or "-"
    if value is None or value is False or value == 0:
        return "-"
    if isinstance(value, float):
        return f"{value:g}"
    return str(getattr(value, "value", value))


async def _mend(
    update: Callable[[C], Awaitable[Any]], found: C, wanted: C, fields: list[str]
) -> set[str]:
    """Change *fields* of *found* to what is wanted: together, else each one that can be; those changed.

    All else stays as it was found, metadata of others and a pause included.
    """
    able = [name for name in fields if name not in _NEVER_MENDED]
    changed = {name: getattr(wanted, name) for name in able}
    if not able or await _accepted(update, replace(found, **changed)):
        return set(able)
    mended: set[str] = set()
    for name in able:
        if await _accepted(update, replace(found, **{name: changed[name]})):
            found = replace(found, **{name: changed[name]})
            mended.add(name)
    return mended


async def _accepted(update: Callable[[C], Awaitable[Any]], config: C) -> bool:
    try:
        await update(config)
    except APIError:
        return False  # JetStream cannot change this in place; the difference stays reported
    return True
