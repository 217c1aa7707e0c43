"""A gateway that still routes by an earlier catalogue: its upstream is opened by no rule for another one."""

from dataclasses import dataclass

import pytest

from services.edge.domain.decision import Allowed
from services.edge.domain.routes import RouteTable
from services.edge.flows.routing import EARLIER
from shared.catalogue import Catalogue, parse_catalogue, stamp_of
from tests.support.edge import Desk, make_desk, request, token
from tests.support.tokens import NOW_MS

OLD, NEW = "http://old:1", "http://new:1"
AUTH_TIME = NOW_MS // 1000 - 7_200  # two hours ago
BEARER = token(roles=["clerk"], auth_time=AUTH_TIME)


def catalogue(*keys: str, upstream: str = OLD, paths: str = "[/]") -> Catalogue:
    """One service, with *keys* of its own."""
    lines = [f"paths: {paths}", f"upstream: {upstream}", *keys]
    return parse_catalogue("services:\n  app:\n" + "".join(f"    {line}\n" for line in lines))


@dataclass
class Edge:
    """A desk that is told one catalogue after the other."""

    desk: Desk
    generation: int = 0

    def apply(self, found: Catalogue) -> str:
        """Decide by *found*; the stamp with which a gateway that goes by it asks."""
        self.generation += 1
        self.desk.checker.use_routes(RouteTable(found), self.generation)
        return stamp_of(found.services[0])

    def ask(self, chosen: str, uri: str = "/x", *, known: bool = False, **more: str) -> str:
        """With or without a token."""
        fields = request(uri, bearer=BEARER if known else None, **more)  # type: ignore[arg-type]
        return self.desk.outcome(fields, chosen)


@pytest.fixture
def edge() -> Edge:
    return Edge(make_desk())


OPEN = "require_auth: false"
NEITHER_ALONE = [
    # the entry before, the entry in force -> a stranger, somebody with a token, at the OLD upstream
    ((), (OPEN,), "no_credentials", "allow"),
    ((OPEN,), (), "no_credentials", "allow"),
    ((OPEN,), (OPEN,), "allow", "allow"),
    ((), ("public_paths: [/x]",), "no_credentials", "allow"),
    (("public_paths: [/x]",), ("public_paths: [/x/y]",), "no_credentials", "allow"),
    (("roles: [admin]",), (OPEN,), "no_credentials", "not_allowed"),
    (("roles: [admin]",), (), "no_credentials", "not_allowed"),
    ((), ("roles: [admin]",), "no_credentials", "not_allowed"),
    (("roles: [clerk]",), ("roles: [clerk, admin]",), "no_credentials", "allow"),
    (("emails: [eve@example.com]",), (), "no_credentials", "not_allowed"),
    (('organisation: "*"',), (), "no_credentials", "not_allowed"),
    (("permissions: [a.b]",), (), "no_credentials", "not_allowed"),
    (("login_age: 1h",), (), "no_credentials", "login_too_old"),
    (("token_types: [service]", 'callers: ["*"]'), (), "no_credentials", "wrong_token_type"),
    (("expose_publicly: false",), (), "no_credentials", "allow"),  # called from inside
    ((), ("expose_publicly: false",), "not_exposed", "not_exposed"),  # called from outside
]


@pytest.mark.parametrize(("before", "now", "stranger", "known"), NEITHER_ALONE)
def test_the_upstream_of_an_earlier_entry_is_opened_only_by_both_entries(
    edge: Edge, before: tuple[str, ...], now: tuple[str, ...], stranger: str, known: str
) -> None:
    """However lenient the one of them is. Who calls the new upstream is judged by the new entry alone."""
    old = edge.apply(catalogue(*before))
    new = edge.apply(catalogue(*now, upstream=NEW))
    alone = Edge(make_desk())
    alone.apply(catalogue(*now, upstream=NEW))

    assert (edge.ask(old), edge.ask(old, known=True)) == (stranger, known)
    assert [edge.ask(new), edge.ask(new, known=True)] == [
        alone.ask(new),
        alone.ask(new, known=True),
    ]


def test_an_earlier_upstream_hears_what_its_own_entry_says(edge: Edge) -> None:
    """It expects to know who comes, and the new entry, which asks nobody, would tell it of nobody."""
    old = edge.apply(catalogue("headers: { X-Who: sub }"))
    edge.apply(catalogue(OPEN, upstream=NEW))

    decision = edge.desk.check(request("/x", bearer=BEARER), old)

    assert isinstance(decision, Allowed)
    assert decision.token is not None
    assert decision.route.stamp == old
    assert decision.route.service.headers == (("X-Who", "sub"),)


def test_a_preflight_needs_both_entries_too(edge: Edge) -> None:
    """The origin of the new entry asks the old upstream."""
    page = 'allowed_origins: ["https://a.example"]'
    old = edge.apply(catalogue())
    new = edge.apply(catalogue(page, upstream=NEW))
    asked = {"origin": "https://a.example", "access_control_request_method": "POST"}

    assert edge.ask(new, method="OPTIONS", **asked) == "allow"
    assert edge.ask(old, method="OPTIONS", **asked) == "preflight_refused"


@pytest.mark.parametrize(
    ("before", "now"), [("30s", "5s"), ("5s", "30s")], ids=["tightened", "loosened"]
)
def test_the_shorter_patience_counts(edge: Edge, before: str, now: str) -> None:
    """Ten seconds without proof are too long for one of the two."""
    old = edge.apply(catalogue(f"max_staleness: {before}"))
    edge.apply(catalogue(f"max_staleness: {now}", upstream=NEW))
    edge.desk.revocations.staleness = 10.0

    assert edge.ask(old, known=True) == "stale"


SHIELDS = [
    "middlewares: [office-only@file]",
    "rate_limit: strict",
    "security_headers: false",
    "content_security_policy: upstream",
    'allowed_origins: ["https://a.example"]',
]


@pytest.mark.parametrize("shield", SHIELDS)
def test_an_opening_that_comes_with_a_shield_waits_for_the_gateway_to_have_it(
    edge: Edge, shield: str
) -> None:
    """For the same upstream: who still routes by the entry before neither limits nor asks the office."""
    bare = edge.apply(catalogue())
    shielded = edge.apply(catalogue(OPEN, shield))

    assert [edge.ask(bare), edge.ask(bare, known=True)] == ["no_credentials", "allow"]
    assert edge.ask(shielded) == "allow"


TENANT, MORE = "headers: { X-Tenant: org }", "headers: { X-Tenant: org, X-More: sub }"
HEADERS = [
    # before -> in force: what somebody hears who is asked for by the gateway of before
    ((), (TENANT,), "stale"),
    ((TENANT,), (MORE,), "stale"),
    ((TENANT, OPEN), (MORE, OPEN), "stale"),
    ((MORE,), (TENANT,), "allow"),
    ((TENANT,), (), "allow"),
    ((TENANT,), ("headers: { X-TENANT: org }",), "allow"),  # one name, for whoever lists it
    ((TENANT,), ("headers: { X-Tenant: sub }",), "allow"),
]


@pytest.mark.parametrize(("before", "now", "outcome"), HEADERS)
def test_a_header_is_not_the_clients_until_the_gateway_knows_of_it(
    edge: Edge, before: tuple[str, ...], now: tuple[str, ...], outcome: str
) -> None:
    """A gateway deletes the names that it lists: one that it does not, the service would believe."""
    old = edge.apply(catalogue(*before))
    new = edge.apply(catalogue(*now))

    assert edge.ask(old, known=True) == outcome
    assert edge.ask(new, known=True) == "allow"


def test_a_change_of_who_may_call_counts_at_once_for_the_same_upstream(edge: Edge) -> None:
    """The stamp is of what the gateway gets: who may call is the edge's."""
    before = edge.apply(catalogue())
    assert edge.apply(catalogue(OPEN)) == before
    assert edge.ask(before) == "allow"


def test_the_last_entry_with_the_stamp_counts(edge: Edge) -> None:
    """The operator tightened the old upstream's rule before moving away."""
    old = edge.apply(catalogue(OPEN))
    edge.apply(catalogue())
    edge.apply(catalogue(OPEN, upstream=NEW))

    assert edge.ask(old) == "no_credentials"


def test_a_path_that_the_earlier_entry_did_not_have_is_another_services(edge: Edge) -> None:
    """The gateway would not have chosen this one for it: two readings of one request."""
    old = edge.apply(catalogue(paths="[/x]"))
    edge.apply(catalogue(OPEN, upstream=NEW))

    assert edge.ask(old, "/y", known=True) == "wrong_service"
    assert edge.ask(old, "/x") == "no_credentials"


def test_what_both_entries_say_is_read_anew_with_each_catalogue(edge: Edge) -> None:
    """The answer for a gateway that is behind is remembered no longer than the one for the others."""
    old = edge.apply(catalogue(OPEN))
    edge.apply(catalogue(OPEN, upstream=NEW))
    assert [edge.ask(old), edge.ask(old)] == ["allow", "allow"]
    edge.apply(catalogue(upstream=NEW))

    assert edge.ask(old) == "no_credentials"


def test_an_entry_that_is_gone_is_refused(edge: Edge) -> None:
    """And where the edge itself may be behind, having just started, the gateway is to ask again."""
    gone = edge.apply(catalogue())
    edge.apply(parse_catalogue(f"services: {{other: {{paths: [/], upstream: '{NEW}'}}}}"))

    assert edge.ask(gone, known=True) == "wrong_service"
    edge.desk.revocations.staleness = 60.0
    assert edge.ask(gone, known=True) == "stale"
    assert edge.ask("app", known=True) == "wrong_service"  # who names no entry is as before


def test_no_entry_is_kept_of_a_service_that_is_gone(edge: Edge) -> None:
    """Services for a day would fill the memory; one of that name that comes later is another one."""
    gone = edge.apply(catalogue())
    edge.apply(parse_catalogue(f"services: {{other: {{paths: [/], upstream: '{NEW}'}}}}"))
    edge.apply(catalogue(upstream=NEW))

    assert edge.ask(gone, known=True) == "stale"


@pytest.mark.parametrize("digest", ["0" * 16, "5bee611197f1b5cc"], ids=["none", "of a past format"])
def test_an_entry_of_a_known_service_that_nobody_knows_is_for_later(
    edge: Edge, digest: str
) -> None:
    """503, not 403: gateway and edge will agree, and until then nobody is told that they may not."""
    own = edge.apply(catalogue())

    assert [edge.ask(f"app.{digest}"), edge.ask(f"app.{digest}", known=True)] == ["stale"] * 2
    assert edge.ask(own, known=True) == "allow"


def test_entries_are_kept_for_as_long_as_a_gateway_may_be_behind(edge: Edge) -> None:
    """The last ones of each service, however often others changed; not for ever."""
    old = edge.apply(catalogue())
    for number in range(EARLIER):
        edge.apply(catalogue(upstream=f"http://new:{number + 1}"))
        assert edge.ask(old, known=True) == "allow"
    edge.apply(catalogue(upstream=NEW))

    assert edge.ask(old, known=True) == "stale"


def test_an_entry_that_was_put_back_is_among_the_last_ones(edge: Edge) -> None:
    """It is as young as when it was last in force."""
    old = edge.apply(catalogue())
    for upstream in (
        "http://between:1",
        OLD,
        *(f"http://new:{number + 1}" for number in range(EARLIER)),
    ):
        edge.apply(catalogue(upstream=upstream))

    assert edge.ask(old, known=True) == "allow"


def test_two_gateways_that_are_behind_are_each_judged_by_their_own_entry(edge: Edge) -> None:
    """What was answered to the one is not remembered for the other."""
    first = edge.apply(catalogue(OPEN))
    second = edge.apply(catalogue(upstream="http://between:1"))
    edge.apply(catalogue(OPEN, upstream=NEW))

    asked = [edge.ask(stamp) for stamp in (first, second, first, second)]
    assert asked == ["allow", "no_credentials"] * 2


def test_who_changes_other_services_pushes_no_entry_out(edge: Edge) -> None:
    """Three times as many catalogues as entries are kept."""
    old = edge.apply(catalogue())
    for number in range(3 * EARLIER):
        text = f"app: {{paths: [/], upstream: '{NEW}'}}, n: {{paths: [/n], upstream: 'http://n:{number + 1}'}}"
        edge.apply(parse_catalogue(f"services: {{{text}}}"))

    assert [edge.ask(old), edge.ask(old, known=True)] == ["no_credentials", "allow"]


def test_a_check_that_names_the_service_alone_is_judged_by_the_catalogue_in_force(
    edge: Edge,
) -> None:
    """An operator's own configuration: a new upstream and an opening are two steps there (SECURITY.md)."""
    edge.apply(catalogue())
    edge.apply(catalogue(OPEN, upstream=NEW))

    assert edge.ask("app") == "allow"
