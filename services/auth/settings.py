"""What auth reads from ``LATCHWIRE_*``."""

from pathlib import Path

from pydantic import Field, field_validator

from services.auth.domain.deletion import parse_deadline, parse_services
from services.auth.domain.limits import Rate, parse_rate
from services.auth.domain.tries import TryLimits
from shared.allow import AllowList, parse_allow
from shared.setting_types import (
    LOOPBACK,
    AccountsURL,
    Admin,
    Allow,
    Audience,
    EntryPoint,
    Listen,
    MaxStaleness,
    Network,
    PartURL,
    RedisURL,
    TrustedProxies,
)
from shared.settings import BrowserSettings


class AuthSettings(BrowserSettings):
    """Times in seconds; rates as ``30/5m``."""

    allow: Allow
    redis_url: RedisURL = "redis://127.0.0.1:6379/0"
    auth_listen: Listen = "127.0.0.1:8000"
    auth_admin: Admin = "127.0.0.1:8001"
    audience: Audience = "latchwire"
    max_staleness: MaxStaleness = 10.0
    limit_address: str = Field(default="5/h", description="login mails to one address")
    limit_network: str = Field(
        default="30/5m",
        description="login requests from one network (IPv4 /24, IPv6 /64; 3x for a /56, 10x for a /48)",
    )
    limit_global: str = Field(default="1000/m", description="login mails in all")
    trusted_proxies: TrustedProxies = LOOPBACK
    catalogue: Path = Field(
        default=Path("services.yaml"), description="the file of the services behind the gateway"
    )
    gateway_auth: PartURL = Field(
        default="http://127.0.0.1:8000", description="auth as the gateway (Traefik) reaches it"
    )
    gateway_edge: PartURL = Field(
        default="http://127.0.0.1:9000", description="the edges as the gateway reaches them"
    )
    gateway_entry_point: EntryPoint = Field(
        default="web", description="the gateway's entry point for everybody"
    )
    gateway_internal: EntryPoint | None = Field(
        default=None,
        description="its entry point for services that are not exposed; without one these have no route",
    )
    gateway_cert_resolver: EntryPoint | None = Field(
        default=None,
        description="the gateway's certificate resolver; without one its routes have no TLS",
    )
    accounts_url: AccountsURL = None
    roles: Path = Field(
        default=Path("roles.yaml"), description="the table of roles and permissions"
    )
    providers: Path = Field(
        default=Path("providers.yaml"), description="the providers people may log in with"
    )
    password_length: int = Field(
        default=12, ge=8, le=64, description="the fewest characters of a password"
    )
    hash_workers: int = Field(
        default=0, ge=0, le=64, description="passwords hashed at a time; 0: one for each core"
    )
    limit_password: str = Field(
        default="100/h",
        description="wrong passwords for one address from browsers it does not know",
    )
    deletion_services: str = Field(
        default="",
        description="services that must say that they erased a deleted person: `shop,billing`",
    )
    deletion_deadline: str = Field(
        default="7d", description="until when they are expected to have said so"
    )

    @field_validator("limit_address", "limit_network", "limit_global", "limit_password")
    @classmethod
    def _rate(cls, value: str) -> str:
        parse_rate(value)
        return value

    @field_validator("deletion_services")
    @classmethod
    def _services(cls, value: str) -> str:
        parse_services(value)
        return value

    @field_validator("deletion_deadline")
    @classmethod
    def _deadline(cls, value: str) -> str:
        parse_deadline(value)
        return value

    def public(self) -> dict[str, object]:
        """Without the addresses of those who may sign in."""
        return super().public() | {"allow": self.allow_list.summary()}

    def names(self, field: str) -> bool:
        """Whether somebody has set *field*: a file that is named has to be there."""
        return field in self.model_fields_set

    @property
    def allow_list(self) -> AllowList:
        """Who may sign in."""
        return parse_allow(self.allow)

    @property
    def rates(self) -> tuple[Rate, Rate, Rate]:
        """Mails per address, requests per network, mails in all."""
        return (
            parse_rate(self.limit_address),
            parse_rate(self.limit_network),
            parse_rate(self.limit_global),
        )

    @property
    def try_limits(self) -> TryLimits:
        """Wrong passwords per address and browser, and per network."""
        return TryLimits(parse_rate(self.limit_password), parse_rate(self.limit_network))

    @property
    def erasers(self) -> tuple[str, ...]:
        """The services that have to say that they erased a deleted person."""
        return parse_services(self.deletion_services)

    @property
    def deletion_deadline_ms(self) -> int:
        """Until when they are expected to, from the deletion on."""
        return parse_deadline(self.deletion_deadline)

    @property
    def proxies(self) -> tuple[Network, ...]:
        """Whose X-Forwarded-For counts."""
        return self.trusted_proxies
