"""An operator's command as its code sees it, in this process."""

from ctl.installation import Installation
from ctl.session import Session
from shared.bus import Bus
from shared.clock import SystemClock
from shared.ids import SystemIds
from tests.support.servers import NatsServer


def session_of(bus: Bus, nats: NatsServer, timeout: float = 5.0) -> Session:
    """A command that speaks on *bus*, of the installation around *nats*; *timeout* in seconds."""
    installation = Installation("http://localhost:8080", nats.url, nats.secrets_dir, "test")
    return Session(bus, installation, SystemClock(), SystemIds(), timeout, json=True)
