"""How many requests of one process may wait at once: who comes on top is served without waiting."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Room:
    """*places* for requests that wait."""

    places: int
    _taken: int = field(default=0, init=False)

    @property
    def is_left(self) -> bool:
        """Whether one more may wait."""
        return self._taken < self.places

    @contextmanager
    def taken(self) -> Iterator[None]:
        """One place, for as long as the block runs, however it ends. It asks nobody whether one is left."""
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
