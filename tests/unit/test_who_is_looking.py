"""Who is sent to a page and who gets a code: what browsers, scripts and API clients say of themselves."""

import hashlib
import re
from base64 import b64encode
from html import unescape
from itertools import product

import pytest

from services.edge.domain.decision import STATUS, Code, Denied
from services.edge.domain.navigation import is_navigation
from services.edge.domain.original import Original
from services.edge.http.refused_page import PAGE_LINES, Pages, asks_for_page, refused_page
from shared.origins import Origins
from shared.traefik.check import MAX_ANSWER_BYTES

URL = "https://auth.acme.com"
PAGES = Pages(Origins(URL, "acme.com"), "Acme")
ASKED = Original("GET", "https", "app.acme.com", "/demo")
CHROME = b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
XHR = b"application/json, text/plain, */*"  # axios

MODES = (
    None, b"navigate", b"cors", b"no-cors", b"same-origin", b"websocket", b"nested-navigate", b"NAVIGATE", b"",
)  # fmt: skip
DESTINATIONS = (
    None, b"document", b"iframe", b"frame", b"empty", b"image", b"script", b"style", b"font", b"embed",
    b"object", b"worker", b"serviceworker", b"manifest", b"report", b"",
)  # fmt: skip
LOOKED_AT = {b"document", b"iframe", b"frame"}


def said(**values: bytes | None) -> dict[bytes, list[bytes]]:
    """Header fields of these values; one that is None is not sent."""
    return {k.replace("_", "-").encode(): [v] for k, v in values.items() if v is not None}


@pytest.mark.parametrize("mode", MODES)
def test_what_a_browser_says_it_does_counts_whatever_it_would_read(mode: bytes | None) -> None:
    """A page is loaded in a window or a frame; images, scripts, fetches and plug-ins get a code."""
    for destination, accept in product(DESTINATIONS, [None, CHROME, XHR, b"*/*"]):
        if mode is None and destination is None:
            expected = accept == CHROME
        else:
            expected = mode in {None, b"navigate"} and destination in {None, *LOOKED_AT}
        fields = said(sec_fetch_mode=mode, sec_fetch_dest=destination, accept=accept)

        assert is_navigation(ASKED, fields) is expected, (destination, accept)


ACCEPTS = [
    # a browser of before Sec-Fetch-*, or on plain http, where it sends none
    (CHROME, True),
    (b"text/html, application/xhtml+xml, image/jxr, */*", True),
    (b"text/html", True),
    (b"TEXT/HTML", True),
    (b"text/html;charset=utf-8", True),
    (b"text/html; q=1.0, */*; q=0.1", True),
    (b"text/html;level=1;q=0.4, */*;q=0.3", True),
    (b"application/json;q=0.5, text/html", True),
    (b"application/json;q=0, text/html;q=0.001", True),
    (b"text/html, application/json", True),
    (b"text/html;q=0.8, application/json;q=0.8", True),
    (b"text/html;q=0.9, text/html;q=0.1, application/json;q=0.5", True),
    (b"text/html;q=0.9, */*;q=0.1, application/json;q=0.5", True),
    # who would rather read something else
    (b"application/json, text/html;q=0.9", False),
    (b"text/html;q=0.2, application/json;q=0.3", False),
    (b"text/html;q=0.2, application/*;q=0.3", False),
    (b"text/html;q=0.2, */*;q=0.3", False),
    (XHR, False),
    # who names no page: any answer will do, so the one with a code
    (b"*/*", False),
    (b"text/*", False),
    (b"application/xhtml+xml", False),
    (b"text/plain", False),
    (b"image/avif,image/webp,*/*;q=0.8", False),
    (b"text/event-stream", False),
    (b"", False),
    # a quality that is none
    (b"text/html;q=0", False),
    (b"text/html;q=0.000", False),
    (b"text/html;q=2", False),
    (b"text/html;q=1.001", False),
    (b"text/html;q=0.1234", False),
    (b"text/html;q=-1", False),
    (b"text/html;q=1e9", False),
    (b"text/html;q=nan", False),
    (b"text/html;q=", False),
    (b";;;,,,q=,", False),
    (b"text/html" * 5_000, False),
    # more than any browser says: not even looked through
    (b"text/html" + b",a/b" * 31, True),
    (b"text/html" + b",a/b" * 32, False),
    (b"text/html;x=" + b"y" * 1_012, True),
    (b"text/html;x=" + b"y" * 1_013, False),
]


@pytest.mark.parametrize(("accept", "page"), ACCEPTS)
def test_else_what_it_would_rather_read_counts(accept: bytes, page: bool) -> None:
    """A page only where it is asked for by its name and nothing is wanted more (RFC 9110 §12.5.1)."""
    assert is_navigation(ASKED, said(accept=accept)) is page


@pytest.mark.parametrize(
    "also",
    [
        {b"x-requested-with": [b"XMLHttpRequest"]},
        {b"upgrade": [b"websocket"]},
        {b"sec-websocket-key": [b"x"]},
        {b"sec-fetch-mode": [b"navigate", b"navigate"]},
        {b"sec-fetch-mode": [b"navigate"], b"sec-fetch-dest": [b"document", b"document"]},
    ],
)
def test_a_script_a_socket_or_two_answers_to_one_question_are_nobody_who_looks(
    also: dict[bytes, list[bytes]],
) -> None:
    """Whatever they would read."""
    assert not is_navigation(ASKED, {b"accept": [CHROME], **also})


def test_two_accept_lines_are_one_list() -> None:
    """Proxies split it, and may (RFC 9110 §5.3)."""
    assert is_navigation(ASKED, {b"accept": [b"application/json;q=0.5", b"text/html"]})
    assert not is_navigation(ASKED, {b"accept": [b"application/json", b"text/html;q=0.5"]})


NAVIGATION = said(sec_fetch_mode=b"navigate", sec_fetch_dest=b"document")


@pytest.mark.parametrize("code", sorted(STATUS))
def test_each_refusal_is_for_a_person_a_way_on_and_never_a_circle(code: Code) -> None:
    """401 leads to the login, 403 shows a page with ways on, 503 neither: nobody is logged out by it."""
    denied = Denied(code, original=ASKED, cookie=True)
    way_in, page = PAGES.way_in(denied, NAVIGATION), PAGES.instead_of(denied, NAVIGATION)

    assert (way_in is not None) == (STATUS[code] == 401)
    assert (page is not None) == (STATUS[code] == 403)
    if way_in is not None:
        renewing = way_in.startswith(f"{URL}/auth/continue?")
        assert renewing == (code in {"token_expired", "token_revoked"})
        assert way_in.partition("?next=https%3A//app.acme.com/demo")[2] == (
            "&again=1" if code == "login_too_old" else ""
        )


@pytest.mark.parametrize("code", sorted(STATUS))
def test_who_has_a_token_of_its_own_is_a_program(code: Code) -> None:
    """A bearer token never comes from a browser's address bar: it gets codes."""
    fields = {**NAVIGATION, b"authorization": [b"Bearer x"]}
    denied = Denied(code, original=ASKED)

    assert PAGES.way_in(denied, fields) is None
    assert PAGES.instead_of(denied, fields) is None


@pytest.mark.parametrize("code", sorted(STATUS))
def test_what_could_not_be_read_leads_nowhere(code: Code) -> None:
    """No address that nobody vouches for is sent back to a browser."""
    assert PAGES.way_in(Denied(code), NAVIGATION) is None
    assert PAGES.instead_of(Denied(code), NAVIGATION) is None


FORMS = [
    (b"https://app.acme.com/edit?id=7", "/edit?id=7"),
    # not said, or not by the host that the form was sent to
    (None, "/save"),
    (b"https://app.acme.com", "/save"),
    (b"https://app.acme.com.evil.test/edit", "/save"),
    (b"https://app.acme.com:8443/edit", "/save"),
    (b"https://app.acme.com@evil.test/edit", "/save"),
    (b"http://app.acme.com/edit", "/save"),
    (b"https://evil.test/https://app.acme.com/edit", "/save"),
    (b"/edit", "/save"),
    # nothing that auth would send anybody to
    (b"https://app.acme.com/ed\\it", "/save"),
    (b'https://app.acme.com/"><script>', "/save"),
    (b"https://app.acme.com/\xff", "/save"),
]


@pytest.mark.parametrize(("referer", "back"), FORMS)
def test_who_sent_a_form_that_is_lost_comes_back_to_the_page_of_the_form(
    referer: bytes | None, back: str
) -> None:
    """And is told; what answers a form often answers no GET. Who only looked at a page comes back to it."""
    fields = NAVIGATION | said(referer=referer)
    for method, expected in (("POST", f"{back}&unsent=1"), ("GET", "/save")):
        asked = Original(method, "https", "app.acme.com", "/save")
        denied = Denied("token_expired", original=asked, cookie=True)
        way_in = PAGES.way_in(denied, fields)

        assert way_in is not None
        told = way_in.replace("%3F", "?").replace("%3D", "=")
        assert told == f"{URL}/auth/continue?next=https%3A//app.acme.com{expected}"


def test_two_referers_are_none() -> None:
    """Nobody knows which of them the browser meant."""
    asked = Original("POST", "https", "app.acme.com", "/save")
    twice = NAVIGATION | {b"referer": [b"https://app.acme.com/a", b"https://app.acme.com/b"]}

    assert PAGES.way_in(Denied("no_credentials", original=asked), twice) == (
        f"{URL}/auth/login?next=https%3A//app.acme.com/save&unsent=1"
    )


def test_a_login_that_is_too_old_is_never_sent_to_renew() -> None:
    """A renewed token is of the same login: it would come back as old as before, for ever."""
    way_in = PAGES.way_in(Denied("login_too_old", original=ASKED, cookie=True), NAVIGATION)

    assert way_in is not None
    assert way_in == f"{URL}/auth/login?next=https%3A//app.acme.com/demo&again=1"


NAME = 'A&B "<script>alert(1)</script>"'


def test_the_page_of_a_refusal_is_small_and_loads_nothing() -> None:
    """Under 4 kB, the site's name and not ours, two ways on, no script, its one style named by its hash."""
    page = Pages(Origins(URL), NAME).refused(None).body.decode()
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    policy = re.findall(rb"Content-Security-Policy: (.*)\r\n", PAGE_LINES)[0].decode()

    assert len(page.encode()) < 4_096
    assert len(b"".join(refused_page("x" * 64, URL))) < 4_000
    assert f"<title>This is not for you · {NAME}</title>" in unescape(page)
    assert "<script" not in page
    assert not re.search(r"latchwire|src=|@import|url\(", page, re.IGNORECASE)
    ways = [unescape(way) for way in re.findall(r'href="([^"]+)"', page)]
    assert ways == [f"{URL}/auth/account", f"{URL}/auth/login?again=1"]
    assert len(style) == 1
    assert f"'sha256-{b64encode(hashlib.sha256(style[0].encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy


def test_whoever_reports_a_refusal_reads_its_reference_from_the_page() -> None:
    """The code and the id of the request, by which the line of the log is found."""
    page = PAGES.instead_of(Denied("not_allowed", original=ASKED), NAVIGATION, b"01J-req-7")

    assert page is not None
    assert "<p>Reference for support: not_allowed · 01J-req-7</p>" in page.body.decode()


BACKS = {
    "/demo?a=1&b=2": "next=https%3A//app.acme.com/demo%3Fa%3D1%26b%3D2&",
    "/demo'\"><script>": "",
    "/demo\\x": "",
    "/" + "x" * 2_000: "",
    "/" + "?" * 1_000: "",
}


@pytest.mark.parametrize(("target", "back"), BACKS.items())
def test_who_logs_in_as_somebody_else_comes_back_to_the_page(target: str, back: str) -> None:
    """By the rule of every way back; whatever was asked for, the link stays one attribute."""
    denied = Denied("not_allowed", original=Original("GET", "https", "app.acme.com", target))
    page = PAGES.instead_of(denied, NAVIGATION)

    assert page is not None
    way = re.findall(r'<a href="([^"]+)">Log in as somebody else</a>', page.body.decode())
    assert [unescape(w) for w in way] == [f"{URL}/auth/login?{back}again=1"]
    assert b"<script" not in page.body


@pytest.mark.parametrize("length", range(0, 2_000, 100))
def test_traefik_hands_the_page_on_whatever_it_leads_back_to(length: int) -> None:
    """Its limit for an answer is 4 kB; the longest name of a site and every sign that gets longer count."""
    page = Pages(Origins(URL, "acme.com"), "'" * 64).refused(
        Original("GET", "https", "app.acme.com", "/" + "&'?"[length % 3] * length),
        max(STATUS, key=len).encode(),
        b"x" * 128,
    )

    assert len(page.body) < MAX_ANSWER_BYTES


@pytest.mark.parametrize("host", ["evil.test", "app.acme.com.evil.test", "app.acme.com:8443"])
def test_where_the_login_does_not_reach_there_is_no_way_back(host: str) -> None:
    """The link is the form alone."""
    page = PAGES.refused(Original("GET", "https", host, "/demo")).body.decode()

    assert f'href="{URL}/auth/login?again=1"' in page


def test_a_gateway_that_shows_the_page_itself_gets_it_for_people_only() -> None:
    """nginx asks for it in place of every 403, also of a script's."""
    assert asks_for_page(NAVIGATION)
    assert asks_for_page(said(accept=CHROME))
    assert not asks_for_page(said(accept=XHR))
    assert not asks_for_page({**NAVIGATION, b"authorization": [b"Bearer x"]})
