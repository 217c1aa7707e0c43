"""Answers as bytes: what can be encoded before a request comes is, and one write sends it.

Building a response through header dictionaries costs aiohttp more than everything a check does.
"""

import asyncio
from email.utils import formatdate
from http import HTTPStatus
from itertools import count

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from services.edge.domain.decision import STATUS, Code
from services.edge.http.refused_page import ShownPage
from shared.clock import Clock
from shared.ids import Ids

RETRY_AFTER_SECONDS = 1
MAX_UNREAD_BYTES = 64 * 1024
_EMPTY = b"Content-Length: 0\r\n"
_END = b"\r\n\r\n"
# When no answer could be made: nothing in it depends on anything.
BROKEN = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nCache-Control: no-store\r\n"
    b"X-Latchwire-Reason: internal\r\nRetry-After: %d\r\n\r\n"
) % RETRY_AFTER_SECONDS


class Answer(web.StreamResponse):
    """A *whole* answer of `Answers`, for aiohttp to send. *is_last*: the connection ends with it."""

    def __init__(self, whole: bytes) -> None:
        # The base class prepares dictionaries that nobody would read; `prepare` and `write_eof` are all
        # that the server calls, and both are ours.
        self._whole = whole
        self._alive = False
        self.is_last = False

    @property
    def status(self) -> int:
        return int(self._whole[9:12])

    @property
    def keep_alive(self) -> bool:
        return self._alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send it; to HTTP/1.0 (nginx's default) and to whoever asks for it, with a close.

        And where aiohttp does not wait for the rest of the body, or drops what it has read behind a request:
        whoever sent that must not take the next answer for its own.
        """
        transport = request.transport
        if transport is None:
            return None
        keeps = request.keep_alive and request.version == HttpVersion11 and not self.is_last
        whole = request.content.is_eof() and not _drops_behind(request)
        self._alive = keeps and whole and is_read(transport)
        transport.write(sent(self._whole, request.method, alive=self._alive))
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to send."""


def _drops_behind(request: web.BaseRequest) -> bool:
    """Whether it asks for a protocol that aiohttp does not know: what came with it is lost without a word."""
    protocol = request.headers.get("Upgrade", "websocket")
    return not (protocol.isascii() and protocol.lower() == "websocket")


def is_read(transport: asyncio.WriteTransport) -> bool:
    """Whether the peer reads what it is answered; who pipelines without reading is not kept."""
    return transport.get_write_buffer_size() < MAX_UNREAD_BYTES


def sent(whole: bytes, method: str, *, alive: bool) -> bytes:
    """What of the *whole* answer goes out: no body to HEAD, one more line where the connection ends."""
    if alive and method != "HEAD":
        return whole
    head, _, body = whole.partition(_END)
    end = _END if alive else b"\r\nConnection: close\r\n\r\n"
    return head + end if method == "HEAD" else head + end + body


class Answers:
    """Makes whole answers, as they go to a connection that stays; the doors read its *clock* too.

    The Date header is encoded once a second.
    """

    def __init__(self, *, clock: Clock, ids: Ids, url: str) -> None:
        self.monotonic, self.now_ms = clock.monotonic, clock.now_ms
        self._prefix = ids.ulid(clock.now_ms()).encode("ascii")
        self._numbers = count(1)
        realm = url.partition("://")[2]
        self._challenge = f'WWW-Authenticate: Bearer realm="{realm}"'
        self._second = -1
        self._date = b""
        self._allowed = b""  # everything of a 200 that is before its identity

    def new_request_id(self) -> bytes:
        """An id no other process makes: this process's ULID and a number."""
        return b"%b-%x" % (self._prefix, next(self._numbers))

    def allow(self, identity: bytes, request_id: bytes, now_ms: int) -> bytes:
        """200 with every identity header, at *now_ms*."""
        if now_ms // 1000 != self._second:
            self._date_at(now_ms // 1000)
        return b"%b%bX-Request-Id: %b\r\n\r\n" % (self._allowed, identity, request_id)

    def deny(self, code: Code, request_id: bytes, max_age: int = 0) -> bytes:
        """The status and headers of *code*; no body, and nothing a browser would keep.

        *max_age*: the seconds of `Denied`, for a login that is too old.
        """
        status = STATUS[code]
        lines = self._refusal(code, request_id) + self._advice(code, status, max_age)
        return _answer(status, lines)

    def redirect(self, code: Code, request_id: bytes, location: str, *, safe: bool) -> bytes:
        """Send a browser on: 302, or 303 so that a form is not posted to the sign-in page."""
        line = b"Location: %b\r\n" % location.encode("ascii")
        return _answer(302 if safe else 303, self._refusal(code, request_id) + line)

    def sign_in(self, code: Code, request_id: bytes, location: str) -> bytes:
        """401 with the page's address beside it, for a proxy that makes the redirect itself."""
        line = b"X-Latchwire-Location: %b\r\n" % location.encode("ascii")
        return _answer(401, self._refusal(code, request_id) + line)

    def page(self, code: Code, request_id: bytes, page: ShownPage) -> bytes:
        """The refusal *code* as a page, for a person."""
        status = STATUS[code]
        lines = self._refusal(code, request_id).removeprefix(_EMPTY)
        return _answer(status, self._with_page(lines, page), page.body)

    def standing_page(self, page: ShownPage) -> bytes:
        """403 as a page, for a gateway that shows it in place of its own."""
        lines = self._dated().removeprefix(_EMPTY) + b"Cache-Control: no-store\r\n"
        return _answer(403, self._with_page(lines, page), page.body)

    def bare_refusal(self) -> bytes:
        """403 without a page, where the page was asked for by a program."""
        return _answer(403, self._dated() + b"Cache-Control: no-store\r\n")

    def not_found(self) -> bytes:
        """What every other path gets."""
        return _answer(404, self._dated() + b"Cache-Control: no-store\r\n")

    @staticmethod
    def _with_page(lines: bytes, page: ShownPage) -> bytes:
        return b"%bContent-Length: %d\r\n%b" % (lines, len(page.body), page.lines)

    def _refusal(self, code: Code, request_id: bytes) -> bytes:
        return b"%bCache-Control: no-store\r\nX-Latchwire-Reason: %b\r\nX-Request-Id: %b\r\n" % (
            self._dated(),
            code.encode("ascii"),
            request_id,
        )

    def _advice(self, code: Code, status: int, max_age: int) -> bytes:
        if status == 503:
            return b"Retry-After: %d\r\n" % RETRY_AFTER_SECONDS
        if status != 401:
            return b""
        # RFC 6750 §3.1: a request without a credential gets no error code.
        error = f', error="invalid_token", error_description="{code}"'
        if code == "login_too_old":  # RFC 9470 §3
            error = f', error="insufficient_user_authentication", max_age="{max_age}"'
        challenge = self._challenge + ("" if code == "no_credentials" else error)
        return f"{challenge}\r\n".encode("ascii")

    def _dated(self) -> bytes:
        second = self.now_ms() // 1000
        if second != self._second:
            self._date_at(second)
        return self._date

    def _date_at(self, second: int) -> None:
        self._second = second
        date = formatdate(second, usegmt=True).encode("ascii")
        self._date = b"%bDate: %b\r\n" % (_EMPTY, date)
        self._allowed = _STATUS_LINES[200] + self._date


def _answer(status: int, lines: bytes, body: bytes = b"") -> bytes:
    return b"%b%b\r\n%b" % (_STATUS_LINES[status], lines, body)


_STATUS_LINES = {
    status: f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode("ascii")
    for status in (200, 302, 303, 401, 403, 404, 503)
}
