"""The composition of an edge. The door opens first and says 503 until the feed has proven itself."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from prometheus_client import REGISTRY

from latchwire.documents import CATALOGUE, EDGES, KEYS, TOKENS, Documents
from latchwire.feed import RevocationFeed
from latchwire.keys import KeyRing
from latchwire.tokens import TokenPolicy
from services.edge.adapters.bus_records import BusRecords
from services.edge.adapters.feed_revocations import FeedRevocations
from services.edge.adapters.prometheus_metrics import EdgeCollector
from services.edge.domain.routes import RouteTable
from services.edge.flows.assertions import Assertions
from services.edge.flows.check import Checker
from services.edge.flows.counts import CheckCounts
from services.edge.flows.passing import Passing
from services.edge.flows.tokens import VerifiedTokens
from services.edge.handlers.documents import follow
from services.edge.handlers.explain import Explainer
from services.edge.handlers.heartbeat import beat
from services.edge.handlers.usage import tell_usage
from services.edge.http.answers import Answers
from services.edge.http.doors import Doors
from services.edge.http.peers import TrustedPeers
from services.edge.http.refusals import RefusalLog
from services.edge.http.refused_page import Pages
from services.edge.http.server import make_server, open_connections
from services.edge.settings import EdgeSettings
from shared.bus import Bus
from shared.bus.permissions import EDGE_API
from shared.catalogue import load_catalogue
from shared.contract import OP_EXPLAIN, OP_EXPLAIN_AT, Role
from shared.cookies import CookieNames
from shared.doctor_facts import answer_doctor, networks
from shared.edge_keys import EdgeKey, read_edge_jwks, ring_of
from shared.lifecycle import Runtime
from shared.secrets import SecretsError, load_blocklist_key, load_operator_keys

log = structlog.get_logger()


def _nobody(_feed: RevocationFeed) -> None:
    """The default watcher."""


async def start(
    settings: EdgeSettings, runtime: Runtime, *, watch: Callable[[RevocationFeed], None] = _nobody
) -> None:
    """Serve, then connect and replicate. *watch* is shown the feed before it begins: measurements use it.

    Raises:
        CatalogueError: services.yaml is not usable.
        InvalidJWKSError: jwks.json is not.
        SecretsError: the blocklist key, the operator's public keys or the bus credential is missing.
    """
    revocations = FeedRevocations(load_blocklist_key(settings.secrets_dir))
    policy = TokenPolicy(issuer=settings.url, audience=settings.audience)
    ring = KeyRing.from_jwks((settings.secrets_dir / "jwks.json").read_text("ascii"))
    tokens = VerifiedTokens(ring, policy, revocations.fingerprint)
    checker = _make_checker(settings, runtime, tokens, revocations, policy)
    counts = CheckCounts()
    key = EdgeKey.load(settings.secrets_dir, settings.edge_id)
    assertions = Assertions(key, issuer=settings.url, clock=runtime.clock)
    door = _make_door(settings, runtime, checker, counts, assertions)
    applied = asyncio.Event()
    documents = follow(
        checker,
        tokens,
        load_operator_keys(settings.secrets_dir),
        file=settings.catalogue.read_text("utf-8"),
        api_prefix=EDGE_API,
        clock=runtime.clock,
        on_applied=applied.set,
        on_certified=partial(_take_key, settings, assertions),
    )
    server = make_server(door, fast=settings.edge_fast_path == "on")
    connections = partial(open_connections, server)
    REGISTRY.register(EdgeCollector(counts, tokens, revocations, documents, connections))
    runtime.health.note("edge key", partial(key_remark, settings.edge_id, assertions, checker))
    for name in (KEYS, CATALOGUE, EDGES, TOKENS):
        runtime.health.note(f"{name} document", partial(documents.problems.get, name))
    runtime.health.check("blocklist", partial(_staleness_problem, checker, revocations))
    await runtime.serve_admin(settings.edge_admin)
    await runtime.serve_http(server, settings.edge_listen)
    bus = await runtime.connect_bus(Role.EDGE, settings, settings.edge_id)
    feed = make_feed(bus, settings, runtime, documents)
    feed.on_applied.append(lambda _key, _record: applied.set())
    watch(feed)
    await feed.start()
    revocations.attach(feed)
    runtime.spawn("feed", feed.run(), drains=False)
    telling = tell_usage(bus, edge_id=bus.name, usage=counts.uses, clock=runtime.clock)
    runtime.spawn("usage", telling, drains=False)
    await _speak(bus, runtime, checker, revocations, applied)
    await answer_doctor(bus, runtime, settings, partial(_facts, settings, assertions, checker))


async def _facts(
    settings: EdgeSettings, assertions: Assertions, checker: Checker
) -> dict[str, Any]:
    """What this edge alone can see of the installation."""
    return {
        "trusted_proxies": networks(settings.trusted_proxies),
        "cookie_domain": settings.cookie_domain or "",
        "max_staleness_ms": round(settings.max_staleness * 1000),
        "assertion_key": key_remark(settings.edge_id, assertions, checker) is None,
    }


def _make_checker(
    settings: EdgeSettings,
    runtime: Runtime,
    tokens: VerifiedTokens,
    revocations: FeedRevocations,
    policy: TokenPolicy,
) -> Checker:
    catalogue = load_catalogue(settings.catalogue)
    log.info("catalogue.loaded", services=len(catalogue.services))
    names = CookieNames.derive(secure=settings.secure, domain=settings.cookie_domain)
    return Checker(
        routes=RouteTable(catalogue),
        tokens=tokens,
        revocations=revocations,
        policy=policy,
        clock=runtime.clock,
        cookie_name=names.access,
        max_staleness=settings.max_staleness,
        passing=Passing(
            ring_of(read_edge_jwks(settings.secrets_dir)),
            issuer=settings.url,
            revocations=revocations,
        ),
    )


def _make_door(
    settings: EdgeSettings,
    runtime: Runtime,
    checker: Checker,
    counts: CheckCounts,
    assertions: Assertions,
) -> Doors:
    return Doors(
        checker=checker,
        peers=TrustedPeers(settings.trusted_proxies),
        answers=Answers(clock=runtime.clock, ids=runtime.ids, url=settings.url),
        assertions=assertions,
        refusals=RefusalLog(runtime.clock),
        counts=counts,
        pages=Pages(settings.origins, settings.site_name),
    )


def make_feed(
    bus: Bus, settings: EdgeSettings, runtime: Runtime, documents: Documents
) -> RevocationFeed:
    """The feed on this edge's own connection, with the documents beside the blocklist."""
    return RevocationFeed(
        bus.client,
        hash_key=load_blocklist_key(settings.secrets_dir),
        api_prefix=bus.api_prefix,
        edge_id=settings.edge_id,
        documents=documents,
        monotonic=runtime.clock.monotonic,
        now_ms=runtime.clock.now_ms,
    )


async def _speak(
    bus: Bus,
    runtime: Runtime,
    checker: Checker,
    revocations: FeedRevocations,
    applied: asyncio.Event,
) -> None:
    """Tell how far this edge is, and answer operators."""
    edge_id = bus.name
    heartbeats = beat(
        bus,
        edge_id=edge_id,
        revocations=revocations,
        checker=checker,
        applied=applied,
        clock=runtime.clock,
    )
    runtime.spawn("heartbeat", heartbeats, drains=False)

    explainer = Explainer(edge_id, checker, revocations, BusRecords(bus), runtime.clock)
    await bus.answer(OP_EXPLAIN, explainer.explain)
    await bus.answer(OP_EXPLAIN_AT.of(edge_id), explainer.explain)


def _staleness_problem(checker: Checker, revocations: FeedRevocations) -> str | None:
    if not revocations.epoch:
        return "the blocklist is not loaded yet"
    if checker.is_stale():
        seconds = revocations.staleness_seconds()
        return f"no proof that the blocklist is complete for {seconds:.0f} s"
    return None


def _take_key(settings: EdgeSettings, assertions: Assertions) -> None:
    """The key's file, read again: the operator may have made it, or another, since the start."""
    try:
        key = EdgeKey.load(settings.secrets_dir, settings.edge_id)
    except SecretsError:
        log.warning("edge_key.unusable")
        return
    if key is not None and key.kid != assertions.kid:
        assertions.use(key)
        log.info("edge_key.changed", kid=key.kid)


def key_remark(edge_id: str, assertions: Assertions, checker: Checker) -> str | None:
    """Why services that ask for an assertion refuse what this edge lets through."""
    cure = f"`latchwire edges certify {edge_id}`"
    if not assertions.kid:
        return f"there is none, so X-Latchwire-Assertion stays empty: {cure}, then start again"
    if assertions.kid not in checker.passing.kids:
        return f"{assertions.kid} is not certified, so nobody believes its assertions: {cure}"
    return None
