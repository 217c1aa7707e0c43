"""Facts in a person's words: how long ago, from where, how long to wait."""

from collections.abc import Mapping

from services.auth.domain.client import Client

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
UNKNOWN_DEVICE = "an unknown browser"


def ago(then_ms: int, now_ms: int) -> str:
    """How long *then_ms* is past, roughly; a moment in the future counts as now."""
    past = now_ms - then_ms
    return f"{_span(past)} ago" if past >= MINUTE_MS else "just now"


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


def token_times(made_at_ms: int, ends_at_ms: int, now_ms: int) -> str:
    """ "Made 2 days ago, runs out in 88 days"."""
    left = ends_at_ms - now_ms
    soon = _span(left) if left >= MINUTE_MS else "less than a minute"
    return f"Made {ago(made_at_ms, now_ms)}, runs out in {soon}"


def last_used(uses: Mapping[str, int] | None, token_id: str, now_ms: int) -> str:
    """ "Last used 3 hours ago"; *uses* (Unix ms by token) None: it cannot be said now."""
    if uses is None:
        return "When it was last used cannot be said now"
    return f"Last used {ago(uses[token_id], now_ms)}" if token_id in uses else "Not used yet"


def device(client: Client) -> str:
    """ "Firefox on Linux", or words for a client that did not say."""
    return client.user_agent or UNKNOWN_DEVICE


def _span(ms: int) -> str:
    """ "3 minutes", "47 hours", "88 days": rounded down, from a minute on."""
    if ms < HOUR_MS:
        return _count(ms // MINUTE_MS, "minute")
    if ms < 2 * DAY_MS:
        return _count(ms // HOUR_MS, "hour")
    return _count(ms // DAY_MS, "day")


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
