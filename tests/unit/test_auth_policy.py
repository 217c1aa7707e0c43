"""Every route of auth has a row in the policy table, and what has none is open to nobody."""

from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from services.auth.domain.csrf import SAFE_METHODS
from services.auth.domain.outcomes import NotSignedIn
from services.auth.domain.roles import OWN_PERMISSIONS
from services.auth.domain.service_tokens import MANAGE
from services.auth.http.app import make_app
from services.auth.http.context import CONTEXT, Context
from services.auth.http.policy import ROWS, Route
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.origins import Origins
from shared.secrets import SymmetricKeys


def app_of(accounts: object) -> web.Application:
    """The application; behind its routes there is nothing."""
    context = SimpleNamespace(
        url="http://localhost:8080",
        site_name="Acme",
        secure=False,
        csrf_keys=SymmetricKeys({"k": b"k" * 32}),
        accounts=accounts,
        clock=SystemClock(),
        ids=SystemIds(),
        trusted_proxies=(),
        reach=Origins("http://localhost:8080"),
    )
    return make_app(cast("Context", context))


def routes_of(app: web.Application) -> set[Route]:
    """Method and path of each; HEAD comes with GET."""
    found = {
        (route.method, route.resource.canonical) for route in app.router.routes() if route.resource
    }
    return {(method, path) for method, path in found if method != "HEAD"}


WITH, WITHOUT = routes_of(app_of(object())), routes_of(app_of(None))


@pytest.mark.parametrize("route", sorted(WITH | WITHOUT), ids=" ".join)
def test_every_route_has_a_row(route: Route) -> None:
    """A route that somebody forgot is found here, before it is refused to everybody."""
    assert route in ROWS


@pytest.mark.parametrize("route", sorted(ROWS), ids=" ".join)
def test_every_row_has_a_route(route: Route) -> None:
    """A row that is left over would open the next route of that name."""
    assert route in WITH


def test_what_needs_accounts_is_not_there_without() -> None:
    """With accounts off, no route of organisations, passwords, providers or deletion exists."""
    gone = {path for _, path in WITH - WITHOUT}
    assert {"/auth/orgs", "/auth/register", "/auth/password", "/auth/invitations/accept"} <= gone
    assert ("DELETE", "/auth/me") in WITH - WITHOUT
    assert WITHOUT <= WITH


@pytest.mark.parametrize("route", sorted(ROWS), ids=" ".join)
def test_a_row_contradicts_nothing(route: Route) -> None:
    """Permissions are of organisations, but for the one of the installation; forms are of pages."""
    method, path = route
    policy = ROWS[route]
    installation = policy.access == "permitted"
    assert policy.permission in ({MANAGE} if installation else OWN_PERMISSIONS | {""})
    assert policy.access == "member" or "{org}" not in path
    assert "{org}" in path or not policy.guarded or policy.access != "member"
    assert policy.access in {"member", "permitted"} or not policy.permission
    assert (policy.cross_site == "form") == path.startswith("/auth/form/")
    if method in SAFE_METHODS:
        assert policy.cross_site == "guarded"


async def test_a_route_without_a_row_is_open_to_nobody() -> None:
    """Deny by default: whoever asks, and however."""

    async def forgotten(_request: web.Request) -> web.Response:
        return web.Response(text="open")

    app = app_of(None)
    app.router.add_get("/auth/forgotten", forgotten)
    app.router.add_post("/auth/forgotten/{any}", forgotten)
    async with TestClient(TestServer(app)) as client:
        for method, path in (
            ("GET", "/auth/forgotten"),
            ("HEAD", "/auth/forgotten"),
            ("POST", "/auth/forgotten/x"),
        ):
            answer = await client.request(method, path)
            assert answer.status == 403
            assert answer.headers["X-Latchwire-Reason"] == "no_policy"


async def test_what_does_not_exist_is_not_found_as_before() -> None:
    """404 and 405 are no refusals of the table."""
    async with TestClient(TestServer(app_of(None))) as client:
        assert (await client.get("/auth/nothing")).status == 404
        assert (await client.put("/auth/logout")).status == 405
        assert (await client.get("/auth/orgs")).status == 404


GUARDED = sorted(route for route, policy in ROWS.items() if policy.guarded)


async def test_who_is_not_signed_in_gets_nowhere() -> None:
    """Each guarded route asks for a token before its own code runs: behind these there is nothing."""
    app = app_of(object())
    vars(app[CONTEXT]).update(
        cookies=SimpleNamespace(access="a", refresh="r", login="l"),
        sessions=SimpleNamespace(identify=lambda _shown, **_: NotSignedIn("no_credentials")),
        services=SimpleNamespace(reader=SimpleNamespace(identify=lambda _token: None)),
    )
    async with TestClient(TestServer(app)) as client:
        for method, path in GUARDED:
            answer = await client.request(method, path.replace("{", "").replace("}", ""))
            assert answer.status == 401, (method, path)


@pytest.mark.parametrize("route", sorted(ROWS), ids=" ".join)
def test_whatever_somebody_changes_has_a_budget(route: Route) -> None:
    """But for ending sessions: nobody is kept from that."""
    policy = ROWS[route]
    if policy.guarded and route[0] not in SAFE_METHODS:
        ends = route[1].startswith("/auth/sessions") or route == (
            "DELETE",
            "/auth/service-tokens/{id}",
        )
        assert policy.paced != ends
