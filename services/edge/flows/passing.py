"""A service that calls on behalf of whoever called it: its own token, and beside it the assertion it received.

The assertion must have been made for that very service by an edge whose key is certified, within its minute,
about somebody who is not revoked. It never lets the service do more than it could alone; where people may call
at all, the person behind it needs what the route asks of people.
"""

from collections.abc import Sequence
from typing import Final

from latchwire.assertions import (
    HEADER,
    LEEWAY_SECONDS,
    MAX_ACTORS,
    MAX_SECONDS,
    USER,
    Assertion,
    read_assertion,
)
from latchwire.claims import Claims
from latchwire.keys import KeyRing
from latchwire.tokens import Refused
from services.edge.domain.assertion import pass_on
from services.edge.domain.decision import Code, Denied, VerifiedToken
from services.edge.domain.identity import encode_headers, identity_headers
from services.edge.domain.original import Fields
from services.edge.domain.rules import (
    PERMISSIONS,
    refuse_old_login,
    refuse_organisation,
    refuse_person,
)
from services.edge.ports import Revocations
from shared.catalogue import Service

FIELD: Final = HEADER.lower().encode("ascii")
CAPACITY: Final = 1_000  # per generation; an assertion lives for a minute


class Passing:
    """Reads what a service passes on; what was verified is remembered, two generations of it.

    *edges* are the certified keys, *issuer* the platform's address.
    """

    def __init__(self, edges: KeyRing, *, issuer: str, revocations: Revocations) -> None:
        self._edges = edges
        self._issuer = issuer
        self._revocations = revocations
        self._young: dict[bytes, tuple[VerifiedToken, VerifiedToken]] = {}
        self._old: dict[bytes, tuple[VerifiedToken, VerifiedToken]] = {}
        self.generation = 0

    @property
    def kids(self) -> frozenset[str]:
        """The names of the certified keys."""
        return self._edges.kids

    def use(self, edges: KeyRing, generation: int) -> None:
        """Believe exactly *edges* from now on; what others signed is forgotten."""
        self._edges, self._young, self._old = edges, {}, {}
        self.generation = generation

    def read(self, caller: VerifiedToken, fields: Fields, now_ms: int) -> VerifiedToken | Denied:
        """*caller*, a service, with the one it calls for; *caller* itself when it calls for nobody."""
        values = fields.get(FIELD, ())
        if not any(values):  # also what an open route gave it: empty, and meant for nobody
            return caller
        found = self._find(caller, values)
        if isinstance(found, Refused):
            return Denied("token_invalid", f"assertion: {found.detail}")
        hit = self._revocations.find(found.fingerprint, now_ms)
        if hit is not None:
            return Denied("token_invalid", f"assertion: revoked, {hit.scope}")
        return _untimely(found, now_ms) or found

    def _find(self, caller: VerifiedToken, values: Sequence[bytes]) -> VerifiedToken | Refused:
        if len(values) != 1:
            return _invalid("more than one")
        known = self._young.get(values[0]) or self._old.get(values[0])
        if known is not None and known[0] is caller:
            return known[1]
        found = self._verify(caller, values[0])
        if isinstance(found, VerifiedToken):
            if len(self._young) >= CAPACITY:
                self._old, self._young = self._young, {}
            self._young[values[0]] = caller, found
        return found

    def _verify(self, caller: VerifiedToken, value: bytes) -> VerifiedToken | Refused:
        received = read_assertion(
            value, self._edges, issuer=self._issuer, audience=caller.claims.service
        )
        if isinstance(received, Refused):
            return received
        if len(received.actors) >= MAX_ACTORS:
            return _invalid("passed on too often")
        return self._joined(caller, received)

    def _joined(self, caller: VerifiedToken, received: Assertion) -> VerifiedToken:
        claims, passed = pass_on(received, caller.claims)
        identity = encode_headers(identity_headers(claims))
        # Under what it was received with: the edge's key and the client of the one it speaks of.
        return VerifiedToken(claims, self._revocations.fingerprint(received), identity, passed)


def refuse_passed(service: Service, claims: Claims, now_ms: int) -> tuple[Code, str] | None:
    """Whether who is behind a service, a person or another service, may not use *service*.

    Where only services may call, nothing more is asked of people than of services: that the organisation told
    of is one of the route's. Or one that is bound to none would open for another what its own bound refuses.
    """
    if not claims.email or USER not in service.token_types:
        return refuse_organisation(service, claims.org)
    refused = refuse_person(
        service, roles=claims.roles, email=claims.email, organisation=claims.org
    )
    if refused is None and not service.permissions.met_by(claims.permissions):
        refused = "not_allowed", PERMISSIONS
    return refused or refuse_old_login(service, claims.auth_time, now_ms)


def _untimely(found: VerifiedToken, now_ms: int) -> Denied | None:
    """Its minute is over, or has not begun. Without leeway at its end: the next one ends with it."""
    if now_ms >= found.passed.exp * 1000:
        return Denied("token_invalid", "assertion: exp")
    begun_ms = (found.passed.exp - MAX_SECONDS - LEEWAY_SECONDS) * 1000
    return Denied("token_invalid", "assertion: from the future") if begun_ms > now_ms else None


def _invalid(detail: str) -> Refused:
    return Refused("token_invalid", detail)
