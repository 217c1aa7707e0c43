"""Who asked, in words of ours only.

A browser says of itself whatever it likes; mail programs turn ``evil.com`` in a plain text into a link.
So what reaches a mail is built from the tables below and never contains the client's own text.
"""

import ipaddress

UNKNOWN_BROWSER = "an unknown browser"
UNKNOWN_NETWORK = "an unknown network"

# The first that is found: later ones are also claimed by the earlier ones.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Opera", "Opera"),
    ("Samsung", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Chrome on", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("ChromeOS", "ChromeOS"),
    ("Mac", "Mac"),
    ("Linux", "Linux"),
)


def describe_browser(user_agent: str) -> str:
    """ "Firefox on Linux", from a User-Agent header or from such a description itself."""
    browser = _first(_BROWSERS, user_agent)
    system = _first(_SYSTEMS, user_agent)
    return " on ".join(part for part in (browser, system) if part) or UNKNOWN_BROWSER


def describe_network(network: str) -> str:
    """ "network 203.0.113.0/24", or that it is unknown."""
    try:
        return f"network {ipaddress.ip_network(network, strict=False)}"
    except ValueError:
        return UNKNOWN_NETWORK


def _first(table: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for mark, name in table if mark in text), "")
