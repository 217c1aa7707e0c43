"""The types of settings that several parts read: one meaning, one validator and the same bounds for all.

`latchwire init` checks what it writes with the types its readers use, so it accepts what they accept.
"""

import ipaddress
import re
from email.errors import HeaderParseError
from email.headerregistry import Address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from shared.accounts_url import parse_accounts_url
from shared.allow import parse_allow
from shared.durations import MAX_STALENESS_SECONDS, parse_duration
from shared.emails import InvalidEmailError, canonical_email
from shared.smtp_url import parse_smtp_url

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
# Shorter prefixes than the private networks have name everyone, whatever was meant.
SHORTEST_PREFIX = {4: 8, 6: 7}
MAX_SITE_NAME = 64
EDGE_NAME = r"^edge[a-z0-9-]{0,60}$"  # also of its credential
MAX_EDGE_NAMES = 500  # as many as a revocation worker remembers

# A domain with a dot whose last name has a letter (an address of numbers has no subdomains).
_DOMAIN = re.compile(
    r"(?=.{3,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?",
    re.ASCII,
)
_SENDER_RULE = "must be login@acme.com or Acme <login@acme.com>"
_SENDER = re.compile(r"(?P<name>[^<>@]*?) ?<(?P<named>[^<>]+)>|(?P<bare>[^<> ]+)")


def parse_sender(text: str) -> Address:
    """``login@acme.com`` or ``Acme <login@acme.com>``.

    Raises:
        ValueError: anything else, such as two addresses or a line break.
    """
    match = _SENDER.fullmatch(text)
    if match is None or not text.isprintable():
        raise ValueError(_SENDER_RULE)
    try:
        local, _, domain = canonical_email(match["named"] or match["bare"]).partition("@")
        return Address(
            display_name=(match["name"] or "").strip('" '), username=local, domain=domain
        )
    except (InvalidEmailError, HeaderParseError) as error:
        raise ValueError(_SENDER_RULE) from error


def _public_url(value: str) -> str:
    parts = urlsplit(value)
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"} or _is_below_localhost(
        parts.hostname
    )
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ValueError("must be https://… (plain http only for localhost)")
    if not parts.hostname or parts.query or parts.fragment or parts.path not in {"", "/"}:
        raise ValueError("must be an origin such as https://auth.example.com, without a path")
    return value.rstrip("/")


def _is_below_localhost(host: str | None) -> bool:
    """``auth.house.localhost``: browsers take every name below localhost for the loopback (RFC 6761 §6.3)."""
    return host is not None and host.endswith(".localhost")


def _cookie_domain(value: str | None) -> str | None:
    if value is not None and not _DOMAIN.fullmatch(value):
        raise ValueError("must be a domain of two names at least, in lower case: acme.com")
    return value


def _allow(value: str) -> str:
    parse_allow(value)
    return value


def _site_name(value: str) -> str:
    name = value.strip()
    if not name.isprintable():
        raise ValueError("must be one line of text")
    if not 1 <= len(name) <= MAX_SITE_NAME:
        raise ValueError(f"must have 1 to {MAX_SITE_NAME} characters")
    return name


def _smtp_url(value: str) -> str:
    parse_smtp_url(value)
    return value


def _accounts_url(value: str | None) -> str | None:
    if value is not None:
        parse_accounts_url(value)
    return value


def _sender(value: str) -> str:
    parse_sender(value)
    return value


def _seconds(value: Any) -> Any:
    if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
        return parse_duration(value)
    return value


def _split_networks(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())


def _somebody_but_not_everybody(value: tuple[Network, ...]) -> tuple[Network, ...]:
    if not value:
        raise ValueError("name at least one proxy")
    for network in value:
        if network.prefixlen < SHORTEST_PREFIX[network.version]:
            raise ValueError(
                f"{network} trusts everyone to say what was asked for: name the proxy's network"
            )
    return value


def _split_names(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _edge_names(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(re.fullmatch(EDGE_NAME, name) for name in value):
        raise ValueError("must be names of edges with commas between: edge-1,edge-2")
    if len(value) > MAX_EDGE_NAMES:
        raise ValueError(f"at most {MAX_EDGE_NAMES} names")
    return tuple(dict.fromkeys(value))


PublicURL = Annotated[
    str,
    AfterValidator(_public_url),
    Field(description="the public address: `https://auth.acme.com`, or `http://localhost:8080`"),
]
Allow = Annotated[
    str,
    AfterValidator(_allow),
    Field(description="who may log in: `@acme.com,sam@partner.org`, or `*` for everybody"),
]
SiteName = Annotated[
    str,
    AfterValidator(_site_name),
    Field(
        description=f"the name people see in mails and pages, at most {MAX_SITE_NAME} characters; "
        "without one the host of `LATCHWIRE_URL`"
    ),
]
SmtpURL = Annotated[
    str,
    AfterValidator(_smtp_url),
    Field(
        repr=False,
        description="where mail goes: `smtp://user@host:587` (STARTTLS) or `smtps://user@host`; the "
        "password in it, or better in the file `smtp.password` of the secrets directory",
    ),
]
AccountsURL = Annotated[
    str | None,
    AfterValidator(_accounts_url),
    Field(
        description="switches accounts on: `sqlite:///path/accounts.db` or `postgresql://user@host/name`, "
        "whose password is in the file `accounts.password` of the secrets directory"
    ),
]
Sender = Annotated[
    str,
    AfterValidator(_sender),
    Field(description="who mail is from: `login@acme.com`, or `Acme <login@acme.com>`"),
]
Seconds = Annotated[float, BeforeValidator(_seconds)]
MaxStaleness = Annotated[
    Seconds,
    Field(
        ge=1,
        le=MAX_STALENESS_SECONDS,
        description="how old the proof of a complete blocklist may be before everything is refused: "
        "`10`, `10s` or `2m`, from 1 s to 15 m",
    ),
]
TrustedProxies = Annotated[
    tuple[Network, ...],
    BeforeValidator(_split_networks),
    AfterValidator(_somebody_but_not_everybody),
    Field(description="networks of the proxies whose `X-Forwarded-*` count, with commas between"),
]
EdgeNames = Annotated[
    tuple[str, ...],
    BeforeValidator(_split_names),
    AfterValidator(_edge_names),
    Field(
        description="the names (`LATCHWIRE_EDGE_ID`) of **all** edges, with commas between. Without it "
        "new routes and complete receipts wait after a worker's start until an edge it never heard must have "
        "closed (`max_staleness` and 2 s)"
    ),
]
CookieDomain = Annotated[
    str | None,
    AfterValidator(_cookie_domain),
    Field(
        description="`acme.com` shares the session with the hosts below it, for services at a host of "
        "their own; without one cookies stay on the host of `LATCHWIRE_URL`"
    ),
]
Audience = Annotated[str, Field(description="the `aud` of access tokens")]
# Both stand in the gateway's configuration, so they have the form of what they are and nothing else.
PartURL = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+$")]
EntryPoint = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
RedisURL = Annotated[str, Field(description="Redis: sessions, open links, mail states")]
Listen = Annotated[str, Field(description="`host:port` for the proxy's requests")]
Admin = Annotated[
    str, Field(description="`host:port` of `/health`, `/ready` and `/metrics`; keep it private")
]
