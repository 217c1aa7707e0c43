"""Whom an entry of the catalogue lets in that it did not let in before, in words for people.

What is compared are rules, not persons: who has a role is not known here.
"""

from collections.abc import Iterator
from typing import Final

from shared.catalogue.service import ANY, Service

_NONE: Final = "none"


def openings(old: Service, new: Service) -> tuple[str, ...]:
    """What lets more callers in by *new* than by *old*, each as ``key before -> now``.

    Of a service that asks nobody any more only that is told: it says it all.
    """
    return tuple(_openings(old, new))


def _openings(old: Service, new: Service) -> Iterator[str]:
    if new.expose_publicly and not old.expose_publicly:
        yield "expose_publicly false -> true"
    yield from _pages(old, new)
    if not new.require_auth:
        if old.require_auth:
            yield "require_auth true -> false"
        return
    if not old.require_auth:
        return
    if grown := [path for path in new.public_paths if path not in old.public_paths]:
        yield f"public_paths {_list(old.public_paths)} -> {_list((*old.public_paths, *grown))}"
    if set(new.token_types) - set(old.token_types):
        yield f"token_types {_list(old.token_types)} -> {_list(new.token_types)}"
    yield from _names(old, new)
    yield from _age(old, new)


def _pages(old: Service, new: Service) -> Iterator[str]:
    """Pages of other origins act for their visitors."""
    before, now = old.allowed_origins, new.allowed_origins
    if set(now) - set(before) and ANY not in before:
        yield f"allowed_origins {_list(before)} -> {_list(now)}"
    if new.allow_credentials and not old.allow_credentials:
        yield "allow_credentials false -> true"


def _names(old: Service, new: Service) -> Iterator[str]:
    """One name of several is enough: a further one, or none at all, lets more in."""
    one_of = (
        ("roles", old.roles.any, new.roles.any, new.roles.all),
        ("permissions", old.permissions.any, new.permissions.any, new.permissions.all),
        ("emails", old.emails, new.emails, ()),
        ("organisation", old.organisations, new.organisations, ()),
        # Services that could not come at all are told of by token_types.
        ("callers", old.callers, new.callers if "service" in new.token_types else old.callers, ()),
    )
    for key, before, now, wanted in one_of:
        still = set(before) & set(wanted)  # who has not one of them does not have all of those
        further = {name for name in now if not _had(before, name)}
        if before and ANY not in before and not still and (further or not now):
            yield f"{key} {_list(before)} -> {_list(now)}"
    every = (
        ("roles", old.roles.all, new.roles.all),
        ("permissions", old.permissions.all, new.permissions.all),
    )
    for key, before, now in every:
        if set(before) - set(now):
            yield f"{key} all of {_list(before)} -> {_list(now)}"


def _had(before: tuple[str, ...], name: str) -> bool:
    """Also as an address of a domain that was let in as a whole."""
    return name in before or f"@{name.partition('@')[2]}" in before


def _age(old: Service, new: Service) -> Iterator[str]:
    before, now = old.login_age_seconds, new.login_age_seconds
    if before is not None and (now is None or now > before):
        yield f"login_age {before:g}s -> {_NONE if now is None else f'{now:g}s'}"


def _list(names: tuple[str, ...]) -> str:
    return f"[{', '.join(names)}]" if names else _NONE
