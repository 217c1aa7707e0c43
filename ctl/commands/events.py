"""``events tail``: what happens from now on, one line each; addresses masked unless asked for."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.output import clock_time, masked, one_line, say, say_json
from ctl.session import Session, heed_interrupt, operate
from shared.contract import SUBJECTS, Role, Subject
from shared.messages import Message

SUBJECTS_TOLD: tuple[Subject[Any], ...] = tuple(
    subject for subject in SUBJECTS if subject.stored and Role.OPERATOR in subject.consumers
)
PERSONAL = frozenset({"email", "sub", "previous_sub"})
PAYLOAD = "payload"  # of a dead letter: a whole message with whatever it holds
SHOWN_APART = frozenset({"at"})


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``events tail``."""
    parser = add_command(commands, "events", "what happens on the bus")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    tail = add_command(
        actions, "tail", "logins, mails, revocations and dead letters as they happen"
    )
    tail.add_argument(
        "--show-personal", action="store_true", help="addresses whole, and dead letters' payloads"
    )
    tail.add_argument("--count", type=int, metavar="N", help="end after N events")
    tail.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0; ends with Ctrl-C, or after --count events."""
    work = partial(_tail, personal=arguments.show_personal, count=arguments.count)
    return operate(arguments, work)


async def _tail(session: Session, *, personal: bool, count: int | None) -> int:
    enough = asyncio.Event()
    seen = 0

    async def told(name: str, message: Message) -> None:
        nonlocal seen
        if enough.is_set():
            return
        fields = readable(message, personal=personal)
        _tell(session, name, fields)
        seen += 1
        if seen == count:
            enough.set()

    for subject in SUBJECTS_TOLD:
        handler: Callable[[Message], Awaitable[None]] = partial(told, subject.name)
        await session.bus.listen(subject, handler)
    heed_interrupt()
    await enough.wait()
    return exits.DONE


def readable(message: Message, *, personal: bool) -> dict[str, Any]:
    """The fields worth a line; without *personal* no address is whole."""
    fields = message.model_dump(exclude_none=True, exclude_defaults=True)
    if personal:
        return fields
    shown = {name: value for name, value in fields.items() if name != PAYLOAD}
    return {n: masked(v) if n in PERSONAL and isinstance(v, str) else v for n, v in shown.items()}


def _tell(session: Session, name: str, fields: dict[str, Any]) -> None:
    at = fields.get("at") or session.clock.now_ms()
    if session.json:
        say_json({"subject": name, **fields})
        return
    rest = "  ".join(f"{n}={_value(v)}" for n, v in fields.items() if n not in SHOWN_APART)
    say(one_line(f"{clock_time(at)}  {name:<16}  {rest}"))


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{v}" for v in value.values() if v)
    text = str(value)
    return f'"{text}"' if " " in text else text
