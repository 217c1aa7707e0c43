"""How an end that is to be published rests in Redis: a field, and a text behind its time."""

import json

from services.auth.domain.ending import PendingEnd


def field_of(end: PendingEnd) -> str:
    """One note for each session, and one (the newest) for each person."""
    return f"{end.scope}|{end.target}"


def tail_of(reason: str, actor: str) -> str:
    """What follows the time, which only the script knows."""
    return "|" + json.dumps([reason, actor], separators=(",", ":"))


def text_of(end: PendingEnd) -> str:
    """The whole text."""
    return f"{end.at_ms}{tail_of(end.reason, end.actor)}"


def end_of(field: str, text: str) -> PendingEnd:
    """The end that a note stands for."""
    scope, _, target = field.partition("|")
    at_ms, _, tail = text.partition("|")
    reason, actor = json.loads(tail)
    return PendingEnd(
        "subject" if scope == "subject" else "session", target, reason, actor, int(at_ms)
    )
