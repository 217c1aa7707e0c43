"""Cookie names: derived from the public URL, the same in auth (which sets them) and the edge (which reads).

https: ``__Host-`` names, or ``__Secure-`` ones when `LATCHWIRE_COOKIE_DOMAIN` shares them between
subdomains. Plain http on localhost: unprefixed development names, because browsers drop prefixed ones.
A cookie that is shared has another name than one that is not: a browser that was here before the domain was
set would hold both, and of two cookies of a name none counts.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class CookieNames:
    """The four cookies: access token, refresh token, pre-login (browser), readable CSRF value."""

    access: str
    refresh: str
    login: str
    csrf: str
    secure: bool
    domain: str | None

    @classmethod
    def derive(cls, *, secure: bool, domain: str | None) -> "CookieNames":
        """The names for an https or development installation, with or without a shared domain."""
        if not secure:
            dev = "latchwire-dev"
            own = f"{dev}-shared" if domain else dev
            return cls(own, f"{dev}-refresh", f"{dev}-login", f"{own}-csrf", secure, domain)
        prefix = "__Secure-" if domain else "__Host-"
        return cls(
            f"{prefix}latchwire",
            "__Secure-latchwire-refresh",
            "__Host-latchwire-login",
            f"{prefix}latchwire-csrf",
            secure,
            domain,
        )
