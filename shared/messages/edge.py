"""What edges say and ask: heartbeats, freshness probes, and why a token is refused."""

from shared.messages.base import Identifier, Message, Millis, ShortText


class Probe(Message):
    """``blocklist.probe``: how far must I be?"""

    edge_id: ShortText = ""


class Freshness(Message):
    """The proof: *last_seq* of BLOCKLIST from the stream leader in *epoch*, and *backlog_ms*,

    the age of the oldest acknowledged revocation that is not in BLOCKLIST yet (0: none waits).
    """

    epoch: Identifier
    last_seq: int
    backlog_ms: int


class Heartbeat(Message):
    """``edge.heartbeat.<edge_id>``: applied so far, cumulative.

    *max_staleness_ms* is the most that any route of this edge allows: that long after its last proof
    it has closed.
    """

    edge_id: Identifier
    at: Millis
    epoch: ShortText
    seq: int
    ready: bool
    staleness_ms: int
    blocklist_size: int
    version: ShortText = ""
    started_at: Millis = 0
    max_staleness_ms: int = 10_000


class ExplainRequest(Message):
    """``op.token.explain``: decide this token as a check would, and say why. Never stored, never logged."""

    token: str
    host: ShortText = ""
    uri: ShortText = "/"
    method: ShortText = "GET"


class Explanation(Message):
    """The answer: *outcome* and *reason* are the codes of the edge's decision table."""

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
