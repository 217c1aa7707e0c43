"""Wrong passwords in Redis: sliding windows in sorted sets, under keyed hashes.

lw:limit:<hash>                sorted set: id of a try -> when
"""

from collections.abc import Iterator

from services.auth.adapters.redis_scripts import CLOCK, TRUSTED, Scripts
from services.auth.domain.client import Client, wider_networks
from services.auth.domain.limits import network_rates
from services.auth.domain.tries import PasswordTry, TryAllowed, TryLimits, tarpit_ms
from services.auth.ports import NetworkLimited
from shared.clock import Clock
from shared.emails import limit_address
from shared.ids import Ids


class RedisTries:
    """`services.auth.ports.tries.Tries`: each method is one script."""

    def __init__(self, scripts: Scripts, limits: TryLimits, clock: Clock, ids: Ids) -> None:
        self._scripts = scripts
        self._clock = clock
        self._ids = ids
        rates = (limits.address, *network_rates(limits.network))
        self._rates = [number for rate in rates for number in (rate.count, rate.window_ms)]

    async def begin(self, email: str, browser: str, client: Client) -> TryAllowed | NetworkLimited:
        tried = PasswordTry(self._ids.ulid(self._clock.now_ms()), email, browser, client.network)
        status, at_ms, *rest = await self._scripts.run(
            "begin_try",
            [CLOCK, *self._counters(tried), self._scripts.subject(email, "browsers"), TRUSTED],
            [tried.id, self._scripts.browser(browser), *self._rates],
        )
        if status == b"limited":
            return NetworkLimited(rest[0])
        earlier, muted = rest
        return TryAllowed(tried, at_ms, tarpit_ms(earlier), bool(muted))

    async def passed(self, allowed: TryAllowed) -> None:
        await self._end(allowed.tried, passed=True)

    async def undone(self, allowed: TryAllowed) -> None:
        await self._end(allowed.tried, passed=False)

    async def _end(self, tried: PasswordTry, *, passed: bool) -> None:
        keys = list(self._counters(tried))
        await self._scripts.run("end_try", keys, [tried.id, int(passed)])

    def _counters(self, tried: PasswordTry) -> Iterator[str]:
        mailbox = limit_address(tried.email)
        yield self._key(f"password|{mailbox}")
        yield self._key(f"password|{mailbox}|{tried.browser}")
        reaches = zip(("one", "household", "site"), wider_networks(tried.network), strict=True)
        for reach, network in reaches:
            yield self._key(f"password|{reach}|{network}")

    def _key(self, subject: str) -> str:
        return f"lw:limit:{self._scripts.hash(subject)}"
