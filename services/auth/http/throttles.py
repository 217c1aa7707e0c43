"""How often the OAuth endpoints may be asked, and how much one person may change. Of this process alone."""

from services.auth.domain.limits import Rate, Throttle, retry_after
from services.auth.http.problems import Problem
from shared.clock import Clock

# Of one process. A resource server asks for each of its requests; a stranger has few tokens to give back.
PER_CLIENT = Rate(60_000, 60_000)
PER_NETWORK = Rate(300, 60_000)
# Each change may be told to everybody and kept for days: an administrator's busy day, and no more, fits in.
# After a burst one change each 12 s: a token.revoked of each is 4 % of what the stream TOKEN holds.
PER_ACTOR = Rate(300, 3_600_000)


class Throttles:
    """Who asks how often: each client, each network that names none or not truly, each person that writes."""

    def __init__(self) -> None:
        self.clients = Throttle(PER_CLIENT)
        self.networks = Throttle(PER_NETWORK)
        self.actors = Throttle(PER_ACTOR)

    def count_change(self, sub: str, clock: Clock) -> None:
        """One request of *sub* that changes something. Raises: Problem 429."""
        wait_ms = self.actors.wait_ms(sub, clock.monotonic() * 1000)
        if wait_ms:
            headers = {"Retry-After": str(retry_after(wait_ms))}
            raise Problem(429, "too_many_changes", headers=headers)
