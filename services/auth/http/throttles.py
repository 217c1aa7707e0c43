"""How often the OAuth endpoints may be asked."""

from services.auth.domain.limits import Rate, Throttle

# Of one process. A resource server asks for each of its requests; a stranger has few tokens to give back.
PER_CLIENT = Rate(60_000, 60_000)
PER_NETWORK = Rate(300, 60_000)


class Throttles:
    """Who asks how often: each client, and each network that names none or not truly."""

    def __init__(self) -> None:
        self.clients = Throttle(PER_CLIENT)
        self.networks = Throttle(PER_NETWORK)
