"""Keeps the register of service tokens tidy: on the feed's word, when another key signs, and once a minute."""

import asyncio
from contextlib import suppress

import structlog

from services.auth.flows.service_tokens import ServiceTokenFlow
from services.auth.ports import BusUnavailableError, FeedStaleError
from services.auth.ports.accounts import AccountsUnavailableError
from services.auth.ports.service_tokens import Organisations, RegisterTooLargeError

log = structlog.get_logger()

LOOK_SECONDS = 1.0
EVERY_SECONDS = 60.0
NOT_NOW = (
    AccountsUnavailableError,
    BusUnavailableError,
    FeedStaleError,
    RegisterTooLargeError,
)


class TokenKeeper:
    """`wake` says that something was revoked; within a second the rows it hits are marked.

    An organisation that ends revokes its members' access tokens: so that is heard of too, and the tokens of
    services that are bound to it are revoked. *orgs* None: there are no accounts, and nobody can say.
    """

    def __init__(self, tokens: ServiceTokenFlow, orgs: Organisations | None = None) -> None:
        self._tokens = tokens
        self._orgs = orgs
        self._awake = True  # what was revoked while nobody was here
        self._kid = ""
        self._next = 0.0

    def wake(self) -> None:
        """Look soon."""
        self._awake = True

    async def run(self, stopping: asyncio.Event) -> None:
        """Until *stopping*."""
        while not stopping.is_set():
            if self.is_due:
                await self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_SECONDS)

    @property
    def is_due(self) -> bool:
        """Whether there may be something to do."""
        due = self._tokens.clock.monotonic() >= self._next
        return due or self._awake or self._kid != self._tokens.registers.signs_with

    async def look(self) -> None:
        """Tidy the register; where that cannot be done now, it stays due."""
        self._awake, kid = False, self._tokens.registers.signs_with
        try:
            await self._tokens.tidy()
            if self._orgs is not None:
                await self._tokens.end_of_organisations(self._orgs)
        except NOT_NOW as error:
            self._awake = True
            log.info("service_tokens.not_tidied", error=type(error).__name__)
        else:
            self._kid, self._next = kid, self._tokens.clock.monotonic() + EVERY_SECONDS
