"""Which generation of the routes the gateway gets: none that an edge does not know yet."""

from collections.abc import Collection
from dataclasses import dataclass, replace

MAX_WAITING = 16  # more than that in one outage, and the middle ones are never served


@dataclass(frozen=True, slots=True)
class Version:
    """The routes of one generation of the catalogue, as the gateway reads them."""

    generation: int
    routes: bytes


@dataclass(frozen=True, slots=True)
class Roll:
    """The generations that live edges go by; *whole*: no live edge can be missing among them."""

    generations: tuple[int, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class Rollout:
    """What is served, and what waits for the edges, by rising generation."""

    served: Version | None = None
    waiting: tuple[Version, ...] = ()

    def with_new(self, version: Version) -> "Rollout":
        """*version* waits. The file's (generation 0) waits no more once there is a document."""
        waiting = tuple(v for v in self.waiting if v.generation or not version.generation)
        return replace(self, waiting=(*waiting, version)[-MAX_WAITING:])

    def heard(self, roll: Roll) -> "Rollout":
        """Serve the newest that every edge of *roll* has, once no edge can be missing from it.

        Before anything was served, the edges that were heard are enough: the gateway has what it had, or no
        route at all, and who starts would otherwise wait for as long as a silent edge takes to close.
        """
        if not self._is_enough(roll):
            return self
        known = [v for v in self.waiting if self._is_known(v, roll.generations)]
        if not known:
            return self
        newest = known[-1]
        return Rollout(newest, tuple(v for v in self.waiting if v.generation > newest.generation))

    def _is_enough(self, roll: Roll) -> bool:
        return roll.whole or (self.served is None and bool(roll.generations))

    @staticmethod
    def _is_known(version: Version, generations: Collection[int]) -> bool:
        # Where no edge is live, nobody is let in by any of them.
        return all(generation >= version.generation for generation in generations)
