"""An entry of the catalogue by what a gateway goes by when it calls the service: its name, place and upstream.

A check that carries it tells the edge whose upstream the gateway is about to call. Who may call is not in it:
that is the edge's affair, and counts from the moment the edge knows it.
"""

import json
from hashlib import sha256
from typing import Final

from shared.catalogue.service import Service

DIGITS: Final = 16  # hexadecimal; nobody but the operator writes entries, so no collision is sought


def stamp_of(service: Service) -> str:
    """``<name>.<digest>``: the same for two entries that a gateway routes alike."""
    routed = (
        service.name,
        service.host,
        service.paths,
        service.upstream,
        service.expose_publicly,
    )
    return f"{service.name}.{sha256(json.dumps(routed).encode('ascii')).hexdigest()[:DIGITS]}"
