"""Forget what was asked for and never proven: passwords that waited too long, addresses nobody stood up for."""

import asyncio
from dataclasses import dataclass

import structlog

from services.auth.ports.accounts import Accounts, AccountsUnavailableError
from shared.clock import Clock
from shared.pauses import pause

log = structlog.get_logger()

EVERY_SECONDS = 600.0


@dataclass(frozen=True)
class Sweep:
    """Any process of auth may do it, at any time, and several at once."""

    accounts: Accounts
    clock: Clock

    async def run(self, stopping: asyncio.Event) -> None:
        """Every ten minutes until *stopping*."""
        while not stopping.is_set():
            await self.look()
            await pause(EVERY_SECONDS, stopping)

    async def look(self) -> None:
        """Once; a store that is away is swept next time."""
        try:
            count = await self.accounts.forget_expired(self.clock.now_ms())
        except AccountsUnavailableError:
            return
        if count:
            log.info("accounts.unproven_forgotten", count=count)
