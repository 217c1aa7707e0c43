"""``/check/traefik``: Traefik's forwardAuth.

Traefik takes 2xx as yes and hands everything else to the client as it is. Only its X-Forwarded-* describe
the request, and only from a trusted peer. The method of the check itself says nothing; HEAD is GET.

``/check/traefik/<service>`` also says which service Traefik chose: if the edge's own reading of the request
leads to another one, it is refused.
"""

import logging
import re
from collections.abc import Iterable
from typing import Final

import structlog
from aiohttp import web

from services.edge.domain.decision import RENEWABLE, STATUS, Decision, Denied
from services.edge.domain.navigation import is_navigation, sign_in_location
from services.edge.domain.original import Fields, one
from services.edge.flows.check import Checker
from services.edge.flows.counts import CheckCounts
from services.edge.http.answers import NOBODY, Answer, Answers
from services.edge.http.peers import TrustedPeers
from services.edge.http.refusals import RefusalLog

PATH: Final = "/check/traefik"
PROXY: Final = "traefik"
# Longer than the proxy keeps an idle connection (Go: 90 s), so that it never writes into a closing one.
KEEPALIVE_SECONDS: Final = 120.0

_NAMES: Final = [
    "X-Forwarded-Method",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Uri",
    "Authorization",
    "Cookie",
    "Origin",
    "Sec-Fetch-Site",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Dest",
    "Accept",
    "X-Requested-With",
    "X-Csrf-Token",
    "Access-Control-Request-Method",
    "X-Request-Id",
    "Sec-Websocket-Key",  # as Go spells it
    "Upgrade",
]
# What else comes with most requests; knowing it by sight saves the lower().
_IGNORED: Final = [
    "Host",
    "User-Agent",
    "Accept-Encoding",
    "Accept-Language",
    "Connection",
    "Content-Type",
    "Referer",
    "X-Forwarded-For",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Real-Ip",
]
_KNOWN: Final = {
    spelling.encode("ascii"): name.lower().encode("ascii") if name in _NAMES else b""
    for name in (*_NAMES, *_IGNORED)
    for spelling in (name, name.lower())
}
_BOUND: Final = re.compile(re.escape(PATH) + r"(?:/([a-z][a-z0-9-]{0,62}))?", re.ASCII)
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{8,128}")

_ALLOWED_TOKEN: Final = (PROXY, "allow", "token")
_ALLOWED_PUBLIC: Final = (PROXY, "allow", "public")

log = structlog.get_logger()


class TraefikDoor:
    """Answers Traefik's checks."""

    def __init__(
        self,
        *,
        checker: Checker,
        peers: TrustedPeers,
        answers: Answers,
        refusals: RefusalLog,
        counts: CheckCounts,
        url: str,
    ) -> None:
        self._checker = checker
        self._peers = peers
        self._answers = answers
        self.refusals = refusals
        self._counts = counts
        self._url = url

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """The handler of a low-level aiohttp server."""
        bound = _BOUND.fullmatch(request.raw_path)
        if bound is None:
            return self._answers.not_found()
        fields = read_fields(request.raw_headers)
        try:
            decision = self._decide(request, fields, bound[1] or "")
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, nobody passes by it
            # The type only: the message could hold what the client sent.
            log.error("check.failed", error=type(error).__name__)  # noqa: TRY400
            decision = Denied("internal")
        return self._answer(decision, fields)

    def _decide(self, request: web.BaseRequest, fields: Fields, chosen: str) -> Decision:
        if not self._peers.trusts(request.remote):
            return Denied("untrusted_peer")
        return self._checker.check(fields, chosen)

    def _answer(self, decision: Decision, fields: Fields) -> Answer:
        request_id = one(fields, b"x-request-id") or b""
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = self._answers.new_request_id()
        if isinstance(decision, Denied):
            return self._refuse(decision, fields, request_id)
        token = decision.token
        self._counts.add(_ALLOWED_PUBLIC if token is None else _ALLOWED_TOKEN)
        return self._answers.allow(NOBODY if token is None else token.identity, request_id)

    def _refuse(self, denied: Denied, fields: Fields, request_id: bytes) -> Answer:
        location = self._page_for(denied, fields)
        if location is not None:
            outcome = "redirect"
            safe = denied.original is not None and denied.original.safe
            answer = self._answers.redirect(denied.code, request_id, location, safe=safe)
        else:
            outcome = "unavailable" if STATUS[denied.code] == 503 else "deny"
            answer = self._answers.deny(denied.code, request_id)
        self._counts.add((PROXY, outcome, denied.code))
        self.refusals.write(
            reason=denied.code, service=denied.service, outcome=outcome, detail=denied.detail
        )
        return answer

    def _page_for(self, denied: Denied, fields: Fields) -> str | None:
        """Where a person goes from a 401; whoever is signed in but not allowed goes nowhere."""
        original = denied.original
        if original is None or STATUS[denied.code] != 401 or b"authorization" in fields:
            return None
        if not is_navigation(original, fields):
            return None
        renewable = denied.cookie and denied.code in RENEWABLE
        return sign_in_location(self._url, original, renewable=renewable)


def read_fields(headers: Iterable[tuple[bytes, bytes]]) -> Fields:
    """The headers a check looks at, by lower-case name, with every repetition."""
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        key = _KNOWN.get(name)
        if key is None:
            key = _KNOWN.get(name.lower(), b"")
        if not key:
            continue
        values = fields.get(key)
        if values is None:
            fields[key] = [value]
        else:
            values.append(value)
    return fields


def make_server(door: TraefikDoor) -> web.Server:
    """The low-level server around *door*: no router, no access log, no waiting for bodies."""
    return web.Server(
        door,
        access_log=None,
        logger=_quiet_logger(door.refusals),
        keepalive_timeout=KEEPALIVE_SECONDS,
        lingering_time=0,
    )


class _WithoutContent(logging.Filter):
    """aiohttp logs what it could not parse, which may be a token: say only that it happened, not always."""

    def __init__(self, refusals: RefusalLog) -> None:
        super().__init__()
        self._refusals = refusals

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = "request.unreadable", ()
        record.exc_info, record.exc_text = None, None
        record.levelno, record.levelname = logging.INFO, "INFO"
        return self._refusals.may_write()


def _quiet_logger(refusals: RefusalLog) -> logging.Logger:
    # This server's alone: its filter holds a budget. Debug lines tell of clients that went away.
    logger = logging.Logger("services.edge.http", logging.ERROR)  # noqa: LOG001 - not to be shared
    logger.parent = logging.getLogger()
    logger.addFilter(_WithoutContent(refusals))
    return logger
