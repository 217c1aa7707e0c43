"""``services.yaml``: which service answers where, and who may call it. What is not here is refused.

`deploy/proxies/services.yaml` is the example with every key. Exact host before any host, then the longest
prefix. A rule whose reading could differ between two readers is refused, with its line and the cure.
"""

from shared.catalogue.contradictions import is_local, is_under
from shared.catalogue.document import CatalogueDocument, ServiceDocument
from shared.catalogue.headers import IDENTITY_HEADERS
from shared.catalogue.reading import (
    MAX_BYTES,
    CatalogueError,
    load_catalogue,
    parse_catalogue,
    read_text,
)
from shared.catalogue.schema import schema
from shared.catalogue.service import (
    ANY,
    NOTHING,
    Catalogue,
    Needs,
    RateLimit,
    Service,
    TokenType,
)
from shared.catalogue.stamp import stamp_of

__all__ = [
    "ANY",
    "IDENTITY_HEADERS",
    "MAX_BYTES",
    "NOTHING",
    "Catalogue",
    "CatalogueDocument",
    "CatalogueError",
    "Needs",
    "RateLimit",
    "Service",
    "ServiceDocument",
    "TokenType",
    "is_local",
    "is_under",
    "load_catalogue",
    "parse_catalogue",
    "read_text",
    "schema",
    "stamp_of",
]
