"""What every route finds under ``request.app[CONTEXT]``; `services.auth.wiring` fills it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

from services.auth.domain.client import IPNetwork
from services.auth.domain.returnto import safe_next
from services.auth.flows.asking import Asking
from services.auth.flows.deletion import DeletionFlow
from services.auth.flows.directory import DirectoryFlow
from services.auth.flows.gateway import GatewayRoutes
from services.auth.flows.identities import IdentityFlow
from services.auth.flows.introspect import IntrospectFlow
from services.auth.flows.invitation import InvitationFlow
from services.auth.flows.link import LinkFlow
from services.auth.flows.org import OrgFlow
from services.auth.flows.password import PasswordFlow
from services.auth.flows.reach import Watching
from services.auth.flows.register import RegisterFlow
from services.auth.flows.reset import ResetFlow
from services.auth.flows.revoke import RevokeFlow
from services.auth.flows.service_access import ServiceAccess
from services.auth.flows.service_tokens import ServiceTokenFlow
from services.auth.flows.session import SessionFlow
from services.auth.flows.social import SocialFlow
from services.auth.flows.token_reach import TokenReach
from services.auth.flows.tokens import Issuer
from services.auth.http.clients import ClientList
from services.auth.http.throttles import Throttles
from services.auth.ports.accounts import Accounts, Subjects
from shared.clock import Clock
from shared.cookies import CookieNames
from shared.ids import Ids
from shared.origins import Origins
from shared.secrets import SymmetricKeys


@dataclass(frozen=True)
class AccountFlows:
    """The flows that exist only where accounts are switched on; `services.auth.wiring.accounts` fills it."""

    accounts: Accounts
    subjects: Subjects
    asking: Asking
    orgs: OrgFlow
    invitations: InvitationFlow
    registering: RegisterFlow
    passwords: PasswordFlow
    resetting: ResetFlow
    social: SocialFlow
    identities: IdentityFlow
    deletion: DeletionFlow
    directory: DirectoryFlow


class Hosts(Protocol):
    """What is behind the gateway at this moment."""

    @property
    def hosts(self) -> frozenset[str]:
        """The host names that services answer on, lower-case."""


@dataclass(frozen=True)
class TheseHosts:
    """Always the same ones."""

    hosts: frozenset[str] = frozenset()


NO_HOSTS = TheseHosts()


@dataclass(frozen=True)
class Context:
    """The public face (*url* is an origin without a slash), the flows, and what requests are read with.

    *catalogue* is the one in force, whatever moment it is asked.
    """

    url: str
    site_name: str
    cookies: CookieNames
    asking: Asking
    links: LinkFlow
    sessions: SessionFlow
    revoking: RevokeFlow
    introspecting: IntrospectFlow
    services: ServiceTokenFlow
    service_access: ServiceAccess
    watching: Watching
    token_reach: TokenReach
    issuer: Issuer
    csrf_keys: SymmetricKeys
    clients: ClientList
    trusted_proxies: tuple[IPNetwork, ...]
    jwks: Mapping[str, Any]
    clock: Clock
    ids: Ids
    accounts: AccountFlows | None = None
    gateway: GatewayRoutes | None = None
    throttles: Throttles = field(default_factory=Throttles)
    edges_jwks: Mapping[str, Any] = field(default_factory=lambda: {"keys": []})
    catalogue: Hosts = NO_HOSTS

    @property
    def secure(self) -> bool:
        """Whether the public side is https."""
        return self.url.startswith("https://")

    @property
    def reach(self) -> Origins:
        """Where the cookies of the login reach."""
        return Origins(self.url, self.cookies.domain)

    @property
    def origins(self) -> frozenset[str]:
        """The origins whose pages may send unsafe requests with our cookies."""
        return frozenset({self.reach.own})

    @property
    def sharing(self) -> frozenset[str]:
        """The own origin, and those of the catalogue that share its login: people are sent back to them."""
        return self.reach.of(self.catalogue.hosts)

    def return_address(self, text: str) -> str | None:
        """*text* when people may be sent there, as a path where it is our own; else None."""
        return safe_next(text, self.reach.own, self.sharing)


CONTEXT = web.AppKey("CONTEXT", Context)


def context_of(request: web.Request) -> Context:
    """The context of the application that serves *request*."""
    return request.app[CONTEXT]


def accounts_of(request: web.Request) -> AccountFlows:
    """The flows of accounts, whose routes exist only where they are switched on."""
    accounts = context_of(request).accounts
    assert accounts is not None
    return accounts
