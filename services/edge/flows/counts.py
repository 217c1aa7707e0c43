"""How many checks ended how; plain integers, because a check is too short for a metrics library."""

from collections import Counter
from collections.abc import ItemsView
from typing import TypeAlias

from services.edge.flows.times import CheckTimes
from services.edge.flows.usage import TokenUse

# Proxy, outcome, reason: each from a fixed set.
Ending: TypeAlias = tuple[str, str, str]


class CheckCounts:
    """Only ever grows. *uses*: which service tokens they came with; *times*: how long they took."""

    def __init__(self) -> None:
        self._counts: Counter[Ending] = Counter()
        self.uses = TokenUse()
        self.times = CheckTimes()

    def add(self, ending: Ending) -> None:
        """One more check ended like this."""
        self._counts[ending] += 1

    def items(self) -> ItemsView[Ending, int]:
        """All endings seen so far."""
        return self._counts.items()
