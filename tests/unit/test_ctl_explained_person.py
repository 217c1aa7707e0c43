"""Why is she refused at that page? Answered by her account and the rule, without a token of hers."""

import pytest

from ctl.explained_person import judge, person_lines
from shared.messages import ExplainedRule, UserAccount, UserState
from shared.messages.people import OrgRoles

ADA = "ada@example.com"
ACME, BETA = "01ACME", "01BETA"


def ada(*roles: str, orgs: dict[str, tuple[str, ...]] | None = None, **more: object) -> UserState:
    """Her account, with roles of the installation and of organisations."""
    held = tuple(OrgRoles(org=o, name=o.lower(), roles=r) for o, r in (orgs or {}).items())
    account = UserAccount(sub="01S", email=ADA, created_at=1, roles=roles, orgs=held)
    return UserState.model_validate({"has_account": True, "account": account, **more})


@pytest.mark.parametrize(
    ("rule", "state", "obstacles", "conditions"),
    [
        ({}, ada(), (), ()),
        ({"public": True, "roles": ("a",)}, ada(), (), ()),
        ({}, ada(blocked=True), ("blocked (`latchwire users unblock`)",), ()),
        ({"roles": ("a", "b")}, ada("b"), (), ()),
        ({"roles": ("a", "b")}, ada("c"), ("has none of the roles a, b",), ()),
        ({"roles": ("a",)}, UserState(), ("has none of the roles a",), ()),
        ({"all_roles": ("a", "b")}, ada("a"), ("lacks b",), ()),
        ({"token_types": ("service",)}, ada(), ("the service takes only services",), ()),
        ({"emails": ("@example.com",)}, ada(), (), ()),
        ({"emails": ("bob@example.com",)}, ada(), ("the address is none of its `emails`",), ()),
        ({"organisations": ("*",)}, ada(), ("is in none of its organisations",), ()),
        (
            {"organisations": (ACME,)},
            ada(orgs={ACME: (), BETA: ()}),
            (),
            (f"the active organisation is {ACME}",),
        ),
        (
            {"roles": ("org:owner",)},
            ada(orgs={ACME: ("owner",), BETA: ("member",)}),
            (),
            (f"the active organisation is {ACME}",),
        ),
        (
            {"roles": ("org:owner",), "organisations": (BETA,)},
            ada(orgs={ACME: ("owner",), BETA: ("member",)}),
            ("has all of that, but in no single organisation",),
            (),
        ),
        (
            {"permissions": ("p.q",), "login_age_ms": 900_000},
            ada(),
            (),
            (
                "a role of theirs has the permissions (roles.yaml): p.q",
                "the login is at most 15 min old",
            ),
        ),
    ],
)
def test_what_stands_in_the_way_is_told_apart_from_what_else_has_to_be_so(
    rule: dict[str, object],
    state: UserState,
    obstacles: tuple[str, ...],
    conditions: tuple[str, ...],
) -> None:
    """As the edge judges a token of this account; what only the token says is a condition."""
    judged = judge(ExplainedRule.model_validate({"service": "x", **rule}), ADA, state)

    assert (judged.obstacles, judged.conditions) == (obstacles, conditions)


def test_the_person_is_described_and_the_address_masked() -> None:
    """No roles are said too: that is most often the reason."""
    rule = ExplainedRule(service="x", path="/x", roles=("a",))

    refused = list(person_lines(rule, ADA, ada(orgs={ACME: ("owner",)}, sessions=1)))
    allowed = list(person_lines(rule, ADA, ada("a")))

    assert refused == [
        "a…@example.com is refused: has none of the roles a.",
        "Person a…@example.com: 1 session, no roles, in 01acme (01ACME) owner.",
    ]
    assert allowed == ["a…@example.com may.", "Person a…@example.com: 0 sessions, roles a."]
