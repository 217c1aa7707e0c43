"""What `catalogue apply --dry-run` says before anything is put in force."""

import pytest

from shared.catalogue import Service, parse_catalogue
from shared.catalogue.changes import Change, changes
from shared.catalogue.openings import openings

OLD = """
services:
  shop: {host: a.b, paths: [/shop], upstream: "http://s:1", public_paths: [/shop/prices]}
  wiki: {host: w.b, upstream: "http://w:1", organisation: "*", max_staleness: 30s}
  gone: {host: g.b, upstream: "http://g:1"}
"""
NEW = """
services:
  new: {host: n.b, upstream: "http://n:1", require_auth: false}
  wiki: {host: w.b, upstream: "http://w:1", login_age: 1h, roles: [x]}
  shop: {host: a.b, paths: [/shop], upstream: "http://s:1", public_paths: [/shop/prices, /shop/x]}
"""
PRICES = "public_paths [/shop/prices] -> [/shop/prices, /shop/x]"


def test_a_rehearsal_names_services_keys_and_what_becomes_open() -> None:
    """By the names in the file, so that whoever reads it finds the line."""
    assert changes(parse_catalogue(OLD), parse_catalogue(NEW)) == (
        Change("added", "new", opened=("n.b/",)),
        Change("changed", "wiki", ("roles", "max_staleness", "organisation", "login_age")),
        Change("changed", "shop", ("public_paths",), ("a.b/shop/x",), (PRICES,)),
        Change("removed", "gone"),
    )


def test_another_order_or_spelling_is_no_change() -> None:
    """What counts is what is decided by."""
    again = "services:\n" + "\n".join(reversed(OLD.strip().splitlines()[1:])).replace("a.b", "A.B")

    assert changes(parse_catalogue(OLD), parse_catalogue(again)) == ()


def test_a_service_that_stops_asking_is_named_as_opened() -> None:
    """The one change nobody wants to make by mistake."""
    closed = "services: {a: {upstream: 'http://a:1'}}"
    opened = "services: {a: {upstream: 'http://a:1', require_auth: false}}"

    (change,) = changes(parse_catalogue(closed), parse_catalogue(opened))
    assert (change.keys, change.opened) == (("require_auth",), ("*/",))
    assert change.widened == ("require_auth true -> false",)


def entry(rules: str) -> Service:
    """The one service that says *rules*."""
    return parse_catalogue(f"services: {{a: {{upstream: 'http://a:1', {rules}}}}}").services[0]


BOTH = "token_types: [user, service], "


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("roles: [admin]", "", "roles [admin] -> none"),
        ("roles: [admin]", "roles: [admin, editor]", "roles [admin] -> [admin, editor]"),
        ("roles: {all: [a, b]}", "roles: {all: [a]}", "roles all of [a, b] -> [a]"),
        ("permissions: [p]", "permissions: [p, q]", "permissions [p] -> [p, q]"),
        ("permissions: {all: [p]}", "", "permissions all of [p] -> none"),
        ("emails: [a@b.c]", "emails: ['@b.c']", "emails [a@b.c] -> [@b.c]"),
        ("emails: [a@b.c]", "", "emails [a@b.c] -> none"),
        ("organisation: o1", "organisation: '*'", "organisation [o1] -> [*]"),
        (BOTH + "callers: [x]", BOTH + "callers: [x, y]", "callers [x] -> [x, y]"),
        ("", BOTH + "callers: [x]", "token_types [user] -> [user, service]"),
        ("login_age: 1h", "", "login_age 3600s -> none"),
        ("login_age: 1h", "login_age: 2h", "login_age 3600s -> 7200s"),
        ("paths: [/a]", "paths: [/a], public_paths: [/a/x]", "public_paths none -> [/a/x]"),
        ("expose_publicly: false", "", "expose_publicly false -> true"),
        ("", "allowed_origins: [https://x.y]", "allowed_origins none -> [https://x.y]"),
        (
            "allowed_origins: [https://x.y]",
            "allowed_origins: [https://x.y], allow_credentials: true",
            "allow_credentials false -> true",
        ),
    ],
)
def test_a_rule_that_lets_more_callers_in_is_told_with_both_values(
    before: str, after: str, said: str
) -> None:
    """And the way back lets nobody in."""
    assert openings(entry(before), entry(after)) == (said,)
    assert openings(entry(after), entry(before)) == ()


def test_another_spelling_or_a_stricter_rule_opens_nothing() -> None:
    """A rehearsal that cries wolf is read by nobody."""
    for before, after in (
        ("roles: [a, b]", "roles: [b, a]"),
        ("roles: [a, b]", "roles: {all: [a]}"),
        ("organisation: '*'", "organisation: o1"),
        ("", "login_age: 1h"),
        (BOTH + "callers: ['*']", BOTH + "callers: [x]"),
        ("require_auth: false", ""),
    ):
        assert openings(entry(before), entry(after)) == ()
