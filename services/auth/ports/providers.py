"""What social login needs from outside: providers, the time somebody spends there, and linked logins."""

from collections.abc import Sequence
from typing import Literal, Protocol

from services.auth.domain.exchange import Budget, NetworkLimited
from services.auth.domain.outbox import Entry
from services.auth.domain.provider import (
    Handshake,
    Identity,
    KeptIdentity,
    ProvenIdentity,
    ProviderAnswer,
    ProviderConfig,
    Unproven,
)


class ProviderUnavailableError(Exception):
    """The provider did not answer in time, could not be reached, or says that it cannot now."""


class ProviderBrokenError(Exception):
    """The provider answered what no provider answers; *reason* is a word for logs, never its text."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Provider(Protocol):
    """One provider. Every wait is bounded; its tokens are used at once and kept nowhere."""

    @property
    def config(self) -> ProviderConfig:
        """What is configured."""
        ...

    async def authorization_url(self, state: str, handshake: Handshake) -> str:
        """Where the browser goes. Raises: ProviderUnavailableError, ProviderBrokenError."""
        ...

    async def identify(
        self, answer: ProviderAnswer, handshake: Handshake
    ) -> ProvenIdentity | Unproven:
        """Who came back with this answer to that handshake.

        Raises: ProviderUnavailableError, ProviderBrokenError.
        """
        ...


class Handshakes(Protocol):
    """What waits for a browser to come back. Each is one atomic step of the store of sessions.

    Raises: StoreUnavailableError, StoreUnsettledError.
    """

    async def open(
        self, state: str, handshake: Handshake, budgets: tuple[Budget, Budget, Budget]
    ) -> NetworkLimited | None:
        """Count for three networks and keep it for ten minutes; NetworkLimited: nothing is kept."""
        ...

    async def take(self, state: str, browser: str) -> Handshake | None:
        """Hand it out, once, to the browser that it was begun in; to any other it is not there."""
        ...

    async def keep(self, ticket: str, kept: KeptIdentity) -> None:
        """Keep a proven identity for ten minutes, for its browser."""
        ...

    async def look(self, ticket: str, browser: str) -> KeptIdentity | None:
        """What `take_kept` would hand out."""
        ...

    async def take_kept(self, ticket: str, browser: str) -> KeptIdentity | None:
        """Hand it out, once, in its browser."""
        ...


class Identities(Protocol):
    """Linked logins (SQL). Raises: AccountsUnavailableError."""

    async def find(self, iss: str, subject: str) -> Identity | None:
        """Whose login this is."""
        ...

    async def of(self, sub: str) -> list[Identity]:
        """The logins of an account, oldest first."""
        ...

    async def link(
        self, identity: Identity, entries: Sequence[Entry]
    ) -> Literal["linked", "known", "taken", "gone"]:
        """``known``: it was theirs already; ``taken``: another's; ``gone``: there is no such account.

        *entries* are written with a new link only.
        """
        ...

    async def unlink(self, identity: Identity, entries: Sequence[Entry]) -> bool:
        """Whether it was there, and theirs."""
        ...

    async def used(self, identity: Identity, at_ms: int) -> None:
        """Note when it was used last."""
        ...
