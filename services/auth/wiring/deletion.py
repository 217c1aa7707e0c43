"""What stands behind a deletion: the ledger, and the task that asks the services."""

from services.auth.adapters.bus_erasers import BusErasers
from services.auth.adapters.sql import Database
from services.auth.adapters.sql_deletions import SQLDeletions
from services.auth.flows.deletion import DeletionFlow
from services.auth.flows.erasing import Eraser
from services.auth.flows.relay import Relay
from services.auth.ports.accounts import Subjects
from services.auth.settings import AuthSettings
from services.auth.wiring.parts import Ports
from shared.bus import Bus
from shared.lifecycle import Runtime


def open_deletion(
    settings: AuthSettings,
    runtime: Runtime,
    bus: Bus,
    ports: Ports,
    database: Database,
    relay: Relay,
    subjects: Subjects,
) -> DeletionFlow:
    """The flow; services are asked from now on."""
    ledger = SQLDeletions(database, ports.keys.index)
    eraser = Eraser(ledger, BusErasers(bus), ports.memory, ports.clock)
    runtime.spawn("deletions", eraser.run(runtime.stopping), drains=False)
    runtime.health.note("deletions", eraser.remark)
    return DeletionFlow(
        deletions=ledger,
        subjects=subjects,
        relay=relay,
        keys=ports.keys,
        clock=ports.clock,
        ids=ports.ids,
        services=settings.erasers,
        deadline_ms=settings.deletion_deadline_ms,
    )
