"""The contract: every subject with its model, producers, consumers and stream, in one table.

NATS permissions (`shared.bus.permissions`), streams (`shared.bus.streams`) and the tests are all derived
from this page; a subject that is not here cannot be published by anybody.
"""

from datetime import timedelta
from typing import Any

from shared import messages as m
from shared.contract_kinds import Durable as Durable
from shared.contract_kinds import M as M
from shared.contract_kinds import Question as Question
from shared.contract_kinds import R as R
from shared.contract_kinds import Role as Role
from shared.contract_kinds import Stream as Stream
from shared.contract_kinds import Subject as Subject
from shared.contract_questions import BLOCKLIST_PROBE as BLOCKLIST_PROBE
from shared.contract_questions import OP_DELETIONS_LIST as OP_DELETIONS_LIST
from shared.contract_questions import OP_DOCTOR_EDGE as OP_DOCTOR_EDGE
from shared.contract_questions import OP_DOCTOR_FACTS as OP_DOCTOR_FACTS
from shared.contract_questions import OP_EDGES_LIST as OP_EDGES_LIST
from shared.contract_questions import OP_EXPLAIN as OP_EXPLAIN
from shared.contract_questions import OP_EXPLAIN_AT as OP_EXPLAIN_AT
from shared.contract_questions import OP_REVOCATION_MATCH as OP_REVOCATION_MATCH
from shared.contract_questions import OP_TOKENS_CREATE as OP_TOKENS_CREATE
from shared.contract_questions import OP_TOKENS_LIST as OP_TOKENS_LIST
from shared.contract_questions import OP_USERS_EXPORT as OP_USERS_EXPORT
from shared.contract_questions import OP_USERS_IMPORT as OP_USERS_IMPORT
from shared.contract_questions import OP_USERS_LIST as OP_USERS_LIST
from shared.contract_questions import OP_USERS_ROLES as OP_USERS_ROLES
from shared.contract_questions import OP_USERS_SET as OP_USERS_SET
from shared.contract_questions import OP_USERS_SHOW as OP_USERS_SHOW
from shared.contract_questions import QUESTIONS as QUESTIONS
from shared.contract_questions import REVOCATION_RECEIPTS as REVOCATION_RECEIPTS
from shared.contract_questions import USER_ERASE as USER_ERASE

# Facts, stored in a stream.
LOGIN_REQUESTED = Subject(
    "login.requested", m.LoginRequested, (Role.AUTH,), (Role.MAILER, Role.OPERATOR)
)
LOGIN_SUCCEEDED = Subject("login.succeeded", m.LoginSucceeded, (Role.AUTH,), (Role.OPERATOR,))
LOGIN_FAILED = Subject("login.failed", m.LoginFailed, (Role.AUTH,), (Role.OPERATOR,))
# What becomes of accounts; services hear it live, and an operator's consumers have it for 30 days.
_LISTENERS = (Role.OPERATOR, Role.SERVICE)
USER_REGISTERED = Subject("user.registered", m.UserRegistered, (Role.AUTH,), _LISTENERS)
USER_VERIFIED = Subject("user.verified", m.UserVerified, (Role.AUTH,), _LISTENERS)
USER_PASSWORD_CHANGED = Subject(
    "user.password_changed", m.UserPasswordChanged, (Role.AUTH,), _LISTENERS
)
USER_ROLES_CHANGED = Subject("user.roles_changed", m.UserRolesChanged, (Role.AUTH,), _LISTENERS)
USER_DELETED = Subject("user.deleted", m.UserDeleted, (Role.AUTH,), _LISTENERS)
TOKEN_REVOKED = Subject(
    "token.revoked",
    m.TokenRevoked,
    (Role.AUTH, Role.OPERATOR),
    (Role.REVOCATION, Role.OPERATOR),
)
# What a permitted service says; the last token is its name, and becomes the actor.
TOKEN_REVOKED_BY = Subject(
    "token.revoked.by.*", m.TokenRevoked, (Role.SERVICE,), (Role.REVOCATION, Role.OPERATOR)
)
SERVICE_TOKEN_ISSUED = Subject(
    "service_token.issued", m.ServiceTokenIssued, (Role.AUTH,), (Role.OPERATOR,)
)
KEY_ROTATED = Subject("key.rotated", m.KeyRotated, (Role.OPERATOR,), (Role.OPERATOR,))
# Small signed documents (a compact JWS each), the last one of a subject in force: public keys, catalogue, the
# edges' own keys, by the operator; the hashes of service tokens, by auth with the key it signs tokens with.
DOCUMENT_KEYS = "document.keys"
DOCUMENT_CATALOGUE = "document.catalogue"
DOCUMENT_EDGES = "document.edges"
DOCUMENT_TOKENS = "document.tokens"
MAIL_SENT = Subject("mail.sent", m.MailSent, (Role.MAILER,), (Role.OPERATOR,))
MAIL_FAILED = Subject("mail.failed", m.MailFailed, (Role.MAILER,), (Role.OPERATOR,))
DEADLETTER_LOGIN = Subject("deadletter.login.*", m.DeadLetter, (Role.MAILER,), (Role.OPERATOR,))
DEADLETTER_TOKEN = Subject("deadletter.token.*", m.DeadLetter, (Role.REVOCATION,), (Role.OPERATOR,))

# Signals on core NATS, never stored.
# Last token: the event's id, or its TOKEN sequence when it has none.
REVOCATION_APPLIED = Subject(
    "revocation.applied.*",
    m.RevocationApplied,
    (Role.REVOCATION,),
    (Role.AUTH, Role.OPERATOR),
    stored=False,
)
EDGE_HEARTBEAT = Subject(
    "edge.heartbeat.*",
    m.Heartbeat,
    (Role.EDGE,),
    (Role.REVOCATION, Role.OPERATOR),
    stored=False,
    spoken_by="edge_id",
)
# When service tokens were last used: told at most once a minute for each, lost without harm.
EDGE_USAGE = Subject(
    "edge.usage.*",
    m.TokensUsed,
    (Role.EDGE,),
    (Role.AUTH,),
    stored=False,
    spoken_by="edge_id",
)

SUBJECTS: tuple[Subject[Any], ...] = (
    LOGIN_REQUESTED,
    LOGIN_SUCCEEDED,
    LOGIN_FAILED,
    USER_REGISTERED,
    USER_VERIFIED,
    USER_PASSWORD_CHANGED,
    USER_ROLES_CHANGED,
    USER_DELETED,
    TOKEN_REVOKED,
    TOKEN_REVOKED_BY,
    SERVICE_TOKEN_ISSUED,
    KEY_ROTATED,
    MAIL_SENT,
    MAIL_FAILED,
    DEADLETTER_LOGIN,
    DEADLETTER_TOKEN,
    REVOCATION_APPLIED,
    EDGE_HEARTBEAT,
    EDGE_USAGE,
)

# Not events but state: one message per hashed key. Its body is the packed record of the SDK.
BLOCKLIST_STATE = "bl"
BLOCKLIST_DELTAS = "blocklist"
BLOCKLIST_STATE_WRITER = Role.REVOCATION
BLOCKLIST_READERS = (Role.EDGE, Role.AUTH, Role.REVOCATION, Role.OPERATOR, Role.SERVICE)
# A binary copy of BLOCKLIST up to a watermark: the head names the newest, `snapshot.<id>.<n>` are parts.
SNAPSHOT_HEAD = "snapshot.head"
SNAPSHOT_PARTS = "snapshot.*.*"
SNAPSHOT_WRITER = Role.REVOCATION
# Documents: written by whom this names, heard by all who hear the deltas.
DOCUMENT_DELTAS = "documents"
DOCUMENT_WRITERS = {
    DOCUMENT_KEYS: Role.OPERATOR,
    DOCUMENT_CATALOGUE: Role.OPERATOR,
    DOCUMENT_EDGES: Role.OPERATOR,
    DOCUMENT_TOKENS: Role.AUTH,
}


LOGIN = Stream("LOGIN", ("login.requested", "login.succeeded"), timedelta(hours=1), 256 << 20)
# Anybody can make these, as many as they like: they must not take the room that sign-ins need.
LOGIN_REFUSED = Stream(
    "LOGIN_REFUSED", ("login.failed",), timedelta(hours=1), 64 << 20, discard_old=True
)
# Full, it forgets the oldest: many can make these, and no registration and no deletion may wait for room.
USER = Stream("USER", ("user.*",), timedelta(days=30), 256 << 20, discard_old=True)
# The longest effect of a revocation: the absolute life of a session (7 d) with a day in hand.
# The longest revocation that can be said has 3.1 kB of text, and its headers.
TOKEN = Stream("TOKEN", ("token.revoked",), timedelta(days=8), 1 << 30, max_msg_size=4 * 1024)
# Apart, so that a service that floods it takes no room from logout and operators; and so many of each, that
# one flood is over within seconds, and neither fills the stream nor keeps what others say waiting for long.
TOKEN_BY = Stream(
    "TOKEN_BY",
    ("token.revoked.by.*",),
    timedelta(days=8),
    256 << 20,
    max_msg_size=4 * 1024,
    per_subject=10_000,
)
BLOCKLIST = Stream(
    "BLOCKLIST",
    (f"{BLOCKLIST_STATE}.*",),
    None,
    2 << 30,
    max_msg_size=1024,
    last_per_subject=True,
    direct=True,
    republish_to=BLOCKLIST_DELTAS,
)
# Parts have a life of an hour, given with each; a head lives until the next.
SNAPSHOT = Stream(
    "SNAPSHOT", ("snapshot.>",), None, 1 << 30, max_msg_size=768 * 1024, per_subject=1, direct=True
)
DOCUMENT = Stream(
    "DOCUMENT",
    ("document.*",),
    None,
    64 << 20,
    max_msg_size=512 * 1024,
    per_subject=32,
    direct=True,
    republish_to=DOCUMENT_DELTAS,
)
# Two to read afterwards: full, they forget the oldest, because nobody's login may wait for room in them.
OPS = Stream(
    "OPS", ("mail.*", "key.*", "service_token.*"), timedelta(days=7), 256 << 20, discard_old=True
)
DEADLETTER = Stream(
    "DEADLETTER", ("deadletter.>",), timedelta(days=7), 256 << 20, 128 * 1024, discard_old=True
)

STREAMS: tuple[Stream, ...] = (
    LOGIN, LOGIN_REFUSED, USER, TOKEN, TOKEN_BY, BLOCKLIST, SNAPSHOT, DOCUMENT, OPS, DEADLETTER,
)  # fmt: skip


# What waits for a new try counts as pending: a thousand recipients refused for now must not fill the window.
# LOGIN holds an hour; how many mails are at work at once is the mailer's own bound.
MAILER = Durable(
    "mailer", LOGIN, LOGIN_REQUESTED.name, Role.MAILER, ack_wait=60.0, max_ack_pending=20_000
)
# Well within max_staleness: what a worker held when it died is another's before any edge closes for it.
REVOCATION = Durable("revocation", TOKEN, "token.revoked", Role.REVOCATION, ack_wait=3.0)
REVOCATION_BY = Durable(
    "revocation-by", TOKEN_BY, TOKEN_REVOKED_BY.name, Role.REVOCATION, ack_wait=3.0
)
DURABLES: tuple[Durable, ...] = (MAILER, REVOCATION, REVOCATION_BY)
# Consumers of earlier versions, as (stream, name): nobody pulls from them any more.
RETIRED: tuple[tuple[str, str], ...] = (("BLOCKLIST", "projection"),)


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
