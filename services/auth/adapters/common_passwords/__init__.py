"""The common and breached passwords that nobody may choose: `passwords.txt.gz` beside this, see SOURCES.md.

Read at the first question and kept as one set: 37,000 entries, about 3 MB, one look-up each.
"""

import gzip
from functools import cached_property
from pathlib import Path

from services.auth.domain.password_patterns import is_pattern, lookalikes, pairs_of

_FILE = Path(__file__).parent / "passwords.txt.gz"


class CommonPasswords:
    """The list, and what it means too (`services.auth.domain.password_patterns`)."""

    def __call__(self, password: str) -> bool:
        """Whether *password* is one of the common ones."""
        if is_pattern(password) or not self.entries.isdisjoint(lookalikes(password)):
            return True
        return any(
            first in self.entries and second in self.entries for first, second in pairs_of(password)
        )

    @cached_property
    def entries(self) -> frozenset[str]:
        """The list itself, case-folded; six characters and more."""
        return frozenset(gzip.decompress(_FILE.read_bytes()).decode().splitlines())
