"""``deletions list``: whose data is being erased, and which service has not said that it is done."""

import argparse
from functools import partial

from ctl import exits
from ctl.accounts_words import refused
from ctl.arguments import Commands, add_command
from ctl.output import date_time, one_line, say, say_json, table
from ctl.session import Session, operate
from shared.contract import OP_DELETIONS_LIST
from shared.messages import DeletionRow, ErasedBy, ListDeletions

HEADING = ("DELETION", "SUB", "REQUESTED", "DEADLINE", "STATE", "WAITS FOR")


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``deletions``."""
    parser = add_command(
        commands, "deletions", "who has erased a deleted person's data, and who has not"
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = add_command(actions, "list", "deletions that are not complete")
    listing.add_argument("--all", action="store_true", help="the complete ones too")
    listing.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when the last page was there."""
    return operate(arguments, partial(_list, every=arguments.all))


async def _list(session: Session, *, every: bool) -> int:
    rows, after = list[DeletionRow](), ""
    while True:
        request = ListDeletions(all=every, after=after)
        page = await session.bus.ask(OP_DELETIONS_LIST, request, timeout=session.timeout)
        if page.error:
            return refused(page.error)
        rows += page.deletions
        after = page.next
        if not after:
            break
    if session.json:
        say_json([row.model_dump(exclude_none=True) for row in rows])
    elif rows:
        say(table([HEADING, *map(_cells, rows)]))
    else:
        say("no deletions" if every else "no deletion is waiting")
    return exits.DONE


def _cells(row: DeletionRow) -> tuple[str, ...]:
    state = "complete" if row.complete else "LATE" if row.late else "waiting"
    return (
        row.deletion_id,
        one_line(row.sub),
        date_time(row.requested_at),
        date_time(row.deadline),
        state,
        ", ".join(_waiting(one) for one in row.services if one.answered_at is None) or "-",
    )


def _waiting(one: ErasedBy) -> str:
    asked = f"asked {one.asked}x" if one.asked else "not asked yet"
    note = f": {one.note}" if one.note else ""
    return one_line(f"{one.service} ({asked}{note})")
