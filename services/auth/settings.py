"""What auth reads from ``LATCHWIRE_*``."""

from pydantic import Field, field_validator

from services.auth.domain.allow import AllowList, parse_allow
from services.auth.domain.client import IPNetwork, parse_networks
from services.auth.domain.limits import Rate, parse_rate
from shared.settings import WorkerSettings


class AuthSettings(WorkerSettings):
    """Times in seconds; rates as ``30/5m``."""

    allow: str = Field(description="who may sign in: @acme.com,sam@partner.org or *")
    site_name: str = Field(default="this site", min_length=1, max_length=100)
    redis_url: str = "redis://127.0.0.1:6379/0"
    auth_listen: str = "127.0.0.1:8000"
    auth_admin: str = "127.0.0.1:8001"
    cookie_domain: str | None = None
    audience: str = "latchwire"
    max_staleness: float = Field(default=10.0, gt=0, le=900)
    limit_address: str = "5/h"
    limit_network: str = "30/5m"
    limit_global: str = "1000/m"
    trusted_proxies: str = "127.0.0.0/8,::1/128"

    @field_validator("allow")
    @classmethod
    def _allow_list(cls, value: str) -> str:
        parse_allow(value)
        return value

    @field_validator("limit_address", "limit_network", "limit_global")
    @classmethod
    def _rate(cls, value: str) -> str:
        parse_rate(value)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        parse_networks(value)
        return value

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
    def proxies(self) -> tuple[IPNetwork, ...]:
        """Whose X-Forwarded-For counts."""
        return parse_networks(self.trusted_proxies)
