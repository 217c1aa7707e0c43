"""services.yaml while everything runs: a good change is in force at once, a broken one is only told of."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from ctl.up import layout as files
from ctl.up.documents import publish_changes
from ctl.up.plan import Plan
from shared.bus import BusUnavailableError
from shared.catalogue import CatalogueError, parse_catalogue, read_text
from shared.documents import DocumentTooLargeError

PAUSE = 0.2  # seconds between two looks; an editor that is still writing has not come to rest for as long

Stamp = tuple[int, int, int]


async def follow(plan: Plan, say: Callable[[str], None]) -> None:
    """Publish each change of services.yaml. Never returns."""
    path = plan.layout.services
    used = looked = stamp_of(path)
    first = _text(plan.catalogue)
    while True:
        await asyncio.sleep(PAUSE)
        found = stamp_of(path)
        if found is not None and found == looked and found != used:
            used = found
            say(await put_in_force(plan, first))
        looked = found


def stamp_of(path: Path) -> Stamp | None:
    """What is another after a change; None while there is no file, as between two steps of an editor."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _text(path: Path) -> str | None:
    """What everything was started with; None where it has changed to something unusable by now."""
    try:
        text = read_text(path)
        parse_catalogue(text)
    except CatalogueError:
        return None
    return text


async def put_in_force(plan: Plan, first: str | None) -> str:
    """Publish services.yaml as it is now; in one line what came of it.

    Where nothing was published yet, *first* is, before: so that a rollback finds what all was started with.
    """
    try:
        catalogue = files.write_catalogue(plan.layout, plan.inside["demo"], plan.app)
        generation = await publish_changes(
            plan.nats_url,
            plan.layout.secrets,
            catalogue,
            first=first if first is not None else read_text(catalogue),
        )
    except CatalogueError as error:
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        return f"not used  {error.problems[0]}{more}. What was in force stays."
    except (BusUnavailableError, DocumentTooLargeError) as error:
        return f"not used  services.yaml could not be published: {error}"
    if generation is None:
        return "services  services.yaml says what is in force"
    return f"services  services.yaml is in force as generation {generation}"
