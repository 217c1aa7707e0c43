"""``doctor``: attack one's own installation; what leaks, and the cure. 0 clean, 1 leaks, 4 out of reach."""

import argparse
import asyncio
import ipaddress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.doctor.asking import (
    ask_workers,
    catalogue_in_force,
    catalogue_of,
    service_tokens,
)
from ctl.doctor.catalogue import judge_catalogue, judge_tokens
from ctl.doctor.facts import judge_workers
from ctl.doctor.files import judge_files, secret_files
from ctl.doctor.findings import Examination, Finding, as_json, as_lines
from ctl.doctor.grants import judge_grants
from ctl.doctor.through import attack
from ctl.doctor.wire import Front, front_of
from ctl.installation import NoInstallationError, find_catalogue, find_installation
from ctl.output import complain, say, say_json
from ctl.session import Session, operate
from shared.catalogue import Catalogue
from shared.clock import SystemClock
from shared.ids import SystemIds

NOT_YOURS = (
    "the doctor attacks only what this installation serves, and {host} is neither LATCHWIRE_URL's host, "
    "nor one of the catalogue's, nor an address of a private network"
)
OUT_OF_REACH = frozenset({"worker.silent", "catalogue.unread"})
NOTHING_SENT = "nothing was sent to the front door: --through URL does that"


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``doctor``."""
    parser = add_command(commands, "doctor", "attack this installation: what leaks, and the cure")
    parser.add_argument(
        "--through",
        metavar="URL",
        help="send the attempts through this front door: https://auth.example.com",
    )
    parser.add_argument(
        "--echo",
        metavar="PATH",
        action="append",
        default=[],
        help="an open path whose service shows the headers it gets (public routes are tried anyway)",
    )
    parser.add_argument(
        "--no-bus",
        action="store_true",
        help="the front door alone, by services.yaml and LATCHWIRE_URL: for a machine outside",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when nothing leaks, 1 when something does, 2 for an address that cannot be meant, 4 out of reach."""
    try:
        front = front_of(arguments.through, arguments.timeout) if arguments.through else None
        file = find_catalogue(arguments.context)
    except (ValueError, NoInstallationError) as error:
        complain(str(error))
        return exits.USAGE
    if not arguments.no_bus:
        return _operate(front, arguments, file)
    if front is None:
        complain("--no-bus leaves the front door alone: give --through URL")
        return exits.USAGE
    return asyncio.run(_from_outside(front, arguments, file))


def _operate(front: Front | None, arguments: argparse.Namespace, file: Path) -> int:
    return operate(arguments, partial(_examine, front=front, echoes=arguments.echo, file=file))


async def _examine(session: Session, *, front: Front | None, echoes: list[str], file: Path) -> int:
    examination = Examination()
    told = await ask_workers(session, examination)
    now = session.clock.now_ms()
    examination.add(judge_workers(told, now))
    issuer = next((one.facts.url for one in told if one.facts.url), session.installation.url)
    catalogue = _judged(await catalogue_in_force(session, file), examination, issuer)
    if front is not None and not is_own(front.host, issuer, catalogue):
        complain(NOT_YOURS.format(host=front.host))
        return exits.USAGE
    tokens = await service_tokens(session)
    examination.looked_at["service tokens"] = len(tokens or ())
    examination.add(judge_tokens(tokens or (), now))
    await _credentials(session, examination)
    if front is None:
        complain(NOTHING_SENT)
    else:
        await attack(front, issuer, catalogue, echoes, examination, session.clock, session.ids)
    return _tell(examination, as_machine=session.json)


async def _from_outside(front: Front, arguments: argparse.Namespace, file: Path) -> int:
    """The front door alone, by services.yaml and LATCHWIRE_URL: from a machine that NATS does not know."""
    examination = Examination()
    address = _address(arguments.context)
    catalogue = _judged(await asyncio.to_thread(catalogue_of, file), examination, address)
    if not is_own(front.host, address, catalogue):
        complain(NOT_YOURS.format(host=front.host))
        return exits.USAGE
    clock, ids = SystemClock(), SystemIds()
    issuer = address or f"{front.scheme}://{front.named(None)}"
    await attack(front, issuer, catalogue, arguments.echo, examination, clock, ids)
    return _tell(examination, as_machine=arguments.json)


def _address(context: Path | None) -> str:
    """The public address that is set here, or ""."""
    try:
        return find_installation(context).url
    except NoInstallationError:
        return ""


def _judged(found: Catalogue | str, examination: Examination, url: str) -> Catalogue:
    if isinstance(found, str):
        examination.add([Finding("catalogue.unread", "catalogue", found)])
        return Catalogue(())
    examination.looked_at["services"] = len(found.services)
    examination.add(judge_catalogue(found, url))
    return found


async def _credentials(session: Session, examination: Examination) -> None:
    secrets = session.installation.secrets_dir
    findings, tried = await judge_grants(session.installation.nats_url, secrets)
    examination.add([*findings, *judge_files(secrets)])
    examination.looked_at["credentials"] = tried
    examination.looked_at["secret files"] = len(secret_files(secrets))


def exit_code(examination: Examination) -> int:
    """A leak counts more than what could not be reached."""
    if any(found.is_leak for found in examination.findings):
        return exits.FAILED
    unknown = any(found.check in OUT_OF_REACH for found in examination.findings)
    return exits.UNREACHABLE if unknown or examination.unreachable else exits.DONE


def is_own(host: str, issuer: str, catalogue: Catalogue) -> bool:
    """Whether an attack on *host* can only be meant for this installation."""
    if host.lower() in {"localhost", urlsplit(issuer).hostname, *catalogue.hosts}:
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _tell(examination: Examination, *, as_machine: bool) -> int:
    if as_machine:
        say_json(as_json(examination))
    else:
        say("\n".join(as_lines(examination)))
    return exit_code(examination)
