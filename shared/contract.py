"""The contract: every subject with its model, producers, consumers and stream, in one table.

NATS permissions (`shared.bus.permissions`), streams (`shared.bus.streams`) and the tests are all derived
from this page; a subject that is not here cannot be published by anybody.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from shared import messages as m
from shared.messages.base import Message

M = TypeVar("M", bound=Message)
R = TypeVar("R", bound=Message)


class Role(StrEnum):
    """Who holds a credential on the bus."""

    AUTH = "auth"
    MAILER = "mailer"
    REVOCATION = "revocation"
    EDGE = "edge"
    OPERATOR = "operator"
    PROVISIONER = "provisioner"


@dataclass(frozen=True)
class Subject(Generic[M]):
    """A subject bound to the one model that may travel on it.

    With both `encode` and `decode` the type is invariant in M, so a type checker refuses to publish
    one subject's model on another.
    """

    name: str
    model: type[M]
    producers: tuple[Role, ...]
    consumers: tuple[Role, ...]
    stored: bool = True
    # The field that has to equal the subject's last token: permissions bind the subject, not the body.
    spoken_by: str | None = None

    def spoken_truly(self, name: str, message: M) -> bool:
        """Whether *message*, heard on *name*, speaks for nobody else."""
        return self.spoken_by is None or getattr(message, self.spoken_by) == name.rsplit(".", 1)[1]

    def encode(self, message: M) -> bytes:
        """The body as JSON; fields that are None are left out."""
        return message.model_dump_json(exclude_none=True).encode()

    def decode(self, body: bytes) -> M:
        """The model of *body*; unknown fields are ignored.

        Raises:
            pydantic.ValidationError: the body is not this subject's model.
        """
        return self.model.model_validate_json(body, extra="ignore")

    def of(self, token: str) -> "Subject[M]":
        """This subject with its trailing wildcard filled in by *token*."""
        name = f"{self.name.removesuffix('.>').removesuffix('.*')}.{token}"
        return replace(self, name=name)


@dataclass(frozen=True)
class Question(Generic[M, R]):
    """A request/reply subject on core NATS: *asks* may publish it, *answers* subscribe to it."""

    name: str
    model: type[M]
    reply: type[R]
    asks: tuple[Role, ...]
    answers: tuple[Role, ...]


# Facts, stored in a stream.
LOGIN_REQUESTED = Subject(
    "login.requested", m.LoginRequested, (Role.AUTH,), (Role.MAILER, Role.OPERATOR)
)
LOGIN_SUCCEEDED = Subject("login.succeeded", m.LoginSucceeded, (Role.AUTH,), (Role.OPERATOR,))
LOGIN_FAILED = Subject("login.failed", m.LoginFailed, (Role.AUTH,), (Role.OPERATOR,))
USER_REGISTERED = Subject("user.registered", m.UserEvent, (Role.AUTH,), (Role.OPERATOR,))
TOKEN_REVOKED = Subject(
    "token.revoked",
    m.TokenRevoked,
    (Role.AUTH, Role.OPERATOR),
    (Role.REVOCATION, Role.OPERATOR),
)
MAIL_SENT = Subject("mail.sent", m.MailSent, (Role.MAILER,), (Role.OPERATOR,))
MAIL_FAILED = Subject("mail.failed", m.MailFailed, (Role.MAILER,), (Role.OPERATOR,))
DEADLETTER_LOGIN = Subject("deadletter.login.*", m.DeadLetter, (Role.MAILER,), (Role.OPERATOR,))
DEADLETTER_TOKEN = Subject("deadletter.token.*", m.DeadLetter, (Role.REVOCATION,), (Role.OPERATOR,))

# A signal on core NATS, never stored.
EDGE_HEARTBEAT = Subject(
    "edge.heartbeat.*",
    m.Heartbeat,
    (Role.EDGE,),
    (Role.REVOCATION, Role.OPERATOR),
    stored=False,
    spoken_by="edge_id",
)

# Questions: request/reply on core NATS, answered by the worker that owns the state.
BLOCKLIST_PROBE = Question(
    "revocation.probe",  # not under blocklist.: whoever hears the deltas would hear the questions (adr/0008)
    m.Probe,
    m.Freshness,
    asks=(Role.EDGE, Role.AUTH, Role.OPERATOR),
    answers=(Role.REVOCATION,),
)
# Operators' questions: op.<noun>.<verb>.
OP_EXPLAIN = Question(
    "op.token.explain", m.ExplainRequest, m.Explanation, asks=(Role.OPERATOR,), answers=(Role.EDGE,)
)
OP_EDGES_LIST = Question(
    "op.edges.list", m.ListEdges, m.EdgeList, asks=(Role.OPERATOR,), answers=(Role.REVOCATION,)
)
OP_USERS_SET = Question(
    "op.users.set", m.SetUser, m.UserState, asks=(Role.OPERATOR,), answers=(Role.AUTH,)
)
OP_USERS_SHOW = Question(
    "op.users.show", m.ShowUser, m.UserState, asks=(Role.OPERATOR,), answers=(Role.AUTH,)
)

SUBJECTS: tuple[Subject[Any], ...] = (
    LOGIN_REQUESTED,
    LOGIN_SUCCEEDED,
    LOGIN_FAILED,
    USER_REGISTERED,
    TOKEN_REVOKED,
    MAIL_SENT,
    MAIL_FAILED,
    DEADLETTER_LOGIN,
    DEADLETTER_TOKEN,
    EDGE_HEARTBEAT,
)

QUESTIONS: tuple[Question[Any, Any], ...] = (
    BLOCKLIST_PROBE,
    OP_EXPLAIN,
    OP_EDGES_LIST,
    OP_USERS_SET,
    OP_USERS_SHOW,
)

# Not events but state: one message per hashed key. Its body is the packed record of the SDK.
BLOCKLIST_STATE = "bl"
BLOCKLIST_DELTAS = "blocklist"
BLOCKLIST_STATE_WRITER = Role.REVOCATION
BLOCKLIST_READERS = (Role.EDGE, Role.AUTH, Role.REVOCATION, Role.OPERATOR)


@dataclass(frozen=True)
class Stream:
    """A JetStream stream as the provisioner must find it. Sizes in bytes."""

    name: str
    subjects: tuple[str, ...]
    max_age: timedelta | None
    max_bytes: int
    max_msg_size: int = 64 * 1024
    last_per_subject: bool = False
    discard_old: bool = False  # when full, forget the oldest instead of refusing the newest
    republish_to: str | None = None


LOGIN = Stream("LOGIN", ("login.requested", "login.succeeded"), timedelta(hours=1), 256 << 20)
# Anybody can make these, as many as they like: they must not take the room that sign-ins need.
LOGIN_REFUSED = Stream(
    "LOGIN_REFUSED", ("login.failed",), timedelta(hours=1), 64 << 20, discard_old=True
)
USER = Stream("USER", ("user.*",), timedelta(days=30), 256 << 20)
# The longest effect of a revocation: the absolute life of a session (7 d) with a day in hand.
TOKEN = Stream("TOKEN", ("token.revoked", "token.revoked.by.*"), timedelta(days=8), 1 << 30)
BLOCKLIST = Stream(
    "BLOCKLIST",
    (f"{BLOCKLIST_STATE}.*",),
    None,
    2 << 30,
    max_msg_size=1024,
    last_per_subject=True,
    republish_to=BLOCKLIST_DELTAS,
)
# Two to read afterwards: full, they forget the oldest, because nobody's login may wait for room in them.
OPS = Stream(
    "OPS", ("mail.*", "key.*", "service_token.*"), timedelta(days=7), 256 << 20, discard_old=True
)
DEADLETTER = Stream(
    "DEADLETTER", ("deadletter.>",), timedelta(days=7), 256 << 20, 128 * 1024, discard_old=True
)

STREAMS: tuple[Stream, ...] = (LOGIN, LOGIN_REFUSED, USER, TOKEN, BLOCKLIST, OPS, DEADLETTER)


@dataclass(frozen=True)
class Durable:
    """A pull consumer as the provisioner must find it. *ack_wait* in seconds."""

    name: str
    stream: Stream
    filter_subject: str
    role: Role
    ack_wait: float = 30.0
    max_ack_pending: int = 1000


# What waits for a new try counts as pending: a thousand recipients refused for now must not fill the window.
# LOGIN holds an hour; how many mails are at work at once is the mailer's own bound.
MAILER = Durable(
    "mailer", LOGIN, LOGIN_REQUESTED.name, Role.MAILER, ack_wait=60.0, max_ack_pending=20_000
)
# Well within max_staleness: what a worker held when it died is another's before any edge closes for it.
REVOCATION = Durable("revocation", TOKEN, "token.revoked", Role.REVOCATION, ack_wait=3.0)
PROJECTION = Durable(
    "projection", BLOCKLIST, f"{BLOCKLIST_STATE}.*", Role.REVOCATION, ack_wait=10.0
)

DURABLES: tuple[Durable, ...] = (MAILER, REVOCATION, PROJECTION)


def stream_of(subject: Subject[Any]) -> Stream | None:
    """The stream that stores *subject*, or None when nothing does."""
    if not subject.stored:
        return None
    return next(s for s in STREAMS if any(_covers(f, subject.name) for f in s.subjects))


def _covers(pattern: str, name: str) -> bool:
    """Whether NATS would store *name* under *pattern*."""
    if pattern.endswith(".>"):
        return name.startswith(pattern.removesuffix(">"))
    wanted, given = pattern.split("."), name.split(".")
    same = all(w in {"*", g} for w, g in zip(wanted, given, strict=False))
    return len(wanted) == len(given) and same


def dead_letter_subject(subject: str) -> Subject[m.DeadLetter]:
    """Where a message of *subject* goes when no retry can help."""
    family = DEADLETTER_LOGIN if subject.startswith("login.") else DEADLETTER_TOKEN
    return family.of(subject.split(".", 1)[1].replace(".", "-"))
