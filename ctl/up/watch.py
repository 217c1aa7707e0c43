"""services.yaml while everything runs: a good change is in force at once, a broken one is only told of."""

import asyncio
from collections.abc import Callable

from ctl.documents import ConflictError, Words
from ctl.output import one_line
from ctl.up import layout as files
from ctl.up.documents import EDGES_WITHIN, open_desk, publish_changes
from ctl.up.plan import Plan
from shared.bus import BusUnavailableError
from shared.catalogue import CatalogueError
from shared.documents import DocumentTooLargeError

PAUSE = 0.2  # seconds between two looks; an editor that is still writing has not come to rest for as long


async def follow(plan: Plan, say: Callable[[str], None]) -> None:
    """Publish each change of services.yaml since *plan* was made of it. Never returns."""
    used, looked = plan.saved, files.stamp_of(plan.layout)
    while True:
        await asyncio.sleep(PAUSE)
        found = files.stamp_of(plan.layout)
        if found is not None and found == looked and found != used:
            used = found
            say(await put_in_force(plan))
        looked = found


async def put_in_force(plan: Plan) -> str:
    """Publish services.yaml as it is now; in one line what came of it.

    Where nothing was published yet, what all was started with is, before: so that a rollback finds it.
    """
    try:
        text = files.read_usable(files.write_catalogue(plan.layout, plan.inside["demo"], plan.app))
        async with open_desk(plan.nats_url, plan.layout.secrets) as desk:
            generation = await publish_changes(desk, text, first=plan.text)
            if generation is None:
                return "services  services.yaml says what is in force"
            return in_words(await desk.words(generation, EDGES_WITHIN))
    except CatalogueError as error:
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        return f"not used  {error.problems[0]}{more} (what was in force stays)"
    except (BusUnavailableError, ConflictError, DocumentTooLargeError) as error:
        return f"not used  services.yaml could not be published: {error}"


def in_words(words: Words) -> str:
    """Whether every edge goes by it; else who does not."""
    if words.complete:
        return f"services  services.yaml is in force as generation {words.generation}"
    behind = [
        f"{one_line(edge.edge_id)} still has generation {edge.generation}"
        for edge in words.edges
        if edge.after_ms is None
    ]
    silent = [f"{one_line(name)} is not heard" for name in words.missing]
    why = ", ".join(behind + silent) or "nobody can say which edges are live"
    what = f"services.yaml is published as generation {words.generation}"
    return f"services  {what}, but {why}: see `latchwire status`"
