"""What password logins need of the store that counts them."""

from typing import Protocol

from services.auth.domain.client import Client
from services.auth.domain.tries import TryAllowed
from services.auth.ports import NetworkLimited


class Tries(Protocol):
    """Wrong passwords by address, by known browser and by network; shared by every auth process.

    Raises `StoreUnavailableError` (also unsettled): nothing was counted.
    """

    async def begin(self, email: str, browser: str, client: Client) -> TryAllowed | NetworkLimited:
        """Count one wrong password for *email*, before anything is looked at.

        The same for every address, known or not. *browser* is the hash of the pre-login value, or "".
        """
        ...

    async def passed(self, allowed: TryAllowed) -> None:
        """It was right: it does not count, and what this known browser had against it is forgotten.

        What strangers did to the address, or others in the network, is not.
        """
        ...

    async def undone(self, allowed: TryAllowed) -> None:
        """Nobody could look at it (503): it does not count."""
        ...
