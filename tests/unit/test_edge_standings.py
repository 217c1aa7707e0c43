"""What an edge remembers of a token at a service, and what it asks each time all the same."""

import pytest

from latchwire.claims import build_claims
from latchwire.records import Record
from latchwire.tokens import check_times
from services.edge.domain.decision import VerifiedToken
from services.edge.domain.lifetime import lifetime
from services.edge.domain.routes import RouteTable
from services.edge.flows.standings import standing_of
from shared.catalogue import parse_catalogue
from tests.support.edge import make_desk, request, token
from tests.support.tokens import NOW_MS, POLICY, make_claims

CATALOGUE = """
services:
  demo:
    paths: [/demo]
    upstream: http://127.0.0.1:9100
    roles: [reader]
    login_age: 60s
  patient:
    paths: [/patient]
    upstream: http://127.0.0.1:9101
"""
NOW = NOW_MS // 1000
TIMES: list[dict[str, int]] = [
    {},
    {"auth_time": NOW + 7},
    {"iat": NOW + 9, "iat_ms": NOW_MS + 9_000},
    {"iat_ms": NOW_MS + 999},
    {"sst": NOW_MS + 11_111},
    {"exp": NOW + 1},
    {"exp": NOW + 900},
]


@pytest.mark.parametrize("times", TIMES, ids=str)
def test_the_remembered_lifetime_is_the_one_that_the_sdk_checks(times: dict[str, int]) -> None:
    """To the millisecond, at both ends: in it nothing is refused, outside something is."""
    claims = build_claims(make_claims(**times), "k")
    begins, ends = lifetime(claims, POLICY)

    for now_ms in (begins, begins + 1, ends - 1):
        assert check_times(claims, POLICY, now_ms) is None
    for now_ms in (begins - 1, ends, ends + 1):
        assert check_times(claims, POLICY, now_ms) is not None


def test_time_is_asked_of_a_token_that_was_let_in_a_moment_ago() -> None:
    """Age of the login first, then the token's own end; and a clock that is set back."""
    desk = make_desk(CATALOGUE)
    demo, patient = (request(path, bearer=token()) for path in ("/demo", "/patient"))
    assert (desk.outcome(demo), desk.outcome(patient)) == ("allow", "allow")

    desk.clock.advance(60_001)
    assert (desk.outcome(demo), desk.outcome(patient)) == ("login_too_old", "allow")
    desk.clock.advance(900_000)
    assert (desk.outcome(demo), desk.outcome(patient)) == ("token_expired", "token_expired")
    desk.clock.advance(-1_000_000)
    assert desk.outcome(patient) == "token_invalid"


def test_revocation_and_freshness_are_asked_of_a_token_that_was_let_in_a_moment_ago() -> None:
    """Whatever is remembered of it."""
    desk = make_desk(CATALOGUE)
    demo = request("/demo", bearer=token())
    assert desk.outcome(demo) == "allow"

    desk.revocations.staleness = 11.0
    assert desk.outcome(demo) == "stale"
    desk.revocations.staleness = 0.0
    desk.revocations.revoke("session", make_claims()["sid"], Record(NOW_MS + 86_400_000))
    assert desk.outcome(demo) == "token_revoked"


@pytest.mark.parametrize(
    ("before", "after"), [("reader", "admin"), ("admin", "reader")], ids=["taken", "given"]
)
def test_other_rules_of_the_same_name_count_from_the_next_check(before: str, after: str) -> None:
    """A remembered yes goes with its entry of the catalogue, and a remembered no."""
    changed = {role: CATALOGUE.replace("[reader]", f"[{role}]") for role in (before, after)}
    desk = make_desk(changed[before])
    demo = request("/demo", bearer=token())
    expected = {"reader": "allow", "admin": "not_allowed"}
    assert desk.outcome(demo) == expected[before]

    desk.checker.use_routes(RouteTable(parse_catalogue(changed[after])), 2)

    assert desk.outcome(demo) == expected[after]


def test_two_entries_of_one_name_do_not_push_each_other_out() -> None:
    """While a gateway goes by the earlier one both are asked, and nothing is signed anew each time."""
    desk = make_desk(CATALOGUE)
    found = desk.checker.check_token(token())
    assert isinstance(found, VerifiedToken)
    first, second = (parse_catalogue(CATALOGUE).services[0] for _ in range(2))

    standings = [standing_of(found, service) for service in (first, second, first, second)]

    assert standings[0] is standings[2]
    assert standings[1] is standings[3]
    assert standings[0] is not standings[1]
