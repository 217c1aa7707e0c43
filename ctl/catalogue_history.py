"""What each generation of the catalogue changed, from the documents that the stream keeps."""

from collections.abc import Sequence
from dataclasses import dataclass

from ctl.output import date_time, one_line
from latchwire.documents import Document
from shared.catalogue import Catalogue, CatalogueError, parse_catalogue
from shared.catalogue.changes import Change, changes

OLDEST = "the oldest that is kept"
UNUSABLE = "cannot be used by this version"
ALONE = "the one before cannot be compared"
SAME = "no service changed"


@dataclass(frozen=True)
class Generation:
    """*found* is what changed since the one before, None where that cannot be said: *why*.

    *repeats* is the latest earlier generation with the same text, as a rollback makes it.
    """

    generation: int
    at: int
    in_force: bool
    repeats: int | None
    found: tuple[Change, ...] | None
    why: str = ""


def history(kept: Sequence[Document]) -> list[Generation]:
    """Of *kept*, by rising generation, the last of them in force."""
    told: list[Generation] = []
    before: Catalogue | None = None
    for place, document in enumerate(kept):
        now = _read(document)
        earlier = [d.generation for d in kept[:place] if d.body == document.body]
        repeats = earlier[-1] if earlier else None
        found = None if before is None or now is None else changes(before, now)
        why = UNUSABLE if now is None else ALONE if place else OLDEST
        last = place == len(kept) - 1
        told.append(Generation(document.generation, document.at, last, repeats, found, why))
        before = now
    return told


def line(each: Generation) -> str:
    """For people."""
    what = each.why if each.found is None else "; ".join(in_words(each.found)) or SAME
    marks = [f"as {each.repeats}"] if each.repeats is not None else []
    marks += ["in force"] if each.in_force else []
    mark = f" ({'; '.join(marks)})" if marks else ""
    return one_line(f"generation {each.generation}  {date_time(each.at)}  {what}{mark}")


def as_json(each: Generation) -> dict[str, object]:
    """For machines; *changes* null: nobody can say."""
    return {
        "generation": each.generation,
        "at": each.at,
        "in_force": each.in_force,
        "as": each.repeats,
        "changes": None if each.found is None else [plain(change) for change in each.found],
    }


def in_words(found: Sequence[Change]) -> list[str]:
    """``changed demo: paths`` for each, then who gets in that did not before."""
    lines = [f"{change.kind} {described(change)}" for change in found]
    return lines + [f"opens {what}" for what in opened(found)]


def described(change: Change) -> str:
    """The service, and its keys that differ."""
    return change.service + (f": {', '.join(change.keys)}" if change.keys else "")


def opened(found: Sequence[Change]) -> list[str]:
    """Each place and each rule that lets in who was not before; nothing when nobody is."""
    places = [f"{place} to everybody" for change in found for place in change.opened]
    return places + [f"{change.service}: {what}" for change in found for what in change.widened]


def plain(change: Change) -> dict[str, object]:
    """A change for machines."""
    return {
        "kind": change.kind,
        "service": change.service,
        "keys": change.keys,
        "opened": change.opened,
        "widened": change.widened,
    }


def _read(document: Document) -> Catalogue | None:
    try:
        return parse_catalogue(document.body) if isinstance(document.body, str) else None
    except CatalogueError:
        return None
