"""Everything that is sent through the front door, in order: TLS, auth's pages, every service."""

from urllib.parse import urlsplit

from ctl.doctor.door import Door
from ctl.doctor.findings import Examination
from ctl.doctor.pages import look_at_pages
from ctl.doctor.routes import routes_of
from ctl.doctor.transport import look_at_tls
from ctl.doctor.wire import Front, NoAnswerFromDoorError, send, why
from shared.catalogue import Catalogue
from shared.clock import Clock
from shared.ids import Ids


async def attack(
    front: Front,
    issuer: str,
    catalogue: Catalogue,
    echoes: list[str],
    examination: Examination,
    clock: Clock,
    ids: Ids,
) -> None:
    """Add to *examination* what leaks; a door that does not answer is out of reach."""
    home = urlsplit(issuer).hostname or front.host
    try:
        examination.add(await look_at_tls(front, home, clock.now_ms()))
        await send(front.trusting(), "/", host=home)
    except (NoAnswerFromDoorError, OSError) as error:
        reason = str(error) if isinstance(error, NoAnswerFromDoorError) else why(error)
        examination.unreachable.append(f"{front.scheme}://{front.named(None)} ({reason})")
        return
    door = Door(front.trusting(), issuer, home, ids)
    routes = routes_of(catalogue)
    await look_at_pages(door, routes)
    await door.attack(routes, echoes)
    examination.add(door.findings)
    examination.looked_at["attempts through the door"] = door.attempts
