"""The one door to NATS: a supervised connection, publish with PubAck, pull consumers with ack as policy.

No other module of the application imports the client library; no handler sees a raw message.
"""

from shared.bus.connection import Bus
from shared.bus.consumer import Delivery
from shared.bus.errors import BusUnavailableError, NoAnswerError, Pause, Reject, Retry
from shared.bus.grants import GrantError, verify_grants
from shared.bus.snapshots import SnapshotStore, StoredHead
from shared.bus.state import Ack, Position, StateMessage
from shared.bus.supervisor import connect_bus

__all__ = [
    "Ack",
    "Bus",
    "BusUnavailableError",
    "Delivery",
    "GrantError",
    "NoAnswerError",
    "Pause",
    "Position",
    "Reject",
    "Retry",
    "SnapshotStore",
    "StateMessage",
    "StoredHead",
    "connect_bus",
    "verify_grants",
]
