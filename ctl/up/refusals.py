"""The edge's refusals as lines for people: of which service, what was done, and why."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

PAUSE = 0.2  # seconds between two looks at the log

# What a code means, in the words of whoever puts a service behind the edge.
_MEANINGS = {
    "untrusted_peer": "the question came from no proxy of LATCHWIRE_TRUSTED_PROXIES",
    "bad_forwarded": "the proxy did not say, or said twice, what was asked for",
    "ambiguous_path": "the path can be read in two ways",
    "no_route": "no service of services.yaml matches",
    "stale": "no fresh proof of the blocklist: does the revocation worker run?",
    "two_credentials": "more than one token or cookie",
    "two_subjects": "bearer token and cookie belong to different people",
    "no_credentials": "not logged in",
    "token_invalid": "not a token of this installation",
    "token_expired": "the access token has run out",
    "token_revoked": "this login was ended",
    "csrf_failed": "a cookie and an unsafe method need the same origin or X-CSRF-Token",
    "not_allowed": "logged in, but not among the service's roles or emails",
}
_SENT_ON = {"redirect": " (the browser was sent to log in)"}


def readable(line: str) -> str | None:
    """One log line of the edge as a line for people, or None when it is not a refusal."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or event.get("event") != "check.refused":
        return None
    reason, detail = _text(event, "reason"), _text(event, "detail")
    service = _text(event, "service") or "(no service)"
    meaning = f": {_MEANINGS[reason]}" if reason in _MEANINGS else ""
    more = f" [{detail}]" if detail else ""
    return f"refused  {service}  {reason}{meaning}{more}{_SENT_ON.get(_text(event, 'outcome'), '')}"


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
