"""The bodies that cross the bus: one module per noun, one frozen model per message.

Fields are only ever added, with a default; a breaking change is a new subject. Producers are strict
(``extra="forbid"`` through the constructor); consumers tolerate fields they do not know.
"""

from shared.messages.base import Event, Message
from shared.messages.deadletter import DeadLetter
from shared.messages.edge import (
    EdgeList,
    ExplainedRecord,
    ExplainedRule,
    ExplainRequest,
    Explanation,
    Freshness,
    Heartbeat,
    ListEdges,
    Probe,
    SeenEdge,
)
from shared.messages.key import KeyRotated
from shared.messages.login import ClientHint, LoginFailed, LoginRequested, LoginSucceeded
from shared.messages.mail import MailFailed, MailSent
from shared.messages.revocation import (
    EdgeReceipt,
    Match,
    MatchRequest,
    ReceiptsAnswer,
    ReceiptsRequest,
    RevocationApplied,
)
from shared.messages.token import RevocationScope, TokenRevoked
from shared.messages.user import SetUser, ShowUser, UserEvent, UserState

__all__ = [
    "ClientHint",
    "DeadLetter",
    "EdgeList",
    "EdgeReceipt",
    "Event",
    "ExplainRequest",
    "ExplainedRecord",
    "ExplainedRule",
    "Explanation",
    "Freshness",
    "Heartbeat",
    "KeyRotated",
    "ListEdges",
    "LoginFailed",
    "LoginRequested",
    "LoginSucceeded",
    "MailFailed",
    "MailSent",
    "Match",
    "MatchRequest",
    "Message",
    "Probe",
    "ReceiptsAnswer",
    "ReceiptsRequest",
    "RevocationApplied",
    "RevocationScope",
    "SeenEdge",
    "SetUser",
    "ShowUser",
    "TokenRevoked",
    "UserEvent",
    "UserState",
]
