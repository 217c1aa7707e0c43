"""The register of service tokens and the notes of their use, in memory."""

from collections.abc import Mapping

from services.auth.ports import BusUnavailableError, StoreUnavailableError
from services.auth.ports.service_tokens import Register, RegisterTooLargeError
from shared.messages import ServiceToken
from shared.service_tokens import TokenTable


class FakeRegisters:
    """One document; `by_others` are written before the next writes. Also what is known in memory."""

    def __init__(self) -> None:
        self.register = Register()
        self.signs_with = "k1"
        self.away = False
        self.lags = False
        self.kid = ""
        self.refuses_writes = False
        self.room = 1_000
        self.by_others: list[tuple[ServiceToken, ...]] = []

    async def read(self) -> Register:
        self._answer()
        return self.register

    async def write(self, rows: tuple[ServiceToken, ...], after: Register) -> Register | None:
        self._answer()
        if self.refuses_writes:
            raise BusUnavailableError
        if self.by_others:
            self.store(self.by_others.pop())
        if len(rows) > self.room:
            raise RegisterTooLargeError
        return None if after.seq != self.register.seq else self.store(rows)

    def find(self, token: str) -> ServiceToken | None:
        return TokenTable.of(self.register.rows).find(token.encode("utf-8", "surrogatepass"))

    def by_id(self, token_id: str) -> ServiceToken | None:
        return next((row for row in self.register.rows if row.id == token_id), None)

    def store(self, rows: tuple[ServiceToken, ...]) -> Register:
        """Somebody has written *rows*."""
        seq = self.register.seq + 1
        self.register = Register(
            rows, self.register.generation + 1, seq, self.signs_with, self.signs_with
        )
        return self.register

    def _answer(self) -> None:
        if self.away:
            raise BusUnavailableError


class FakeTokenUses:
    """A dictionary; *away* is Redis being so."""

    def __init__(self) -> None:
        self.at: dict[str, int] = {}
        self.away = False

    async def note(self, used: Mapping[str, int]) -> None:
        self._answer()
        for token_id, at in used.items():
            self.at[token_id] = max(at, self.at.get(token_id, 0))

    async def last(self) -> Mapping[str, int]:
        self._answer()
        return dict(self.at)

    async def forget(self, token_ids: frozenset[str]) -> None:
        self._answer()
        for token_id in token_ids:
            self.at.pop(token_id, None)

    def _answer(self) -> None:
        if self.away:
            raise StoreUnavailableError
