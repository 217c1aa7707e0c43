"""What edges say and ask: heartbeats, freshness probes, and why a token is refused."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.durations import MAX_STALENESS_SECONDS
from shared.messages.base import Identifier, Message, Millis, ShortText

# No edge may go on for longer without a proof than an access token lives: settings and catalogue refuse more.
LONGEST_STALENESS_MS = int(MAX_STALENESS_SECONDS * 1000)
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]


class Probe(Message):
    """``revocation.probe``: how far must I be?"""

    edge_id: ShortText = ""


class Freshness(Message):
    """The proof: *last_seq* of BLOCKLIST from the stream leader in *epoch*, and *backlog_ms*,

    the age of the oldest acknowledged revocation that is not in BLOCKLIST yet (0: none waits).
    *documents_seq* is the last sequence of DOCUMENT: who has not read that far knows too little.
    """

    epoch: Identifier
    last_seq: int
    backlog_ms: int
    documents_seq: int = 0


class Heartbeat(Message):
    """``edge.heartbeat.<edge_id>``: applied so far, cumulative.

    *max_staleness_ms* is the most that any route of this edge allows: that long after its last proof
    it has closed. Bounded, because others wait for that long: a heartbeat beyond the bounds is skipped.
    """

    edge_id: Identifier
    at: Millis
    epoch: ShortText
    seq: Count
    ready: bool
    staleness_ms: Millis
    blocklist_size: Count
    version: ShortText = ""
    started_at: Millis = 0
    max_staleness_ms: Annotated[int, Field(ge=0, le=LONGEST_STALENESS_MS)] = 10_000
    keys_generation: Count = 0
    catalogue_generation: Count = 0
    edges_generation: Count = 0
    tokens_generation: Count = 0


class ListEdges(Message):
    """``op.edges.list``: which edges may be letting people in right now?"""


class SeenEdge(Message):
    """One live edge: its last word, and how long ago that was heard."""

    beat: Heartbeat
    age_ms: int


class GoneEdge(Message):
    """An edge that is not live any more, and how long ago it was heard."""

    edge_id: ShortText
    age_ms: int


class EdgeList(Message):
    """The answer: every edge that has not had the time to close by itself since its last heartbeat.

    *whole* is False while an edge may be missing. The worker has listened (*listening_ms*) for too short a time
    to know of one that fell silent before: less than *window_ms*, after which every edge that fell silent has
    closed (0: not told). Where it knows the names of all edges (LATCHWIRE_EDGES) and has heard each of them and
    no other, *whole* is True after 1.5 s. *missing*: names that are not live; *unnamed*: live edges without
    one; *twice*: names under which two processes speak. *gone*: where nobody knows the names, those that spoke
    in the last hour and are not live.
    """

    edges: tuple[SeenEdge, ...] = ()
    whole: bool = False
    listening_ms: int = 0
    window_ms: int = 0
    missing: tuple[ShortText, ...] = ()
    unnamed: tuple[ShortText, ...] = ()
    twice: tuple[ShortText, ...] = ()
    gone: tuple[GoneEdge, ...] = ()


class ExplainRequest(Message):
    """``op.token.explain``: decide this as a check would, and say why. Never stored, never logged.

    *token* "" asks about the request alone: what would the rule do with nobody's credentials? *chosen* is the
    service that the check names, as a gateway's may; the services that are not exposed answer to nothing else.
    *origin* and *asks_method* are the request's ``Origin`` and ``Access-Control-Request-Method``: with
    the method OPTIONS it is a preflight.
    """

    token: str = ""
    scheme: Literal["http", "https"] = "https"
    host: ShortText = ""
    uri: Annotated[str, StringConstraints(max_length=2048)] = "/"
    method: ShortText = "GET"
    chosen: ShortText = ""
    origin: ShortText | None = None
    asks_method: ShortText | None = None


class ExplainedRecord(Message):
    """The revocation that refuses: its *scope*, its BLOCKLIST *seq* (0 when it could not be read just now),

    when it was stored and until when it holds.
    """

    scope: ShortText
    key: ShortText
    seq: int = 0
    stored_at: Millis | None = None
    until: Millis | None = None
    sessions_before: Millis | None = None
    tokens_before: Millis | None = None


class ExplainedRule(Message):
    """The rule of the catalogue that counts for the request: *path* is its prefix that matched.

    *public*: open to everybody. Else a person (``user`` in *token_types*) needs one of *roles* and every one of
    *all_roles*, one of *emails*, one of *organisations* active, and a login at most *login_age_ms* old.
    A service needs to be one of *callers*; both need one of *permissions* and every one of *all_permissions*;
    each where given. *exposed*: routed for everybody. *origins*: whose pages may call it, with or without
    *credentials*.
    """

    service: ShortText
    host: ShortText = ""
    path: str = ""
    public: bool = False
    roles: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    max_staleness_ms: int = 0
    all_roles: tuple[str, ...] = ()
    organisations: tuple[str, ...] = ()
    login_age_ms: int = 0
    token_types: tuple[str, ...] = ("user",)
    callers: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    all_permissions: tuple[str, ...] = ()
    exposed: bool = True
    origins: tuple[str, ...] = ()
    credentials: bool = False


class Explanation(Message):
    """The answer: *outcome* and *reason* are the codes of the edge's decision table.

    *reason* is ``token``, ``public`` or ``preflight`` where the outcome is allow.

    *record* is there when the token is revoked, whatever else refuses it. *kid* without *sub*: the token only
    names that key, which this edge does not have (any more); *record* is then the key's. *email* is there where
    the token's *sub* is not the address, *org* where an organisation is active. *service*: its owner is no
    person but this service. *logged_in_at* is the login that `login_age` counts from. *revoked_at*: so
    says the register of service tokens, with or without a record.
    """

    edge_id: Identifier
    outcome: ShortText
    reason: ShortText
    detail: ShortText = ""
    rule: ShortText = ""
    kid: ShortText = ""
    sub: ShortText = ""
    sid: ShortText = ""
    expires_at: Millis | None = None
    epoch: ShortText = ""
    seq: int = 0
    staleness_ms: int = 0
    status: int = 0
    jti: ShortText = ""
    issued_at: Millis | None = None
    session_began_at: Millis | None = None
    roles: tuple[str, ...] = ()
    route: ExplainedRule | None = None
    record: ExplainedRecord | None = None
    keys_generation: int = 0
    catalogue_generation: int = 0
    email: ShortText = ""
    org: ShortText = ""
    service: ShortText = ""
    permissions: tuple[str, ...] = ()
    logged_in_at: Millis | None = None
    revoked_at: Millis | None = None
