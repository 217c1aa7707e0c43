"""What a credential really may on the bus: asked of the server itself, as a thief would, and without effect.

What is published is nothing that anybody could take for a message: the body is no JSON, and the header
``Nats-Expected-Stream`` names a stream that is not there, so no stream stores it.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

import nats
import nats.errors
from nats.aio.client import Client

BODY = b"latchwire doctor"
HEADERS = {"Nats-Expected-Stream": "none"}
TIMEOUT = 5.0  # seconds
_DENIED = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"')


@dataclass(frozen=True)
class Trespasses:
    """What the server did not refuse, of what was tried."""

    published: tuple[str, ...]
    heard: tuple[str, ...]


class NotLetInError(Exception):
    """The server refuses this credential, or did not answer in time."""


async def trespass(
    url: str, name: str, seed: str, *, publish: Sequence[str], hear: Sequence[str]
) -> Trespasses:
    """Try every subject as credential *name*.

    Raises:
        NotLetInError: not even the connection was made.
    """
    denied: dict[str, set[str]] = {"publish": set(), "subscription": set()}

    async def failed(error: Exception) -> None:
        if found := _DENIED.search(str(error)):
            denied[found[1]].add(found[2])

    options = {"nkeys_seed_str": seed, "inbox_prefix": f"_INBOX_{name}", "error_cb": failed}
    client = await _connect(url, options)
    try:
        for subject in publish:
            await client.publish(subject, BODY, headers=HEADERS)
        for subject in hear:
            await client.subscribe(subject)
        # The server answers in order: by the second PONG every refusal has been read.
        await client.flush()
        await client.flush()
    finally:
        await client.close()
    return Trespasses(
        tuple(s for s in publish if s.lower() not in denied["publish"]),
        tuple(s for s in hear if s.lower() not in denied["subscription"]),
    )


async def lets_anybody_in(url: str, seed: str = "") -> bool:
    """Whether the server takes a connection without a credential, or with *seed*, which nobody was given."""
    try:
        client = await _connect(url, {"nkeys_seed_str": seed} if seed else {})
    except NotLetInError:
        return False
    await client.close()
    return True


async def _connect(url: str, options: dict[str, object]) -> Client:
    async def quiet(_error: Exception) -> None:
        """Said by the caller."""

    try:
        async with asyncio.timeout(TIMEOUT):
            return await nats.connect(url, allow_reconnect=False, **{"error_cb": quiet, **options})
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise NotLetInError(type(error).__name__) from error
