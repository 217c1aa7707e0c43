"""What the flows of service tokens stand on: the register (the document ``tokens``), and when each was used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.messages import ServiceToken


@dataclass(frozen=True)
class Register:
    """The document as its stream has it: *rows*, their *generation*, and where the subject ends (*seq*).

    *kid* names the key it is signed with, "" before the first. *readable* is False when the last of it is
    signed by nobody we know: what it says is not believed, and nothing may take its place unseen.
    """

    rows: tuple[ServiceToken, ...] = ()
    generation: int = 0
    seq: int = 0
    kid: str = ""
    readable: bool = True


class RegisterTooLargeError(Exception):
    """The document would be larger than its stream takes."""


class Registers(Protocol):
    """The document, from its stream's leader. Raises: BusUnavailableError."""

    async def read(self) -> Register:
        """As it is now."""
        ...

    async def write(self, rows: tuple[ServiceToken, ...], after: Register) -> int | None:
        """Sign and store *rows* in place of *after*; the generation, None when somebody was faster.

        Raises:
            RegisterTooLargeError: nothing was stored.
        """
        ...


class TokenUses(Protocol):
    """When tokens were last used (Unix ms, to the minute). Raises: StoreUnavailableError."""

    async def note(self, used: Mapping[str, int]) -> None:
        """Remember these, by token id; an earlier time changes nothing."""
        ...

    async def last(self) -> Mapping[str, int]:
        """All that is remembered."""
        ...

    async def forget(self, token_ids: frozenset[str]) -> None:
        """Of tokens that are no more."""
        ...
