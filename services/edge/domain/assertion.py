"""What an assertion says (`latchwire.assertions`), and the next one when a service passes a caller on."""

import json
from dataclasses import dataclass, replace
from typing import Any, Final

from latchwire.assertions import MAX_SECONDS, SERVICE, USER, Assertion
from latchwire.claims import Claims


@dataclass(frozen=True, slots=True)
class Passed:
    """On whose behalf a service calls: *actors*, the last one first, and *exp*, which no later one outlives.

    *caller_sid* is the session of the service's own token: the claims beside this have the subject's.
    """

    actors: tuple[str, ...]
    exp: int
    caller_sid: str = ""


NOT_PASSED: Final = Passed((), 0)


def pass_on(received: Assertion, caller: Claims) -> tuple[Claims, Passed]:
    """The claims of *received*'s subject as *caller*, a service, brings them along.

    They can do what both can: the permissions are those that both have. The session stays the subject's, so
    that ending it ends this too.
    """
    claims = replace(
        caller,
        sub=received.sub,
        email=received.email,
        roles=received.roles,
        org=received.org,
        permissions=tuple(p for p in caller.permissions if p in received.permissions),
        sid=received.sid,
        jti=received.jti,
        amr=received.amr,
        auth_time=received.auth_time,
        iat_ms=received.iat_ms,
        sst=received.sst,
    )
    actors = (caller.service, *received.actors)
    return claims, Passed(actors, received.exp, caller.sid)


def payload_of(claims: Claims, passed: Passed, *, audience: str, issuer: str, now: int) -> bytes:
    """The payload of an assertion made at *now* (Unix seconds) for the service *audience*."""
    members: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "sub": claims.sub,
        "email": claims.email,
        "roles": claims.roles,
        "org": claims.org,
        "permissions": claims.permissions,
        "sid": claims.sid,
        "client_id": claims.client_id,
        "service": claims.service,
        "token_type": SERVICE if claims.service else USER,
        "amr": claims.amr,
        "auth_time": claims.auth_time,
        "iat_ms": claims.iat_ms,
        "sst": claims.sst,
        "iat": now,
        "exp": passed.exp or now + MAX_SECONDS,
        "jti": claims.jti,
    }
    if passed.actors:
        members["act"] = _chain(passed.actors)
    return json.dumps(members, separators=(",", ":")).encode("ascii")


def _chain(actors: tuple[str, ...]) -> dict[str, Any]:
    first, rest = actors[0], actors[1:]
    return {"sub": first, "act": _chain(rest)} if rest else {"sub": first}
