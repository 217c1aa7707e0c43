"""What the flows of service tokens stand on: the register (the document ``tokens``), and when each was used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.messages import ServiceToken


@dataclass(frozen=True)
class Register:
    """The document as its stream has it: *rows*, their *generation*, and where the subject ends (*seq*).

    *kid* names the key it is signed with, "" when nothing there is believed. *voucher* signed the document that
    *rows* were taken from, also where they are remembered: who had that key could have written them.
    """

    rows: tuple[ServiceToken, ...] = ()
    generation: int = 0
    seq: int = 0
    kid: str = ""
    voucher: str = ""


class RegisterTooLargeError(Exception):
    """The document would be larger than its stream takes."""


class Registers(Protocol):
    """The document, from its stream's leader. Raises: BusUnavailableError."""

    @property
    def signs_with(self) -> str:
        """The name of the key that the next document would be signed with."""
        ...

    async def read(self) -> Register:
        """As it is now."""
        ...

    async def write(self, rows: tuple[ServiceToken, ...], after: Register) -> Register | None:
        """Sign and store *rows* in place of *after*; None when somebody was faster.

        Raises:
            RegisterTooLargeError: nothing was stored.
        """
        ...


class KnownTokens(Protocol):
    """The tokens of the generation in force here, in memory."""

    @property
    def kid(self) -> str:
        """The key that vouches for them; "" for none."""
        ...

    @property
    def lags(self) -> bool:
        """Whether there is a later one that cannot be believed here yet."""
        ...

    def find(self, token: str) -> ServiceToken | None:
        """The row of *token*, in its time or not, revoked or not."""
        ...

    def by_id(self, token_id: str) -> ServiceToken | None:
        """The row named *token_id*, in its time or not, revoked or not."""
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


class Organisations(Protocol):
    """Where there are accounts. Raises: AccountsUnavailableError."""

    async def existing(self, orgs: frozenset[str]) -> frozenset[str]:
        """Those of *orgs* that there are."""
        ...


@dataclass(frozen=True)
class ServiceTokenPorts:
    """All three."""

    registers: Registers
    known: KnownTokens
    uses: TokenUses
