"""``streams apply``: bring the streams to what the contract says, with the deploy-only credential."""

import argparse
from dataclasses import asdict
from functools import partial

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.lost_catalogue import lost_with
from ctl.output import complain, say, say_json
from ctl.session import Session, operate
from shared.bus.streams import Difference, apply_streams
from shared.contract import STREAMS, Role


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``streams apply``."""
    parser = add_command(commands, "streams", "provision the streams of the contract")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    apply = add_command(actions, "apply", "create or mend streams and consumers; say what differed")
    apply.add_argument("--check", action="store_true", help="only compare")
    apply.add_argument(
        "--restored",
        action="store_true",
        help="BLOCKLIST came back from a copy: renew its epoch and replay TOKEN into it",
    )
    apply.add_argument(
        "--replicas",
        type=int,
        choices=(1, 3, 5),
        help="copies of each stream (default: 1 for a new one, others stay as they are)",
    )
    apply.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when everything is now as the contract says."""
    work = partial(
        _apply,
        check=arguments.check,
        replicas=arguments.replicas,
        restored=arguments.restored,
    )
    return operate(arguments, work, role=Role.PROVISIONER)


async def _apply(session: Session, *, check: bool, replicas: int | None, restored: bool) -> int:
    found = await apply_streams(
        session.bus, session.ids, check=check, replicas=replicas, restored=restored
    )
    warnings = lost_with(found, len(STREAMS))
    if session.json:
        differences = [asdict(difference) for difference in found]
        say_json({"differences": differences, "warnings": warnings})
    else:
        for difference in found:
            say(_line(difference, check=check))
        if not found:
            say("as the contract says")
        for warning in warnings:
            complain(f"! {warning}")
    return exits.DONE if all(difference.mended for difference in found) else exits.FAILED


def _line(difference: Difference, *, check: bool) -> str:
    what = f"{difference.what} {difference.field}".strip()
    outcome = (
        "mended" if difference.mended else "differs" if check else "cannot be changed in place"
    )
    return f"{what}: {difference.found} -> {difference.wanted} ({outcome})"
