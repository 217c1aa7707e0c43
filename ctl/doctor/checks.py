"""Every check of the doctor: how bad it is when it fails, what leaks then, and the cure.

A *leak* lets somebody do or read what they must not. A *warning* makes a leak likelier or its damage
greater, or was decided so by somebody who may have forgotten it. A *note* could not be looked at.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Severity(IntEnum):
    """From bad to mild; only a leak makes the doctor fail."""

    LEAK = 0
    WARNING = 1
    NOTE = 2


@dataclass(frozen=True)
class Check:
    """One check: what leaks when it fails, and what to do."""

    severity: Severity
    leaks: str
    cure: str


def _leak(leaks: str, cure: str) -> Check:
    return Check(Severity.LEAK, leaks, cure)


def _warning(leaks: str, cure: str) -> Check:
    return Check(Severity.WARNING, leaks, cure)


def _note(leaks: str, cure: str) -> Check:
    return Check(Severity.NOTE, leaks, cure)


RENDER: Final = (
    "render the permissions anew (`latchwire init`, `latchwire services …`, or `make up`), and let NATS "
    "read accounts.conf again"
)

DOOR: Final[dict[str, Check]] = {
    "door.open_route": _leak(
        "everybody reaches what the catalogue protects",
        "the proxy sends this route past the edge: let it be rendered from the catalogue, or add the check "
        "to it as deploy/proxies shows",
    ),
    "door.unexposed": _leak(
        "a service with expose_publicly: false is reached from outside",
        "take its route off the public entry point; only the internal one may have it",
    ),
    "door.header_opens": _leak(
        "whoever sends this header is let in",
        "the proxy passes it to the check, or decides by it: overwrite it there, as deploy/proxies shows, "
        "and keep LATCHWIRE_TRUSTED_PROXIES to the proxy's own network",
    ),
    "door.method_opens": _leak(
        "whoever uses this method is let in",
        "do not exempt methods from the check at the proxy; preflights are the edge's affair (allowed_origins)",
    ),
    "door.path_opens": _leak(
        "whoever spells the path so is let in, and the service may take it for the protected one",
        "let the proxy hand the raw path to the check, and refuse encoded separators and dots "
        "(docs/proxies.md)",
    ),
    "door.identity_passes": _leak(
        "whoever sends this header is, for the service, whom it names",
        "let the proxy delete every identity header before the check and set those of its answer",
    ),
    "door.alias_passes": _leak(
        "services that read headers like CGI (PHP, WSGI) take this spelling for the identity header",
        "drop names with _ and . at the proxy: Traefik aliasHeadersStrategy: delete, nginx "
        "underscores_in_headers off, the others as deploy/proxies shows",
    ),
    "door.own_passes": _leak(
        "whoever sends this header says himself what the catalogue's key `headers` should say of him",
        "one more line for it at nginx, Caddy and Envoy, as docs/proxies.md shows; at Traefik routes from the "
        "catalogue",
    ),
    "door.upgrade_passes": _leak(
        "what a service switches to (h2c) is a tunnel: one allowed answer, and nothing behind it is checked",
        "let the proxy pass on no Upgrade but websocket, as deploy/proxies shows; at Traefik routes from the "
        "catalogue",
    ),
    "door.internals": _leak(
        "strangers read what only the proxy or the operator may ask",
        "route nothing but /auth and /.well-known to auth, and nothing at all to the edge and to admin ports",
    ),
    "door.redirects_away": _leak(
        "a link of yours leads to somebody else's page, as a login mail's would",
        "update latchwire; where the proxy rewrites Location, let it not",
    ),
    "door.cors": _leak(
        "a script of any site reads answers with the visitor's cookies",
        "no middleware at the proxy may mirror Origin: use allowed_origins of the catalogue",
    ),
    "door.cookies": _leak(
        "a script, a plain http request or another site's form gets at the cookie",
        "let the proxy not rewrite Set-Cookie, and set LATCHWIRE_URL to the https address people use",
    ),
    "door.tls": _leak(
        "nobody can tell your door from a stranger's",
        "renew the certificate, for this name, with its whole chain",
    ),
    "door.tls_old": _leak(
        "who is between can make a browser use a version that is broken",
        "accept TLS 1.2 and later only",
    ),
    "door.tls_expires": _warning(
        "soon nobody will trust your door",
        "renew the certificate now, and find out why nothing did",
    ),
    "door.plain_http": _leak(
        "who listens on the way reads what is sent before the redirect, or instead of it",
        "redirect every http request to https at the entry point, with 301 or 308",
    ),
    "door.hsts": _warning(
        "a first visit over http can be caught on the way",
        "Strict-Transport-Security with at least half a year: security_headers: true",
    ),
    "door.security_headers": _warning(
        "a browser may sniff, frame or leak this page",
        "let the proxy not remove them; for services security_headers: true (docs/gateway.md)",
    ),
    "door.server_error": _warning(
        "an input that makes a part fail is where attacks begin",
        "look at the proxy's and the edge's logs of this moment",
    ),
    "door.unclear": _note(
        "whether the edge was asked does not show in the answer",
        "ask the same with a browser, and `latchwire explain --request`",
    ),
    "door.no_echo": _note(
        "whether made-up identity headers reach services could not be seen",
        "name a path whose service shows its request's headers: --echo /path",
    ),
    "door.limited": _note(
        "attempts were answered 429, and tell nothing",
        "run it again in a minute; a limit that holds is good news",
    ),
}

BUS: Final[dict[str, Check]] = {
    "bus.open": _leak(
        "whoever reaches NATS's port reads and writes there",
        "NATS must include secrets/nats/accounts.conf, and no user without an nkey",
    ),
    "bus.may_publish": _leak(
        "who steals this credential can say what its owner must not",
        RENDER,
    ),
    "bus.may_hear": _leak(
        "who steals this credential hears what its owner must not",
        RENDER,
    ),
    "bus.not_let_in": _warning(
        "a credential that NATS does not know is of no use, and somebody believes it is",
        "render accounts.conf anew and let NATS read it; remove seeds nobody needs",
    ),
    "files.readable": _leak(
        "every user of this machine can read a secret", "chmod 600 the file, and change the secret"
    ),
}

WORKERS: Final[dict[str, Check]] = {
    "worker.silent": _note(
        "what only it can see was not looked at",
        "start it; where it runs, it is older than this command, or NATS has not read accounts.conf again",
    ),
    "worker.problem": _warning("it refuses, or will soon", "its own words say what is missing"),
    "worker.note": _warning(
        "it works, but not as somebody believes", "its own words say what to look at"
    ),
    "worker.clock": _leak(
        "tokens live longer, or revocations begin later, than they say",
        "let every machine keep its clock by NTP",
    ),
    "worker.url": _warning(
        "workers disagree about the public address: cookies and tokens of one are refused by another",
        "one LATCHWIRE_URL for all",
    ),
    "worker.differs": _warning(
        "what is allowed, or signed, depends on which process is asked",
        "one set of settings, one secrets directory and one version for all processes of a worker",
    ),
    "proxies.wide": _warning(
        "whoever is in that network can say what was asked for, and by whom",
        "LATCHWIRE_TRUSTED_PROXIES: the proxy's own address or subnet",
    ),
    "allow.everybody": _warning(
        "anybody with a mailbox can log in, and pass every route that asks for no role or address",
        "LATCHWIRE_ALLOW=@your-domain; or give each route roles, emails or an organisation",
    ),
    "edge.assertion_key": _warning(
        "its X-Latchwire-Assertion is empty: a service cannot tell who came around the proxy",
        "latchwire edges certify",
    ),
    "edge.staleness": _warning(
        "that long a revoked token may still pass while the bus is away",
        "LATCHWIRE_MAX_STALENESS and max_staleness of the catalogue: seconds, not minutes",
    ),
    "redis.away": _warning(
        "nobody can log in or renew", "look at Redis, and at LATCHWIRE_REDIS_URL"
    ),
    "redis.eviction": _leak(
        "under memory pressure Redis forgets used links and ended sessions, which then work again",
        "maxmemory-policy noeviction",
    ),
    "redis.evicted": _leak(
        "Redis has forgotten what it was told to keep: used links, ended sessions, limits",
        "maxmemory-policy noeviction and more memory; then `latchwire revoke` what must be out for sure",
    ),
    "redis.append_only": _leak(
        "a restart brings back an older state: links that were used, sessions that were ended",
        "appendonly yes",
    ),
    "redis.fsync": _leak(
        "a power failure brings back links and sessions of the last seconds",
        "appendfsync always",
    ),
    "redis.write_failed": _warning(
        "what Redis says is not on its disk", "make room on Redis's disk"
    ),
    "redis.memory": _warning(
        "when it is full nobody can log in", "more maxmemory, or a bound where there is none"
    ),
    "redis.clock": _leak(
        "its clock dates sessions and revocations: they begin or end at the wrong time",
        "let Redis's machine keep its clock by NTP",
    ),
    "redis.unknown": _note(
        "hosted Redis does not tell its appendfsync", "look at the provider's settings: always"
    ),
    "smtp.away": _warning("nobody gets a link", "look at LATCHWIRE_SMTP_URL and smtp.password"),
    "smtp.plain": _leak(
        "links and codes go over the network in the clear",
        "smtps://… or smtp://… without starttls=never",
    ),
    "keys.old": _warning(
        "who copied it long ago can use it still", "latchwire keys rotate (docs/runbook.md)"
    ),
}

CATALOGUE: Final[dict[str, Check]] = {
    "catalogue.open": _warning(
        "everybody reaches it, as somebody decided once",
        "require_auth: true, or public_paths for a part of it",
    ),
    "catalogue.no_limit": _warning(
        "one address can keep an open route busy", "rate_limit: standard, or strict"
    ),
    "catalogue.any_origin": _warning(
        "a script of any page reads its answers to bearer tokens",
        "allowed_origins: the pages that call it",
    ),
    "catalogue.any_service": _warning(
        "every service token passes, those of other teams too", "callers by name, or permissions"
    ),
    "catalogue.local_origin": _warning(
        "whatever listens on a visitor's machine acts as them",
        "allowed_origins: the https address of the page, without the developer's",
    ),
    "catalogue.any_org": _warning(
        "everybody may make an organisation and own it, and so have this role",
        'organisation: the ids of those that may, or "*" where the service keeps them apart by X-Org-Id',
    ),
    "catalogue.bare": _warning(
        "its pages may be framed, sniffed and fetched over http", "security_headers: true"
    ),
    "catalogue.staleness": _warning(
        "that long a revoked token may still pass here while the bus is away",
        "max_staleness: seconds, not minutes",
    ),
    "catalogue.unread": _note(
        "neither NATS nor a file here tells which routes there are",
        "latchwire catalogue apply",
    ),
    "tokens.expires": _warning("soon this service is refused", "latchwire tokens rotate"),
    "tokens.unused": _warning(
        "a credential nobody uses is missed by nobody when it is stolen", "latchwire tokens revoke"
    ),
    "tokens.far": _warning(
        "who steals it can use it for long", "rotate it every few months (docs/service-tokens.md)"
    ),
}

CHECKS: Final[dict[str, Check]] = {**DOOR, **BUS, **WORKERS, **CATALOGUE}
