"""``/check/<proxy>[/<service>]``: one door for each kind of proxy, because their contracts differ.

The service at the end is the one that the proxy is about to call: if the edge's own reading of the request
leads to another one, it is refused. A digest behind its name tells by which entry of the catalogue the proxy
routes (`shared.catalogue.stamp`): while it goes by an earlier one, both must let pass. A query says nothing
(Caddy appends the client's). The method of the check says nothing either, except Envoy's, which is the
request's own; Envoy's path goes on behind ``/@`` with the request's.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

import structlog
from aiohttp import web

from services.edge.domain.decision import STATUS, Allowed, Decision, Denied
from services.edge.domain.original import Fields, one, read_original
from services.edge.domain.sources import original_url
from services.edge.flows.assertions import Assertions
from services.edge.flows.check import Checker
from services.edge.flows.counts import CheckCounts
from services.edge.http.answers import BROKEN, Answer, Answers
from services.edge.http.contracts import CONTRACTS, Contract
from services.edge.http.fields import FieldReader
from services.edge.http.peers import TrustedPeers
from services.edge.http.refusals import RefusalLog
from services.edge.http.refused_page import REFUSED, Pages, ShownPage, asks_for_page

_SERVICE: Final = r"(?:/([a-z][a-z0-9-]{0,62}(?:\.[0-9a-f]{16})?))?"
_BOUND: Final = re.compile(
    rf"/check/(?:(?!envoy)([a-z]+){_SERVICE}(?:\?.*)?|(envoy){_SERVICE}/@(.*))",
    re.ASCII | re.DOTALL,
)
MAX_BOUND: Final = 1_024  # a door and a service each
# What a browser says of itself, and nginx of what it was asked for.
_BROWSER: Final = FieldReader(("x-original-method", "x-original-url", "x-latchwire-reason"))
_CODE: Final = re.compile(rb"[a-z_]{1,64}")
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{8,128}")

log = structlog.get_logger()


class Check(NamedTuple):
    """A check as it stands on the wire: the address it comes from, and nothing in it judged.

    *path* has UTF-8's surrogates for bytes that are none; *headers* are the lines' raw names and values.
    """

    peer: str | None
    method: str
    path: str
    headers: Iterable[tuple[bytes, bytes]]


class Door:
    """Answers the checks of one kind of proxy."""

    def __init__(
        self,
        contract: Contract,
        *,
        checker: Checker,
        peers: TrustedPeers,
        answers: Answers,
        assertions: Assertions,
        refusals: RefusalLog,
        counts: CheckCounts,
        pages: Pages,
    ) -> None:
        self._contract = contract
        self._reader = FieldReader(contract.lines)
        self._checker = checker
        self._peers = peers
        self._answers = answers
        self._assertions = assertions
        self._refusals = refusals
        self._counts = counts
        self._pages = pages
        self._by_token = (contract.proxy, "allow", "token")
        self._as_nobody = (contract.proxy, "allow", "public")
        self._now_ms = answers.now_ms

    def answer(self, check: Check, chosen: str, rest: str) -> bytes:
        """The whole answer to *check* for the service *chosen*; *rest* is what follows ``/@``."""
        fields = self._reader.read(check.headers)
        request_id = self._request_id(fields)
        try:
            now_ms = self._now_ms()
            decision = self._decide(check, fields, chosen, rest, now_ms)
            if isinstance(decision, Allowed):
                return self._let_in(decision, request_id, now_ms)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, nobody passes by it
            # The type only: the message could hold what the client sent.
            name = type(error).__name__
            log.error("check.failed", error=name, request_id=request_id.decode())  # noqa: TRY400
            decision = Denied("internal")
        return self._refuse(decision, fields, request_id)

    def _decide(
        self, check: Check, fields: Fields, chosen: str, rest: str, now_ms: int
    ) -> Decision:
        if not self._peers.trusts(check.peer):
            return Denied("untrusted_peer")
        asking = self._contract.source(check.method, rest, fields)
        if asking is None:
            return Denied("bad_forwarded")
        return self._checker.check_at(asking, fields, chosen, now_ms)

    def _request_id(self, fields: Fields) -> bytes:
        """The proxy's, or one of our own."""
        sent = one(fields, b"x-request-id")
        if sent and _REQUEST_ID.fullmatch(sent):
            return sent
        return self._answers.new_request_id()

    def _let_in(self, allowed: Allowed, request_id: bytes, now_ms: int) -> bytes:
        answer = self._answers.allow(self._assertions.lines_at(allowed, now_ms), request_id, now_ms)
        token = allowed.token
        self._counts.add(self._as_nobody if token is None else self._by_token)
        if token is not None and token.claims.service:
            self._counts.uses.note(token.own_sid)
        return answer

    def _refuse(self, denied: Denied, fields: Fields, request_id: bytes) -> bytes:
        location = self._pages.way_in(denied, fields)
        if location is not None:
            outcome = "redirect"
            answer = self._send_on(denied, request_id, location)
        else:
            outcome = "unavailable" if STATUS[denied.code] == 503 else "deny"
            answer = self._say_no(denied, fields, request_id)
        self._counts.add((self._contract.proxy, outcome, denied.code))
        self._refusals.write(
            reason=denied.code,
            service=denied.service,
            outcome=outcome,
            detail=denied.detail,
            request_id=request_id,
            traceparent=one(fields, b"traceparent") or b"",
        )
        return answer

    def _send_on(self, denied: Denied, request_id: bytes, location: str) -> bytes:
        """A redirect, or for a proxy that knows none the 401 of which it makes one itself."""
        if not self._contract.redirects:
            return self._answers.sign_in(denied.code, request_id, location)
        safe = denied.original is not None and denied.original.safe
        return self._answers.redirect(denied.code, request_id, location, safe=safe)

    def _say_no(self, denied: Denied, fields: Fields, request_id: bytes) -> bytes:
        """The status and its headers, and for a person who looks at it a page, where the proxy hands one on."""
        redirects = self._contract.redirects
        page = self._pages.instead_of(denied, fields, request_id) if redirects else None
        if page is None:
            return self._answers.deny(denied.code, request_id, denied.max_age)
        return self._answers.page(denied.code, request_id, page)


# A door, the service that the path names, and what follows ``/@``.
Bound: TypeAlias = tuple[Door, str, str]


class Doors:
    """All doors of one listener, by the first words of the path; everything else is a bare 404."""

    def __init__(
        self,
        *,
        checker: Checker,
        peers: TrustedPeers,
        answers: Answers,
        assertions: Assertions,
        refusals: RefusalLog,
        counts: CheckCounts,
        pages: Pages,
        contracts: Iterable[Contract] = CONTRACTS,
    ) -> None:
        self._answers = answers
        self._peers = peers
        self._pages = pages
        self.refusals = refusals
        self._monotonic = answers.monotonic
        self._times = counts.times
        self._bound: dict[str, Bound] = {}
        self._doors = {
            contract.proxy: Door(
                contract,
                checker=checker,
                peers=peers,
                answers=answers,
                assertions=assertions,
                refusals=refusals,
                counts=counts,
                pages=pages,
            )
            for contract in contracts
        }

    async def __call__(self, request: web.BaseRequest) -> Answer:
        """The handler of a low-level aiohttp server."""
        check = Check(request.remote, request.method, request.raw_path, request.raw_headers)
        return Answer(self.answer(check))

    def answer(self, check: Check) -> bytes:
        """The whole answer to *check*, whoever read it off the wire."""
        path = check.path
        try:
            bound = self._bound.get(path) or self._bind(path)
            if bound is None:
                return self._without_check(check)
            began = self._monotonic()
            door, chosen, rest = bound
            whole = door.answer(check, chosen, rest)
            self._times.add(self._monotonic() - began)
        except Exception as error:  # noqa: BLE001 - the refusal itself went wrong: still one, with its code
            log.error("check.failed", error=type(error).__name__)  # noqa: TRY400 - the type only, as above
            return BROKEN
        return whole

    def _bind(self, path: str) -> Bound | None:
        """The door at *path*, the service it names, what follows; kept where no client has a say."""
        found = _BOUND.fullmatch(path)
        if found is None:
            return None
        plain, service, envoy, its_service, rest = found.groups("")
        door = self._doors.get(plain or envoy)
        if door is None:
            return None
        bound = door, service or its_service, rest
        if plain and "?" not in path:
            if len(self._bound) >= MAX_BOUND:
                self._bound.clear()
            self._bound[path] = bound
        return bound

    def _without_check(self, check: Check) -> bytes:
        """The page of a 403, for a gateway that drops ours (nginx: ``error_page 403``); anybody may see it."""
        if check.path.partition("?")[0] != REFUSED:
            return self._answers.not_found()
        fields = _BROWSER.read(check.headers)
        if asks_for_page(fields):
            return self._answers.standing_page(self._refused(check, fields))
        return self._answers.bare_refusal()

    def _refused(self, check: Check, fields: Fields) -> ShownPage:
        """What stands in place of a 403: by what nginx says of it, where it is believed."""
        if not self._peers.trusts(check.peer):
            return self._pages.refused(None)
        asking = original_url(check.method, "", fields)
        return self._pages.refused(
            read_original(asking) if asking else None,
            _if_like(_CODE, one(fields, b"x-latchwire-reason")),
            _if_like(_REQUEST_ID, one(fields, b"x-request-id")),
        )


def _if_like(shape: re.Pattern[bytes], value: bytes | None) -> bytes:
    return value if value and shape.fullmatch(value) else b""
