"""No header outside a route's credential and CSRF set ever turns a refusal into an allow, at any door.

The set is as small as the request makes it: a cookie's proofs of origin count only where a cookie is what is
presented, and a preflight's two headers only where the catalogue lets some page in.
"""

from dataclasses import dataclass
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.edge.domain.decision import Denied
from services.edge.http.contracts import CONTRACTS, Contract
from services.edge.http.fields import FieldReader
from shared.catalogue import IDENTITY_HEADERS
from tests.support.edge import COOKIE, code_of, make_desk, token
from tests.support.properties import examples
from tests.support.tokens import NOW_MS

CATALOGUE = """
services:
  people: {host: h.example, paths: [/people], upstream: "http://a:1", public_paths: [/people/open]}
  staff: {host: h.example, paths: [/staff], upstream: "http://b:1", roles: [admin]}
  members: {host: h.example, paths: [/members], upstream: "http://c:1", organisation: "*"}
  recent: {host: h.example, paths: [/recent], upstream: "http://d:1", login_age: 15m}
  machines:
    {host: h.example, paths: [/machines], upstream: "http://e:1", token_types: [service], callers: ["*"]}
  internal: {host: h.example, paths: [/internal], upstream: "http://f:1", expose_publicly: false}
  pages:
    {host: h.example, paths: [/pages], upstream: "http://g:1", allowed_origins: ["https://app.example"],
     allow_credentials: true}
  anyone: {host: h.example, paths: [/anyone], upstream: "http://i:1", allowed_origins: ["*"]}
"""
HOST: Final = "h.example"
CROSS: Final = frozenset({"/pages", "/anyone"})  # where some page of another origin is let in
PATHS = [
    "/people",
    "/staff",
    "/members",
    "/recent",
    "/machines",
    "/internal",
    "/pages",
    "/anyone",
    "/none",
    "/x//y",
]
METHODS = ["GET", "HEAD", "POST", "DELETE", "OPTIONS"]
OLD = NOW_MS // 1000 - 3_600
CREDENTIALS = {
    "none": b"",
    "good": token(),
    "forged": token()[:-6] + b"AAAAAA",
    "expired": token(iat=OLD, exp=OLD + 900, auth_time=OLD, iat_ms=OLD * 1000, sst=OLD * 1000),
    "old login": token(auth_time=OLD),
    "junk": b"junk",
}  # fmt: skip
GOOD: Final = b"Bearer " + CREDENTIALS["good"]

CREDENTIAL_SET: Final = {"authorization", "cookie"}
CSRF_SET: Final = {"origin", "sec-fetch-site", "x-csrf-token"}
PREFLIGHT_SET: Final = {"origin", "access-control-request-method"}


@dataclass(frozen=True)
class Client:
    """What the client sends to the proxy, before the extra headers."""

    path: str
    method: str
    how: str
    cookie: bool

    @property
    def counting(self) -> set[str]:
        """The credential and CSRF set of this request."""
        counting = set(CREDENTIAL_SET)
        if self.cookie and self.how != "none":
            counting |= CSRF_SET
        if self.method == "OPTIONS" and self.path in CROSS:
            counting |= PREFLIGHT_SET
        return counting

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Its credential."""
        value = CREDENTIALS[self.how]
        if not value:
            return []
        if self.cookie:
            return [(b"Cookie", f"{COOKIE}=".encode() + value)]
        return [(b"Authorization", b"Bearer " + value)]


def lines_of(contract: Contract, client: Client) -> list[tuple[bytes, bytes]]:
    """The lines in which this proxy says what was asked for."""
    said = {
        "x-forwarded-method": client.method,
        "x-forwarded-proto": "https",
        "x-forwarded-host": HOST,
        "x-forwarded-uri": client.path,
        "x-original-method": client.method,
        "x-original-url": f"https://{HOST}{client.path}",
        "host": HOST,
    }
    return [(name.encode(), said[name].encode()) for name in contract.lines]


_ATTACKS = [
    *IDENTITY_HEADERS,
    *(n.replace("-", "_") for n in IDENTITY_HEADERS),
    *("X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix"),
    *("X-Forwarded-For", "X-Forwarded-Server", "X-Forwarded-Port", "X_Forwarded_Uri", "Forwarded", "Host"),
    *("X-Original-URL", "X-Original-Method", "X-Original-URI", "X-Rewrite-URL", "X-HTTP-Method-Override"),
    *("X-Real-IP", "X-Requested-With", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-User", "Accept"),
    *("Upgrade", "Sec-WebSocket-Key", "Connection", "Content-Type", "Referer", "User-Agent", "Traceparent"),
    *("X-Latchwire-Assertion", "X-Latchwire-Service", "X-Envoy-Original-Path", "Proxy-Authorization"),
    *("X-Authorization", "X_CSRF_Token", "X-XSRF-Token", "Cookie2", "Authorization_", "X-Api-Key"),
    # Of the sets: they count as extra where the request's own set does not hold them.
    *("Origin", "Sec-Fetch-Site", "X-CSRF-Token", "Access-Control-Request-Method"),
]  # fmt: skip
_VALUES = [
    *(b"", b"GET", b"POST", b"https", b"/people/open", b"/pages", b"h.example", b"same-origin", b"none"),
    *(b"https://h.example", b"https://app.example", b"*", b"null", b"people", b"internal", b"websocket"),
    *(b"https://h.example/people/open", b"text/html", b"XMLHttpRequest", b"navigate", b"admin", b"127.0.0.1"),
    *(CREDENTIALS["good"], GOOD),
]  # fmt: skip
_EXTRA = st.lists(
    st.tuples(st.sampled_from(_ATTACKS), st.sampled_from(_VALUES) | st.binary(max_size=20)),
    max_size=6,
)
_CLIENTS = st.builds(
    Client, st.sampled_from(PATHS), st.sampled_from(METHODS), st.sampled_from([*CREDENTIALS]), st.booleans()
)  # fmt: skip
DESK = make_desk(CATALOGUE)


def outcome(contract: Contract, client: Client, extra: list[tuple[str, bytes]]) -> str:
    """``allow`` or the code, as this proxy's door hears of the request; *extra* stand before what it writes."""
    more = [(name.encode(), value) for name, value in extra]
    fields = FieldReader(contract.lines).read(
        [*more, *client.headers(), *lines_of(contract, client)]
    )
    asking = contract.source(client.method, client.path, fields)
    return code_of(
        Denied("bad_forwarded") if asking is None else DESK.checker.check(asking, fields)
    )


# One thing is missing for each of them: nobody, no proof of origin, no role, too old, not let in here, ...
NEAR_MISSES = [
    *(Client(path, "GET", "none", cookie=False) for path in ("/people", "/anyone", "/none", "/x//y")),
    *(Client(path, method, "good", cookie=True) for path, method in (("/people", "POST"), ("/pages", "PUT"))),
    *(Client(path, "OPTIONS", "none", cookie=False) for path in ("/people", "/pages", "/anyone")),
    *(Client(path, "GET", "good", cookie=False) for path in ("/staff", "/members", "/machines", "/internal")),
    Client("/recent", "GET", "old login", cookie=False),
    Client("/people", "GET", "expired", cookie=True),
    Client("/people", "GET", "forged", cookie=False),
]  # fmt: skip


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.proxy)
@pytest.mark.parametrize("client", NEAR_MISSES, ids=str)
def test_each_header_alone_leaves_a_near_miss_refused(contract: Contract, client: Client) -> None:
    """Every name with every value that could mean something to somebody."""
    names = [name for name in _ATTACKS if name.lower() not in client.counting]
    tried = ((name, value) for name in names for value in _VALUES)

    assert outcome(contract, client, []) != "allow"
    assert [one for one in tried if outcome(contract, client, [one]) == "allow"] == []


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.proxy)
@given(client=_CLIENTS, extra=_EXTRA)
@settings(max_examples=examples(60))
def test_no_other_header_turns_a_refusal_into_an_allow(
    contract: Contract, client: Client, extra: list[tuple[str, bytes]]
) -> None:
    """Neither one that is spelled like a credential, nor another proxy's, nor one of an unasked proof."""
    outside = [(name, value) for name, value in extra if name.lower() not in client.counting]
    plain = outcome(contract, client, [])

    if plain != "allow":
        assert outcome(contract, client, outside) != "allow", (plain, outside)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.proxy)
def test_what_is_in_the_sets_does_turn_refusals_into_allows(contract: Contract) -> None:
    """Or the property above would hold of an edge that refuses everything."""
    nobody, ada = (Client("/people", "POST", how, cookie=True) for how in ("none", "good"))
    other = Client("/pages", "OPTIONS", "none", cookie=False)
    asked = [("Origin", b"https://app.example"), ("Access-Control-Request-Method", b"PUT")]

    assert outcome(contract, nobody, []) == "no_credentials"
    assert outcome(contract, nobody, [("Authorization", GOOD)]) == "allow"
    assert outcome(contract, ada, []) == "csrf_failed"
    assert outcome(contract, ada, [("Origin", b"https://h.example")]) == "allow"
    assert outcome(contract, other, []) == "no_credentials"
    assert outcome(contract, other, asked) == "allow"
    assert outcome(contract, Client("/people", "OPTIONS", "none", cookie=False), asked) == (
        "preflight_refused"
    )


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.proxy)
@pytest.mark.parametrize(
    "line",
    [
        *("X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri"),
        *("X-Original-Method", "X-Original-URL"),
    ],
)
def test_another_proxys_lines_do_not_exist_for_a_door(contract: Contract, line: str) -> None:
    """And its own, when a client has added one, are no longer its word."""
    client = Client("/people", "POST", "good", cookie=False)
    told = outcome(contract, client, [(line, b"GET")])

    assert told == ("bad_forwarded" if line.lower() in contract.lines else "allow")
