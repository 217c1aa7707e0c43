"""What `catalogue apply --dry-run` says before anything is put in force."""

from shared.catalogue import parse_catalogue
from shared.catalogue.changes import Change, changes

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


def test_a_rehearsal_names_services_keys_and_what_becomes_open() -> None:
    """By the names in the file, so that whoever reads it finds the line."""
    assert changes(parse_catalogue(OLD), parse_catalogue(NEW)) == (
        Change("added", "new", opened=("n.b/",)),
        Change("changed", "wiki", ("roles", "max_staleness", "organisation", "login_age")),
        Change("changed", "shop", ("public_paths",), ("a.b/shop/x",)),
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
