"""Settings: read once, frozen, from ``LATCHWIRE_*`` variables and one ``.env`` that all workers share.

Each worker's ``settings.py`` subclasses `WorkerSettings` with the names it needs. A name that no worker
knows is refused, so a typing mistake cannot silently leave a default in force.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.origins import Origins
from shared.setting_types import CookieDomain, PublicURL, Seconds, SiteName

PREFIX = "LATCHWIRE_"
ENV_FILE = ".env"

# Every name any part of Latchwire reads; a test compares this with the workers' models.
KNOWN_NAMES: frozenset[str] = frozenset(
    {
        # the six that make a production
        "URL", "ALLOW", "SITE_NAME", "SMTP_URL", "MAIL_FROM", "SECRETS_DIR",
        # where the parts meet
        "NATS_URL", "REDIS_URL", "CATALOGUE", "REVOKERS", "EDGE_ID", "EDGES", "TRUSTED_PROXIES",
        # doors
        "AUTH_LISTEN", "AUTH_ADMIN", "EDGE_LISTEN", "EDGE_ADMIN", "MAILER_ADMIN", "REVOCATION_ADMIN",
        # behaviour
        "LINK_URL", "COOKIE_DOMAIN", "AUDIENCE", "MAX_STALENESS", "EDGE_FAST_PATH", "LOG_LEVEL", "LOG_FORMAT",
        "ACCOUNTS_URL", "ROLES", "PROVIDERS", "PASSWORD_LENGTH", "HASH_WORKERS", "LIMIT_PASSWORD",
        "DELETION_SERVICES", "DELETION_DEADLINE",
        "GATEWAY_AUTH", "GATEWAY_EDGE", "GATEWAY_ENTRY_POINT", "GATEWAY_INTERNAL", "GATEWAY_CERT_RESOLVER",
        "LIMIT_ADDRESS", "LIMIT_NETWORK", "LIMIT_GLOBAL", "DRAIN_TIMEOUT",
    }
)  # fmt: skip


class SettingsError(Exception):
    """The settings are not usable; every problem is one line, without the values."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class WorkerSettings(BaseModel):
    """What every worker needs. URLs and paths of the installation; no secret is a setting."""

    # Not BaseSettings: `load` alone reads the environment, where an empty value is none.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    url: PublicURL
    secrets_dir: Path = Field(
        default=Path("secrets"), description="the directory of the key files, mode 0600"
    )
    nats_url: str = Field(default="nats://127.0.0.1:4222", description="the bus")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="`debug`, `info`, `warning` or `error`"
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="`json`, or `console` for people"
    )
    drain_timeout: Seconds = Field(
        default=10.0,
        ge=0.1,
        le=300,
        description="how long a worker that is told to end may finish what it began: `10` or `10s`",
    )

    @property
    def secure(self) -> bool:
        """Whether the public side is https (cookies carry ``Secure`` and their prefixes)."""
        return self.url.startswith("https://")

    def public(self) -> dict[str, object]:
        """The effective settings for the one start-up log line; URLs lose user and password."""
        return {name: _without_credentials(value) for name, value in self.model_dump().items()}

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment and `.env`.

        Raises:
            SettingsError: a name is unknown or a value does not fit.
        """
        values = read_environment(environ)
        fields = {n: values[n.upper()] for n in cls.model_fields if n.upper() in values}
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise SettingsError(
                [_problem(e["loc"], e["msg"]) for e in error.errors(include_input=False)]
            ) from None


class SiteSettings(WorkerSettings):
    """What the workers need that write to people."""

    site_name: SiteName = ""

    @model_validator(mode="before")
    @classmethod
    def _named_by_its_host(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("site_name"):
            return values
        return {**values, "site_name": urlsplit(str(values.get("url"))).hostname or "this site"}


class BrowserSettings(SiteSettings):
    """What the workers need that browsers talk to: the name on their pages, and where the cookies reach."""

    cookie_domain: CookieDomain = None

    @model_validator(mode="after")
    def _within_its_domain(self) -> Self:
        host, domain = urlsplit(self.url).hostname or "", self.cookie_domain
        if domain is not None and host != domain and not host.endswith(f".{domain}"):
            raise ValueError(
                f"LATCHWIRE_COOKIE_DOMAIN: {domain} is not a domain that LATCHWIRE_URL is in, "
                "so a browser would take no cookie for it"
            )
        return self

    @property
    def origins(self) -> Origins:
        """Which origins share the login."""
        return Origins(self.url, self.cookie_domain)


SettingsT = TypeVar("SettingsT", bound=WorkerSettings)


def read_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """All ``LATCHWIRE_*`` values without the prefix; the environment wins over `.env`.

    Raises:
        SettingsError: a name no part of Latchwire knows.
    """
    environ = os.environ if environ is None else environ
    merged = {**_read_env_file(Path(ENV_FILE)), **environ}
    values = {
        name.removeprefix(PREFIX): value
        for name, value in merged.items()
        if name.startswith(PREFIX) and value != ""
    }
    problems = [_unknown(name) for name in sorted(values.keys() - KNOWN_NAMES)]
    if problems:
        raise SettingsError(problems)
    return values


def _read_env_file(path: Path) -> dict[str, str]:
    from dotenv import dotenv_values

    if not path.is_file():
        return {}
    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, KNOWN_NAMES, n=1)
    hint = f"; did you mean {PREFIX}{close[0]}?" if close else ""
    return f"{PREFIX}{name} is not a setting of Latchwire{hint}"


def _problem(location: tuple[int | str, ...], message: str) -> str:
    name = ".".join(str(part) for part in location)
    said = message.removeprefix("Value error, ")
    # Without a name: of two settings that do not go together.
    return f"{PREFIX}{name.upper()}: {said}" if name else said


def _without_credentials(value: object) -> object:
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    if not isinstance(value, str) or "@" not in value or "://" not in value:
        return str(value) if isinstance(value, Path) else value
    parts = urlsplit(value)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
