"""Read a request: who sends it, from where, with which credentials, and whether a cookie may act."""

from aiohttp import web

from latchwire.claims import Claims
from services.auth.domain import csrf
from services.auth.domain.client import (
    Client,
    describe_browser,
    describe_network,
    find_address,
    is_within,
)
from services.auth.domain.outcomes import Credentials, NotSignedIn, SignedIn
from services.auth.domain.session import csrf_claim, parse_refresh_token
from services.auth.http.context import context_of
from services.auth.http.cookies import read_cookie, read_cookies
from services.auth.http.problems import Problem

EVERY = 4


def read_client(request: web.Request) -> Client:
    """The network and browser of the person, through trusted proxies only."""
    context = context_of(request)
    forwarded = request.headers.getall("X-Forwarded-For", [])
    address = find_address(request.remote or "", forwarded, context.trusted_proxies)
    return Client(
        describe_network(address), describe_browser(request.headers.get("User-Agent", ""))
    )


def is_from_proxy(request: web.Request) -> bool:
    """Whether one of our proxies sent this, so that what it says about the client counts."""
    return is_within(request.remote or "", context_of(request).trusted_proxies)


def read_bearer(request: web.Request) -> str:
    """The bearer token of the Authorization header (RFC 6750 §2.1), "" when there is none.

    Raises:
        Problem: more than one Authorization header.
    """
    values = request.headers.getall("Authorization", [])
    if len(values) > 1:
        raise Problem(400, "two_credentials")
    scheme, _, token = values[0].partition(" ") if values else ("", "", "")
    return token.strip(" ") if scheme.lower() == "bearer" else ""


def read_credentials(request: web.Request, refresh: str = "") -> Credentials:
    """Bearer before cookie; *refresh* (from a body) before the refresh cookie.

    Among several refresh cookies the one bound to the access cookie's session counts, or none.

    Raises:
        Problem: an access credential is there twice, or bearer and cookie belong to different people.
    """
    names = context_of(request).cookies
    bearer, cookie = read_bearer(request), read_cookie(request, names.access)
    shown = read_cookies(request, names.refresh)
    refresh_cookie = shown[0] if len(shown) == 1 else _bound_to(request, cookie, shown)
    if bearer and cookie:
        _refuse_two_people(request, bearer, cookie)
    return Credentials(
        access=bearer or cookie,
        refresh=refresh or refresh_cookie,
        by_cookie=bool((cookie and not bearer) or (refresh_cookie and not refresh)),
    )


def read_bound_refresh(request: web.Request) -> str:
    """The refresh cookie, "" when it is not of the same session as the access cookie.

    A sibling subdomain can set ``__Secure-`` cookies for us, and so plant the refresh token of a session of
    its own, beside ours or alone; it cannot set the ``__Host-`` ones. The access token may have run out; where
    its cookie is gone altogether, the CSRF cookie, which is as hard to plant, says of which session it is.

    Raises:
        Problem: the access cookie is there twice.
    """
    names = context_of(request).cookies
    access, shown = read_cookie(request, names.access), read_cookies(request, names.refresh)
    return _bound_to(request, access, shown) if access else _bound_by_csrf(request, shown)


def read_every_credential(request: web.Request, refresh: str = "") -> list[Credentials]:
    """For a logout: whatever is shown, twins and two people included, is no reason to keep anybody signed in.

    At most `EVERY` of a kind, because each costs a look into the store.
    """
    names = context_of(request).cookies
    access = [read_bearer(request), *read_cookies(request, names.access)]
    renewing = [refresh, *read_cookies(request, names.refresh)]
    return [
        *(Credentials(access=token) for token in [t for t in access if t][:EVERY]),
        *(Credentials(refresh=token) for token in [t for t in renewing if t][:EVERY]),
    ]


def require_signed_in(request: web.Request) -> SignedIn:
    """Whose request this is.

    Raises:
        Problem: nobody's (401, with the code of the edge).
        FeedStaleError: it cannot be said for now.
    """
    result = context_of(request).sessions.identify(read_credentials(request))
    if isinstance(result, NotSignedIn):
        raise unauthorized(result.code)
    return result


def require_bearer(request: web.Request) -> Claims:
    """What the bearer token says: a service's own token, or an access token of a service or a person.

    Raises:
        Problem: there is none, or it does not count (401).
        FeedStaleError: it cannot be said for now.
    """
    context, token = context_of(request), read_bearer(request)
    known = context.services.reader.identify(token)
    if isinstance(known, NotSignedIn):
        raise unauthorized(known.code)
    if known is not None:
        return known
    result = context.sessions.identify(Credentials(access=token), services=True)
    if isinstance(result, NotSignedIn):
        raise unauthorized(result.code)
    return result.claims


def unauthorized(code: str) -> Problem:
    """401 with RFC 6750 §3: no error member when no credential was sent."""
    challenge = "Bearer"
    if code != "no_credentials":
        challenge = f'Bearer error="invalid_token", error_description="{code}"'
    return Problem(401, code, headers={"WWW-Authenticate": challenge})


def require_same_site(
    request: web.Request, *, always: bool = False, siblings: bool = False
) -> None:
    """Refuse an unsafe request that another site may have made a browser send.

    Needed where the request carries one of our session cookies, and (*always*) where it will get some. The
    pre-login cookie alone proves nothing and gives nothing, so it does not count. *siblings*: pages on the
    other hosts that share the login may send it (the row of the route in `services.auth.http.policy`); else
    they may not, whatever token they show: their scripts can read our CSRF cookie.

    Raises:
        Problem: 403 csrf_failed.
    """
    if request.method in csrf.SAFE_METHODS:
        return
    names = context_of(request).cookies
    carried = [read_cookies(request, name) for name in (names.access, names.refresh)]
    if not always and not any(map(any, carried)):
        return
    origin, own = request.headers.get("Origin"), context_of(request).origins
    sharing = context_of(request).sharing
    if origin in sharing - own and not siblings:
        raise Problem(403, "csrf_failed")
    if not csrf.allows(
        fetch_site=request.headers.get("Sec-Fetch-Site"),
        origin=origin,
        own_origins=sharing if siblings else own,
        token=request.headers.get("X-CSRF-Token"),
        expected=_expected_csrf(request, *map(_only, carried)),
    ):
        raise Problem(403, "csrf_failed")


def _bound_to(request: web.Request, access: str, shown: list[str]) -> str:
    """The one of the refresh tokens *shown* that is of the session of *access*; "" when none, or two, are."""
    claims = context_of(request).sessions.access_tokens.read_expired(access) if access else None
    parsed = {text: parse_refresh_token(text) for text in shown}
    own = [text for text, token in parsed.items() if claims and token and token.sid == claims.sid]
    return own[0] if len(own) == 1 else ""


def _bound_by_csrf(request: web.Request, shown: list[str]) -> str:
    """The one of the refresh tokens *shown* whose session's CSRF cookie is there; "" when none, or two, are."""
    value = _only(read_cookies(request, context_of(request).cookies.csrf))
    hashes = context_of(request).issuer.csrf_hashes
    parsed = {text: parse_refresh_token(text) for text in shown} if value else {}
    own = [
        text for text, token in parsed.items() if token and csrf_claim(value) in hashes(token.sid)
    ]
    return own[0] if len(own) == 1 else ""


def _only(values: list[str]) -> str:
    """Of twins neither says what the CSRF token must be: whoever planted one knows its own."""
    return values[0] if len(values) == 1 else ""


def _expected_csrf(request: web.Request, access: str, refresh: str) -> frozenset[str]:
    context, expected = context_of(request), frozenset[str]()
    claims = context.sessions.access_tokens.read_expired(access) if access else None
    if claims is not None and claims.csrf:
        expected |= {claims.csrf}
    token = parse_refresh_token(refresh)
    return expected | context.issuer.csrf_hashes(token.sid) if token else expected


def _refuse_two_people(request: web.Request, bearer: str, cookie: str) -> None:
    """Two valid tokens of different people: nobody can say who is meant (yardstick S-09)."""
    read = context_of(request).sessions.access_tokens.read_expired
    by_bearer, by_cookie = read(bearer), read(cookie)
    if by_bearer and by_cookie and by_bearer.sub != by_cookie.sub:
        raise Problem(400, "two_subjects")
