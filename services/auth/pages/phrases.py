"""Facts in a person's words: how long ago, which browser, from where.

A browser's name is a hint to recognise oneself by and nothing is ever decided on it: it is what the
client says of itself.
"""

import re

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

# The first that matches: every one of them also carries the names of those below it.
BROWSERS = (
    ("Edge", r"\bEdg(?:e|A|iOS)?/"),
    ("Opera", r"\bOPR/|\bOpera\b"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Firefox", r"\bFirefox/|\bFxiOS/"),
    ("Chrome", r"\bChrome/|\bHeadlessChrome/|\bCriOS/|\bChromium/"),
    ("Safari", r"\bSafari/"),
)
SYSTEMS = (
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("Windows", r"\bWindows\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("macOS", r"\bMac OS X\b|\bMacintosh\b"),
    ("Linux", r"\bLinux\b|\bX11\b"),
)
UNKNOWN_DEVICE = "an unknown device"
OTHER_LENGTH = 40


def ago(then_ms: int, now_ms: int) -> str:
    """How long *then_ms* is past, roughly; a moment in the future counts as now."""
    past = max(0, now_ms - then_ms)
    if past < MINUTE_MS:
        return "just now"
    if past < HOUR_MS:
        return f"{_count(past // MINUTE_MS, 'minute')} ago"
    if past < 2 * DAY_MS:
        return f"{_count(past // HOUR_MS, 'hour')} ago"
    return f"{_count(past // DAY_MS, 'day')} ago"


def wait(seconds: float) -> str:
    """How long to wait, never less than it is: "a minute", "5 minutes"."""
    minutes = max(1, -int(-seconds // 60))
    return "a minute" if minutes == 1 else f"{minutes} minutes"


def device(user_agent: str) -> str:
    """ "Firefox on Linux" from what a browser says of itself; other clients by their first word."""
    browser = _first(BROWSERS, user_agent)
    system = _first(SYSTEMS, user_agent)
    if browser and system:
        return f"{browser} on {system}"
    return browser or _other(user_agent)


def origin(asked_at_ms: int, now_ms: int, *, user_agent: str, network: str) -> str:
    """ "3 minutes ago, from Firefox on Linux, network 192.0.2.0/24"."""
    parts = [ago(asked_at_ms, now_ms), f"from {device(user_agent)}"]
    if network:
        parts.append(f"network {network}")
    return ", ".join(parts)


def _first(table: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for name, pattern in table if re.search(pattern, text)), "")


def _other(user_agent: str) -> str:
    # "curl/8.5 (…)" is "curl"; "Firefox on Linux", already in our words, stays whole.
    words = user_agent.partition("/")[0]
    plain = "".join(c for c in words if c.isalnum() or c in " ._-")[:OTHER_LENGTH].strip()
    return plain or UNKNOWN_DEVICE


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
