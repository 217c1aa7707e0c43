"""Options every command has, before or after its name."""

import argparse
from pathlib import Path

TIMEOUT = 10.0  # seconds

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse gives this type no public name


def add_globals(parser: argparse.ArgumentParser, *, defaults: bool) -> None:
    """Add them; without *defaults* an absent one leaves alone what was said before the command."""

    def default(value: object) -> object:
        return value if defaults else argparse.SUPPRESS

    parser.add_argument(
        "--context",
        type=Path,
        metavar="DIR",
        default=default(None),
        help="state directory of a running `up` (default: LATCHWIRE_* settings, or .latchwire)",
    )
    parser.add_argument(
        "--json", action="store_true", default=default(False), help="answer in JSON"
    )
    parser.add_argument(
        "--yes",
        action="store_true",
        default=default(False),
        help="do not ask before what cannot be undone",
    )
    parser.add_argument(
        "--timeout",
        type=seconds_of_waiting,
        default=default(TIMEOUT),
        metavar="SECONDS",
        help=f"how long to wait for answers (default {TIMEOUT:g})",
    )


def add_command(
    commands: "Commands[argparse.ArgumentParser]", name: str, summary: str
) -> argparse.ArgumentParser:
    """A parser for the command *name* with the options every command has."""
    parser = commands.add_parser(name, help=summary, description=summary)
    add_globals(parser, defaults=False)
    return parser


def number_of_seconds(text: str) -> float:
    """A plain number. Raises: argparse.ArgumentTypeError: it is none."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError("is no number of seconds: write 10 or 2.5") from None


def seconds_of_waiting(text: str) -> float:
    """How long to wait. Raises: argparse.ArgumentTypeError."""
    seconds = number_of_seconds(text)
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError("must be more than 0 and at most 3600 seconds")
    return seconds
