"""Everything that is sent through the front door, in order: TLS, auth's pages, every service, real tokens."""

import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from ctl.doctor.counterfeits import Signer, signed_wrongly, signer_of
from ctl.doctor.credentials import (
    Credential,
    Trial,
    Wait,
    public_keys,
    until_known,
    watch_revocation,
)
from ctl.doctor.door import Door
from ctl.doctor.echo import (
    SERVED_WITHIN,
    Listening,
    echo_route,
    is_echo,
    is_served,
    wait_until_served,
)
from ctl.doctor.findings import Examination, Finding
from ctl.doctor.pages import look_at_pages
from ctl.doctor.routes import Route, routes_of
from ctl.doctor.transport import look_at_tls
from ctl.doctor.wire import Front, NoAnswerFromDoorError, send, why
from shared.catalogue import Catalogue
from shared.clock import Clock
from shared.ids import Ids

TOOK = "ms from a revocation to its refusal at the door"
NO_KEY = "tokens that auth's key signed for somebody else: no signing key of auth's lies here"
IN_THE_CLEAR = "it was not sent: over plain http it goes to no other machine"


@dataclass(frozen=True)
class Ground:
    """One installation as it is attacked: where to connect, its public address, what is behind it."""

    front: Front
    issuer: str
    catalogue: Catalogue
    clock: Clock
    ids: Ids
    echo: Route | None = None

    @property
    def routes(self) -> list[Route]:
        """One of each service, and the doctor's own echo while it listens: else that port is anybody's."""
        echoes = {service.name for service in self.catalogue.services if is_echo(service)}
        others = [route for route in routes_of(self.catalogue) if route.name not in echoes]
        return [*others, self.echo] if self.echo else others

    @property
    def home(self) -> str:
        """The host where people log in."""
        return urlsplit(self.issuer).hostname or self.front.host

    def door(self, front: Front) -> Door:
        """By *front*, with nothing found yet."""
        return Door(front, self.issuer, self.home, self.ids)

    def signed_by(self, signer: Signer | None) -> list[tuple[str, str]]:
        """Tokens of its auth that must count nowhere here; none without a *signer*."""
        if signer is None:
            return []
        now_ms = self.clock.now_ms()
        return [*signed_wrongly(signer, issuer=self.issuer, now_ms=now_ms, ids=self.ids)]


async def attack(ground: Ground, echoes: list[str], examination: Examination) -> bool:
    """Add to *examination* what leaks; False: the door does not answer and is out of reach."""
    front = ground.front
    try:
        examination.add(await look_at_tls(front, ground.home, ground.clock.now_ms()))
        await send(front.trusting(), "/", host=ground.home)
    except (NoAnswerFromDoorError, OSError) as error:
        reason = str(error) if isinstance(error, NoAnswerFromDoorError) else why(error)
        examination.unreachable.append(f"{front.scheme}://{front.named(None)} ({reason})")
        return False
    door = ground.door(front.trusting())
    await look_at_pages(door, ground.routes)
    await door.attack(ground.routes, echoes)
    _add(examination, door)
    return True


async def with_echo(ground: Ground, listening: Listening, say: Callable[[str], None]) -> Ground:
    """*ground* with the echo behind its door, once it is there; *say* tells what has to be done for it.

    Raises:
        EchoError: somebody else may be there.
    """
    listening.refuse_others(ground.catalogue)
    route = echo_route(ground.home if ground.catalogue.hosts else None)
    door = ground.door(ground.front.trusting())
    if await door.ask("/") is None:
        return ground  # out of reach, as will be said
    if not await is_served(door, route, listening):
        say(
            f"waiting {SERVED_WITHIN:g} s for these lines of services.yaml, for the time of the run:"
        )
        for line in listening.echo.lines(route.host):
            say(line)
        if not await wait_until_served(door, route, listening, ground.clock):
            say("the echo was not reached: services are attacked without it")
            return ground
    return replace(ground, echo=route)


async def attack_with(
    ground: Ground, credential: Credential, secrets: Path | None, examination: Examination
) -> list[Route]:
    """What *credential* can be made to do; the routes where it counts. *secrets*: where auth's keys may lie."""
    if not may_carry(ground.front):
        examination.add([Finding("door.untried", credential.name, IN_THE_CLEAR)])
        return []
    door = ground.door(ground.front)
    keys = await public_keys(door)
    signer = signer_of(secrets, keys) if secrets else None
    if signer is None:
        door.found("door.untried", "signed tokens", NO_KEY)
    trial = Trial(door, credential, ground.signed_by(signer))
    await trial.run(ground.routes)
    _add(examination, door)
    return trial.counted


async def revoke_before_it(
    ground: Ground,
    credential: Credential,
    counted: Sequence[Route],
    revoke: Callable[[], Awaitable[None]],
    examination: Examination,
) -> None:
    """Revoke *credential*, and see the door refuse it where it *counted*."""
    route = next((route for route in counted if not route.limited), None)
    if route is None:
        return  # that it counts nowhere was said
    door = ground.door(ground.front)
    wait = Wait(door, route, credential, ground.clock)
    after_ms = await watch_revocation(wait, revoke, ground.front.timeout)
    if after_ms is not None:
        examination.looked_at[TOOK] = round(after_ms)
    _add(examination, door)


async def wait_for(ground: Ground, credential: Credential) -> None:
    """Until the edges behind the door know *credential*, for a while."""
    if may_carry(ground.front):
        door = ground.door(ground.front)
        await until_known(door, ground.routes, credential, ground.clock)


def may_carry(front: Front) -> bool:
    """Whether a real token may go there: over TLS, which proves the name, or to this machine itself."""
    if front.tls is not None or front.address == "localhost":
        return True
    try:
        return ipaddress.ip_address(front.host).is_loopback
    except ValueError:
        return False


def _add(examination: Examination, door: Door) -> None:
    examination.add(door.findings)
    examination.looked_at["attempts through the door"] += door.attempts
