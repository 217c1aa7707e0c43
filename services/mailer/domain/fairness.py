"""Who may talk to the mail server now: one slow domain can not take every place.

A domain may hold at most half of the places the other domains leave, so with 16 places the first slow
domain gets 8, a second 4, a third 2; there is always one left for the next.
"""

from collections import Counter


class Places:
    """Places for conversations, counted by domain. Plain arithmetic, no waiting."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._taken: Counter[str] = Counter()

    def take(self, domain: str) -> bool:
        """Take a place for *domain*; False when it has its share already."""
        others = self._taken.total() - self._taken[domain]
        share = max(1, (self._total - others) // 2)
        if self._taken[domain] >= share:
            return False
        self._taken[domain] += 1
        return True

    def leave(self, domain: str) -> None:
        """Give a place back."""
        self._taken[domain] -= 1
        if not self._taken[domain]:
            del self._taken[domain]
