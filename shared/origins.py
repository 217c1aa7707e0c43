"""Which origins share one login: the public one, and hosts within the cookie domain at the same door.

A browser sends a cookie to every port of a host, so the port counts here: one front door has one port, and
what listens at another one is not ours to send people to.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

_HOST: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*", re.ASCII)
_USUAL_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Origins:
    """*url* is the public base URL of auth, *cookie_domain* what `LATCHWIRE_COOKIE_DOMAIN` says."""

    url: str
    cookie_domain: str | None = None
    own: str = field(init=False)  # as a browser writes it
    _scheme: str = field(init=False)
    _port: str = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url.lower())
        usual = parts.port in {None, _USUAL_PORTS.get(parts.scheme)}
        port = "" if usual else f":{parts.port}"
        host = parts.netloc.removesuffix(f":{parts.port}")
        object.__setattr__(self, "_scheme", f"{parts.scheme}://")
        object.__setattr__(self, "_port", port)
        object.__setattr__(self, "own", self._of(host))

    def shares(self, origin: str) -> bool:
        """Whether cookies of the login reach *origin*, written as a browser writes it."""
        if origin == self.own:
            return True
        host = origin.removeprefix(self._scheme).removesuffix(self._port)
        return origin == self._of(host) and self._holds(host)

    def of(self, hosts: Iterable[str]) -> frozenset[str]:
        """The own origin, and of *hosts* (names, lower-case) those that cookies of the login reach."""
        return frozenset({self.own, *(self._of(host) for host in hosts if self._holds(host))})

    @property
    def sources(self) -> str:
        """Where the login reaches, for a Content-Security-Policy: without a cookie domain nowhere else."""
        if self.cookie_domain is None:
            return "'self'"
        return f"'self' {self._of(self.cookie_domain)} {self._of(f'*.{self.cookie_domain}')}"

    def _of(self, host: str) -> str:
        return f"{self._scheme}{host}{self._port}"

    def _holds(self, host: str) -> bool:
        domain = self.cookie_domain
        if domain is None or not _HOST.fullmatch(host):
            return False
        return host == domain or host.endswith(f".{domain}")
