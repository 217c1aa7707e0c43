"""What everything of auth is built from: the ports, and what the flows share."""

from dataclasses import dataclass

from services.auth.flows.asking import Asking
from services.auth.flows.ending import Ending
from services.auth.flows.opening import Opening
from services.auth.flows.proving import Proving
from services.auth.flows.service_tokens import ServiceTokenFlow
from services.auth.flows.tokens import Issuer
from services.auth.ports import (
    AccessTokens,
    Attempts,
    Events,
    Keys,
    People,
    Revocations,
    Sessions,
    Signals,
)
from services.auth.ports.deletions import Memory
from services.auth.ports.providers import Handshakes
from services.auth.ports.service_tokens import ServiceTokenPorts
from services.auth.ports.tries import Tries
from shared.clock import Clock
from shared.ids import Ids


@dataclass(frozen=True)
class Ports:
    """Everything the flows stand on."""

    attempts: Attempts
    sessions: Sessions
    people: People
    tries: Tries
    memory: Memory
    events: Events
    signals: Signals
    revocations: Revocations
    access_tokens: AccessTokens
    keys: Keys
    clock: Clock
    ids: Ids
    handshakes: Handshakes
    service_tokens: ServiceTokenPorts


@dataclass(frozen=True)
class Core:
    """What the flows share, with accounts and without."""

    issuer: Issuer
    ending: Ending
    asking: Asking
    opening: Opening
    proving: Proving
    services: ServiceTokenFlow
