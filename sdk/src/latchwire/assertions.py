"""Assertions: what an edge says to one service about who calls it, in ``X-Latchwire-Assertion``.

A JWT by the edge's own key: header exactly ``{alg: EdDSA, typ: latchwire-assertion+jwt, kid}``, ``iss`` the
platform's address, ``aud`` the service's name in the catalogue, good for a minute. A service that asks for one
can only be reached through the gateway: whoever comes around it has none, and one for another service names
that one. The edges' public keys are those of ``/.well-known/edges/jwks.json``, never the access tokens'.

``iat``, ``exp`` and ``auth_time`` are Unix seconds; ``iat_ms`` and ``sst`` are the token's (Unix ms).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from latchwire._strict import decode_base64url, parse_json_object
from latchwire.blocklist import Fingerprint
from latchwire.claims import MILLISECONDS, SECONDS
from latchwire.feed import Feed
from latchwire.keys import KeyRing, VerificationKey
from latchwire.tokens import Refused

HEADER: Final = "X-Latchwire-Assertion"
TYPE: Final = "latchwire-assertion+jwt"
USER: Final = "user"
SERVICE: Final = "service"
MAX_BYTES: Final = 8_192
MAX_SECONDS: Final = 60
LEEWAY_SECONDS: Final = 5  # for clocks
MAX_ACTORS: Final = 4
CAPACITY: Final = 10_000  # assertions remembered per generation; about 2 kB each

STALE: Final = Refused("stale", "feed")
_HEADER_MEMBERS: Final = frozenset({"alg", "typ", "kid"})
_MAX_TEXT: Final = 255
_MAX_NAMES: Final = 64


@dataclass(frozen=True, slots=True)
class Assertion:
    """Who calls. ``""`` and ``()`` stand where there is nothing to say.

    *sub* is a person, or the service itself where nobody stands behind it. *service* is the service that
    sends the request, "" when a person does, and *token_type* says the same (``service``, ``user``). *actors*
    are the services that passed *sub* on, the last one first (``act``, RFC 8693 §4.1). *permissions* are those
    that *sub* and every service in between have. *kid* is the edge's key, ``EDGE.HEX``.
    """

    iss: str
    aud: str
    sub: str
    email: str
    roles: tuple[str, ...]
    org: str
    permissions: tuple[str, ...]
    sid: str
    client_id: str
    service: str
    token_type: str
    amr: tuple[str, ...]
    auth_time: int
    iat_ms: int
    sst: int
    iat: int
    exp: int
    jti: str
    kid: str
    actors: tuple[str, ...] = ()

    @property
    def is_person(self) -> bool:
        """Whether *sub* is a person, who calls or was passed on."""
        return bool(self.email)


def read_assertion(
    token: bytes, edges: KeyRing, *, issuer: str, audience: str
) -> Assertion | Refused:
    """Everything but the clock and the blocklist. Raises nothing, whatever the bytes.

    The answer does not change while *edges* do not, so it may be remembered.
    """
    segments = token.split(b".") if len(token) <= MAX_BYTES else []
    if len(segments) != 3 or not all(segments):
        return _invalid("not three segments of at most 8 kB")
    header, payload, signature = map(decode_base64url, segments)
    if header is None or payload is None or signature is None:
        return _invalid("not canonical base64url")
    key = _find_key(header, edges)
    if isinstance(key, Refused):
        return key
    if not key.verifies(signature, token[: token.rindex(b".")]):
        return _invalid("signature")
    return _read_claims(payload, key.kid, issuer, audience)


def check_assertion_times(assertion: Assertion, now_ms: int) -> Refused | None:
    """Refuse what has run out, or comes from the future, at *now_ms* (Unix ms)."""
    leeway_ms = LEEWAY_SECONDS * 1000
    if now_ms >= assertion.exp * 1000 + leeway_ms:
        return Refused("token_expired", "exp")
    return _invalid("issued in the future") if assertion.iat * 1000 > now_ms + leeway_ms else None


class AssertionVerifier:
    """Says who calls *audience*, this service, or why that cannot be believed; waits for nothing.

    *keys* are the edges'; nothing is fetched here. When they change, give the new ones to `replace_keys`.
    With a *feed* a session, person, service or edge that was revoked within the last minute is refused too, and
    everybody while nobody can tell; without one an assertion holds for its minute. *now_ms*: the wall clock.
    """

    def __init__(
        self,
        keys: KeyRing,
        issuer: str,
        audience: str,
        feed: Feed | None = None,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        capacity: int = CAPACITY,
    ) -> None:
        if not issuer or not audience:
            raise ValueError("issuer and audience must be given")
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._feed = feed
        self._now_ms = now_ms
        self._capacity = capacity
        self._young: dict[bytes, tuple[Assertion, Fingerprint | None]] = {}
        self._old: dict[bytes, tuple[Assertion, Fingerprint | None]] = {}

    def attach(self, feed: Feed) -> None:
        """Ask *feed* from now on."""
        self._feed = feed
        self._young, self._old = {}, {}  # with fingerprints for another list

    def replace_keys(self, keys: KeyRing) -> None:
        """Accept exactly *keys* from now on; what others signed is refused at once."""
        self._keys = keys
        self._young, self._old = {}, {}

    def verify(self, token: bytes | str) -> Assertion | Refused:
        """Who calls, or why not. Never raises, whatever the bytes.

        Codes: ``token_invalid``, ``token_expired``, ``token_revoked``, ``stale``.
        """
        feed = self._feed
        if feed is not None and feed.is_stale():
            return STALE
        known = self._genuine(
            token if isinstance(token, bytes) else token.encode("utf-8", "replace")
        )
        if isinstance(known, Refused):
            return known
        assertion, fingerprint = known
        now_ms = self._now_ms()
        refused = check_assertion_times(assertion, now_ms)
        if refused is None and feed is not None and fingerprint is not None:
            hit = feed.blocklist.find(fingerprint, now_ms)
            refused = None if hit is None else Refused("token_revoked", hit.scope)
        return refused or assertion

    def _genuine(self, token: bytes) -> tuple[Assertion, Fingerprint | None] | Refused:
        known = self._young.get(token) or self._old.get(token)
        if known is not None:
            return known
        assertion = read_assertion(token, self._keys, issuer=self._issuer, audience=self._audience)
        if isinstance(assertion, Refused):
            return assertion
        feed = self._feed
        found = assertion, None if feed is None else feed.blocklist.fingerprint(assertion)
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}
        self._young[token] = found
        return found


def _invalid(detail: str) -> Refused:
    return Refused("token_invalid", detail)


def _find_key(header: bytes, edges: KeyRing) -> VerificationKey | Refused:
    members = parse_json_object(header)
    if members is None or members.keys() != _HEADER_MEMBERS:
        return _invalid("header is not exactly alg, typ and kid")
    if members["typ"] != TYPE:
        return _invalid("typ")
    kid = members["kid"]
    key = edges.find(kid) if isinstance(kid, str) else None
    if key is None:
        return _invalid("kid unknown")
    return key if members["alg"] == key.alg == "EdDSA" else _invalid("alg is not EdDSA")


def _read_claims(payload: bytes, kid: str, issuer: str, audience: str) -> Assertion | Refused:
    members = parse_json_object(payload)
    if members is None:
        return _invalid("payload is not one JSON object")
    actors = _actors(members.pop("act", None))
    bad = next((n for n, good in _CLAIMS.items() if n not in members or not good(members[n])), None)
    if bad is not None or actors is None:
        return _invalid(bad or "act")
    if members["iss"] != issuer or members["aud"] != audience:
        return _invalid("iss is another" if members["iss"] != issuer else "aud is another")
    if not 0 < members["exp"] - members["iat"] <= MAX_SECONDS:
        return _invalid("lifetime above the ceiling")
    values: dict[str, Any] = {n: tuple(members[n]) if n in _LISTS else members[n] for n in _CLAIMS}
    return _consistent(Assertion(**values, kid=kid, actors=actors))


def _consistent(found: Assertion) -> Assertion | Refused:
    """A person has an address; a service that calls says so twice, and stands last among the actors."""
    if found.token_type != (SERVICE if found.service else USER):
        return _invalid("service")
    if found.is_person:
        sender = found.actors[0] if found.actors else ""
        return found if found.service == sender else _invalid("act")
    if found.roles or not found.service:
        return _invalid("email")
    return found if found.service == (found.actors or (found.sub,))[0] else _invalid("act")


def _actors(act: Any) -> tuple[str, ...] | None:
    """The names in a chain of ``act``; None when it is not one."""
    found: list[str] = []
    while act is not None:
        if not isinstance(act, Mapping) or not act.keys() <= {"sub", "act"}:
            return None
        name, act = act.get("sub"), act.get("act")
        if not isinstance(name, str) or not _is_text(name) or len(found) == MAX_ACTORS:
            return None
        found.append(name)
    return tuple(found)


def _is_text(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= _MAX_TEXT and value.isprintable()


def _is_optional_text(value: Any) -> bool:
    return value == "" or _is_text(value)


def _are_names(value: Any) -> bool:
    return type(value) is list and len(value) <= _MAX_NAMES and all(map(_is_text, value))


def _is_seconds(value: Any) -> bool:
    return type(value) is int and value in SECONDS


def _is_milliseconds(value: Any) -> bool:
    return type(value) is int and value in MILLISECONDS


def _is_token_type(value: Any) -> bool:
    return value in (USER, SERVICE)


_LISTS: Final = frozenset({"roles", "permissions", "amr"})
_CLAIMS: Final[dict[str, Callable[[Any], bool]]] = {
    "iss": _is_text,
    "aud": _is_text,
    "sub": _is_text,
    "email": _is_optional_text,
    "roles": _are_names,
    "org": _is_optional_text,
    "permissions": _are_names,
    "sid": _is_text,
    "client_id": _is_text,
    "service": _is_optional_text,
    "token_type": _is_token_type,
    "amr": _are_names,
    "auth_time": _is_seconds,
    "iat_ms": _is_milliseconds,
    "sst": _is_milliseconds,
    "iat": _is_seconds,
    "exp": _is_seconds,
    "jti": _is_text,
}
