"""The command line: global options, one module per command, the exit code."""

import argparse
from collections.abc import Sequence

from ctl import init
from ctl.arguments import add_globals
from ctl.commands import (
    accounts,
    catalogue,
    clients,
    deletions,
    doctor,
    edges,
    events,
    explain,
    gateway,
    keys,
    revoke,
    services,
    status,
    streams,
    tokens,
    users,
    worker,
)
from ctl.up import command as up

COMMANDS = (
    up, init, worker, status, revoke, doctor, edges, users, deletions, explain, events, keys, catalogue,
    clients, services, tokens, gateway, streams, accounts,
)  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """All commands and their arguments."""
    top = argparse.ArgumentParser(
        prog="latchwire",
        description="Log in by a link, be out everywhere at once. Exit codes: 0 done, 1 failed, "
        "2 usage, 3 partly confirmed, 4 bus unreachable. Times are UTC.",
    )
    add_globals(top, defaults=True)
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.register(commands)
    return top


def main(arguments: Sequence[str]) -> int:
    """Run one command."""
    parsed = parser().parse_args(arguments)
    code: int = parsed.run(parsed)
    return code
