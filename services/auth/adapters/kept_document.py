"""A provider's document (discovery, keys): fetched when it is needed, and kept when it cannot be had anew."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from services.auth.ports.providers import ProviderBrokenError, ProviderUnavailableError
from shared.clock import Clock

log = structlog.get_logger()

FRESH_SECONDS = 3600.0
KEEP_SECONDS = (
    86_400.0  # a key the provider took back counts no longer than this, if it cannot be asked
)
COOL_DOWN_SECONDS = 60.0


class KeptDocument:
    """One document. A failed fetch is tried again after the cool-down, not with every login."""

    def __init__(self, fetch: Callable[[], Awaitable[Mapping[str, Any]]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._document: Mapping[str, Any] | None = None
        self._fetched = 0.0
        self._tried = 0.0
        self._lock = asyncio.Lock()

    async def read(self, *, renew: bool = False) -> Mapping[str, Any]:
        """The document; with *renew* a newer one, unless one was asked for within the cool-down.

        Raises:
            ProviderUnavailableError, ProviderBrokenError: there is none that may still be used.
        """
        async with self._lock:
            if self._is_due(renew=renew):
                await self._renew()
            assert self._document is not None
            return self._document

    def _is_due(self, *, renew: bool) -> bool:
        now = self._clock.monotonic()
        if self._document is None or now - self._fetched > KEEP_SECONDS:
            return True
        wanted = renew or now - self._fetched > FRESH_SECONDS
        return wanted and now - self._tried >= COOL_DOWN_SECONDS

    async def _renew(self) -> None:
        self._tried = self._clock.monotonic()
        try:
            self._document = await self._fetch()
        except (ProviderUnavailableError, ProviderBrokenError):
            if self._document is None or self._tried - self._fetched > KEEP_SECONDS:
                raise
            log.warning("provider.document_kept")
        else:
            self._fetched = self._tried
