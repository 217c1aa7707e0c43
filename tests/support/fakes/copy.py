"""A worker's copy of BLOCKLIST as a test sets it: a `services.revocation.ports.Copy`."""

from collections.abc import Iterator, Sequence

from latchwire.records import Record


class FakeCopy:
    """Proven just now, until told otherwise."""

    def __init__(self, epoch: str = "epoch-1") -> None:
        self.epoch = epoch
        self.seq = 0
        self.readings = 0
        self.staleness = 0.0
        self.records: dict[str, Record] = {}
        self._changes: dict[str, Record] | None = None

    def staleness_seconds(self) -> float:
        return self.staleness

    def put(self, *keys: str, until_ms: int) -> None:
        """A record under each key, as if its delta had just come in."""
        for key in keys:
            self.seq += 1
            self.records[key] = Record(until_ms + self.seq)
            if self._changes is not None:
                self._changes[key] = self.records[key]

    def renew(self, epoch: str, seq: int) -> None:
        """As after reading another stream."""
        self.epoch, self.seq, self._changes = epoch, seq, None
        self.readings += 1

    def take_changes(self) -> dict[str, Record] | None:
        taken, self._changes = self._changes, {}
        return taken

    def batches(self, size: int) -> Iterator[Sequence[tuple[str, Record]]]:
        found = list(self.records.items())
        for start in range(0, len(found), size):
            yield found[start : start + size]
