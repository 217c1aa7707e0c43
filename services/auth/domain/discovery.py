"""What a provider says about itself (OIDC Discovery §3, RFC 8414), and whether that can be used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from services.auth.domain.provider import ProviderConfig

MAX_URL = 2048


@dataclass(frozen=True)
class Metadata:
    """The endpoints. *names_itself*: every answer must carry ``iss`` (RFC 9207)."""

    authorize: str
    token: str
    jwks: str
    userinfo: str = ""
    names_itself: bool = False


@dataclass(frozen=True)
class Unusable:
    """The document cannot be used; *reason* is a word for the log."""

    reason: str


def read_metadata(document: Mapping[str, Any], config: ProviderConfig) -> Metadata | Unusable:
    """The endpoints in *document*, whose issuer must be the configured one (OIDC Discovery §4.3).

    A provider that lists its PKCE methods without S256 would ignore the challenge: a downgrade, refused.
    """
    if document.get("issuer") != config.issuer:
        return Unusable("discovery_issuer")
    methods = document.get("code_challenge_methods_supported")
    if methods is not None and not (isinstance(methods, list) and "S256" in methods):
        return Unusable("discovery_pkce")
    needed = [
        document.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
    ]
    userinfo = document.get("userinfo_endpoint", "")
    urls = [*needed, userinfo] if userinfo else needed
    if not all(is_usable_url(url, allow_http=config.allow_private) for url in urls):
        return Unusable("discovery_endpoints")
    authorize, token, jwks = map(str, needed)
    named = document.get("authorization_response_iss_parameter_supported") is True
    return Metadata(authorize, token, jwks, str(userinfo), names_itself=named)


def is_usable_url(url: object, *, allow_http: bool) -> bool:
    """Whether *url* is an absolute https address (or http, where that is allowed) that reads in one way."""
    if not isinstance(url, str) or len(url) > MAX_URL or not url.isascii() or not url.isprintable():
        return False
    if set(url) & set(' "<>\\^`{|}'):
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    schemes = {"https", "http"} if allow_http else {"https"}
    plain = not parts.fragment and "@" not in parts.netloc
    return parts.scheme in schemes and bool(parts.hostname) and plain
