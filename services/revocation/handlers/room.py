"""Looks at the room in BLOCKLIST, twice a minute."""

import asyncio
import contextlib

from services.revocation.flows.room import Room
from shared.bus import BusUnavailableError
from shared.pauses import pause

LOOK_SECONDS = 30.0


async def keep_room(room: Room, stopping: asyncio.Event) -> None:
    """Look until *stopping*."""
    while not stopping.is_set():
        with contextlib.suppress(BusUnavailableError):  # others say that NATS is away
            await room.look()
        await pause(LOOK_SECONDS, stopping)
