"""What is known of the four providers that most people have. Sources: their own documentation.

Google: "OpenID Connect", on when it speaks for an address (``email_verified``, gmail.com, ``hd``).
Microsoft: "ID token claims reference" and "Secure applications and APIs by validating claims" (tenants, the
issuer of keys; its word about an address is never a proof). GitHub: "Authorizing OAuth apps". Facebook:
"Manually build a login flow" and "Secure Graph API calls" (``appsecret_proof``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from services.auth.domain.provider import ClientAuth, ProviderKind

MICROSOFT = "https://login.microsoftonline.com"
MANY_TENANTS = frozenset({"common", "organizations"})
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"  # what ``consumers`` stands for
_TENANT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True)
class Preset:
    """What providers.yaml need not say. The plain one is of any OpenID provider."""

    title: str = ""
    kind: ProviderKind = "oidc"
    issuer: str = ""
    scopes: tuple[str, ...] = ("openid", "email")
    algorithms: tuple[str, ...] = ("RS256",)
    client_auth: ClientAuth = "basic"
    authoritative: tuple[str, ...] = ()
    endpoints: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    workspace_claim: str = ""
    tenants: bool = False

    def issuer_of(self, tenant: str | None) -> str:
        """The issuer; with tenants, of one *tenant* or ``{tenantid}`` for whichever the token names.

        Raises:
            ValueError: no tenant, or a name in place of its id, which no token has.
        """
        if not self.tenants:
            return self.issuer
        if tenant in MANY_TENANTS:
            return f"{MICROSOFT}/{{tenantid}}/v2.0"
        return self.base_of(tenant)

    def base_of(self, tenant: str | None) -> str:
        """Where the discovery of *tenant* is. Raises: ValueError, as `issuer_of`."""
        if tenant == "consumers":
            return f"{MICROSOFT}/{PERSONAL_TENANT}/v2.0"
        if tenant is None or (tenant not in MANY_TENANTS and not _TENANT.fullmatch(tenant)):
            raise ValueError("tenant: the directory's id, or common, organizations, consumers")
        return f"{MICROSOFT}/{tenant}/v2.0"


PRESETS: Mapping[str, Preset] = {
    "google": Preset(
        title="Google",
        issuer="https://accounts.google.com",
        client_auth="post",
        authoritative=("gmail.com",),
        workspace_claim="hd",
    ),
    "microsoft": Preset(title="Microsoft", client_auth="post", tenants=True),
    "github": Preset(
        title="GitHub",
        kind="github",
        issuer="https://github.com",
        scopes=("read:user", "user:email"),
        client_auth="post",
        endpoints={
            "authorize": "https://github.com/login/oauth/authorize",
            "token": "https://github.com/login/oauth/access_token",
            "user": "https://api.github.com/user",
            "emails": "https://api.github.com/user/emails",
        },
    ),
    "facebook": Preset(
        title="Facebook",
        kind="facebook",
        issuer="https://www.facebook.com",
        scopes=("public_profile", "email"),
        client_auth="post",
        endpoints={
            "authorize": "https://www.facebook.com/dialog/oauth",
            "token": "https://graph.facebook.com/oauth/access_token",
            "user": "https://graph.facebook.com/me",
        },
    ),
}
