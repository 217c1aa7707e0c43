"""``worker NAME``: become that worker; what the image's entry point runs."""

import argparse
import os
import sys

from ctl.arguments import Commands

WORKERS = ("auth", "edge", "mailer", "revocation")


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``worker``."""
    parser = commands.add_parser("worker", help="run one worker in the foreground")
    parser.add_argument("name", choices=WORKERS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Replace this process, so that signals and the exit code are the worker's own."""
    sys.stdout.flush()
    module = f"services.{arguments.name}"
    os.execv(sys.executable, [sys.executable, "-m", module])  # noqa: S606 - no shell is the point
