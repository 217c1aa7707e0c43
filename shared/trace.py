"""The trace of a request: W3C Trace Context and X-Request-Id, from HTTP over NATS to SMTP.

A trace begins where a request comes in (auth, the edge) or, for what nobody asked for over HTTP, where the
first message is published. It rests in a context variable: the log shows it in each line (`shared.log`), the
bus sends it with each message and question (`shared.bus`), and whoever handles those goes on in it.

No spans are recorded here, so this needs no library: a collector of the operator's own can join what it
sees at the proxy, at a service and in these logs by the trace's id. ``tracestate`` is not carried on: it is
a client's own text, and events are kept for months.
"""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from shared.ids import CROCKFORD, Ids

TRACEPARENT: Final = "traceparent"
REQUEST_ID_HEADER: Final = "X-Request-Id"
KNOWN_FLAGS: Final = 0x03  # sampled, and (level 2) that the id's last seven bytes are random
RANDOM: Final = 0x02

# Of a version of which only the beginning is known, more may follow after another hyphen (§4.2.2).
_TRACEPARENT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?",
    re.ASCII,
)
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{8,128}", re.ASCII)
_LONGEST: Final = 512  # bytes; a traceparent of version 00 has 55
# Crockford's digits as `int` reads base 32.
_DIGITS: Final = str.maketrans(CROCKFORD, "0123456789abcdefghijklmnopqrstuv")


@dataclass(frozen=True, slots=True)
class Trace:
    """*trace_id* (32 lower-case hex digits) is the request's everywhere, *span_id* (16) the caller's step.

    *flags*: W3C trace-flags. *request_id*: what `X-Request-Id` says, "" where no HTTP request was the start.
    """

    trace_id: str
    span_id: str
    flags: int = 0
    request_id: str = ""

    @property
    def traceparent(self) -> str:
        """The header's value, version 00."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    @property
    def headers(self) -> dict[str, str]:
        """What goes with a message: ``traceparent``, and ``X-Request-Id`` where there is one."""
        headers = {TRACEPARENT: self.traceparent}
        return {**headers, REQUEST_ID_HEADER: self.request_id} if self.request_id else headers

    def child(self, ids: Ids, now_ms: int) -> "Trace":
        """The same trace, one step on."""
        return Trace(self.trace_id, _hex(ids.ulid(now_ms))[16:], self.flags, self.request_id)


_current: ContextVar[Trace | None] = ContextVar("latchwire_trace", default=None)


def current_trace() -> Trace | None:
    """The trace of what is being done just now."""
    return _current.get()


def make_trace(ids: Ids, now_ms: int, request_id: str = "") -> Trace:
    """A new trace. Its id is a ULID's 128 bits: it begins with the time, its last 80 bits are random."""
    return Trace(_hex(ids.ulid(now_ms)), _hex(ids.ulid(now_ms))[16:], RANDOM, request_id)


def parse_traceparent(text: str, request_id: str = "") -> Trace | None:
    """The trace that a ``traceparent`` names, as that of *request_id*; None for what is to be ignored.

    Source: W3C Trace Context, level 1 §3.2 and §4.2.2 and level 2's flags.
    """
    found = _TRACEPARENT.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "00" and more:
        return None
    return Trace(trace_id, span_id, int(flags, 16) & KNOWN_FLAGS, request_id)


def good_request_id(text: str) -> str:
    """*text* when it can be a request's id (8 to 128 letters, digits and ``._:-``), else ""."""
    return text if _REQUEST_ID.fullmatch(text) else ""


def trace_of(headers: Mapping[str, str] | None) -> Trace | None:
    """The trace that a message's *headers* carry; whoever published it wrote them."""
    if headers is None or TRACEPARENT not in headers:
        return None
    request_id = good_request_id(headers.get(REQUEST_ID_HEADER, ""))
    return parse_traceparent(headers[TRACEPARENT], request_id)


class within:  # noqa: N801 - used like a function: ``with within(trace):``
    """What is done in this block belongs to *trace*, or to none.

    A class, because each message passes one, and a generator costs three times as much.
    """

    __slots__ = ("_token", "_trace")

    def __init__(self, trace: Trace | None) -> None:
        self._trace = trace

    def __enter__(self) -> None:
        self._token = _current.set(self._trace)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


def bound_trace(headers: Mapping[str, str] | None) -> within:
    """What is done in this block belongs to the trace that a message's *headers* carry."""
    return within(trace_of(headers))


def onwards(ids: Ids, now_ms: int) -> Trace:
    """For a message that goes out: the next step of the trace at hand, or the first of a new one."""
    trace = _current.get()
    return make_trace(ids, now_ms) if trace is None else trace.child(ids, now_ms)


def _hex(ulid: str) -> str:
    """A ULID's 128 bits as 32 hexadecimal digits."""
    return f"{int(ulid.translate(_DIGITS), 32):032x}"
