"""Settings: read once, frozen, from ``LATCHWIRE_*`` variables and one ``.env`` that all workers share.

Each worker's ``settings.py`` subclasses `WorkerSettings` with the names it needs. A name that no worker
knows is refused, so a typing mistake cannot silently leave a default in force.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "LATCHWIRE_"
ENV_FILE = ".env"

# Every name any part of Latchwire reads; a test compares this with the workers' models.
KNOWN_NAMES: frozenset[str] = frozenset(
    {
        # the six that make a production
        "URL", "ALLOW", "SITE_NAME", "SMTP_URL", "MAIL_FROM", "SECRETS_DIR",
        # where the parts meet
        "NATS_URL", "REDIS_URL", "CATALOGUE", "EDGE_ID", "TRUSTED_PROXIES",
        # doors
        "AUTH_LISTEN", "AUTH_ADMIN", "EDGE_LISTEN", "EDGE_ADMIN", "MAILER_ADMIN", "REVOCATION_ADMIN",
        # behaviour
        "LINK_URL", "COOKIE_DOMAIN", "AUDIENCE", "MAX_STALENESS", "LOG_LEVEL", "LOG_FORMAT",
        "LIMIT_ADDRESS", "LIMIT_NETWORK", "LIMIT_GLOBAL", "DRAIN_TIMEOUT",
    }
)  # fmt: skip


class SettingsError(Exception):
    """The settings are not usable; every problem is one line, without the values."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class WorkerSettings(BaseSettings):
    """What every worker needs. URLs and paths of the installation; no secret is a setting."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        enable_decoding=False,  # a list is written a,b and read by its field's validator, not as JSON
    )

    url: str = Field(description="public base URL: https://…, or http://localhost[:port]")
    secrets_dir: Path = Field(default=Path("secrets"), description="key files, mode 0600")
    nats_url: str = "nats://127.0.0.1:4222"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    drain_timeout: float = Field(default=10.0, ge=0.1, le=300, description="seconds")

    @field_validator("url")
    @classmethod
    def _public_url(cls, value: str) -> str:
        parts = urlsplit(value)
        local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            raise ValueError("must be https://… (plain http only for localhost)")
        if not parts.hostname or parts.query or parts.fragment or parts.path not in {"", "/"}:
            raise ValueError("must be an origin such as https://auth.example.com, without a path")
        return value.rstrip("/")

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
    return f"{PREFIX}{name.upper()}: {message.removeprefix('Value error, ')}"


def _without_credentials(value: object) -> object:
    if not isinstance(value, str) or "@" not in value or "://" not in value:
        return str(value) if isinstance(value, Path) else value
    parts = urlsplit(value)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
