"""Logging in at somebody else's: who a provider is, what it proved, and when its word is enough.

A person is (issuer, subject) there, for ever (OIDC Core §5.7); the address is only what the provider was told.
Its word about an address counts where the operator wrote that the provider speaks for that address's domain.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlencode

from services.auth.domain.client import UNKNOWN, Client
from shared.ids import b64url

ProviderKind = Literal["oidc", "github", "facebook"]
ClientAuth = Literal["basic", "post", "none"]

HANDSHAKE_SECONDS = 600
MAX_CODE = 4096
STATE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)  # 256 bits
NAME = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
AMR = "provider"
OWN_DOMAINS = frozenset({"gmail.com", "googlemail.com"})

_DENIED = frozenset({"access_denied", "consent_required", "interaction_required", "login_required"})
_LATER = frozenset({"temporarily_unavailable", "server_error"})


@dataclass(frozen=True)
class ProviderConfig:
    """One provider of providers.yaml, its preset filled in.

    *issuer* is compared character by character; ``{tenantid}`` in it stands for the token's ``tid``, one of
    *tenants* where there are any. *endpoints* (authorize, token, user, emails) is for what has no discovery.
    *scopes* is as sent; *seconds* bound all that is asked of it during one login. *authoritative* are the
    domains whose addresses the provider's word proves.
    """

    name: str
    title: str
    kind: ProviderKind
    issuer: str
    client_id: str
    scopes: str
    discovery: str = ""
    algorithms: tuple[str, ...] = ("RS256",)
    client_auth: ClientAuth = "basic"
    authoritative: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    endpoints: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    workspace_claim: str = ""
    allow_private: bool = False
    seconds: float = 10.0
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class ProviderChoice:
    """A button: "Continue with *title*"."""

    name: str
    title: str


@dataclass(frozen=True)
class Handshake:
    """What is kept here while somebody is at the provider; found by the state, in the same *browser* only.

    *browser* is the hash of the pre-login value. *link_sub* is whose account the login shall be added to; ""
    for signing in.
    """

    provider: str
    browser: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    next: str = ""
    link_sub: str = ""


@dataclass(frozen=True)
class ProviderAnswer:
    """What the browser brought back: *code* or *error*; *iss* where the provider names itself (RFC 9207)."""

    state: str = field(repr=False)
    code: str = field(default="", repr=False)
    error: str = ""
    iss: str = ""


@dataclass(frozen=True)
class ProvenIdentity:
    """Who somebody is at *provider*, by that provider's proof. *email* is canonical, or "".

    *speaks_for*: its word is enough that the address is theirs (yardstick O-07).
    """

    provider: str
    iss: str
    subject: str
    email: str = field(default="", repr=False)
    speaks_for: bool = False


@dataclass(frozen=True)
class KeptIdentity:
    """A proven identity that waits: for a button (*sub* says whose account), or ("") for a mail's link."""

    identity: ProvenIdentity
    browser: str
    sub: str = ""


@dataclass(frozen=True)
class Unproven:
    """The provider, or somebody in its name, answered what proves nobody; *reason* is for logs and counters."""

    reason: str


@dataclass(frozen=True)
class Identity:
    """A login that is linked to the account *sub*. Times in Unix ms."""

    iss: str
    subject: str
    sub: str
    provider: str
    created_at_ms: int
    used_at_ms: int
    email: str = field(default="", repr=False)


@dataclass(frozen=True)
class IdentityView:
    """A linked login in a person's list. *handle* names it and opens nothing."""

    handle: str
    provider: str
    title: str
    email: str
    created_at_ms: int
    used_at_ms: int


# ---- what a login ends with ----

FailureCode = Literal[
    "provider_denied",
    "provider_failed",
    "provider_unavailable",
    "provider_not_proven",
    "provider_no_email",
    "provider_login_spent",
    "login_refused",
]


@dataclass(frozen=True)
class SocialFailed:
    """Nothing was made, nobody is signed in; *code* is the stable reason. *next* is where they wanted to go."""

    code: FailureCode
    provider: str = ""
    next: str = ""


@dataclass(frozen=True)
class ProofNeeded:
    """Whether the address of *identity* is theirs, its mailbox has to say: `SocialFlow.ask_mailbox`."""

    identity: ProvenIdentity
    next: str = ""


@dataclass(frozen=True)
class LinkOffered:
    """A signed-in person came back: ask, then `SocialFlow.link` with *ticket*."""

    ticket: str


@dataclass(frozen=True)
class GoToProvider:
    """Send the browser to *url*."""

    url: str = field(repr=False)


@dataclass(frozen=True)
class Linked:
    """The login belongs to the account now, or did before."""

    provider: str


@dataclass(frozen=True)
class NotLinked:
    """``taken``: it is somebody else's here; ``gone``: the ticket does not, or no longer, count."""

    reason: Literal["taken", "gone"]


@dataclass(frozen=True)
class SocialVisit:
    """Who is at the other end: *browser* is the hash of the pre-login value."""

    browser: str
    client: Client = UNKNOWN
    locale: str = "en"


# ---- pure decisions ----


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier (RFC 7636 §4.2)."""
    return b64url(hashlib.sha256(verifier.encode("ascii")).digest())


def authorization_url(
    endpoint: str, config: ProviderConfig, redirect_uri: str, state: str, handshake: Handshake
) -> str:
    """Where to send the browser; *endpoint* may have a query of its own (RFC 6749 §3.1)."""
    query = {
        "response_type": "code",
        "client_id": config.client_id,
        "redirect_uri": redirect_uri,
        "scope": config.scopes,
        "state": state,
        "code_challenge": challenge_of(handshake.verifier),
        "code_challenge_method": "S256",
    }
    if config.kind == "oidc":
        query["nonce"] = handshake.nonce
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def speaks_for(config: ProviderConfig, email: str, verified: object, workspace: object) -> bool:
    """Whether *config*'s word proves *email*: JSON ``true`` and nothing like it, for a domain it speaks for.

    A provider that hosts other companies' mail (*workspace_claim*) must also name the very domain, unless it
    is one of its own (``workspace_claim`` "hd": Google's gmail.com has none).
    """
    domain = email.rpartition("@")[2]
    if not email or verified is not True or domain not in config.authoritative:
        return False
    if not config.workspace_claim or domain in OWN_DOMAINS:
        return True
    return isinstance(workspace, str) and workspace.lower() == domain


def meaning_of_error(error: str) -> FailureCode:
    """What an error that the provider sent back (RFC 6749 §4.1.2.1) is to the person. Its text is not shown."""
    if error in _DENIED:
        return "provider_denied"
    return "provider_unavailable" if error in _LATER else "provider_failed"


def identity_handle(key: bytes, identity: Identity) -> str:
    """The name of a linked login in lists."""
    message = f"identity/v1|{identity.iss}|{identity.subject}".encode()
    return b64url(hmac.digest(key, message, "sha256")[:12])
