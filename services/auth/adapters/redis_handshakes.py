"""What waits for a browser in Redis, for ten minutes. States and tickets are in no key, only their hashes.

lw:handshake:<hash>     while somebody is at a provider
lw:identity:<hash>      a proven login that waits to be linked
"""

from typing import Any

from services.auth.adapters.redis_scripts import CLOCK, SINCE, TRUSTED, Scripts, flatten
from services.auth.domain.exchange import Budget, NetworkLimited
from services.auth.domain.provider import (
    HANDSHAKE_SECONDS,
    Handshake,
    KeptIdentity,
    ProvenIdentity,
)

HANDSHAKE = "lw:handshake:"
IDENTITY = "lw:identity:"


class RedisHandshakes:
    """`services.auth.ports.providers.Handshakes`."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def open(
        self, state: str, handshake: Handshake, budgets: tuple[Budget, Budget, Budget]
    ) -> NetworkLimited | None:
        limits = [f"lw:limit:{self._scripts.hash(budget.subject)}" for budget in budgets]
        rates = [n for b in budgets for n in (b.rate.count, b.rate.window_ms)]
        name = self._scripts.hash(f"state|{state}")
        status, number = await self._scripts.run(
            "open_handshake",
            [CLOCK, HANDSHAKE + name, *limits, TRUSTED],
            [name, HANDSHAKE_SECONDS * 1000, *rates, *flatten(_of_handshake(handshake))],
        )
        return NetworkLimited(number) if status == b"limited" else None

    async def take(self, state: str, browser: str) -> Handshake | None:
        name = HANDSHAKE + self._scripts.hash(f"state|{state}")
        fields = await self._take(name, browser, take=True)
        return _handshake(fields) if fields else None

    async def keep(self, ticket: str, kept: KeptIdentity) -> None:
        await self._scripts.run(
            "keep_identity",
            [CLOCK, self._identity(ticket), TRUSTED],
            [HANDSHAKE_SECONDS * 1000, *flatten(_of_kept(kept))],
        )

    async def look(self, ticket: str, browser: str) -> KeptIdentity | None:
        fields = await self._take(self._identity(ticket), browser, take=False)
        return _kept(fields) if fields else None

    async def take_kept(self, ticket: str, browser: str) -> KeptIdentity | None:
        fields = await self._take(self._identity(ticket), browser, take=True)
        return _kept(fields) if fields else None

    def _identity(self, ticket: str) -> str:
        return IDENTITY + self._scripts.hash(f"ticket|{ticket}")

    async def _take(self, key: str, browser: str, *, take: bool) -> dict[str, str]:
        keys = [key, TRUSTED, SINCE]
        found: list[Any] = await self._scripts.run("take_kept", keys, [browser, int(take)])
        texts = [item.decode() for item in found]
        return dict(zip(texts[::2], texts[1::2], strict=True))


def _of_handshake(handshake: Handshake) -> dict[str, str | int]:
    return {
        "provider": handshake.provider,
        "browser": handshake.browser,
        "nonce": handshake.nonce,
        "verifier": handshake.verifier,
        "next": handshake.next,
        "link_sub": handshake.link_sub,
    }


def _handshake(fields: dict[str, str]) -> Handshake:
    return Handshake(
        provider=fields["provider"],
        browser=fields["browser"],
        nonce=fields["nonce"],
        verifier=fields["verifier"],
        next=fields["next"],
        link_sub=fields["link_sub"],
    )


def _of_kept(kept: KeptIdentity) -> dict[str, str | int]:
    return {
        "browser": kept.browser,
        "sub": kept.sub,
        "provider": kept.identity.provider,
        "iss": kept.identity.iss,
        "subject": kept.identity.subject,
        "email": kept.identity.email,
    }


def _kept(fields: dict[str, str]) -> KeptIdentity:
    identity = ProvenIdentity(
        provider=fields["provider"],
        iss=fields["iss"],
        subject=fields["subject"],
        email=fields["email"],
    )
    return KeptIdentity(identity, fields["browser"], fields["sub"])
