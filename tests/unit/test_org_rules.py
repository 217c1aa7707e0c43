"""Who may do what in an organisation, as tables; and what an organisation may be called."""

from itertools import chain, combinations, product

import pytest

from services.auth.domain.org import (
    OrgRefusal,
    Seats,
    judge_invitation,
    judge_permission,
    judge_removal,
    judge_roles,
    name_problem,
)
from services.auth.domain.roles import DEFAULT, DELETE, OWNER, SEE_MEMBERS, RoleTable

OWNERS, ADMIN, MEMBER, NONE = ("owner",), ("admin",), ("member",), ()
BILLING = ("billing",)
TABLE = RoleTable(
    {**DEFAULT.organisation, "owner": DEFAULT.organisation["owner"] | {"invoices.pay"},
     "billing": frozenset({"invoices.pay"})},
    {},
)  # fmt: skip


@pytest.mark.parametrize(
    ("actor", "target", "others", "wanted", "expected"),
    [
        # Owners grant everything.
        (OWNERS, MEMBER, 1, OWNERS, None),
        (OWNERS, MEMBER, 1, BILLING, None),
        (OWNERS, NONE, 1, ("admin", "billing"), None),
        (OWNERS, OWNERS, 1, MEMBER, None),
        # The last owner stays one, whoever asks.
        (OWNERS, OWNERS, 0, MEMBER, "last_owner"),
        (OWNERS, OWNERS, 0, NONE, "last_owner"),
        (OWNERS, OWNERS, 0, ("admin", "owner"), None),
        # Admins: up to their own, in both directions, and never for themselves.
        (ADMIN, MEMBER, 1, ADMIN, None),
        (ADMIN, ADMIN, 1, MEMBER, None),
        (ADMIN, MEMBER, 1, OWNERS, "beyond_own_roles"),
        (ADMIN, ADMIN, 1, ("admin", "owner"), "beyond_own_roles"),
        (ADMIN, ADMIN, 1, ("admin", "billing"), "beyond_own_roles"),
        (ADMIN, OWNERS, 2, MEMBER, "beyond_own_roles"),
        (ADMIN, ("owner", "member"), 2, OWNERS, None),
        (ADMIN, BILLING, 1, NONE, "beyond_own_roles"),
        # Who may set no roles sets none, his own neither.
        (MEMBER, MEMBER, 1, NONE, "not_permitted"),
        (MEMBER, MEMBER, 1, OWNERS, "not_permitted"),
        (BILLING, MEMBER, 1, MEMBER, "not_permitted"),
        (NONE, MEMBER, 1, MEMBER, "not_permitted"),
        # What the store has and the table does not know grants nothing.
        (("root",), MEMBER, 1, MEMBER, "not_permitted"),
        (("Owner", "owner "), MEMBER, 1, MEMBER, "not_permitted"),
        (ADMIN, ("root",), 1, MEMBER, None),
        # What is asked for must be a role.
        (OWNERS, MEMBER, 1, ("root",), "unknown_role"),
        (OWNERS, MEMBER, 1, ("Owner",), "unknown_role"),
        (OWNERS, MEMBER, 1, ("org:owner",), "unknown_role"),
        (OWNERS, ("root",), 1, ("root",), "unknown_role"),
        # Nobody learns what is in an organisation that is not his.
        (None, MEMBER, 1, MEMBER, "no_such_org"),
        (None, None, 0, OWNERS, "no_such_org"),
        (OWNERS, None, 1, MEMBER, "no_such_member"),
    ],
)
def test_nobody_grants_or_takes_beyond_his_own_roles(
    actor: tuple[str, ...] | None,
    target: tuple[str, ...] | None,
    others: int,
    wanted: tuple[str, ...],
    expected: OrgRefusal | None,
) -> None:
    """What every asker may make of everybody's roles."""
    assert judge_roles(TABLE, Seats(actor, target, others), wanted) == expected


SETS = tuple(chain.from_iterable(combinations(TABLE.organisation, n) for n in range(5)))


@pytest.mark.parametrize("actor", SETS)
def test_no_change_that_is_allowed_gives_a_permission_that_its_maker_has_not(
    actor: tuple[str, ...],
) -> None:
    """Over all sets of roles of both, the maker himself included."""
    own = TABLE.org_permissions(actor)
    for target, wanted in product((*SETS, actor), SETS):
        if judge_roles(TABLE, Seats(actor, target, 3), wanted) is None:
            before, after = TABLE.org_permissions(target), TABLE.org_permissions(wanted)
            assert after - before <= own
            assert set(target) - set(wanted) == {
                r for r in set(target) - set(wanted) if TABLE.organisation[r] <= own
            }


@pytest.mark.parametrize(
    ("actor", "target", "others", "oneself", "expected"),
    [
        (OWNERS, MEMBER, 1, False, None),
        (OWNERS, OWNERS, 1, False, None),
        (ADMIN, MEMBER, 1, False, None),
        (ADMIN, ADMIN, 1, False, None),
        (ADMIN, OWNERS, 2, False, "beyond_own_roles"),
        (ADMIN, BILLING, 1, False, "beyond_own_roles"),
        (MEMBER, MEMBER, 1, False, "not_permitted"),
        (("root",), MEMBER, 1, False, "not_permitted"),
        (OWNERS, None, 1, False, "no_such_member"),
        (None, MEMBER, 1, False, "no_such_org"),
        (MEMBER, MEMBER, 1, True, None),
        (NONE, NONE, 1, True, None),
        (OWNERS, OWNERS, 1, True, None),
        (OWNERS, OWNERS, 0, True, "last_owner"),
        (None, None, 0, True, "no_such_org"),
    ],
)
def test_everybody_may_leave_but_the_last_owner(
    actor: tuple[str, ...] | None,
    target: tuple[str, ...] | None,
    others: int,
    oneself: bool,
    expected: OrgRefusal | None,
) -> None:
    """Removal and leaving."""
    assert judge_removal(TABLE, Seats(actor, target, others), oneself=oneself) == expected


@pytest.mark.parametrize(
    ("actor", "roles", "expected"),
    [
        (OWNERS, OWNERS, None),
        (ADMIN, ADMIN, None),
        (ADMIN, OWNERS, "beyond_own_roles"),
        (ADMIN, BILLING, "beyond_own_roles"),
        (MEMBER, MEMBER, "not_permitted"),
        (ADMIN, ("Member",), "unknown_role"),
        (None, MEMBER, "no_such_org"),
    ],
)
def test_an_invitation_offers_no_more_than_its_maker_has(
    actor: tuple[str, ...] | None, roles: tuple[str, ...], expected: OrgRefusal | None
) -> None:
    """Judged when it is made, and again when it is accepted."""
    assert judge_invitation(TABLE, Seats(actor, None, 1), roles) == expected


def test_a_permission_is_asked_of_members_only() -> None:
    """No member: not there. A member without it: refused."""
    assert judge_permission(TABLE, Seats(None, None, 1), SEE_MEMBERS) == "no_such_org"
    assert judge_permission(TABLE, Seats(ADMIN, None, 1), DELETE) == "not_permitted"
    assert judge_permission(TABLE, Seats((OWNER,), None, 0), DELETE) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Acme", None),
        ("Müller & Söhne GmbH", None),
        ("日本電気株式会社", None),
        ("O'Reilly, Inc.", None),
        ("Team 3.", None),
        ("x" * 64, None),
        ("", "empty"),
        ("x" * 65, "too_long"),
        (" Acme", "spaces"),
        ("Acme  Ltd", "spaces"),
        ("Acme\u00a0Ltd", "spaces"),
        ("Acme\nBcc: x", "control"),
        ("Acme\r", "control"),
        ("Acme\x00", "control"),
        ("Acme\x85", "control"),
        ("Acme\u2028", "control"),
        ("\u202egpj.emcA", "control"),
        ("Ac\u200bme", "control"),
        ("Acme\ue000", "control"),
        ("Acme\ud800", "control"),
        ("https://evil.example", "link"),
        ("evil.com", "link"),
        ("Acme: evil.com says", "link"),
        ("www evil", None),
        ("WWW.evil", "link"),
        ("evil/login", "link"),
        ("evil\\login", "link"),
        ("a@evil", "link"),
        ("mailto:eve", "link"),
        ("evil\uff0ecom", "link"),
        ("evil\u2024com", "link"),
        ("evil\uff0flogin", "link"),
        ("eve\uff20evil", "link"),
        ("evil\u3002com", "link"),
        ("пример.рф", "link"),
    ],
)
def test_a_name_is_plain_text_that_no_mail_program_links(name: str, problem: str | None) -> None:
    """It stands in mails that strangers get."""
    assert name_problem(name) == problem
