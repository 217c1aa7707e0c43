"""Auth's pure decisions: where to go on to, who asks, how often, who may, and what a token says."""

import re
from ipaddress import ip_network
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.auth.domain import csrf
from services.auth.domain.client import (
    describe_browser,
    describe_network,
    find_address,
    is_within,
    wider_networks,
)
from services.auth.domain.limits import Rate, parse_rate, retry_after
from services.auth.domain.returnto import safe_next
from services.auth.domain.session import (
    SESSION_MS,
    access_lifetime,
    csrf_claim,
    csrf_value,
    handle_of,
    is_genuine,
    judge_counter,
    make_refresh_token,
    notice_id,
    parse_refresh_token,
    revocation_id,
)
from shared.allow import parse_allow
from tests.support.fakes.ids import FakeIds
from tests.support.properties import damaged, examples

ORIGIN = "https://auth.acme.com"
ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
SID = FakeIds().ulid(1_795_312_000_000)

ELSEWHERE = [
    "", " ", "//evil.test", "///evil.test", "////evil.test", "/\\evil.test", "\\/evil.test",
    "\\\\evil.test", "/\t/evil.test", "/\n/evil.test", "/\r/evil.test", "\t//evil.test",
    "https:evil.test", "https:/evil.test", "https:///evil.test", "https://evil.test",
    "http://auth.acme.com/", "HTTPS://AUTH.ACME.COM.evil.test/", "javascript:alert(1)",
    "data:text/html,x", "evil.test", "%5cevil.test", "/%5cevil.test", "/%5Cevil.test",
    "/%2f/evil.test", "/%2f%2fevil.test", "/%252f%252fevil.test", "/%09/evil.test", "/%00", "\x00",
    "/\x00", "/a\r\nSet-Cookie: x=y", "/%0d%0aSet-Cookie:x=y", "/%0aevil", "https://auth.acme.com@evil.test/",
    "https://auth.acme.com:443@evil.test/", "https://user@auth.acme.com/", "https://auth.acme.com.evil.test/",
    "https://auth.acme.com:444/", "https://auth.acme.comevil.test", "https://auth.acme.com\\@evil.test",
    "https://auth.acme.com//evil.test", "/..//evil.test", "/./%2e%2e//evil.test", "/%2e%2e//evil.test",
    "/auth/oauth/google", "/auth/%6fauth/google", "https://auth.acme.com/auth/oauth/google?next=/x",
    "/a/../..//evil.test", "/\u2028", "/é", "/a b", "?next=/x", "#x", "a/b", "./a", "/" + "a" * 3000,
    "/%25%32%35%25%32%35%32%66", "\u3031/evil.test", "\uff0f\uff0fevil.test",
]  # fmt: skip
HERE = {
    "/": "/",
    "/demo": "/demo",
    "/demo?a=b&c=%2Fd#top": "/demo?a=b&c=%2Fd#top",
    "/search?q=https://other.test/": "/search?q=https://other.test/",
    "/a/b;c=d/e,f(g)'h": "/a/b;c=d/e,f(g)'h",
    "/caf%C3%A9": "/caf%C3%A9",
    ORIGIN: "/",
    f"{ORIGIN}/": "/",
    f"{ORIGIN}/demo?x=1": "/demo?x=1",
}


@pytest.mark.parametrize("text", ELSEWHERE)
def test_a_return_address_that_leads_elsewhere_is_refused(text: str) -> None:
    """What a browser, a proxy or a decoder could take for another host."""
    assert safe_next(text, ORIGIN) is None


@pytest.mark.parametrize(("text", "path"), HERE.items())
def test_a_return_address_of_ours_is_kept(text: str, path: str) -> None:
    """As a path, so that no host can be in it."""
    assert path == safe_next(text, ORIGIN)


_STARTS = st.sampled_from(
    ["/", "/", "/a", "", "//", "/\\", ORIGIN, f"{ORIGIN}/", f"{ORIGIN}@", f"{ORIGIN}."]
)
_PIECES = [
    *(
        "/",
        "a",
        "evil.test",
        ".",
        "..",
        "@",
        ":",
        ":443",
        "?",
        "?x=",
        "#",
        ";",
        "\\",
        "\t",
        "\r\n",
        " ",
    ),
    *(
        "%2f",
        "%2F",
        "%5c",
        "%2e",
        "%252f",
        "%25",
        "%09",
        "%00",
        "%40",
        "http:",
        "https://evil.test/",
    ),
]


@given(_STARTS, st.lists(st.sampled_from(_PIECES), max_size=6).map("".join))
@settings(max_examples=examples(300))
def test_whatever_is_accepted_stays_on_our_host(start: str, rest: str) -> None:
    """Resolved against our origin, also after two more decodings, it is our origin's."""
    path = safe_next(start + rest, ORIGIN)
    if path is not None:
        assert path.startswith("/")
        for _ in range(3):
            assert urlsplit(urljoin(ORIGIN, path)).netloc == "auth.acme.com"
            assert (
                urlsplit(urljoin(ORIGIN, re.sub(r"[\t\r\n]", "", path))).netloc == "auth.acme.com"
            )
            before, mark, query = path.partition("?")
            path = unquote(before).replace("\\", "/") + mark + query


@pytest.mark.parametrize(
    ("text", "rate"),
    {
        "5/h": Rate(5, 3_600_000),
        "30/5m": Rate(30, 300_000),
        "1000/m": Rate(1000, 60_000),
        " 1/1s ": Rate(1, 1000),
        "2/d": Rate(2, 86_400_000),
    }.items(),
)
def test_a_rate_is_read_as_it_is_written(text: str, rate: Rate) -> None:
    """Count, window, unit."""
    assert rate == parse_rate(text)


@pytest.mark.parametrize(
    "text", ["", "5", "5/", "0/h", "5/0m", "-5/h", "5/y", "5/h/h", "\u0665/h", "5 /h"]
)
def test_a_rate_that_is_none_is_refused(text: str) -> None:
    """At start, not at the first request."""
    with pytest.raises(ValueError, match="rate"):
        parse_rate(text)


@pytest.mark.parametrize(("wait", "seconds"), [(0, 1), (1, 1), (1000, 1), (1001, 2), (60_000, 60)])
def test_retry_after_is_whole_seconds_and_never_too_early(wait: int, seconds: int) -> None:
    """Rounded up."""
    assert seconds == retry_after(wait)


@pytest.mark.parametrize(
    ("address", "network"),
    {
        "203.0.113.77": "203.0.113.0/24",
        "::ffff:203.0.113.77": "203.0.113.0/24",
        "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
        "fe80::1%eth0": "fe80::/64",
        "unknown": "",
        "": "",
        "203.0.113.77:1234": "",
        "<script>": "",
    }.items(),
)
def test_only_a_network_is_kept_of_an_address(address: str, network: str) -> None:
    """And nothing of what is none."""
    assert network == describe_network(address)


@pytest.mark.parametrize(
    ("network", "wider"),
    {
        "2001:db8:1:2fe::/64": ("2001:db8:1:200::/56", "2001:db8:1::/48"),
        "203.0.113.0/24": ("203.0.113.0/24", "203.0.113.0/24"),
        "": ("", ""),
    }.items(),
)
def test_an_ipv6_network_is_counted_with_those_around_it(
    network: str, wider: tuple[str, str]
) -> None:
    """A household's /56 and a site's /48; IPv4 has no such room."""
    assert (network, *wider) == wider_networks(network)


@pytest.mark.parametrize(
    ("header", "name"),
    {
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": "Firefox on Linux",
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36": "Chrome on Windows",
        "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0": "Edge on Windows",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19 Safari/604.1": "Safari on iPhone",
        "Mozilla/5.0 (Linux; Android 16) Chrome/140.0 Mobile Safari/537.36": "Chrome on Android",
        "curl/8.5.0": "curl",
        "": "an unknown browser",
        "<b>Your account</b> https://evil.test": "an unknown browser",
    }.items(),
)
def test_a_browser_is_named_in_words_of_ours(header: str, name: str) -> None:
    """Nothing of the header's own text reaches a mail or a page."""
    assert name == describe_browser(header)


PROXIES = tuple(map(ip_network, ("127.0.0.0/8", "10.0.0.0/8", "::1/128")))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["1.2.3.4"], "203.0.113.9"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("127.0.0.1", ["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
        ("127.0.0.1", ["6.6.6.6", "1.2.3.4"], "1.2.3.4"),
        ("127.0.0.1", ["1.2.3.4, 10.0.0.7"], "1.2.3.4"),
        ("127.0.0.1", ["6.6.6.6, evil, 10.0.0.7"], "10.0.0.7"),
        ("127.0.0.1", ["10.0.0.8, 10.0.0.7"], "10.0.0.8"),
        ("::1", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:127.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("", ["1.2.3.4"], ""),
    ],
)
def test_forwarded_for_counts_from_the_right_through_our_proxies_only(
    peer: str, forwarded: list[str], client: str
) -> None:
    """What a client writes itself is left of the first address that is not ours."""
    assert client == find_address(peer, forwarded, PROXIES)


def test_something_that_is_no_address_is_in_no_network() -> None:
    """A Unix socket's peer, say."""
    assert not is_within("unix:", PROXIES)


def test_an_allow_list_means_exactly_what_it_says() -> None:
    """Domains without their subdomains, addresses in canonical form."""
    allow = parse_allow("@Acme.com, Sam@Partner.org,@bücher.example")

    assert all(map(allow.permits, ["a@acme.com", "sam@partner.org", "x@xn--bcher-kva.example"]))
    assert not any(
        map(
            allow.permits, ["a@evil-acme.com", "a@x.acme.com", "tom@partner.org", "a@acme.com.evil"]
        )
    )


def test_everybody_has_to_be_typed_out() -> None:
    """An empty list is a mistake, not an open door."""
    assert parse_allow("*").permits("x@anywhere.test")
    for text in ("", " , ", "acme.com", "@", "*@acme.com@", "@acme"):
        with pytest.raises(ValueError):
            parse_allow(text)


OWN = frozenset({ORIGIN})
VALUE = csrf_value(b"k" * 32, SID)
EXPECTED = frozenset({csrf_claim(VALUE)})


@pytest.mark.parametrize("site", ["same-origin", "none", "same-site", "cross-site", "bogus", None])
@pytest.mark.parametrize("origin", [ORIGIN, "https://evil.test", "null", "", ORIGIN + "/", None])
@pytest.mark.parametrize("token", [VALUE, VALUE[:-1], "", "é", None])
def test_the_csrf_matrix(site: str | None, origin: str | None, token: str | None) -> None:
    """Sec-Fetch-Site, else Origin, else the token: one yes is enough, nothing at all is a no."""
    allowed = csrf.allows(
        fetch_site=site, origin=origin, own_origins=OWN, token=token, expected=EXPECTED
    )

    yes = site in {"same-origin", "none"} or origin == ORIGIN or token == VALUE
    assert yes == allowed


def test_without_a_session_no_csrf_token_counts() -> None:
    """There is nothing it could be the token of."""
    assert not csrf.allows(
        fetch_site=None, origin=None, own_origins=OWN, token=VALUE, expected=frozenset()
    )


@given(st.integers(1, 9_999_999_999), st.binary(min_size=32, max_size=32), st.text(max_size=50))
def test_a_refresh_token_is_read_back_as_it_was_made(counter: int, key: bytes, secret: str) -> None:
    """And is genuine under its own key and secret only."""
    token = parse_refresh_token(make_refresh_token(key, "20261122-a1", SID, counter, secret))

    assert token is not None
    assert (SID, counter) == (token.sid, token.counter)
    assert is_genuine(token, key, secret)
    assert not is_genuine(token, key, secret + "x")
    assert not is_genuine(token, bytes(32) if key != bytes(32) else b"x" * 32, secret)


REFRESH = make_refresh_token(b"k" * 32, "20261122-a1", SID, 7, "secret")


@given(st.text(max_size=200) | damaged(REFRESH))
@settings(max_examples=examples(300))
def test_no_text_but_the_token_itself_is_genuine(text: str) -> None:
    """Parsing never fails, and no other spelling of a token is one."""
    token = parse_refresh_token(text)

    assert (token is not None and is_genuine(token, b"k" * 32, "secret")) == (text == REFRESH)


@pytest.mark.parametrize(
    ("presented", "current", "since", "verdict"),
    [
        (5, 5, 0, "advance"),
        (5, 5, SESSION_MS, "advance"),
        (4, 5, 0, "repeat"),
        (4, 5, 10_000, "repeat"),
        (4, 5, 10_001, "reuse"),
        (3, 5, 0, "reuse"),
        (6, 5, 0, "reuse"),
        (500, 5, 0, "reuse"),
    ],
)
def test_what_a_counter_means(presented: int, current: int, since: int, verdict: str) -> None:
    """Only the immediately previous token, only within the window, is a repetition."""
    assert verdict == judge_counter(presented, current, since, 10_000)


@given(
    st.integers(0, 1_000) | st.integers(0, SESSION_MS // 1000), st.floats(0, 1, exclude_max=True)
)
def test_an_access_token_never_outlives_its_session(left: int, jitter: float) -> None:
    """15 minutes less at most 5 %, cut at the session's end."""
    lifetime = access_lifetime(left, jitter)

    assert lifetime <= left
    assert lifetime <= 900
    assert lifetime >= min(left, 855)


def test_ids_derived_from_a_session_are_stable_and_different() -> None:
    """A repetition is one event; two kinds are two."""
    ids = [revocation_id(SID), notice_id(SID, "new_browser"), notice_id(SID, "refresh_reuse")]

    assert 3 == len(set(ids))
    assert all(ULID.fullmatch(one) for one in ids)
    assert revocation_id(SID) == ids[0]


def test_a_handle_tells_sessions_apart_and_nothing_else() -> None:
    """It depends on a key, so it cannot be made from a sid."""
    assert handle_of(b"a" * 32, SID) != handle_of(b"b" * 32, SID)
    assert SID not in handle_of(b"a" * 32, SID)
