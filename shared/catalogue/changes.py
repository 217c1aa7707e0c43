"""What another catalogue changes, for people who are about to put it in force."""

from dataclasses import dataclass, fields
from typing import Final, Literal, TypeAlias

from shared.catalogue.openings import openings
from shared.catalogue.service import Catalogue, Service

# Where a `Service` has another name for what the file says.
_KEYS: Final = {
    "organisations": "organisation",
    "max_staleness_seconds": "max_staleness",
    "login_age_seconds": "login_age",
}
Kind: TypeAlias = Literal["added", "removed", "changed"]


@dataclass(frozen=True)
class Change:
    """A service that is *kind*; *keys* are what differs of a changed one, by their names in the file.

    *opened* are places ("host/path") that everybody may call then and could not before; *widened* says which
    rules let more callers in, each as ``key before -> now``.
    """

    kind: Kind
    service: str
    keys: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()


def changes(old: Catalogue, new: Catalogue) -> tuple[Change, ...]:
    """From *old* to *new*: what is added or changed in the new one's order, then what is removed."""
    before = {service.name: service for service in old.services}
    after = {service.name for service in new.services}
    open_before = {place for service in old.services for place in open_places(service)}
    found = [_change(before.get(service.name), service, open_before) for service in new.services]
    gone = [Change("removed", name) for name in before if name not in after]
    return (*(change for change in found if change is not None), *gone)


def open_places(service: Service) -> tuple[str, ...]:
    """Where nobody is asked for a token: the host (or \"*\" for any) and a prefix."""
    paths = service.public_paths if service.require_auth else service.paths
    return tuple(f"{service.host or '*'}{path}" for path in paths)


def _change(old: Service | None, new: Service, open_before: set[str]) -> Change | None:
    opened = tuple(place for place in open_places(new) if place not in open_before)
    if old is None:
        return Change("added", new.name, opened=opened)
    names = [f.name for f in fields(Service) if getattr(old, f.name) != getattr(new, f.name)]
    keys = tuple(_KEYS.get(name, name) for name in names)
    return Change("changed", new.name, keys, opened, openings(old, new)) if keys else None
