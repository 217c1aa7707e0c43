"""The bodies that cross the bus: one module per noun, one frozen model per message.

Fields are only ever added, with a default; a breaking change is a new subject. Producers are strict
(``extra="forbid"`` through the constructor); consumers tolerate fields they do not know.
"""

from shared.messages.base import Event, Message
from shared.messages.deadletter import DeadLetter
from shared.messages.deletion import (
    DeletionPage,
    DeletionRow,
    EraseAnswer,
    ErasedBy,
    EraseUser,
    ListDeletions,
)
from shared.messages.doctor import AskFacts, KeyFacts, RedisFacts, SmtpFacts, WorkerFacts
from shared.messages.edge import (
    EdgeList,
    ExplainedRecord,
    ExplainedRule,
    ExplainRequest,
    Explanation,
    Freshness,
    GoneEdge,
    Heartbeat,
    ListEdges,
    Probe,
    SeenEdge,
)
from shared.messages.key import KeyRotated
from shared.messages.login import ClientHint, LoginFailed, LoginRequested, LoginSucceeded
from shared.messages.mail import MailFailed, MailSent
from shared.messages.people import (
    ExportPage,
    ExportUsers,
    ImportProblem,
    ImportReport,
    ImportUsers,
    ListUsers,
    OrgRoles,
    PortableUser,
    SetRoles,
    SetUser,
    ShowUser,
    UserAccount,
    UserPage,
    UserState,
)
from shared.messages.revocation import (
    EdgeReceipt,
    Match,
    MatchRequest,
    ReceiptsAnswer,
    ReceiptsRequest,
    RevocationApplied,
)
from shared.messages.service_token import (
    CreateServiceToken,
    ListServiceTokens,
    ServiceToken,
    ServiceTokenAnswer,
    ServiceTokenIssued,
    ServiceTokenRow,
    TokensUsed,
)
from shared.messages.token import RevocationScope, TokenRevoked
from shared.messages.user import (
    UserDeleted,
    UserPasswordChanged,
    UserRegistered,
    UserRolesChanged,
    UserVerified,
)

__all__ = [
    "AskFacts",
    "ClientHint",
    "CreateServiceToken",
    "DeadLetter",
    "DeletionPage",
    "DeletionRow",
    "EdgeList",
    "EdgeReceipt",
    "EraseAnswer",
    "EraseUser",
    "ErasedBy",
    "Event",
    "ExplainRequest",
    "ExplainedRecord",
    "ExplainedRule",
    "Explanation",
    "ExportPage",
    "ExportUsers",
    "Freshness",
    "GoneEdge",
    "Heartbeat",
    "ImportProblem",
    "ImportReport",
    "ImportUsers",
    "KeyFacts",
    "KeyRotated",
    "ListDeletions",
    "ListEdges",
    "ListServiceTokens",
    "ListUsers",
    "LoginFailed",
    "LoginRequested",
    "LoginSucceeded",
    "MailFailed",
    "MailSent",
    "Match",
    "MatchRequest",
    "Message",
    "OrgRoles",
    "PortableUser",
    "Probe",
    "ReceiptsAnswer",
    "ReceiptsRequest",
    "RedisFacts",
    "RevocationApplied",
    "RevocationScope",
    "SeenEdge",
    "ServiceToken",
    "ServiceTokenAnswer",
    "ServiceTokenIssued",
    "ServiceTokenRow",
    "SetRoles",
    "SetUser",
    "ShowUser",
    "SmtpFacts",
    "TokenRevoked",
    "TokensUsed",
    "UserAccount",
    "UserDeleted",
    "UserPage",
    "UserPasswordChanged",
    "UserRegistered",
    "UserRolesChanged",
    "UserState",
    "UserVerified",
    "WorkerFacts",
]
