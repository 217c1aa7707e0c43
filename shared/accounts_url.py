"""The store of accounts as LATCHWIRE_ACCOUNTS_URL names it: a file, or a PostgreSQL database."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

TLSMode = Literal["disable", "prefer", "require", "verify-full"]

PASSWORD_FILE = "accounts.password"  # noqa: S105 - a file of the secrets directory
POSTGRESQL_PORT = 5432
SHAPE = "must be sqlite:///path/accounts.db or postgresql://user@host[:port]/name"


@dataclass(frozen=True)
class SQLiteStore:
    """A file, absolute (``sqlite:////var/…``) or from where auth is started (``sqlite:///data/…``)."""

    path: str


@dataclass(frozen=True)
class PostgreSQLStore:
    """A database; its password is never in the URL but in the file `PASSWORD_FILE`."""

    host: str
    port: int
    user: str
    name: str
    tls: TLSMode = "prefer"


AccountsStore = SQLiteStore | PostgreSQLStore


def parse_accounts_url(url: str) -> AccountsStore:
    """The store that *url* names. ``?sslmode=`` is disable, prefer (as it is), require or verify-full.

    Raises:
        ValueError: not such a URL; the text names the rule and never the URL.
    """
    try:
        return _parse(url)
    except _RuleError:
        raise
    except ValueError:  # urllib's own text would repeat a part of the URL
        raise _RuleError(SHAPE) from None


class _RuleError(ValueError):
    """A rule of ours, told without the URL."""


def _parse(url: str) -> AccountsStore:
    parts = urlsplit(url)
    if "#" in url:
        raise _RuleError(SHAPE)
    if parts.scheme == "sqlite":
        if parts.netloc or parts.query or len(parts.path) < 2 or parts.path.endswith("/"):
            raise _RuleError(SHAPE)
        return SQLiteStore(unquote(parts.path[1:]))
    if parts.scheme != "postgresql":
        raise _RuleError(SHAPE)
    if parts.password is not None:
        raise _RuleError(f"the password belongs into the file {PASSWORD_FILE} of the secrets")
    name = unquote(parts.path[1:])
    if not parts.hostname or not parts.username or not name or "/" in name:
        raise _RuleError(SHAPE)
    port = POSTGRESQL_PORT if parts.port is None else parts.port
    return PostgreSQLStore(parts.hostname, port, unquote(parts.username), name, _tls(parts.query))


def _tls(query: str) -> TLSMode:
    options = parse_qs(query, strict_parsing=True) if query else {}
    mode = options.pop("sslmode", ["prefer"])[-1]
    modes: tuple[TLSMode, ...] = ("disable", "prefer", "require", "verify-full")
    for known in modes:
        if mode == known and not options:
            return known
    raise _RuleError("the only option is sslmode=disable, prefer, require or verify-full")
