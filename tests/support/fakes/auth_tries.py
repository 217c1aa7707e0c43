"""Wrong passwords in memory, beside the other fake stores of auth."""

from services.auth.domain.client import Client, wider_networks
from services.auth.domain.limits import network_rates
from services.auth.domain.tries import PasswordTry, TryAllowed, TryLimits, tarpit_ms
from services.auth.ports import Budget, NetworkLimited
from shared.emails import limit_address
from tests.support.fakes.auth_store import FakeAuthStore


class FakeTries:
    """`services.auth.ports.tries.Tries`."""

    def __init__(self, store: FakeAuthStore, limits: TryLimits) -> None:
        self._store = store
        self._limits = limits
        self._count = 0

    async def begin(self, email: str, browser: str, client: Client) -> TryAllowed | NetworkLimited:
        store, now = self._store, self._store.enter("begin_try")
        store.require_settled()
        self._count += 1
        tried = PasswordTry(f"try-{self._count}", email, browser, client.network)
        networks = self._networks(tried)
        wait = max(store.wait_for_room(budget, now) for budget in networks)
        if wait > 0:
            return NetworkLimited(wait)
        known = browser in store.browsers[email]
        scope = self._scopes(tried)[known]
        muted = store.wait_for_room(scope, now) > 0
        earlier = len(store.limits[scope.subject])
        for budget in networks if muted else (*networks, scope):
            store.limits[budget.subject][tried.id] = now
        return TryAllowed(tried, now, tarpit_ms(earlier), muted)

    async def passed(self, allowed: TryAllowed) -> None:
        self._end(allowed.tried)
        self._store.limits[self._scopes(allowed.tried)[True].subject].clear()

    async def undone(self, allowed: TryAllowed) -> None:
        self._end(allowed.tried)

    def _end(self, tried: PasswordTry) -> None:
        self._store.enter("end_try")
        for budget in (*self._networks(tried), *self._scopes(tried)):
            self._store.limits[budget.subject].pop(tried.id, None)

    def _scopes(self, tried: PasswordTry) -> tuple[Budget, Budget]:
        mailbox, rate = limit_address(tried.email), self._limits.address
        whole, own = f"password|{mailbox}", f"password|{mailbox}|{tried.browser}"
        return Budget(whole, rate), Budget(own, rate)

    def _networks(self, tried: PasswordTry) -> tuple[Budget, ...]:
        pairs = zip(wider_networks(tried.network), network_rates(self._limits.network), strict=True)
        return tuple(
            Budget(f"password|{index}|{network}", rate)
            for index, (network, rate) in enumerate(pairs)
        )
