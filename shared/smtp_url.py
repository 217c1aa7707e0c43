"""The mail server as LATCHWIRE_SMTP_URL names it, and which protection its host calls for."""

import ipaddress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

TLS = Literal["implicit", "starttls", "none"]

_PORTS: dict[TLS, int] = {"implicit": 465, "starttls": 587, "none": 25}
_LOCAL_NAMES = frozenset({"localhost", "localhost."})
_SHAPE = "must be smtp://[user[:password]@]host[:port], special characters written as %XX"


@dataclass(frozen=True)
class MailServer:
    """Where to hand mail in. *password* never shows."""

    host: str
    port: int
    tls: TLS
    username: str = ""
    password: str = field(default="", repr=False)


def parse_smtp_url(url: str) -> MailServer:
    """The server of ``smtps://…`` (TLS from the first byte) or ``smtp://[user[:password]@]host[:port]``.

    With ``smtp://`` STARTTLS is required, except towards this machine itself; ``?starttls=never`` and
    ``?starttls=always`` spell out another choice. A password is never sent without TLS to another host.

    Raises:
        ValueError: not such a URL; the text names the rule and never the URL.
    """
    try:
        return _parse(url)
    except _RuleError:
        raise
    except ValueError:  # urllib's own text would repeat a part of the URL, perhaps of the password
        raise _RuleError(_SHAPE) from None


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in _LOCAL_NAMES


class _RuleError(ValueError):
    """A rule of ours, told without the URL."""


def _parse(url: str) -> MailServer:
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"}:
        raise _RuleError("must begin with smtp:// or smtps://")
    if not parts.hostname or parts.path not in {"", "/"} or "#" in url:
        raise _RuleError(_SHAPE)
    if parts.password and not parts.username:
        raise _RuleError("a password needs a user name before it")
    tls = _protection(parts.scheme, parts.hostname, parts.query)
    if tls == "none" and parts.username and not is_loopback(parts.hostname):
        raise _RuleError("a password is not sent without TLS: remove starttls=never")
    return MailServer(
        host=parts.hostname,
        port=_port(parts.port, tls),
        tls=tls,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _protection(scheme: str, host: str, query: str) -> TLS:
    options = parse_qs(query, strict_parsing=True) if query else {}
    choice = options.pop("starttls", [""])[-1]
    if options or choice not in {"", "always", "never"}:
        raise _RuleError("the only option is starttls=always or starttls=never")
    if scheme == "smtps":
        if choice:
            raise _RuleError("smtps:// has no starttls option: it is TLS from the first byte")
        return "implicit"
    if choice == "never" or (not choice and is_loopback(host)):
        return "none"
    return "starttls"


def _port(port: int | None, tls: TLS) -> int:
    if port == 0:
        raise _RuleError("port 0 is no port")
    return port or _PORTS[tls]
