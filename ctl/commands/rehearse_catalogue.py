"""``catalogue apply|rollback --dry-run``: what would change, and for whom; nothing is published."""

from ctl import exits
from ctl.catalogue_history import described, opened, plain
from ctl.documents import DocumentDesk
from ctl.output import say, say_json
from ctl.session import Session
from shared.catalogue import Catalogue, CatalogueError, parse_catalogue
from shared.catalogue.changes import Change, changes

_COLUMN = 12


async def rehearse(
    session: Session, desk: DocumentDesk, *, text: str, repeats: int | None = None
) -> int:
    """Compare *text*, which is usable, with the catalogue in force; *repeats*: the generation it is from."""
    found = changes(in_force(desk), parse_catalogue(text))
    generation = desk.shelf.generation
    if session.json:
        of = {} if repeats is None else {"as": repeats}
        say_json(
            {"generation": generation, "dry_run": True, **of, "changes": [plain(c) for c in found]}
        )
        return exits.DONE
    known = f"generation {generation} is in force" if generation else "no document is in force yet"
    then = f"; this would be as {repeats}" if repeats is not None else ""
    say(f"catalogue   {known}{then}; nothing is changed by this")
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
    lines = [f"{change.kind.ljust(_COLUMN)}{described(change)}" for change in found]
    return lines + opening_lines(found)


def opening_lines(found: tuple[Change, ...]) -> list[str]:
    """Who gets in that did not before: a line for each place and each rule, none when nobody does."""
    return [f"{'opens'.ljust(_COLUMN)}{what}" for what in opened(found)]
