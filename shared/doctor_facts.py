"""What a worker tells an operator's ``doctor`` of itself: what stands in ``/ready``, and what it adds."""

import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from latchwire import __version__
from shared.bus import Bus
from shared.contract import OP_DOCTOR_EDGE, OP_DOCTOR_FACTS, Role
from shared.lifecycle import Runtime
from shared.messages import AskFacts, KeyFacts, WorkerFacts
from shared.setting_types import Network
from shared.settings import WorkerSettings

MAX_TEXT = 255
MAX_NAME = 200  # of a machine
_FILES = {"signing": "*.pem", "link": "*.key", "refresh": "*.key", "csrf": "*.key"}

More = Callable[[], Awaitable[Mapping[str, Any]]]


async def nothing_more() -> Mapping[str, Any]:
    """Of a worker that has nothing to add."""
    return {}


def no_catalogue() -> int:
    """Of a worker that goes by none, or tells its generation elsewhere."""
    return 0


async def answer_doctor(
    bus: Bus,
    runtime: Runtime,
    settings: WorkerSettings,
    more: More = nothing_more,
    catalogue_generation: Callable[[], int] = no_catalogue,
) -> None:
    """Begin to answer, whichever other processes do.

    *more*, which may not raise, fills the fields of `WorkerFacts` only this worker can.
    """
    process = runtime.ids.ulid(runtime.clock.now_ms())
    place = f"{socket.gethostname()[:MAX_NAME]}, process {os.getpid()}"

    async def tell(asked: AskFacts) -> WorkerFacts:
        own = {} if asked.roll_call else await more()
        return WorkerFacts(
            worker=bus.name,
            process=process,
            place=place,
            url=settings.url[:MAX_TEXT],
            version=__version__,
            problems=_lines(runtime.health.problems()),
            notes=_lines(runtime.health.notes()),
            catalogue_generation=catalogue_generation(),
            **own,
            at=runtime.clock.now_ms(),  # the last of all: what the asker compares with its own
        )

    question = OP_DOCTOR_EDGE if bus.role is Role.EDGE else OP_DOCTOR_FACTS
    await bus.answer(question.of(bus.name), tell, everyone=True)


def key_facts(directory: Path, *purposes: str) -> tuple[KeyFacts, ...]:
    """The keys of *purposes* that lie in the secrets directory, by their names alone."""
    return tuple(
        KeyFacts(purpose=purpose, kid=path.stem[:MAX_TEXT], made_on=path.stem[:8])
        for purpose in purposes
        for path in sorted((directory / purpose).glob(_FILES[purpose]))[-16:]
    )


def networks(trusted: tuple[Network, ...]) -> tuple[str, ...]:
    """As text; those beyond the sixty-fourth are not told."""
    return tuple(str(network) for network in trusted[:64])


def _lines(said: Mapping[str, str]) -> tuple[str, ...]:
    """Without control characters: others' words may be among them."""
    plain = (f"{name}: {reason}" for name, reason in said.items())
    return tuple("".join(c for c in line if c.isprintable())[:MAX_TEXT] for line in plain)[:64]
