"""Facts in a person's words: how long ago, from where, how long to wait."""

from services.auth.domain.client import Client

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
UNKNOWN_DEVICE = "an unknown browser"


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


def origin(asked_at_ms: int, now_ms: int, client: Client) -> str:
    """ "3 minutes ago, from Firefox on Linux, network 192.0.2.0/24"."""
    parts = [ago(asked_at_ms, now_ms), f"from {device(client)}"]
    if client.network:
        parts.append(f"network {client.network}")
    return ", ".join(parts)


def session_times(started_at_ms: int, last_used_at_ms: int, now_ms: int) -> str:
    """ "Signed in 2 days ago, last used just now"."""
    return f"Signed in {ago(started_at_ms, now_ms)}, last used {ago(last_used_at_ms, now_ms)}"


def device(client: Client) -> str:
    """ "Firefox on Linux", or words for a client that did not say."""
    return client.user_agent or UNKNOWN_DEVICE


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
