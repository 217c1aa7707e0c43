"""The composition root of auth: what stands on what."""

from dataclasses import replace
from functools import partial

from latchwire.documents import Documents
from latchwire.feed import RevocationFeed
from latchwire.tokens import TokenPolicy
from services.auth.adapters.bus_events import BusEvents
from services.auth.adapters.client_file import load_client_secrets
from services.auth.adapters.feed_revocations import FeedRevocations
from services.auth.adapters.pyjwt_tokens import PyJWTTokens
from services.auth.adapters.redis_attempts import RedisAttempts
from services.auth.adapters.redis_clock import ClockWatch
from services.auth.adapters.redis_handshakes import RedisHandshakes
from services.auth.adapters.redis_memory import RedisMemory
from services.auth.adapters.redis_people import RedisPeople
from services.auth.adapters.redis_scripts import Scripts
from services.auth.adapters.redis_sessions import RedisSessions
from services.auth.adapters.redis_tries import RedisTries
from services.auth.flows.announcing import Announcer
from services.auth.flows.asking import Asking, LinkPolicy
from services.auth.flows.ending import Ending
from services.auth.flows.introspect import IntrospectFlow
from services.auth.flows.link import LinkFlow, Linking
from services.auth.flows.match import MatchFlow
from services.auth.flows.opening import Opening
from services.auth.flows.proving import Proving
from services.auth.flows.reach import Watching
from services.auth.flows.revoke import RevokeFlow
from services.auth.flows.service_access import ServiceAccess
from services.auth.flows.session import SessionFlow
from services.auth.flows.subjects import EmailSubjects
from services.auth.flows.token_reach import TokenReach
from services.auth.flows.tokens import Issuer
from services.auth.flows.typed import TypedPasswords
from services.auth.flows.users import UserFlow
from services.auth.http.app import make_app
from services.auth.http.clients import ClientList
from services.auth.http.context import NO_HOSTS, AccountFlows, Context, Hosts
from services.auth.http.middleware import refuse_unreadable
from services.auth.ports import Keys
from services.auth.ports.accounts import Subjects
from services.auth.settings import AuthSettings
from services.auth.wiring.documents import follow_documents
from services.auth.wiring.gateway import open_gateway
from services.auth.wiring.operators import answer_operators
from services.auth.wiring.parts import Core, Ports
from services.auth.wiring.service_tokens import (
    keep_service_tokens,
    make_service_tokens,
    service_token_ports,
)
from shared.bus import Bus
from shared.clock import Clock
from shared.contract import BLOCKLIST_PROBE, Role
from shared.cookies import CookieNames
from shared.lifecycle import Runtime
from shared.redis import connect_redis
from shared.secrets import load_blocklist_key, load_symmetric


async def start(settings: AuthSettings, runtime: Runtime) -> None:
    """Compose and run; returns when requests are served."""
    keys, access_tokens = (
        load_keys(settings),
        PyJWTTokens.load(settings.secrets_dir, policy(settings)),
    )
    redis = await runtime.enter(connect_redis(settings.redis_url))
    await runtime.serve_admin(settings.auth_admin)
    bus = await runtime.connect_bus(Role.AUTH, settings)
    followed = follow_documents(settings, runtime, bus, access_tokens)
    feed = make_feed(bus, keys, runtime.clock, followed.documents)
    await feed.start()
    runtime.spawn("revocation feed", feed.run(), drains=False)
    revocations = FeedRevocations(feed, settings.max_staleness)
    runtime.health.check("feed", revocations.not_ready)
    runtime.health.check(
        "signing key",
        lambda: (
            access_tokens.not_ready()
            or revocations.key_not_ready(access_tokens.kid, runtime.clock.now_ms())
        ),
    )
    runtime.health.note("signing key", access_tokens.remark)
    runtime.spawn("signing keys", access_tokens.watch(runtime.stopping), drains=False)
    scripts = Scripts(redis, keys.index, runtime.clock)
    watch = ClockWatch(scripts)
    runtime.health.check("clock", watch.not_ready)
    runtime.health.check("store", watch.unsettled)
    runtime.spawn("clock watch", watch.run(runtime.stopping), drains=False)
    ports = Ports(
        attempts=RedisAttempts(scripts),
        sessions=RedisSessions(scripts),
        people=RedisPeople(scripts),
        tries=RedisTries(scripts, settings.try_limits, runtime.clock, runtime.ids),
        memory=RedisMemory(scripts),
        events=BusEvents(bus),
        signals=bus,
        revocations=revocations,
        access_tokens=access_tokens,
        keys=keys,
        clock=runtime.clock,
        ids=runtime.ids,
        handshakes=RedisHandshakes(scripts),
        service_tokens=service_token_ports(bus, followed.tokens, access_tokens, scripts, runtime),
    )
    core = make_core(settings, ports)
    announcer = Announcer(ports.sessions, core.ending)
    runtime.spawn("unannounced ends", announcer.run(runtime.stopping), drains=False)
    accounts = await switched_on(settings, runtime, bus, ports, core)
    subjects = accounts.subjects if accounts else EmailSubjects()
    users = UserFlow(ports.people, ports.sessions, revocations, core.ending, subjects, ports.clock)
    match = MatchFlow(ports.attempts, ports.sessions, revocations, subjects, runtime.clock)
    orgs = accounts.orgs.orgs if accounts else None
    await keep_service_tokens(runtime, bus, feed, core.services, orgs)
    await answer_operators(
        bus, users, match, accounts, runtime, settings, scripts, followed.catalogue
    )
    gateway = open_gateway(settings, bus, followed.catalogue, revocations)
    context = make_context(settings, ports, core, accounts, followed.catalogue)
    context = replace(context, gateway=gateway, edges_jwks=followed.edge_keys.jwks)
    refuse = partial(refuse_unreadable, context)
    await runtime.serve_http(make_app(context), settings.auth_listen, refuse)


def load_keys(settings: AuthSettings) -> Keys:
    """The symmetric keys. Raises: SecretsError."""
    directory = settings.secrets_dir
    return Keys(
        link=load_symmetric(directory, "link"),
        refresh=load_symmetric(directory, "refresh"),
        csrf=load_symmetric(directory, "csrf"),
        index=load_blocklist_key(directory),
    )


def policy(settings: AuthSettings) -> TokenPolicy:
    """What this installation's access tokens must say."""
    return TokenPolicy(issuer=settings.url, audience=settings.audience)


def make_feed(bus: Bus, keys: Keys, clock: Clock, documents: Documents) -> RevocationFeed:
    """The feed on auth's own connection."""
    return RevocationFeed(
        bus.client,
        hash_key=keys.index,
        api_prefix=bus.api_prefix,
        probe_subject=BLOCKLIST_PROBE.name,
        edge_id=bus.name,
        documents=documents,
        monotonic=clock.monotonic,
        now_ms=clock.now_ms,
    )


def make_ending(ports: Ports) -> Ending:
    """The one place that ends sessions."""
    return Ending(
        attempts=ports.attempts,
        sessions=ports.sessions,
        events=ports.events,
        keys=ports.keys,
        clock=ports.clock,
        ids=ports.ids,
    )


async def switched_on(
    settings: AuthSettings, runtime: Runtime, bus: Bus, ports: Ports, core: Core
) -> AccountFlows | None:
    """The flows of accounts, or None: then nothing of them, nor of SQL, is even imported."""
    if settings.accounts_url is None:
        return None
    from services.auth.wiring.accounts import open_accounts

    return await open_accounts(settings, runtime, bus, ports, core)


def make_core(settings: AuthSettings, ports: Ports) -> Core:
    """The flows that others stand on."""
    issuer = Issuer(
        issuer=settings.url,
        audience=settings.audience,
        access_tokens=ports.access_tokens,
        keys=ports.keys,
        clock=ports.clock,
        ids=ports.ids,
    )
    ending = make_ending(ports)
    opening = Opening(
        sessions=ports.sessions,
        events=ports.events,
        revocations=ports.revocations,
        issuer=issuer,
        ending=ending,
        clock=ports.clock,
        ids=ports.ids,
    )
    proving = Proving(ports.attempts, ports.keys)
    services = make_service_tokens(settings, ports)
    return Core(issuer, ending, make_asking(settings, ports), opening, proving, services)


def make_context(
    settings: AuthSettings,
    ports: Ports,
    core: Core,
    accounts: AccountFlows | None = None,
    catalogue: Hosts = NO_HOSTS,
) -> Context:
    """What the routes need."""
    subjects = accounts.subjects if accounts else EmailSubjects()
    return Context(
        url=settings.url,
        site_name=settings.site_name,
        cookies=CookieNames.derive(secure=settings.secure, domain=settings.cookie_domain),
        asking=accounts.asking if accounts else core.asking,
        links=make_links(ports, core, subjects, accounts.identities if accounts else None),
        sessions=SessionFlow(
            sessions=ports.sessions,
            revocations=ports.revocations,
            access_tokens=ports.access_tokens,
            issuer=core.issuer,
            ending=core.ending,
            keys=ports.keys,
            subjects=subjects,
            clock=ports.clock,
        ),
        revoking=RevokeFlow(
            ports.sessions, ports.access_tokens, core.issuer, core.ending, core.services
        ),
        introspecting=IntrospectFlow(
            ports.sessions,
            ports.revocations,
            ports.access_tokens,
            core.issuer,
            ports.clock,
            core.services.reader,
        ),
        services=core.services,
        service_access=ServiceAccess(
            core.services.reader, core.services.uses, ports.access_tokens, ports.clock, ports.ids
        ),
        watching=Watching(ports.signals, ports.clock),
        token_reach=TokenReach(ports.signals, ports.clock),
        issuer=core.issuer,
        csrf_keys=ports.keys.csrf,
        clients=ClientList(load_client_secrets(settings.secrets_dir)),
        trusted_proxies=settings.proxies,
        jwks=ports.access_tokens.jwks,
        clock=ports.clock,
        ids=ports.ids,
        accounts=accounts,
        catalogue=catalogue,
    )


def make_asking(settings: AuthSettings, ports: Ports) -> Asking:
    """Requests for mail, under the installation's limits."""
    address, network, whole = settings.rates
    return Asking(
        attempts=ports.attempts,
        events=ports.events,
        revocations=ports.revocations,
        keys=ports.keys,
        policy=LinkPolicy(settings.allow_list, address, network, whole),
        clock=ports.clock,
        ids=ports.ids,
    )


def make_links(ports: Ports, core: Core, subjects: Subjects, linking: Linking | None) -> LinkFlow:
    """The flows of a link."""
    return LinkFlow(
        attempts=ports.attempts,
        sessions=ports.sessions,
        events=ports.events,
        revocations=ports.revocations,
        proving=core.proving,
        opening=core.opening,
        ending=core.ending,
        subjects=subjects,
        typed=TypedPasswords(ports.attempts, ports.tries),
        clock=ports.clock,
        ids=ports.ids,
        linking=linking,
    )
