"""Where people are sent after a login: what auth takes, beside a browser's own reader (WHATWG, in Node)."""

import json
import subprocess
from functools import cache
from itertools import product
from urllib.parse import urlsplit

import pytest

from services.auth.adapters.live_catalogue import LiveCatalogue
from services.auth.domain.returnto import safe_next
from services.edge.domain.navigation import sign_in_location
from services.edge.domain.original import Original
from shared.catalogue import Catalogue, parse_catalogue
from shared.cookies import CookieNames
from shared.origins import Origins
from tests.support.node import node_or_skip

NODE = node_or_skip()
OWN = "https://auth.acme.com"
APP, ROOT = "https://app.acme.com", "https://acme.com"
OTHERS = frozenset({APP, ROOT})
READ = """
const [base, texts] = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(texts.map((text) => {
  try { const url = new URL(text, base); return [url.origin, url.pathname]; } catch { return null; }
})));
"""

HERE = {
    "/": "/",
    "/demo?a=b&c=%2Fd#top": "/demo?a=b&c=%2Fd#top",
    "/search?q=https://evil.test/": "/search?q=https://evil.test/",
    "/a/b;c=d/e,f(g)'h": "/a/b;c=d/e,f(g)'h",
    "/caf%C3%A9": "/caf%C3%A9",
    f"{OWN}/demo?x=1": "/demo?x=1",
    OWN: "/",
    APP: f"{APP}/",
    f"{APP}/": f"{APP}/",
    f"{APP}/demo?x=1&y=//z#w": f"{APP}/demo?x=1&y=//z#w",
    f"{APP}/a@b:c": f"{APP}/a@b:c",
    f"{ROOT}/x": f"{ROOT}/x",
}
ELSEWHERE = [
    # no address, or none of a place
    "", " ", "?next=/x", "#x", "a/b", "./a", "../a", "evil.test", "/" + "a" * 3000, "https://", "https:///",
    # another host by slashes, backslashes and what browsers drop
    "//evil.test", "///evil.test", "////evil.test", "/\\evil.test", "\\/evil.test", "\\\\evil.test",
    "/\t/evil.test", "/\n/evil.test", "/\r/evil.test", "\t//evil.test", " //evil.test", "/ /evil.test",
    "https:evil.test", "https:/evil.test", "https:///evil.test", "https:\\\\evil.test", "https:/\\evil.test",
    "\thttps://evil.test", "ht\ntps://evil.test", "https://evil.test", "http:evil.test", "//app.acme.com",
    # another host that looks like one of ours
    "https://app.acme.com.evil.test/", "https://app.acme.comevil.test", "https://evilapp.acme.com/",
    "https://app-acme.com/", "https://app.acme.com@evil.test/", "https://app.acme.com:443@evil.test/",
    "https://app.acme.com%40evil.test/", "https://app.acme.com\\@evil.test", "https://app.acme.com#@evil.test",
    "https://app.acme.com?@evil.test", "https://app.acme.com;evil.test/", "https://app.acme.com%2eevil.test/",
    "https://app.acme.com\t.evil.test/", "https://app.acme.com\\.evil.test/", "https://xn--app-acme.com/",
    "https://\u0430pp.acme.com/", "https://app\u3002acme\u3002com.evil.test/", "https://app.acme.com\uff0fevil.test/",
    # ours by another spelling, scheme, port or user: read in more than one way somewhere
    "HTTPS://APP.ACME.COM/", "https://APP.acme.com/", "https://app.acme.com./", "https://app.acme.com:443/",
    "https://app.acme.com:444/", "http://app.acme.com/", "https://user@app.acme.com/", "https://:@app.acme.com/",
    "https://app%2eacme.com/", "https://other.acme.com/", "wss://app.acme.com/", "https:app.acme.com/",
    "https://app.acme.com\\/x", "http://auth.acme.com/", "https://auth.acme.com:444/",
    # ours, and from there elsewhere
    "https://app.acme.com//evil.test", "https://app.acme.com/..//evil.test", "https://app.acme.com/%2e%2e//evil.test",
    "https://app.acme.com/%2f%2fevil.test", "https://app.acme.com/\\evil.test", "https://app.acme.com/%5cevil.test",
    "/%2f/evil.test", "/%2f%2fevil.test", "/%252f%252fevil.test", "/%5cevil.test", "/%09/evil.test",
    "/%00", "/\x00",
    "/..//evil.test", "/./%2e%2e//evil.test", "/a/../..//evil.test", "/%25%32%35%25%32%35%32%66",
    # a second header, a script, a page of a provider
    "/a\r\nSet-Cookie: x=y", "/%0d%0aSet-Cookie:x=y", "https://app.acme.com/%0aX: y", "javascript:alert(1)",
    "data:text/html,x", "blob:https://app.acme.com/x", "file:///etc/passwd", "/auth/oauth/google",
    "https://app.acme.com/auth/oauth/google", "/auth/%6fauth/google",
    # not in the alphabet of addresses
    "/\u2028", "/é", "/a b", '/a"b', "/a<b", "/a|b", "/a^b", "/a`b", "/a{b", "\u3031/evil.test",
]  # fmt: skip


@cache
def as_a_browser_reads(texts: tuple[str, ...]) -> tuple[tuple[str, str] | None, ...]:
    """Origin and path of each of *texts* on a page of OWN; None: no address at all."""
    done = subprocess.run(
        [NODE, "-e", READ],
        input=json.dumps([OWN, texts]),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return tuple(tuple(found) if found else None for found in json.loads(done.stdout))


@pytest.mark.parametrize("text", ELSEWHERE)
def test_an_address_that_leads_elsewhere_or_could_is_refused(text: str) -> None:
    """Nobody is sent to where a browser, a proxy or a decoder could see another host."""
    assert safe_next(text, OWN, OTHERS) is None


def test_the_table_is_full_of_other_hosts() -> None:
    """It would show an open redirect: to a browser, most of what it refuses is a real way elsewhere."""
    read = [found for found in as_a_browser_reads(tuple(ELSEWHERE)) if found is not None]
    foreign = [origin for origin, _ in read if origin not in {OWN, *OTHERS}]

    assert len(ELSEWHERE) + len(HERE) >= 80
    assert len(foreign) >= 40


@pytest.mark.parametrize(("text", "kept"), HERE.items())
def test_an_address_of_ours_is_kept(text: str, kept: str) -> None:
    """On our own origin as a path, on another one of the login whole."""
    assert safe_next(text, OWN, OTHERS) == kept


def test_without_a_cookie_domain_no_other_host_is_one_of_ours() -> None:
    """The login does not reach it, so its redirect would end at the login again."""
    assert safe_next(f"{APP}/x", OWN) is None


SCHEMES = (
    "", "/", "//", "///", "\\\\", "/\\", "https:", "https:/", "https://", "https:///", "https:\\\\", "http://",
    "HTTPS://", "\thttps://", "javascript:", "https:////",
)  # fmt: skip
HOSTS = (
    "", "app.acme.com", "auth.acme.com", "acme.com", "evil.test", "app.acme.com.evil.test",
    "app.acme.com@evil.test", "evil.test@app.acme.com", "app.acme.com:443", "app.acme.com:8443",
    "app.acme.com\\@evil.test", "APP.ACME.COM", "app.acme.com.", "[::1]", "127.1", "app.acme.com%2f",
    "app%2eacme.com",
)  # fmt: skip
REST = (
    "", "/", "/x", "//evil.test", "/\\evil.test", "/..//evil.test", "/%2e%2e//evil.test", "?x", "#x",
    "/@evil.test", ":x", "/\t/evil.test",
)  # fmt: skip


def test_whatever_is_accepted_is_one_of_ours_to_a_browser_too() -> None:
    """Every scheme before every host before every rest: read by Node, accepted addresses stay with us."""
    accepted = {
        "".join(parts): kept
        for parts in product(SCHEMES, HOSTS, REST)
        if (kept := safe_next("".join(parts), OWN, OTHERS)) is not None
    }
    kept = tuple(accepted.values())
    for text, target, typed, sent in zip(
        accepted, kept, as_a_browser_reads(tuple(accepted)), as_a_browser_reads(kept), strict=True
    ):
        assert typed == sent, text
        assert sent is not None, text
        assert sent[0] in {OWN, *OTHERS}, text
        assert sent[1] == (urlsplit(target).path or "/"), text
    assert len(accepted) > 10


SITE = Origins("https://auth.acme.com", "acme.com")
REACH = [
    ("https://auth.acme.com", True),
    ("https://app.acme.com", True),
    ("https://a.b.acme.com", True),
    ("https://acme.com", True),
    ("https://evilacme.com", False),
    ("https://acme.com.evil.test", False),
    ("https://app.acme.com:8443", False),
    ("https://app.acme.com:443", False),
    ("http://app.acme.com", False),
    ("https://.acme.com", False),
    ("https://a..acme.com", False),
    ("https://user@app.acme.com", False),
    ("https://evil.test/.acme.com", False),
    ("https://evil.test#.acme.com", False),
    ("https://evil.test\\.acme.com", False),
    ("null", False),
    ("", False),
]


@pytest.mark.parametrize(("origin", "reached"), REACH)
def test_cookies_of_the_login_reach_only_hosts_within_the_domain(
    origin: str, reached: bool
) -> None:
    """The same scheme, the same port, and a name that ends with the domain at a dot."""
    assert SITE.shares(origin) is reached


@pytest.mark.parametrize(
    ("url", "host", "origin"),
    [
        ("https://auth.acme.com", "app.acme.com", "https://app.acme.com"),
        ("https://auth.acme.com:443", "app.acme.com", "https://app.acme.com"),
        ("https://auth.acme.com:8443", "app.acme.com", "https://app.acme.com:8443"),
        (
            "http://auth.acme.com.localhost:80",
            "app.acme.com.localhost",
            "http://app.acme.com.localhost",
        ),
    ],
)
def test_a_host_of_the_catalogue_is_at_the_same_door(url: str, host: str, origin: str) -> None:
    """Scheme and port are those of LATCHWIRE_URL; a port that is the scheme's own is not written."""
    domain = "acme.com.localhost" if "localhost" in url else "acme.com"
    site = Origins(url, domain)

    assert site.of({host, "elsewhere.test"}) == {site.own, origin}
    assert site.shares(origin)


def catalogue(*hosts: str) -> Catalogue:
    """One service on each of *hosts*."""
    lines = "".join(f"  s{n}: {{host: {h}, upstream: 'http://s'}}\n" for n, h in enumerate(hosts))
    return parse_catalogue(f"services:\n{lines}")


def test_a_host_that_leaves_the_catalogue_is_no_return_address_any_more() -> None:
    """The catalogue in force counts, not the one auth started with."""
    live = LiveCatalogue(catalogue("app.acme.com"))
    assert safe_next(f"{APP}/x", SITE.own, SITE.of(live.hosts)) == f"{APP}/x"

    live.follow("services:\n  s: {host: other.acme.com, upstream: 'http://s'}\n", 2)

    assert safe_next(f"{APP}/x", SITE.own, SITE.of(live.hosts)) is None


def offered(origin: str, target: str = "/demo?a=b&c=%2Fd") -> str:
    """The ``next`` that an edge offers for a page of *origin*; "" for none."""
    scheme, _, host = origin.partition("://")
    location = sign_in_location(SITE, Original("GET", scheme, host, target), renewable=False)
    assert location.startswith(f"{OWN}/auth/login")
    return location.partition("?next=")[2]


@pytest.mark.parametrize(("origin", "reached"), REACH[:9])
def test_an_edge_offers_the_way_back_only_to_where_the_login_reaches(
    origin: str, reached: bool
) -> None:
    """A path on our own origin, the whole address on another, encoded so that it stays one parameter."""
    whole = origin.removeprefix(OWN).replace(":", "%3A") + "/demo%3Fa%3Db%26c%3D%252Fd"
    assert offered(origin) == (whole if reached else "")


@pytest.mark.parametrize("target", ["/demo?" + "a" * 3000, '/"><script>', "/a|b", "/a\\b"])
@pytest.mark.parametrize("origin", [OWN, APP])
def test_an_edge_offers_nothing_that_auth_would_not_take(origin: str, target: str) -> None:
    """The person still gets to log in."""
    assert offered(origin, target) == ""


def test_a_shared_cookie_has_another_name_than_one_that_is_not() -> None:
    """Who was here before the domain was set would hold two of one name, and of two none counts."""
    for secure in (True, False):
        alone = CookieNames.derive(secure=secure, domain=None)
        shared = CookieNames.derive(secure=secure, domain="acme.com")

        assert {alone.access, alone.csrf}.isdisjoint({shared.access, shared.csrf})
        assert (alone.refresh, alone.login) == (shared.refresh, shared.login)
        assert (alone.domain, shared.domain) == (None, "acme.com")
