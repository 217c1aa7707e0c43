"""``accounts migrate``: bring the schema of the accounts' store to what this program needs.

Auth's own code does it, in auth's place: this command line knows no database.
"""

import argparse
import os
import sys

from ctl.arguments import Commands


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``accounts migrate``."""
    parser = commands.add_parser("accounts", help="the store of accounts")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    text = "bring its schema up to date (LATCHWIRE_ACCOUNTS_URL); before the first start and each upgrade"
    actions.add_parser("migrate", help=text, description=text).set_defaults(run=run)


def run(_arguments: argparse.Namespace) -> int:
    """Replace this process: the exit code is 0 when the schema fits now."""
    sys.stdout.flush()
    words = [sys.executable, "-m", "services.auth", "migrate"]
    os.execv(sys.executable, words)  # noqa: S606 - no shell is the point
