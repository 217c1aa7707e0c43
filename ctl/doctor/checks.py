"""Every check of the doctor: how bad it is when it fails, what leaks then, and the cure."""

from typing import Final

from ctl.doctor.door_checks import DOOR
from ctl.doctor.severity import Check, Severity, leak, note, warning

__all__ = ["BUS", "CATALOGUE", "CHECKS", "DOOR", "WORKERS", "Check", "Severity"]

RENDER: Final = (
    "render the permissions anew (`latchwire init`, `latchwire services …`, or `make up`), and let NATS "
    "read accounts.conf again"
)

BUS: Final[dict[str, Check]] = {
    "bus.open": leak(
        "whoever reaches NATS's port reads and writes there",
        "NATS must include secrets/nats/accounts.conf, and no user without an nkey",
    ),
    "bus.may_publish": leak(
        "who steals this credential can say what its owner must not",
        RENDER,
    ),
    "bus.may_hear": leak(
        "who steals this credential hears what its owner must not",
        RENDER,
    ),
    "bus.not_let_in": warning(
        "a credential that NATS does not know is of no use, and somebody believes it is",
        "render accounts.conf anew and let NATS read it; remove seeds nobody needs",
    ),
    "files.readable": leak(
        "every user of this machine can read a secret", "chmod 600 the file, and change the secret"
    ),
}

WORKERS: Final[dict[str, Check]] = {
    "worker.silent": note(
        "what only it can see was not looked at",
        "start it; where it runs, it is older than this command, or NATS has not read accounts.conf again",
    ),
    "worker.problem": warning("it refuses, or will soon", "its own words say what is missing"),
    "worker.note": warning(
        "it works, but not as somebody believes", "its own words say what to look at"
    ),
    "worker.clock": leak(
        "tokens live longer, or revocations begin later, than they say",
        "let every machine keep its clock by NTP",
    ),
    "worker.url": warning(
        "workers disagree about the public address: cookies and tokens of one are refused by another",
        "one LATCHWIRE_URL for all",
    ),
    "worker.differs": warning(
        "what is allowed, or signed, depends on which process is asked",
        "one set of settings, one secrets directory and one version for all processes of a worker",
    ),
    "proxies.wide": warning(
        "whoever is in that network can say what was asked for, and by whom",
        "LATCHWIRE_TRUSTED_PROXIES: the proxy's own address or subnet",
    ),
    "allow.everybody": warning(
        "anybody with a mailbox can log in, and pass every route that asks for no role or address",
        "LATCHWIRE_ALLOW=@your-domain; or give each route roles, emails or an organisation",
    ),
    "edge.assertion_key": warning(
        "its X-Latchwire-Assertion is empty: a service cannot tell who came around the proxy",
        "latchwire edges certify",
    ),
    "edge.missing": warning(
        "for new routes, and to be sure of a revocation, everybody waits until a silent edge must have closed",
        "start the edge, or take its name out of LATCHWIRE_EDGES",
    ),
    "edge.gone": warning(
        "nobody can say whether it is down or was taken away; a gateway that still asks it lets nobody in",
        "start the edge; or LATCHWIRE_EDGES names those that there should be",
    ),
    "edge.unnamed": warning(
        "after each start of a revocation worker new routes and receipts wait, as if no edge had a name",
        "LATCHWIRE_EDGES names all edges, or none",
    ),
    "edge.twice": warning(
        "two processes count as one: what one of them confirms is believed of the other, which may let in more",
        "give each edge a LATCHWIRE_EDGE_ID and a credential of its own (`latchwire init` makes them)",
    ),
    "edge.staleness": warning(
        "that long a revoked token may still pass while the bus is away",
        "LATCHWIRE_MAX_STALENESS and max_staleness of the catalogue: seconds, not minutes",
    ),
    "redis.away": warning(
        "nobody can log in or renew", "look at Redis, and at LATCHWIRE_REDIS_URL"
    ),
    "redis.eviction": leak(
        "under memory pressure Redis forgets used links and ended sessions, which then work again",
        "maxmemory-policy noeviction",
    ),
    "redis.evicted": leak(
        "Redis has forgotten what it was told to keep: used links, ended sessions, limits",
        "maxmemory-policy noeviction and more memory; then `latchwire revoke` what must be out for sure",
    ),
    "redis.append_only": leak(
        "a restart brings back an older state: links that were used, sessions that were ended",
        "appendonly yes",
    ),
    "redis.fsync": leak(
        "a power failure brings back links and sessions of the last seconds",
        "appendfsync always",
    ),
    "redis.write_failed": warning(
        "what Redis says is not on its disk", "make room on Redis's disk"
    ),
    "redis.memory": warning(
        "when it is full nobody can log in", "more maxmemory, or a bound where there is none"
    ),
    "redis.clock": leak(
        "its clock dates sessions and revocations: they begin or end at the wrong time",
        "let Redis's machine keep its clock by NTP",
    ),
    "redis.unknown": note(
        "hosted Redis does not tell its appendfsync", "look at the provider's settings: always"
    ),
    "smtp.away": warning("nobody gets a link", "look at LATCHWIRE_SMTP_URL and smtp.password"),
    "smtp.plain": leak(
        "links and codes go over the network in the clear",
        "smtps://… or smtp://… without starttls=never",
    ),
    "keys.old": warning(
        "who copied it long ago can use it still", "latchwire keys rotate (docs/runbook.md)"
    ),
}

CATALOGUE: Final[dict[str, Check]] = {
    "catalogue.open": warning(
        "everybody reaches it, as somebody decided once",
        "require_auth: true, or public_paths for a part of it",
    ),
    "catalogue.no_limit": warning(
        "one address can keep an open route busy", "rate_limit: standard, or strict"
    ),
    "catalogue.any_origin": warning(
        "a script of any page reads its answers to bearer tokens",
        "allowed_origins: the pages that call it",
    ),
    "catalogue.any_service": warning(
        "every service token passes, those of other teams too", "callers by name, or permissions"
    ),
    "catalogue.local_origin": warning(
        "whatever listens on a visitor's machine acts as them",
        "allowed_origins: the https address of the page, without the developer's",
    ),
    "catalogue.any_org": warning(
        "everybody may make an organisation and own it, and so have this role",
        'organisation: the ids of those that may, or "*" where the service keeps them apart by X-Org-Id',
    ),
    "catalogue.bare": warning(
        "its pages may be framed, sniffed and fetched over http", "security_headers: true"
    ),
    "catalogue.echo": warning(
        "while no doctor runs, whoever listens on that port first is a page of the host where people log in",
        "take the lines out of services.yaml again, until the next doctor --echo",
    ),
    "catalogue.staleness": warning(
        "that long a revoked token may still pass here while the bus is away",
        "max_staleness: seconds, not minutes",
    ),
    "catalogue.unread": note(
        "neither NATS nor a file here tells which routes there are",
        "latchwire catalogue apply",
    ),
    "tokens.expires": warning("soon this service is refused", "latchwire tokens rotate"),
    "tokens.unused": warning(
        "a credential nobody uses is missed by nobody when it is stolen", "latchwire tokens revoke"
    ),
    "tokens.far": warning(
        "who steals it can use it for long", "rotate it every few months (docs/service-tokens.md)"
    ),
}

CHECKS: Final[dict[str, Check]] = {**DOOR, **BUS, **WORKERS, **CATALOGUE}
