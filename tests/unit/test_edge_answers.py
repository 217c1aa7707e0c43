"""What the gateway and the browser hear: redirects, identity headers, request ids, settings."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchwire.claims import build_claims
from services.edge.domain.identity import encode_headers, header_safe, identity_headers
from services.edge.domain.navigation import is_navigation, sign_in_location
from services.edge.http.peers import TrustedPeers
from services.edge.settings import EdgeSettings
from shared.origins import Origins
from shared.settings import SettingsError
from tests.support.edge import ORIGIN, original_of, request
from tests.support.tokens import make_claims

IDENTITY = [
    "X-User-Id",
    "X-User-Email",
    "X-User-Roles",
    "X-Org-Id",
    "X-Session-Id",
    "X-Token-Type",
    "X-Service-Name",
]
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def navigates(proto: str = "http", **headers: str) -> bool:
    """What the edge takes a request with these headers for."""
    fields = request(proto=proto, **headers)
    original = original_of(fields)
    assert original is not None
    return is_navigation(original, fields)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document"},
        {"sec_fetch_mode": "navigate", "accept": "*/*"},
        {"sec_fetch_dest": "document"},
        {"accept": CHROME},
        {"accept": "application/json;q=0.5, text/html"},
    ],
)
def test_a_browser_loading_a_page_is_sent_to_a_page(headers: dict[str, str]) -> None:
    """By what it says it does, else by what it would rather read."""
    assert navigates(**headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"accept": "*/*"},
        {"accept": "application/json, text/plain, */*"},
        {"accept": "application/json, text/html;q=0.9"},
        {"accept": "text/html;q=0"},
        {"accept": "text/html;q=nonsense"},
        {"accept": "text/html;q=1e999"},
        {"accept": ";;;,,,q=,"},
        {"accept": CHROME, "sec_fetch_mode": "cors", "sec_fetch_dest": "empty"},
        {"accept": CHROME, "sec_fetch_dest": "image"},
        {"accept": CHROME, "x_requested_with": "XMLHttpRequest"},
        {"accept": CHROME, "proto": "ws"},
    ],
)
def test_scripts_and_api_clients_get_a_code_they_can_act_on(headers: dict[str, str]) -> None:
    """A fetch that follows a redirect to a page would hide what is wrong."""
    assert not navigates(**headers)


def location(uri: str, *, renewable: bool = False, host: str = "localhost:8080") -> str:
    """Where the edge sends a browser that asked for *uri*."""
    original = original_of(request(uri, host=host))
    assert original is not None
    return sign_in_location(Origins(ORIGIN), original, renewable=renewable)


def test_the_way_back_is_a_path_of_our_own_origin() -> None:
    """Built from trusted headers, encoded so that it stays one parameter."""
    url = location("/demo/a?b=c&d=%2F#"[:-1])

    assert url.startswith(f"{ORIGIN}/auth/login?next=")
    assert parse_qs(urlsplit(url).query) == {"next": ["/demo/a?b=c&d=%2F"]}
    assert location("/demo", renewable=True) == f"{ORIGIN}/auth/continue?next=/demo"


@pytest.mark.parametrize(
    "uri", ["/demo?" + "a" * 3000, '/demo?"><script>', "/demo?a|b", "/demo?a\\b"]
)
def test_a_return_address_auth_would_not_take_is_left_out(uri: str) -> None:
    """The person still gets to sign in."""
    assert location(uri) == f"{ORIGIN}/auth/login"


def test_another_host_is_never_a_return_address() -> None:
    """No open redirect through a forged or foreign host."""
    assert location("/demo", host="evil.example") == f"{ORIGIN}/auth/login"


def test_all_identity_headers_are_always_there() -> None:
    """A header that is missing would let the client's own through (GHSA-7r4p-vjf4-gxv4)."""
    somebody = identity_headers(build_claims(make_claims(roles=["a", "b"]), "kid"))

    assert [name for name, _ in identity_headers(None)] == IDENTITY
    assert {value for _, value in identity_headers(None)} == {""}
    assert [name for name, _ in somebody] == IDENTITY
    assert dict(somebody)["X-User-Roles"] == "a,b"
    assert dict(somebody)["X-Token-Type"] == "user"


# Two texts of chance are never nearly the same: pieces that an encoding could mix up are.
_NAMES = st.text(max_size=40) | st.lists(
    st.sampled_from(
        ["a", "%", "%25", "2", "5", "%C3%A9", "\u00e9", "e\u0301", "C3", "A9", " ", "%20", "+"]
    ),
    max_size=3,
).map("".join)


@given(_NAMES, _NAMES)
def test_two_people_never_look_the_same_and_no_value_ends_a_header(one: str, two: str) -> None:
    """Injective, visible ASCII: no CR LF, no trimmed space, no Unicode surprise."""
    encoded = header_safe(one)

    assert all("!" <= c <= "~" for c in encoded)
    surrogates = any("\ud800" <= c <= "\udfff" for c in one + two)
    assert surrogates or (encoded == header_safe(two)) == (one == two)
    assert encode_headers((("X-User-Id", encoded),)).count(b"\r\n") == 1


def test_roles_cannot_multiply_by_a_comma() -> None:
    """Whatever a role is called, it stays one."""
    claims = build_claims(make_claims(roles=["a,admin", "b c"]), "kid")

    assert dict(identity_headers(claims))["X-User-Roles"] == "a%2Cadmin,b%20c"


def test_only_configured_peers_are_believed() -> None:
    """Loopback by default, in both families and mapped; nobody else."""
    peers = TrustedPeers(EdgeSettings(url=ORIGIN).trusted_proxies)

    assert all(peers.trusts(p) for p in ("127.0.0.1", "::1", "::ffff:127.0.0.1"))
    assert not any(
        peers.trusts(p) for p in ("10.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0", "", None)
    )


@pytest.mark.parametrize(
    "value", ["0.0.0.0/0", "::/0", "10.0.0.0/8, 0.0.0.0/1", "2000::/3", "x", "10.0.0.1/8"]
)
def test_trusting_everyone_refuses_to_start(value: str) -> None:
    """Anybody could then say which path was asked for (GHSA-7x63-xv5r-3p2x)."""
    with pytest.raises(SettingsError):
        EdgeSettings.load({"LATCHWIRE_URL": ORIGIN, "LATCHWIRE_TRUSTED_PROXIES": value})


def test_settings_are_read_with_units_and_lists() -> None:
    """Seconds may carry their unit; proxies are a comma-separated list."""
    settings = EdgeSettings.load(
        {
            "LATCHWIRE_URL": ORIGIN,
            "LATCHWIRE_MAX_STALENESS": "20s",
            "LATCHWIRE_TRUSTED_PROXIES": "172.16.0.0/12, 127.0.0.1",
            "LATCHWIRE_EDGE_ID": "edge-7",
        }
    )

    assert settings.max_staleness == 20
    assert [str(n) for n in settings.trusted_proxies] == ["172.16.0.0/12", "127.0.0.1/32"]
    assert (
        EdgeSettings.load({"LATCHWIRE_URL": ORIGIN, "LATCHWIRE_MAX_STALENESS": "5"}).max_staleness
        == 5
    )
    for bad in ("0", "1h", "901", "-1", "inf", "nan"):
        with pytest.raises(SettingsError):
            EdgeSettings.load({"LATCHWIRE_URL": ORIGIN, "LATCHWIRE_MAX_STALENESS": bad})
