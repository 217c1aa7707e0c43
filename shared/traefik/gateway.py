"""What the rendering needs to know besides the catalogue."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Gateway:
    """URLs as Traefik reaches the parts, without a path.

    *auth_host* limits the login to one host name; *cert_resolver* switches TLS on. Services that are not
    exposed are routed at *internal* alone, and nowhere without one. *secure*: people come by https, also
    where TLS ends in front of Traefik.

    *stamped*: each check tells by which entry of the catalogue Traefik routes, and not its name alone. False
    for what is copied by hand and would outlive the entry.
    """

    auth: str
    edge: str
    entry_point: str = "web"
    auth_host: str | None = None
    cert_resolver: str | None = None
    internal: str | None = None
    secure: bool = False
    stamped: bool = True
