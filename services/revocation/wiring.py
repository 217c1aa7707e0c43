"""The composition root of the revocation worker."""

import contextlib

from services.revocation.adapters.feed_copy import FeedCopy
from services.revocation.adapters.redis_clock import RedisClock
from services.revocation.adapters.redis_projection import RedisProjection
from services.revocation.flows.announce import Announcer
from services.revocation.flows.freshness import FreshnessDesk
from services.revocation.flows.journal import Journal
from services.revocation.flows.project import Projector
from services.revocation.flows.receipts import ReceiptsDesk
from services.revocation.flows.revoke import Revoker
from services.revocation.flows.roll import EdgeRoll
from services.revocation.flows.room import Room
from services.revocation.flows.snapshot import SnapshotWriter
from services.revocation.flows.turnstile import Turnstile
from services.revocation.flows.wholeness import Wholeness
from services.revocation.handlers.projection import Rounds
from services.revocation.handlers.revocations import Door, consume_revocations
from services.revocation.handlers.roll import keep_roll
from services.revocation.handlers.room import keep_room
from services.revocation.handlers.snapshots import keep_snapshots
from services.revocation.ports import Beats, Projection
from services.revocation.settings import RevocationSettings
from shared.bus import SnapshotStore
from shared.contract import BLOCKLIST_PROBE, Role
from shared.doctor_facts import answer_doctor
from shared.lifecycle import Runtime
from shared.redis import StoreUnavailableError, connect_redis
from shared.revokers import RevokersFile
from shared.secrets import load_blocklist_key


async def start(settings: RevocationSettings, runtime: Runtime) -> None:
    """Put the worker together; Redis may be away, NATS may not.

    Raises:
        RevokersError: revokers.yaml is not usable.
        SecretsError: the blocklist key or the bus credential is missing.
    """
    revokers = RevokersFile(settings.revokers)
    hash_key = load_blocklist_key(settings.secrets_dir)
    await runtime.serve_admin(settings.revocation_admin)
    bus = await runtime.connect_bus(Role.REVOCATION, settings)
    redis = await runtime.enter(connect_redis(settings.redis_url))
    store_clock = RedisClock(redis, runtime.clock)
    with contextlib.suppress(StoreUnavailableError):
        await store_clock.read()
    runtime.spawn("store clock", store_clock.run(runtime.stopping))

    wholeness = Wholeness(bus.state, bus, runtime.clock, hash_key)
    runtime.health.check("blocklist", wholeness.trouble)
    desk, announcer = FreshnessDesk(bus, wholeness, revokers), Announcer(bus, bus)
    copy = FeedCopy(bus, desk, runtime.clock, hash_key)
    await copy.start()
    runtime.spawn("own copy", copy.run(), drains=False)
    runtime.spawn("announcements", announcer.run(), drains=False)
    revoker = Revoker(bus, store_clock, runtime.clock, hash_key, copy)
    turnstile = Turnstile(revokers, runtime.clock)
    door = Door(revoker, Journal(runtime.clock), announcer, turnstile)
    consume_revocations(bus, runtime, door)
    await bus.answer_all(BLOCKLIST_PROBE, desk.answer)
    roll = EdgeRoll(
        runtime.clock, bus, usual_staleness=settings.max_staleness, names=settings.edges
    )
    runtime.health.note("edges", roll.trouble)
    await keep_roll(bus, roll, ReceiptsDesk(roll, runtime.clock))
    snapshots = SnapshotStore(bus.client, bus.js)
    _project(runtime, copy, RedisProjection(redis), snapshots)
    writer = SnapshotWriter(
        source=copy,
        snapshots=snapshots,
        clock=runtime.clock,
        ids=runtime.ids,
    )
    work = keep_snapshots(writer, runtime.ids, runtime.stopping)
    runtime.spawn("snapshots", work, drains=False)
    room = Room(bus, copy)
    runtime.health.note("blocklist room", room.trouble)
    runtime.spawn("blocklist room", keep_room(room, runtime.stopping), drains=False)
    await answer_doctor(bus, runtime, settings)


def _project(runtime: Runtime, copy: FeedCopy, projection: Projection, beats: Beats) -> None:
    projector = Projector(
        copy=copy, projection=projection, beats=beats, clock=runtime.clock, ids=runtime.ids
    )
    rounds = Rounds(projector, copy.changed)
    runtime.health.note("projection", rounds.trouble)
    runtime.spawn("projection", rounds.run(runtime.stopping))
    runtime.spawn("beat", rounds.keep_beat(runtime.stopping), drains=False)
