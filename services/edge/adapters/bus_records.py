"""The port `StoredRecords` on the edge's own connection, by direct get: from any replica, in one question."""

from latchwire.records import Record, RecordError
from services.edge.ports import StoredRecord
from shared.bus import Bus
from shared.bus.stored import stored_record

PATIENCE_SECONDS = 0.5  # an explanation is worth having without it


class BusRecords:
    """Reads BLOCKLIST over *bus*."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def find(self, key: str) -> StoredRecord | None:
        found = await stored_record(self._bus, key, timeout=PATIENCE_SECONDS)
        if found is None:
            return None
        try:
            record = Record.unpack(found.body)
        except RecordError:
            return None  # of a version to come
        return StoredRecord(found.seq, found.stored_at_ms, record)
