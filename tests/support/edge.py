"""An edge without sockets: its checker over a fake clock and fake revocations, and requests for it."""

from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.edge.domain.decision import Allowed, Decision, Denied
from services.edge.domain.original import Fields, Original, read_original
from services.edge.domain.routes import RouteTable
from services.edge.domain.sources import forwarded
from services.edge.flows.check import Checker
from services.edge.flows.passing import Passing
from services.edge.flows.tokens import VerifiedTokens
from shared.catalogue import parse_catalogue
from shared.edge_keys import EdgeKey, ring_of
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.revocations import FakeRevocations
from tests.support.tokens import NOW_MS, POLICY, make_claims, ring, sign

COOKIE = "latchwire-dev"
EDGE_KEY = EdgeKey.named("edge-1", Ed25519PrivateKey.generate())
ORIGIN = "http://localhost:8080"
CATALOGUE = """
services:
  demo:
    paths: [/demo]
    upstream: http://127.0.0.1:9100
    public_paths: [/demo/public]
  staff:
    paths: [/staff]
    upstream: http://127.0.0.1:9101
    roles: [admin, auditor]
  family:
    paths: [/family]
    upstream: http://127.0.0.1:9102
    emails: ["@acme.com", ada@example.com]
  patient:
    paths: [/patient]
    upstream: http://127.0.0.1:9103
    max_staleness: 60s
  shared:
    paths: [/shared]
    upstream: http://127.0.0.1:9105
    allowed_origins: ["https://a.example"]
  open:
    paths: [/open]
    upstream: http://127.0.0.1:9104
    require_auth: false
"""


@dataclass
class Desk:
    """A checker and the world it sees."""

    checker: Checker
    clock: FakeClock
    revocations: FakeRevocations
    tokens: VerifiedTokens

    def check(self, fields: Fields, chosen: str = "") -> Decision:
        """The decision about *fields*, read as Traefik's door reads them."""
        asking = forwarded("GET", "", fields)
        return (
            Denied("bad_forwarded")
            if asking is None
            else self.checker.check(asking, fields, chosen)
        )

    def outcome(self, fields: Fields, chosen: str = "") -> str:
        """``allow`` or the refusal's code."""
        return code_of(self.check(fields, chosen))


def make_desk(catalogue: str = CATALOGUE, *, capacity: int = 100) -> Desk:
    """A desk whose clock stands at `NOW_MS` and whose blocklist is empty and fresh."""
    clock, revocations = FakeClock(NOW_MS), FakeRevocations()
    tokens = VerifiedTokens(ring(), POLICY, revocations.fingerprint, capacity=capacity)
    checker = Checker(
        routes=RouteTable(parse_catalogue(catalogue)),
        tokens=tokens,
        revocations=revocations,
        policy=POLICY,
        clock=clock,
        cookie_name=COOKIE,
        max_staleness=10.0,
        passing=Passing(ring_of([EDGE_KEY.public]), issuer=POLICY.issuer, revocations=revocations),
    )
    return Desk(checker, clock, revocations, tokens)


def code_of(decision: Decision) -> str:
    """``allow`` or the refusal's code."""
    return "allow" if isinstance(decision, Allowed) else decision.code


def original_of(fields: Fields) -> Original | None:
    """What *fields* say was asked for, read as Traefik's door reads them."""
    asking = forwarded("GET", "", fields)
    return None if asking is None else read_original(asking)


def request(
    uri: str = "/demo",
    *,
    method: str = "GET",
    proto: str = "http",
    host: str = "localhost:8080",
    bearer: bytes | None = None,
    cookie: bytes | None = None,
    **more: str,
) -> dict[bytes, list[bytes]]:
    """The fields of a check. *more*: further headers, with ``_`` for ``-``."""
    fields = {
        b"x-forwarded-method": [method.encode()],
        b"x-forwarded-proto": [proto.encode()],
        b"x-forwarded-host": [host.encode()],
        b"x-forwarded-uri": [uri.encode("utf-8", "surrogateescape")],
    }
    if bearer is not None:
        fields[b"authorization"] = [b"Bearer " + bearer]
    if cookie is not None:
        fields[b"cookie"] = [f"other=1; {COOKIE}=".encode() + cookie]
    return fields | {n.replace("_", "-").encode(): [v.encode()] for n, v in more.items()}


def token(**claims: Any) -> bytes:
    """A good token at `NOW_MS`, with claims replaced."""
    return sign(make_claims(**claims))
