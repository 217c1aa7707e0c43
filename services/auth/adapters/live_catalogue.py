"""The catalogue as auth knows it: from the file at the start, then from the operator's document."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from latchwire.documents import DocumentError
from shared.catalogue import Catalogue, CatalogueError, load_catalogue, parse_catalogue

log = structlog.get_logger()

NOTHING_BEHIND_THE_GATEWAY: Final = Catalogue(())
FROM_THE_FILE: Final = 0  # the generation of what no document said


class LiveCatalogue:
    """What is in force; *generation* 0 is the file's, or nobody's when there is no file (`known` False).

    *on_change* are called with each catalogue that comes into force, on the loop, after it is here.
    """

    def __init__(self, catalogue: Catalogue | None = None) -> None:
        self.catalogue = catalogue or NOTHING_BEHIND_THE_GATEWAY
        self.known = catalogue is not None
        self.generation = FROM_THE_FILE
        self.problem: str | None = None  # of the file, until a document takes its place
        self.on_change: list[Callable[[Catalogue, int], None]] = []

    @classmethod
    def load(cls, path: Path) -> "LiveCatalogue":
        """From *path* when it is there; one that is not right is told of, and keeps nobody from logging in."""
        if not path.is_file():
            return cls()
        try:
            return cls(load_catalogue(path))
        except CatalogueError as error:
            log.warning("catalogue.file_refused", problem=error.problems[0])
            live = cls()
            live.problem = error.problems[0]
            return live

    @property
    def hosts(self) -> frozenset[str]:
        """The host names that services answer on, lower-case."""
        return self.catalogue.hosts

    def not_used(self) -> str | None:
        """For /ready: what is wrong with the file, or None."""
        return self.problem

    def follow(self, text: str, generation: int) -> None:
        """Take the operator's document.

        Raises:
            DocumentError: it is not a catalogue; the one in force stays.
        """
        try:
            catalogue = parse_catalogue(text)
        except CatalogueError as error:
            raise DocumentError(error.problems[0]) from error
        self.catalogue, self.generation = catalogue, generation
        self.known, self.problem = True, None
        log.info("catalogue.in_force", generation=generation, services=len(catalogue.services))
        for tell in self.on_change:
            tell(catalogue, generation)
