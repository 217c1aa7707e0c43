"""Read a form that one of our pages showed to this browser, or refuse it."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from aiohttp import web

from services.auth.domain import csrf
from services.auth.http.context import context_of
from services.auth.http.cookies import ensure_browser, read_browser
from services.auth.http.page_context import PAGES
from services.auth.http.page_errors import Refused
from services.auth.http.problems import Problem
from services.auth.pages.messages import CookieDidNotStick, FormTooOld

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 8
TOKEN_FIELD = "form_token"  # noqa: S105 - the name of a field


async def read_form(
    request: web.Request, form: str, *, max_fields: int = MAX_FIELDS
) -> Mapping[str, str]:
    """The fields of the form *form*, once each; a field that was not sent is "".

    Raises:
        Refused: another site's form, a browser without our cookie, or a token that is not its own.
        Problem: not a form at all.
    """
    if not _may_be_ours(request):
        raise Refused(FormTooOld())
    if not read_browser(request):
        raise Refused(CookieDidNotStick())
    fields = _Fields(await _read_fields(request, max_fields))
    if not request.app[PAGES].tokens.accepts(fields[TOKEN_FIELD], form, ensure_browser(request)):
        raise Refused(FormTooOld())
    return fields


def is_same_origin(request: web.Request, *, siblings: bool = False) -> bool:
    """Whether the browser itself says that the request comes from a page of this origin.

    *siblings*: or of one on the catalogue that shares the login.
    """
    return csrf.allows(
        fetch_site=request.headers.get("Sec-Fetch-Site"),
        origin=request.headers.get("Origin"),
        own_origins=context_of(request).sharing if siblings else context_of(request).origins,
        token=None,
        expected=frozenset(),
    )


class _Fields(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return ""


def _may_be_ours(request: web.Request) -> bool:
    fetch_site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    # A browser that says neither (our pages send no referrer, which makes the origin "null") is left to
    # the form's token, the third part of the rule.
    return is_same_origin(request) or (fetch_site is None and origin in {None, "null"})


async def _read_fields(request: web.Request, max_fields: int) -> dict[str, str]:
    if request.content_type != FORM:
        raise Problem(415, "invalid_content_type")
    try:
        text = (await request.read()).decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=max_fields)
    except ValueError:
        raise Problem(400, "bad_request") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Problem(400, "bad_request")
    return fields
