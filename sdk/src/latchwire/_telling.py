"""For who wants to know what a gap in the deltas held."""

from collections.abc import Callable

from latchwire.blocklist import Blocklist
from latchwire.records import Record


class Telling:
    """A list that says what changes it."""

    def __init__(self, blocklist: Blocklist, tell: Callable[[str, Record], None]) -> None:
        self._blocklist = blocklist
        self._tell = tell
        self.last: tuple[str, Record] | None = None  # of what changed it

    def apply(self, key: str, record: Record) -> bool:
        """Merge *record* under *key*; whether that changed anything."""
        changed = self._blocklist.apply(key, record)
        if changed:
            self.last = key, record
            self._tell(key, record)
        return changed
