"""Nobody can tell an upstream who they are: what a client claims is gone after the real Traefik and edge."""

import json

import pytest

from shared.traefik import IDENTITY_HEADERS
from tests.support import raw
from tests.support.stack import Stack
from tests.support.visitor import log_in, open_client

CLAIMS = [
    "X-User-Id: root",
    "X_User_Id: root",
    "X-USER-ID: root",
    "x-user-id: root\r\nX-User-Id: root",
    "X.User.Id: root",
    "X-User_Id: root",
    "X-User-Email: root",
    "X_User_Email: root",
    "X-User-Roles: root",
    "X-Org-Id: root",
    "X-Session-Id: root",
    "X-Token-Type: root",
    "X-Service-Name: root",
    "X-Latchwire-Assertion: root",
    "X-Forwarded-Uri: /demo/public?root",
    "X_Forwarded_Uri: /root",
    # Whatever HTTP allows in a name; CGI makes a _ of each (RFC 3875 §4.1.18).
    *(f"X{c}User{c}Id: root" for c in "!#$%&'*+.^_`|~"),
    *(f"{name.replace('-', '~')}: root" for name in IDENTITY_HEADERS),
    "x~User-iD: root",
]


async def exchange(stack: Stack, path: str, *lines: str) -> tuple[int, str]:
    """Send exactly these header lines; the status and the body."""
    answer = await raw.exchange(stack.url, path, *lines)
    return answer.status, answer.body


@pytest.fixture
async def bearer(stack: Stack) -> str:
    """An Authorization line of somebody who is logged in."""
    async with open_client(stack.url) as client:
        tokens = await log_in(client, stack.inbox, "claims@example.com")
    return f"Authorization: Bearer {tokens['access_token']}"


async def test_claimed_identity_never_reaches_the_upstream_beside_a_login(
    stack: Stack, bearer: str
) -> None:
    """In every spelling an upstream might fold into the real one, single and double."""
    for claim in CLAIMS:
        status, body = await exchange(stack, "/demo", bearer, claim)

        assert status == 200, claim
        assert "root" not in body, claim
        assert json.loads(body)["X-User-Id"] == "claims@example.com", claim


@pytest.mark.parametrize("claim", CLAIMS)
async def test_claimed_identity_never_reaches_the_upstream_of_an_open_path(
    stack: Stack, claim: str
) -> None:
    """Where the edge lets everybody pass it still removes what they claim."""
    status, body = await exchange(stack, "/demo/public", claim)

    assert status == 200
    assert "root" not in body
    assert json.loads(body)["X-User-Id"] == ""


@pytest.mark.parametrize("path", ["/demo", "/demo/public"])
async def test_connection_cannot_strip_the_identity_after_the_check(
    stack: Stack, bearer: str, path: str
) -> None:
    """Naming a header in Connection makes proxies drop it; ours is set after that, or not at all."""
    status, body = await exchange(
        stack, path, bearer, "Connection: close, X-User-Id", "X-User-Id: root"
    )

    assert status == 200
    assert "root" not in body
    if path == "/demo":
        assert json.loads(body)["X-User-Id"] == "claims@example.com"


async def test_a_claim_without_a_login_is_refused(stack: Stack) -> None:
    """No header but a credential opens a protected path."""
    for claim in CLAIMS:
        status, _ = await exchange(stack, "/demo", claim)

        assert status == 401, claim
