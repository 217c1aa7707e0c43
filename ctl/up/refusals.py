"""What the edge refuses, and the mails that auth does not ask for, as lines for people: what, and why."""

import asyncio
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

PAUSE = 0.2  # seconds between two looks at the log

# What a code means, in the words of whoever puts a service behind the edge.
_MEANINGS = {
    "untrusted_peer": "the question came from no proxy of LATCHWIRE_TRUSTED_PROXIES",
    "bad_forwarded": "the proxy did not say, or said twice, what was asked for",
    "ambiguous_path": "the path can be read in two ways",
    "wrong_service": "Traefik and the edge read different versions of services.yaml",
    "not_exposed": "the service is not for the internet: expose_publicly is false",
    "preflight_refused": "a page of this origin may not call the service: allowed_origins",
    "no_route": "no service of services.yaml matches",
    "stale": "no fresh proof of the blocklist: does the revocation worker run?",
    "two_credentials": "more than one token or cookie",
    "two_subjects": "bearer token and cookie belong to different people",
    "no_credentials": "no login came, and no service token",
    "token_invalid": "not a token of this installation",
    "token_expired": "the access token has run out",
    "token_revoked": "this login was ended",
    "csrf_failed": "a cookie and an unsafe method need the same origin or X-CSRF-Token",
    "wrong_token_type": "the service takes no caller of this kind: token_types",
    "not_allowed": "known, but not one whom the service's rules let in",
    "login_too_old": "the service wants a more recent login: login_age",
}
# Of a code whose detail says who came.
_KINDS = {
    "user": "a person came, and it takes only services: token_types",
    "service": "a service came, and it takes only people: token_types",
}
# `stale` with a detail: the entry that the check names.
_BEHIND = "Traefik does not route by this services.yaml yet"
# Why somebody who asked for a link gets none; to them it looks like any other answer.
_MUTED = {
    "not_allowed": "the address is not in LATCHWIRE_ALLOW",
    "blocked": "the person is blocked: `./latchwire users show ADDRESS`",
    "address_limit": "too many for one address: LATCHWIRE_LIMIT_ADDRESS",
    "no_account": "nobody has an account under the address",
    "global_limit": "too many altogether: LATCHWIRE_LIMIT_GLOBAL",
}
_SENT_ON = {"redirect": " (the browser was sent to log in)"}


def readable(line: str) -> str | None:
    """One log line of the edge or of auth as a line for people, or None when it tells of no refusal."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    tell = _TOLD.get(str(event.get("event"))) if isinstance(event, dict) else None
    return tell(event) if tell else None


def _refused(event: dict[str, Any]) -> str:
    reason, detail = _text(event, "reason"), _text(event, "detail")
    service = _text(event, "service") or "(no service)"
    meaning = f": {_MEANINGS[reason]}" if reason in _MEANINGS else ""
    more = f" [{detail}]" if detail else ""
    if reason == "stale" and detail:
        meaning = f": {_BEHIND}"
    if reason == "wrong_token_type" and detail in _KINDS:
        meaning, more = f": {_KINDS[detail]}", ""
    return f"refused  {service}  {reason}{meaning}{more}{_SENT_ON.get(_text(event, 'outcome'), '')}"


def _withheld(event: dict[str, Any]) -> str:
    return f"refused  {_text(event, 'count')} more in one second, not shown"


def _muted(event: dict[str, Any]) -> str:
    """The reason and never the address: a terminal is scrolled back and shared."""
    reason = _text(event, "reason")
    meaning = f": {_MUTED[reason]}" if reason in _MUTED else ""
    return f"no mail  login  {reason}{meaning}"


_TOLD: dict[str, Callable[[dict[str, Any]], str]] = {
    "check.refused": _refused,
    "check.refusals_withheld": _withheld,
    "link.muted": _muted,
}


async def follow(logs: Iterable[Path], say: Callable[[str], None]) -> None:
    """Say each refusal that is written to *logs* from now on. Never returns."""
    async with asyncio.TaskGroup() as following:
        for log in logs:
            following.create_task(_follow(log, say))


async def _follow(log: Path, say: Callable[[str], None]) -> None:
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
