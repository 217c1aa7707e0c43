"""The edge's refusals as lines for people: what was asked for, what it got, and why."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

PAUSE = 0.2  # seconds between two looks at the log

# What a developer can do about it, for the refusals met when putting a service behind the edge.
_CURES = {
    "no_route": "no service of services.yaml matches",
    "no_credentials": "not logged in",
    "token_expired": "the access token has run out",
    "token_revoked": "this login was ended",
    "csrf_failed": "a cookie and an unsafe method need the same origin or X-CSRF-Token",
    "not_allowed": "logged in, but not among the route's roles or emails",
    "two_credentials": "send the bearer token or the cookie, not both",
    "ambiguous_path": "the path could be read in two ways",
    "stale": "no fresh proof of the blocklist: is the revocation worker up?",
}


def readable(line: str) -> str | None:
    """One log line of the edge as a line for people, or None when it is not a refusal."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or event.get("event") != "check.refused":
        return None
    reason = _text(event, "reason")
    cure = f": {_CURES[reason]}" if reason in _CURES else ""
    return f"refused  {_text(event, 'method')} {_text(event, 'path')}  {_text(event, 'status')} {reason}{cure}"


async def follow(log: Path, say: Callable[[str], None]) -> None:
    """Say each refusal that is written to *log* from now on. Never returns."""
    with log.open("r", encoding="utf-8", errors="replace") as file:
        pending = ""
        while True:
            pending += file.readline()
            if not pending.endswith("\n"):  # nothing new, or a line still being written
                await asyncio.sleep(PAUSE)
                continue
            if text := readable(pending):
                say(text)
            pending = ""


def _text(event: dict[str, Any], name: str) -> str:
    """A field as printable text: what a client sent must not steer the terminal."""
    value = "".join(c if c.isprintable() else "?" for c in str(event.get(name, "")))
    return value if len(value) <= 120 else value[:119] + "…"
