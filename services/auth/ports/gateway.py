"""What the routes of the gateway wait for."""

from typing import Protocol

from services.auth.domain.rollout import Roll


class Edges(Protocol):
    """The live edges."""

    async def roll(self) -> Roll | None:
        """What they go by; None when nobody can tell just now."""
        ...
