"""What can still be read of a services.yaml with mistakes: what that contradicts is told at the same time."""

import difflib
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from pydantic import ValidationError

from shared.catalogue.document import CatalogueDocument, ServiceDocument

_SOMEWHERE: Final = "http://unread"  # in place of an upstream, which every service has
_KEY: Final = 2  # in the place of a mistake: services, the service's name, its key


def salvage(
    document: Any, mistakes: Iterable[tuple[int | str, ...]]
) -> tuple[dict[str, ServiceDocument], dict[str, frozenset[str]]]:
    """The services without the keys that have one of *mistakes*, and which keys those are.

    A key that nobody knows stands for the one that it looks like. A service whose mistake is in no key is left
    out, and so is one with a key that looks like none: what was meant by it nobody can say.
    """
    written = document.get("services") if isinstance(document, dict) else None
    if not isinstance(written, dict):
        return {}, {}
    broken: dict[str, set[str]] = defaultdict(set)
    unread: dict[str, set[str]] = defaultdict(set)
    lost: set[str] = set()
    for place in mistakes:
        name = str(place[1]) if len(place) > 1 else ""
        meant = _meant(str(place[_KEY])) if len(place) > _KEY else None
        if meant is None:
            lost.add(name)
        else:
            broken[name].add(str(place[_KEY]))
            unread[name].add(meant)
    kept = {
        name: _without(entry, broken.get(name, set()))
        for name, entry in written.items()
        if str(name) not in lost
    }
    try:
        entries = CatalogueDocument.model_validate({"services": kept}).services
    except (
        ValidationError
    ):  # a mistake whose place says less than this understands; it is told in any case
        return {}, {}
    return entries, {name: frozenset(keys) for name, keys in unread.items()}


def _meant(key: str) -> str | None:
    fields = ServiceDocument.model_fields
    return key if key in fields else next(iter(difflib.get_close_matches(key, fields, n=1)), None)


def _without(entry: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    kept = {key: value for key, value in entry.items() if key not in keys}
    return kept | {"upstream": _SOMEWHERE} if "upstream" in keys else kept
