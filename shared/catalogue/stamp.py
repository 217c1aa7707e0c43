"""An entry of the catalogue by all that a gateway gets of it: name, place, upstream, and what it meets there.

A check that carries it tells the edge by which entry the gateway calls, past which middlewares and limits, and
which headers it lists. Who may call is not in it: that is the edge's affair, and counts as soon as the edge
knows it.
"""

import json
from dataclasses import asdict, fields
from hashlib import sha256
from typing import Final

from shared.catalogue.service import Service

DIGITS: Final = 16  # hexadecimal; nobody but the operator writes entries, so no collision is sought
# What no gateway gets. Every other key counts, also one that is added here and nowhere else.
OF_THE_EDGE: Final = frozenset(
    {
        "require_auth",
        "public_paths",
        "token_types",
        "roles",
        "permissions",
        "organisations",
        "emails",
        "callers",
        "login_age_seconds",
        "max_staleness_seconds",
    }
)
_OF_BOTH: Final = tuple(field for field in fields(Service) if field.name not in OF_THE_EDGE)


def stamp_of(service: Service) -> str:
    """``<name>.<digest>``: the same for two entries of which a gateway gets the same."""
    # What is not written is left out: an upgrade that knows one key more changes no digest.
    told = {
        field.name: value
        for field in _OF_BOTH
        if (value := getattr(service, field.name)) != field.default
    }
    told["headers"] = [name for name, _ in service.headers]  # which claim they carry is the edge's
    text = json.dumps(told, sort_keys=True, default=asdict)
    return f"{service.name}.{sha256(text.encode('ascii')).hexdigest()[:DIGITS]}"
