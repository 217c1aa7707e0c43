"""The service tokens in force, as auth follows its own document: in memory, by hash and by id."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from latchwire.documents import DocumentError
from shared.clock import Clock
from shared.messages import ServiceToken
from shared.service_tokens import NO_TOKENS, TokenTable, is_of_the_future, read_tokens_body

log = structlog.get_logger()


class LiveTokens:
    """`services.auth.ports.service_tokens.KnownTokens`; *generation* 0: no document yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.generation = 0
        self.waits: Callable[[], bool] = lambda: False  # for the key that has signed a document
        self._table = NO_TOKENS
        self._by_id: dict[str, ServiceToken] = {}

    @property
    def rows(self) -> tuple[ServiceToken, ...]:
        """All of them."""
        return self._table.rows

    @property
    def lags(self) -> bool:
        return self.waits()

    def find(self, token: str) -> ServiceToken | None:
        return self._table.find(token.encode("utf-8", "surrogatepass"))

    def by_id(self, token_id: str) -> ServiceToken | None:
        return self._by_id.get(token_id)

    @property
    def kid(self) -> str:
        """The key that signed them."""
        return self._table.kid

    def follow(self, body: Mapping[str, Any], generation: int, kid: str) -> None:
        """Take the document.

        Raises:
            DocumentError: it is not one of service tokens; what is in force stays.
        """
        if is_of_the_future(generation, self._clock.now_ms()):
            raise DocumentError("a time of the future")
        rows = read_tokens_body(body)
        if rows is None:
            raise DocumentError("body is not service tokens")
        self.use(rows, generation, kid)

    def use(self, rows: tuple[ServiceToken, ...], generation: int, kid: str) -> None:
        """Go by *rows*, which *kid* has signed, unless by a later generation already."""
        if generation <= self.generation:
            return
        self._table, self.generation = TokenTable.of(rows, kid), generation
        self._by_id = {row.id: row for row in self._table.rows}
        log.info("service_tokens.in_force", generation=generation, tokens=len(self._table.living))
