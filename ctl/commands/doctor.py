"""``doctor``: attack one's own installation; what leaks, and the cure. 0 clean, 1 leaks, 4 out of reach."""

import argparse
import asyncio
import ipaddress
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass
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
from ctl.doctor.credentials import Credential
from ctl.doctor.echo import TAKE_OUT, Echo, EchoError, read_echo, serving
from ctl.doctor.facts import judge_workers
from ctl.doctor.files import judge_files, secret_files
from ctl.doctor.findings import Examination, Finding, as_json, as_lines
from ctl.doctor.grants import judge_grants
from ctl.doctor.own_token import NAME, own_token
from ctl.doctor.through import (
    Ground,
    attack,
    attack_with,
    revoke_before_it,
    wait_for,
    with_echo,
)
from ctl.doctor.wire import Front, front_of
from ctl.installation import NoInstallationError, find_catalogue, find_installation
from ctl.output import complain, one_line, say, say_json
from ctl.session import Session, operate
from shared.catalogue import Catalogue
from shared.clock import SystemClock
from shared.ids import SystemIds

NOT_YOURS = (
    "the doctor attacks only what this installation serves, and {host} is neither LATCHWIRE_URL's host, "
    "nor one of the catalogue's, nor an address of a private network"
)
OUT_OF_REACH = frozenset({"worker.silent", "catalogue.unread"})
OWN = "the doctor's own token"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{8,8192}", re.ASCII)  # RFC 6750 §2.1
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
        metavar="PATH|PORT",
        action="append",
        default=[],
        help="an open path whose service shows the headers it gets (public routes are tried anyway); or a port "
        "for an echo of the doctor's own: it says which lines services.yaml needs",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="a real token, tried as it is, changed and out of place; it is shown nowhere. Implies --own-token "
        "where the bus is at hand",
    )
    parser.add_argument(
        "--own-token",
        action="store_true",
        help=f"make a token of the service {NAME}, try it, revoke it, and see how soon the door refuses it",
    )
    parser.add_argument(
        "--no-bus",
        action="store_true",
        help="the front door alone, by services.yaml and LATCHWIRE_URL: for a machine outside",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when nothing leaks, 2 for what cannot be meant, 4 out of reach.

    1 when something leaks, or somebody else may be where the echo should be.
    """
    try:
        order = _order(arguments)
        file = find_catalogue(arguments.context)
    except (ValueError, NoInstallationError) as error:
        complain(str(error))
        return exits.USAGE
    told: list[int] = []
    try:
        if arguments.no_bus:
            return asyncio.run(_from_outside(order, arguments, file))
        code = operate(arguments, partial(_examine, order=order, file=file, told=told))
    except KeyboardInterrupt:
        return exits.FAILED
    except EchoError as error:
        complain(str(error))
        return exits.FAILED
    cut_off = code == exits.DONE and not told
    return exits.FAILED if cut_off else code  # by Ctrl-C: nothing was found to be clean


@dataclass(frozen=True, repr=False)
class Order:
    """What the operator asked for. *front* None: nothing goes through the door. *given*: a real token.

    *echoes* are paths of services that show what they get, *echo* is the doctor's own.
    """

    front: Front | None
    echoes: list[str]
    echo: Echo | None
    given: Credential | None
    own: bool


def _order(arguments: argparse.Namespace) -> Order:
    """Raises: ValueError: one asks for what another rules out; the message is the cure."""
    front = front_of(arguments.through, arguments.timeout) if arguments.through else None
    if front is None and arguments.no_bus:
        raise ValueError("--no-bus leaves the front door alone: give --through URL")
    if front is None and (arguments.token_file or arguments.own_token):
        raise ValueError("a token is tried at the front door: give --through URL")
    if arguments.no_bus and arguments.own_token:
        raise ValueError(
            "a token of its own is made over the bus: leave out --no-bus or --own-token"
        )
    given = read_token(arguments.token_file) if arguments.token_file else None
    own = arguments.own_token or given is not None
    paths = [text for text in arguments.echo if text.startswith("/")]
    ports = [read_echo(text) for text in arguments.echo if not text.startswith("/")]
    if len(ports) > 1:
        raise ValueError("one echo of the doctor's own is enough: give one port")
    return Order(front, paths, next(iter(ports), None), given, own)


def read_token(file: Path) -> Credential:
    """Raises: ValueError: it cannot be read, or holds something else than one token."""
    try:
        text = file.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read as a token") from error
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{file} holds something else than one token")
    return Credential("your token", text)


async def _examine(session: Session, *, order: Order, file: Path, told: list[int]) -> int:
    """The exit code, which is in *told* too once all was looked at."""
    examination = Examination()
    facts = await ask_workers(session, examination)
    now = session.clock.now_ms()
    examination.add(judge_workers(facts, now))
    issuer = next((one.facts.url for one in facts if one.facts.url), session.installation.url)
    catalogue = _judged(await catalogue_in_force(session, file), examination, issuer)
    if order.front is not None and not is_own(order.front.host, issuer, catalogue):
        complain(NOT_YOURS.format(host=order.front.host))
        return exits.USAGE
    tokens = await service_tokens(session)
    examination.looked_at["service tokens"] = len(tokens or ())
    examination.add(judge_tokens(tokens or (), now))
    await _credentials(session, examination)
    if order.front is None:
        complain(NOTHING_SENT)
    else:
        ground = Ground(order.front, issuer, catalogue, session.clock, session.ids)
        await _through(ground, order, session, examination)
    told.append(_tell(examination, as_machine=session.json))
    return told[0]


async def _from_outside(order: Order, arguments: argparse.Namespace, file: Path) -> int:
    """The front door alone, by services.yaml and LATCHWIRE_URL: from a machine that NATS does not know."""
    examination, front = Examination(), order.front
    assert front is not None
    address = _address(arguments.context)
    catalogue = _judged(await asyncio.to_thread(catalogue_of, file), examination, address)
    if not is_own(front.host, address, catalogue):
        complain(NOT_YOURS.format(host=front.host))
        return exits.USAGE
    issuer = address or f"{front.scheme}://{front.named(None)}"
    ground = Ground(front, issuer, catalogue, SystemClock(), SystemIds())
    await _through(ground, order, None, examination)
    return _tell(examination, as_machine=arguments.json)


async def _through(
    ground: Ground, order: Order, session: Session | None, examination: Examination
) -> None:
    """All that goes through the front door; *session* None: no bus."""
    async with AsyncExitStack() as stack:
        if order.echo is not None:
            listening = await stack.enter_async_context(serving(order.echo))
            stack.callback(complain, TAKE_OUT)
            ground = await with_echo(ground, listening, complain)
        if not await attack(ground, order.echoes, examination):
            return
        secrets = session.installation.secrets_dir if session else None
        if order.given is not None:
            await attack_with(ground, order.given, secrets, examination)
        if order.own and session is not None:
            await _with_own(ground, session, examination)


async def _with_own(ground: Ground, session: Session, examination: Examination) -> None:
    """With a service token that is made for it and revoked before the eyes of the door."""
    async with own_token(session) as own:
        if isinstance(own, str):
            examination.add([Finding("door.untried", OWN, one_line(own))])
            return
        credential = Credential(OWN, own.token, disposable=True)
        await wait_for(ground, credential)
        secrets = session.installation.secrets_dir
        counted = await attack_with(ground, credential, secrets, examination)
        await revoke_before_it(ground, credential, counted, own.revoke, examination)


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
