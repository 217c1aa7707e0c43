"""What the command ``up`` can be asked for, as arguments or as variables of ``make up``."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ctl.up.layout import ROOT
from ctl.up.plan import INSIDE

FRONT_DOOR = 8080
MAILBOX = 8025


@dataclass(frozen=True)
class Options:
    """What was asked for. *inside*: ports wanted for parts that otherwise take free ones.

    *accounts*: people have accounts, kept in SQLite in the state directory.
    """

    app: str | None
    port: int
    mail_port: int
    state: Path
    inside: Mapping[str, int]
    accounts: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments that `parse` reads."""
    parser.add_argument("--app", help="put your application behind it at /: http://localhost:3000")
    parser.add_argument("--port", type=int, help=f"the front door (default {FRONT_DOOR})")
    parser.add_argument("--mail-port", type=int, help=f"the mailbox's page (default {MAILBOX})")
    parser.add_argument("--state", type=Path, help="where state is kept (default .latchwire)")
    parser.add_argument(
        "--accounts", action="store_true", help="people have accounts, kept in the state directory"
    )
    parser.add_argument(
        "--inside",
        action="append",
        default=[],
        metavar="NAME=PORT",
        help=f"a fixed port for a part that else takes a free one: {', '.join(INSIDE)}",
    )


def parse(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Options:
    """The options; APP, PORT, MAIL_PORT and ACCOUNTS of ``make up`` stand in for arguments.

    Raises:
        ValueError: a value does not fit.
    """
    return Options(
        app=_app(arguments.app or environ.get("APP") or None),
        port=_port("the front door", arguments.port or environ.get("PORT") or FRONT_DOOR),
        mail_port=_port("the mailbox", arguments.mail_port or environ.get("MAIL_PORT") or MAILBOX),
        state=(arguments.state or ROOT / ".latchwire").resolve(),
        inside=dict(_inside(pair) for pair in arguments.inside),
        accounts=arguments.accounts or _switch("ACCOUNTS", environ.get("ACCOUNTS", "")),
    )


def _app(url: str | None) -> str | None:
    if url is None:
        return None
    address = urlsplit(url)
    plain = address.path in {"", "/"} and not address.query and not address.fragment
    if address.scheme not in {"http", "https"} or not address.hostname or not plain:
        raise ValueError(f"--app must be an address such as http://localhost:3000, not {url}")
    return url.rstrip("/")


def _switch(name: str, value: str) -> bool:
    if value.lower() not in {"", "on", "off"}:
        raise ValueError(f"{name} must be on or off, not {value}")
    return value.lower() == "on"


def _port(name: str, value: str | int) -> int:
    if not str(value).isdigit() or not 1 <= int(value) <= 65535:
        raise ValueError(f"the port of {name} must be a number from 1 to 65535, not {value}")
    return int(value)


def _inside(pair: str) -> tuple[str, int]:
    name, _, port = pair.partition("=")
    if name not in INSIDE:
        raise ValueError(f"--inside {pair}: the parts are {', '.join(INSIDE)}")
    return name, _port(name, port)
