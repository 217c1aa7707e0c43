"""The checks of the front door; `ctl.doctor.checks` has all."""

from typing import Final

from ctl.doctor.severity import Check, leak, note, warning

DOOR: Final[dict[str, Check]] = {
    "door.open_route": leak(
        "everybody reaches what the catalogue protects",
        "the proxy sends this route past the edge: let it be rendered from the catalogue, or add the check "
        "to it as deploy/proxies shows",
    ),
    "door.unexposed": leak(
        "a service with expose_publicly: false is reached from outside",
        "take its route off the public entry point; only the internal one may have it",
    ),
    "door.header_opens": leak(
        "whoever sends this header is let in",
        "the proxy passes it to the check, or decides by it: overwrite it there, as deploy/proxies shows, "
        "and keep LATCHWIRE_TRUSTED_PROXIES to the proxy's own network",
    ),
    "door.method_opens": leak(
        "whoever uses this method is let in",
        "do not exempt methods from the check at the proxy; preflights are the edge's affair (allowed_origins)",
    ),
    "door.path_opens": leak(
        "whoever spells the path so is let in, and the service may take it for the protected one",
        "let the proxy hand the raw path to the check, and refuse encoded separators and dots "
        "(docs/proxies.md)",
    ),
    "door.identity_passes": leak(
        "whoever sends this header is, for the service, whom it names",
        "let the proxy delete every identity header before the check and set those of its answer",
    ),
    "door.alias_passes": leak(
        "services that read headers like CGI (PHP, WSGI) take this spelling for the identity header",
        "drop names with _ and . at the proxy: Traefik aliasHeadersStrategy: delete, nginx "
        "underscores_in_headers off, the others as deploy/proxies shows",
    ),
    "door.own_passes": leak(
        "whoever sends this header says himself what the catalogue's key `headers` should say of him",
        "one more line for it at nginx, Caddy and Envoy, as docs/proxies.md shows; at Traefik routes from the "
        "catalogue",
    ),
    "door.trailer_passes": leak(
        "services that take trailers for headers believe whom a client names behind its body",
        "let the proxy drop the trailers of requests, or refuse them: at HAProxy the line `filter` of "
        "deploy/proxies/haproxy",
    ),
    "door.upgrade_passes": leak(
        "what a service switches to (h2c) is a tunnel: one allowed answer, and nothing behind it is checked",
        "let the proxy pass on no Upgrade but websocket, as deploy/proxies shows; at Traefik routes from the "
        "catalogue",
    ),
    "door.token_misplaced": leak(
        "a token counts where logs, other sites or another reader find it, or beside a second one",
        "let the proxy make no Authorization of parameters, other headers or cookies, and hand on all of them: "
        "which counts is the edge's affair",
    ),
    "door.token_altered": leak(
        "whoever changes a token, or has one for somebody else, is let in",
        "the edge refuses each of them: let the proxy ask it, and not read tokens itself; update latchwire",
    ),
    "door.revoked_passes": leak(
        "a stolen token works on after it was revoked",
        "the proxy may not keep answers of the check; `latchwire edges list` names an edge that hears nothing",
    ),
    "door.revoked_late": warning(
        "that long a stolen token works on",
        "look at `latchwire status` and `latchwire edges list`: who is slow, or was cut off",
    ),
    "door.internals": leak(
        "strangers read what only the proxy or the operator may ask",
        "route nothing but /auth and /.well-known to auth, and nothing at all to the edge and to admin ports",
    ),
    "door.redirects_away": leak(
        "a link of yours leads to somebody else's page, as a login mail's would",
        "update latchwire; where the proxy rewrites Location, let it not",
    ),
    "door.cors": leak(
        "a script of any site reads answers with the visitor's cookies",
        "no middleware at the proxy may mirror Origin: use allowed_origins of the catalogue",
    ),
    "door.cookies": leak(
        "a script, a plain http request or another site's form gets at the cookie",
        "let the proxy not rewrite Set-Cookie, and set LATCHWIRE_URL to the https address people use",
    ),
    "door.tls": leak(
        "nobody can tell your door from a stranger's",
        "renew the certificate, for this name, with its whole chain",
    ),
    "door.tls_old": leak(
        "who is between can make a browser use a version that is broken",
        "accept TLS 1.2 and later only",
    ),
    "door.tls_expires": warning(
        "soon nobody will trust your door",
        "renew the certificate now, and find out why nothing did",
    ),
    "door.plain_http": leak(
        "who listens on the way reads what is sent before the redirect, or instead of it",
        "redirect every http request to https at the entry point, with 301 or 308",
    ),
    "door.hsts": warning(
        "a first visit over http can be caught on the way",
        "Strict-Transport-Security with at least half a year: security_headers: true",
    ),
    "door.security_headers": warning(
        "a browser may sniff, frame or leak this page",
        "let the proxy not remove them; for services security_headers: true (docs/gateway.md)",
    ),
    "door.server_error": warning(
        "an input that makes a part fail is where attacks begin",
        "look at the proxy's and the edge's logs of this moment",
    ),
    "door.unclear": note(
        "whether the edge was asked does not show in the answer",
        "ask the same with a browser, and `latchwire explain --request`",
    ),
    "door.no_echo": note(
        "whether made-up identity headers reach services could not be seen",
        "name a path whose service shows its request's headers: --echo /path",
    ),
    "door.untried": note(
        "what a real token shows there is not known",
        "its words say what is missing (docs/doctor.md)",
    ),
    "door.limited": note(
        "attempts were answered 429, and tell nothing",
        "run it again in a minute; a limit that holds is good news",
    ),
}
