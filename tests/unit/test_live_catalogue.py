"""The catalogue as auth knows it: the file's until a document says another, and never none for a mistake."""

from pathlib import Path

import pytest

from latchwire.documents import DocumentError
from services.auth.adapters.live_catalogue import LiveCatalogue
from shared.catalogue import Catalogue

SHOP = "services:\n  shop:\n    host: shop.acme.com\n    upstream: http://shop:3000\n"
WIKI = SHOP.replace("shop", "wiki")


def test_without_a_file_nothing_is_known_and_nothing_is_wrong(tmp_path: Path) -> None:
    """Auth needs no catalogue to let people log in."""
    live = LiveCatalogue.load(tmp_path / "services.yaml")

    assert (live.known, live.hosts, live.not_used()) == (False, frozenset(), None)


def test_a_broken_file_is_told_of_and_keeps_nobody_from_logging_in(tmp_path: Path) -> None:
    """Until a document takes its place."""
    file = tmp_path / "services.yaml"
    file.write_text(SHOP.replace("upstream", "upstraem"))
    live = LiveCatalogue.load(file)
    assert not live.known
    assert "services.yaml:2" in (live.not_used() or "")

    live.follow(SHOP, 1)

    assert (live.known, live.not_used()) == (True, None)


def test_a_document_takes_the_files_place_and_everybody_is_told(tmp_path: Path) -> None:
    """After it is there: who is told may look."""
    file = tmp_path / "services.yaml"
    file.write_text(SHOP)
    live = LiveCatalogue.load(file)
    told: list[tuple[int, frozenset[str]]] = []

    def hear(_catalogue: Catalogue, generation: int) -> None:
        told.append((generation, live.hosts))

    live.on_change.append(hear)
    assert (live.generation, live.hosts) == (0, {"shop.acme.com"})

    live.follow(WIKI, 7)

    assert told == [(7, frozenset({"wiki.acme.com"}))]
    assert live.generation == 7


def test_a_document_that_is_no_catalogue_is_refused_and_the_old_one_stays() -> None:
    """A signature says who wrote it, not that it is right."""
    live = LiveCatalogue()
    live.follow(SHOP, 1)

    with pytest.raises(DocumentError, match=r"services\.wiki\.upstream"):
        live.follow(WIKI.replace("upstream", "upstraem"), 2)

    assert (live.generation, live.hosts) == (1, {"shop.acme.com"})
