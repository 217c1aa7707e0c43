"""The bodies that cross the bus: one module per noun, one frozen model per message.

Fields are only ever added, with a default; a breaking change is a new subject. Producers are strict
(``extra="forbid"`` through the constructor); consumers tolerate fields they do not know.
"""

from shared.messages.base import Event, Message
from shared.messages.deadletter import DeadLetter
from shared.messages.edge import (
    EdgeList,
    ExplainRequest,
    Explanation,
    Freshness,
    Heartbeat,
    ListEdges,
    Probe,
    SeenEdge,
)
from shared.messages.login import ClientHint, LoginFailed, LoginRequested, LoginSucceeded
from shared.messages.mail import MailFailed, MailSent
from shared.messages.token import RevocationScope, TokenRevoked
from shared.messages.user import SetUser, ShowUser, UserEvent, UserState

__all__ = [
    "ClientHint",
    "DeadLetter",
    "EdgeList",
    "Event",
    "ExplainRequest",
    "Explanation",
    "Freshness",
    "Heartbeat",
    "ListEdges",
    "LoginFailed",
    "LoginRequested",
    "LoginSucceeded",
    "MailFailed",
    "MailSent",
    "Message",
    "Probe",
    "RevocationScope",
    "SeenEdge",
    "SetUser",
    "ShowUser",
    "TokenRevoked",
    "UserEvent",
    "UserState",
]
