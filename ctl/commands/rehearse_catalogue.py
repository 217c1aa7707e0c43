"""``catalogue apply --dry-run``: what would change, and for whom; nothing is published."""

from ctl import exits
from ctl.documents import DocumentDesk
from ctl.output import say, say_json
from ctl.session import Session
from shared.catalogue import Catalogue, CatalogueError, parse_catalogue
from shared.catalogue.changes import Change, changes

_COLUMN = 12


async def rehearse(session: Session, desk: DocumentDesk, *, text: str) -> int:
    """Compare *text*, which is usable, with the catalogue in force."""
    found = changes(in_force(desk), parse_catalogue(text))
    generation = desk.shelf.generation
    if session.json:
        say_json({"generation": generation, "dry_run": True, "changes": [_plain(c) for c in found]})
        return exits.DONE
    known = f"generation {generation} is in force" if generation else "no document is in force yet"
    say(f"catalogue   {known}; nothing is changed by this")
    for line in _lines(found):
        say(line)
    if desk.shelf.in_force is not None and not parse_catalogue(text).services:
        say(f"{'refuses'.ljust(_COLUMN)}everything: no service is left")
    return exits.DONE


def in_force(desk: DocumentDesk) -> Catalogue:
    """Nothing where there is no document, or one that this version would not take."""
    document = desk.shelf.in_force
    try:
        return Catalogue(()) if document is None else parse_catalogue(document.body)
    except CatalogueError:
        return Catalogue(())


def _lines(found: tuple[Change, ...]) -> list[str]:
    if not found:
        return ["same        every service is as it is in force"]
    lines = [f"{change.kind.ljust(_COLUMN)}{_described(change)}" for change in found]
    return lines + opening_lines(found)


def opening_lines(found: tuple[Change, ...]) -> list[str]:
    """Who gets in that did not before: a line for each place and each rule, none when nobody does."""
    said = [f"{place} to everybody" for change in found for place in change.opened]
    said += [f"{change.service}: {what}" for change in found for what in change.widened]
    return [f"{'opens'.ljust(_COLUMN)}{what}" for what in said]


def _described(change: Change) -> str:
    return change.service + (f": {', '.join(change.keys)}" if change.keys else "")


def _plain(change: Change) -> dict[str, object]:
    return {
        "kind": change.kind,
        "service": change.service,
        "keys": change.keys,
        "opened": change.opened,
        "widened": change.widened,
    }
