"""What each proxy's lines are read as; what is missing, repeated or odd is nothing at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.edge.domain.original import Asking, Fields, read_original
from services.edge.domain.sources import forwarded, original_url, own_line
from services.edge.http.contracts import CONTRACTS
from services.edge.http.fields import FieldReader

GOOD = Asking(b"GET", b"https", b"app.example.com", b"/demo?x=1")
FORWARDED = [
    (b"X-Forwarded-Method", b"GET"),
    (b"X-Forwarded-Proto", b"https"),
    (b"X-Forwarded-Host", b"app.example.com"),
    (b"X-Forwarded-Uri", b"/demo?x=1"),
]
ORIGINAL = [
    (b"X-Original-Method", b"GET"),
    (b"X-Original-URL", b"https://app.example.com/demo?x=1"),
]
OWN = [(b"Host", b"app.example.com"), (b"X-Forwarded-Proto", b"https")]
LINES = {
    "traefik": FORWARDED,
    "caddy": FORWARDED,
    "haproxy": FORWARDED,
    "nginx": ORIGINAL,
    "envoy": OWN,
}
REST = {"envoy": "/demo?x=1"}
# Whatever any proxy or framework has ever taken for the address of a request.
FOREIGN = [
    *((name, b"/open") for name in (b"X-Forwarded-Uri", b"X-Forwarded-Path", b"X-Rewrite-Url")),
    *((name, b"OPTIONS") for name in (b"X-Forwarded-Method", b"X-Original-Method")),
    (b"X-Original-URL", b"https://app.example.com/open"),
    (b"X-Original-Uri", b"/open"),
    (b"X-Original-Host", b"other.example"),
    (b"X-Forwarded-Host", b"other.example"),
    (b"X-Forwarded-Prefix", b"/open"),
    (b"X-Forwarded-Port", b"1"),
    (b"X-Http-Method-Override", b"OPTIONS"),
    (b"X-Envoy-Original-Path", b"/open"),
    (b"Forwarded", b"host=other.example;proto=http"),
    (b"X_Forwarded_Uri", b"/open"),
    (b"X.Original.URL", b"https://other.example/open"),
]


def read(proxy: str, lines: list[tuple[bytes, bytes]]) -> Asking | None:
    """What the door of *proxy* makes of a check with these lines."""
    contract = next(c for c in CONTRACTS if c.proxy == proxy)
    fields = FieldReader(contract.lines).read(lines)
    return contract.source("GET", REST.get(proxy, ""), fields)


@pytest.mark.parametrize("proxy", LINES)
def test_each_proxys_own_lines_are_understood(proxy: str) -> None:
    """All five say the same request in their own way."""
    assert read(proxy, LINES[proxy]) == GOOD


@pytest.mark.parametrize("proxy", LINES)
def test_another_familys_lines_do_not_exist(proxy: str) -> None:
    """One source each: a client who adds another proxy's lines has added nothing."""
    own = {name.lower() for name, _ in LINES[proxy]}
    foreign = [line for line in FOREIGN if line[0].lower() not in own]

    assert len(foreign) >= 12
    assert read(proxy, [*foreign, *LINES[proxy], *foreign]) == GOOD


@pytest.mark.parametrize("proxy", LINES)
def test_a_line_of_its_own_that_is_missing_or_repeated_is_never_guessed(proxy: str) -> None:
    """Whichever it is, and whatever stands in the lines of the others."""
    for number, (name, value) in enumerate(LINES[proxy]):
        rest = LINES[proxy][:number] + LINES[proxy][number + 1 :]
        foreign = [line for line in FOREIGN if line[0].lower() != name.lower()]
        own = {line[0].lower() for line in LINES[proxy]}
        foreign = [line for line in foreign if line[0].lower() not in own]
        assert read(proxy, [*rest, *foreign]) is None, name
        assert read(proxy, [*LINES[proxy], (name.lower(), value)]) is None, name


@pytest.mark.parametrize(
    "url",
    [
        b"",
        b"/demo",
        b"//app.example.com/demo",
        b"app.example.com/demo",
        b"http:///demo",
        b"https://",
        b"https://app.example.com",
        b"https://app.example.com?x",
        b"https://app.example.com#/demo",
        b"https:/app.example.com/demo",
        b"https:app.example.com/demo",
        b"HTTPS://app.example.com/demo",
        b"ftp://app.example.com/demo",
        b"ws://app.example.com/demo",
        b"https://user@app.example.com/demo",
        b"https://app.example.com\\x/demo",
        b"https://app.example.com/demo\r",
        b" https://app.example.com/demo",
    ],
)
def test_what_is_not_an_address_as_nginx_writes_it_is_none(url: bytes) -> None:
    """An absent Host, a target that is no path, another scheme."""
    fields: Fields = {b"x-original-method": [b"GET"], b"x-original-url": [url]}

    assert original_url("GET", "", fields) is None


def test_everything_behind_the_host_is_the_target() -> None:
    """A second address in it, with a host and a path of its own, is only text."""
    url = b"http://app.example.com//evil.example/../x?u=http://b/c#d"
    fields: Fields = {b"x-original-method": [b"GET"], b"x-original-url": [url]}

    asking = original_url("GET", "", fields)

    assert asking is not None
    assert asking.host == b"app.example.com"
    assert asking.target == b"//evil.example/../x?u=http://b/c#d"


@pytest.mark.parametrize(
    "rest", ["", "*", "demo", "http://app.example.com/demo", "/caf\u00e9", "/a b"]
)
def test_a_target_of_envoys_that_is_no_plain_path_is_refused(rest: str) -> None:
    """``OPTIONS *``, an absolute address, bytes that are no ASCII."""
    asking = own_line("GET", rest, {b"host": [b"app.example.com"], b"x-forwarded-proto": [b"http"]})

    assert asking is not None
    assert read_original(asking) is None


@given(st.lists(st.tuples(st.sampled_from([n for n, _ in FOREIGN]), st.binary(max_size=20))))
def test_no_lines_of_others_change_what_a_door_reads(lines: list[tuple[bytes, bytes]]) -> None:
    """Whatever they hold, however many they are."""
    for proxy, good in LINES.items():
        own = {name.lower() for name, _ in good}
        foreign = [line for line in lines if line[0].lower() not in own]
        assert read(proxy, [*foreign, *good]) == GOOD


_VALUE = st.sampled_from([value for _, value in FORWARDED]) | st.binary()
_MOSTLY_ONE = st.lists(_VALUE, min_size=1, max_size=1) | st.lists(_VALUE, max_size=2)


@given(st.dictionaries(st.sampled_from([n.lower() for n, _ in FORWARDED]), _MOSTLY_ONE, min_size=3))
def test_forwarded_lines_are_four_once_each_or_nothing(fields: dict[bytes, list[bytes]]) -> None:
    """No other number of them says anything."""
    whole = len(fields) == 4 and all(len(values) == 1 for values in fields.values())

    assert (forwarded("GET", "", fields) is not None) == whole


FULL = 32 * 1024  # bytes of one header, in all of its lines


@pytest.mark.parametrize("proxy", LINES)
@pytest.mark.parametrize(
    ("more", "told"),
    [
        ([b"a" * FULL], True),
        ([b"a" * (FULL // 2)] * 2, True),
        ([b"a" * (FULL // 2)] * 3, False),
        ([b"a" * FULL] * 29, False),
        ([b""] * 64, True),
        ([b""] * 65, False),
        ([b""] * 100_000, False),
    ],
)
@pytest.mark.parametrize("name", [b"Accept", b"cookie", b"Authorization"])
def test_of_a_header_in_too_many_lines_nothing_is_told(
    proxy: str, name: bytes, more: list[bytes], told: bool
) -> None:
    """An edge has one thread: nobody gives it a megabyte to look through in one request."""
    contract = next(c for c in CONTRACTS if c.proxy == proxy)
    fields = FieldReader(contract.lines).read([*((name, value) for value in more), *LINES[proxy]])
    asking = contract.source("GET", REST.get(proxy, ""), fields)

    assert asking == (GOOD if told else None)
    assert sum(len(value) for values in fields.values() for value in values) <= FULL + 200
