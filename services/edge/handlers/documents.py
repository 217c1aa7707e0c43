"""What the edge does with the operator's documents: other keys, another catalogue, without a restart.

Both are swapped in one step between two checks. What cannot be used is refused and the old one stays.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from latchwire.documents import DocumentError, Documents
from latchwire.keys import KeyRing
from services.edge.domain.routes import RouteTable
from services.edge.flows.check import Checker
from services.edge.flows.tokens import VerifiedTokens
from shared.catalogue import CatalogueError, parse_catalogue
from shared.clock import Clock
from shared.service_tokens import is_of_the_future, read_tokens_body

log = structlog.get_logger()


@dataclass
class _Following:
    """What each document changes."""

    checker: Checker
    tokens: VerifiedTokens
    file: str
    clock: Clock
    on_applied: Callable[[], None]
    on_certified: Callable[[], None]
    judge_again: Callable[[], None] = lambda: None

    def keys(self, body: Mapping[str, Any], generation: int) -> None:
        ring = KeyRing.from_jwks({"keys": body["keys"]})
        self.checker.use_keys(ring, generation)
        log.info("keys.in_force", generation=generation, kids=sorted(ring.kids))
        self.judge_again()  # service tokens may have waited for the key that signs them
        self.on_applied()

    def catalogue(self, text: str, generation: int) -> None:
        try:
            catalogue = parse_catalogue(text)
        except CatalogueError as error:
            raise DocumentError(error.problems[0]) from error
        self.checker.use_routes(RouteTable(catalogue), generation)
        services = len(catalogue.services)
        same = text == self.file
        log.info("catalogue.in_force", generation=generation, services=services, as_file=same)
        self.on_applied()

    def edges(self, body: Mapping[str, Any], generation: int) -> None:
        ring = KeyRing.from_jwks({"keys": body["keys"]})
        self.checker.passing.use(ring, generation)
        self.on_certified()
        log.info("edges.in_force", generation=generation, kids=sorted(ring.kids))
        self.on_applied()

    def service_tokens(self, body: Mapping[str, Any], generation: int, kid: str) -> None:
        if is_of_the_future(generation, self.clock.now_ms()):
            raise DocumentError("a time of the future")
        rows = read_tokens_body(body)
        if rows is None:
            raise DocumentError("body is not service tokens")
        self.checker.use_service_tokens(rows, kid, generation)
        tokens = self.tokens.service_tokens
        log.info("service_tokens.in_force", generation=generation, tokens=tokens)
        self.on_applied()


def follow(
    checker: Checker,
    tokens: VerifiedTokens,
    operators: KeyRing,
    *,
    file: str,
    api_prefix: str,
    clock: Clock,
    on_applied: Callable[[], None],
    on_certified: Callable[[], None] = lambda: None,
) -> Documents:
    """The feed's companion that keeps *checker* current; *on_applied* is called after each change.

    *on_certified* when the operator has said which edges' keys count: this edge's own may be new.

    *file* is the catalogue of the start: where it differs, somebody may believe that it counts.
    """
    following = _Following(checker, tokens, file, clock, on_applied, on_certified)
    documents = Documents(
        operators,
        on_keys=following.keys,
        on_catalogue=following.catalogue,
        on_edges=following.edges,
        on_tokens=following.service_tokens,
        signers=lambda: tokens.ring,
        api_prefix=api_prefix,
    )
    following.judge_again = documents.judge_again
    return documents
