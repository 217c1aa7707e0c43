"""Passwords that are sent with the link or the code of a mail: counted before anything is hashed.

Whoever holds one link could keep the pool of hashes full for as long as it lives, or guess at the password
behind it: so a link has as many wrong passwords as a mail has wrong codes, and never more at work at once. A
network has those that it has for logins. A stranger's guesses at logins keep nobody from their own link.
"""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from services.auth.domain.client import UNKNOWN, Client
from services.auth.domain.limits import retry_after
from services.auth.domain.link import Attempt, TooManyRequests
from services.auth.domain.tries import TryAllowed
from services.auth.flows.password import AWAY
from services.auth.ports import Attempts, NetworkLimited, StoreUnavailableError
from services.auth.ports.tries import Tries

T = TypeVar("T")


@dataclass(frozen=True)
class Typist:
    """Who sends it. *browser* is the hash of the pre-login value, or ""."""

    client: Client = UNKNOWN
    browser: str = ""


@dataclass(frozen=True)
class TypedPasswords:
    """Raises what its ports and the work raise."""

    attempts: Attempts
    tries: Tries

    async def judge(
        self,
        attempt: Attempt,
        typist: Typist,
        work: Callable[[], Awaitable[T]],
        *,
        right: Callable[[T], bool],
    ) -> T | TooManyRequests | None:
        """What *work* says of a password; None: too many came with the link. What is *right* does not count."""
        begun = await self.tries.begin(attempt.email, typist.browser, typist.client)
        if isinstance(begun, NetworkLimited):
            return TooManyRequests(retry_after(begun.wait_ms))
        if not await self.attempts.type_password(attempt):
            return None
        try:
            answer = await work()
        except AWAY:  # nobody could judge it
            await self._take_back(attempt, begun)
            raise
        if right(answer):
            await self._take_back(attempt, begun)
        return answer

    async def _take_back(self, attempt: Attempt, begun: TryAllowed) -> None:
        with contextlib.suppress(StoreUnavailableError):  # then it counts
            await self.attempts.untype_password(attempt)
            await self.tries.undone(begun)
