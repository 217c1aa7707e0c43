"""``services add|list|remove``: other teams' services on the bus: what they read, and what they may revoke."""

import argparse
import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.guests import Guest, GuestError, Guests, NotAServiceError
from ctl.installation import (
    NATS_URL,
    STATE,
    NoInstallationError,
    find_installation,
    find_revokers,
    find_secrets,
)
from ctl.output import complain, say, say_json, table
from ctl.session import quiet_libraries
from ctl.up.reload import reload_nats
from shared.bus import connect_bus
from shared.bus.permissions import EDGE_API
from shared.clock import SystemClock
from shared.contract import TOKEN_REVOKED_BY, Role
from shared.ids import SystemIds
from shared.revokers import SERVICE_SCOPES
from shared.secrets import SecretsError, load_seed

KNOWN_WITHIN = 5.0  # seconds until NATS has read its accounts
COMPOSE_URL = "nats://nats:4222"  # on compose's network edge-bus
COMPOSE_RELOAD = "docker compose kill --signal HUP nats"
EXAMPLE = """\
import asyncio
from pathlib import Path
from latchwire import RevocationFeed

async def main() -> None:
    seed, key = Path({seed}).read_text().strip(), Path({key}).read_text().strip()
    async with RevocationFeed.open({url}, name={name}, nkey_seed=seed, blocklist_key=key) as feed:
        await feed.wait_ready(10)  # from now on feed.is_revoked(claims) answers from memory
        print("revocations:", len(feed.blocklist), "proven", round(feed.staleness_seconds(), 1), "s ago")

asyncio.run(main())"""


@dataclass(frozen=True)
class Place:
    """The installation that is meant. *state*: the directory of `up`; None for one that was set up by hand."""

    guests: Guests
    url: str
    state: Path | None


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``services``."""
    parser = add_command(commands, "services", "services that read the feed, or may revoke")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    add = add_command(actions, "add", "a credential for a service, and what it may revoke")
    add.add_argument("name", help="what it is called: shop")
    add.add_argument(
        "--may-revoke", default="", metavar="SCOPES", help=f"of {','.join(SERVICE_SCOPES)}"
    )
    add.set_defaults(run=run, work=_add)
    listing = add_command(actions, "list", "each service and what it may revoke")
    listing.set_defaults(run=run, work=_list)
    remove = add_command(actions, "remove", "end a service's credential and its rights")
    remove.add_argument("name", help="as `services list` shows it")
    remove.set_defaults(run=run, work=_remove)


def run(arguments: argparse.Namespace) -> int:
    """0 when it is done, 1 when it cannot be, 2 when what was given names no service or scope."""
    quiet_libraries()  # NATS refuses the new credential until it has read its accounts
    try:
        code: int = arguments.work(arguments, _place(arguments.context))
    except NotAServiceError as error:
        complain(str(error))
        return exits.USAGE
    except (NoInstallationError, GuestError, SecretsError) as error:
        complain(str(error))
        return exits.FAILED
    return code


def _add(arguments: argparse.Namespace, place: Place) -> int:
    scopes = [scope.strip() for scope in arguments.may_revoke.split(",") if scope.strip()]
    guest = place.guests.add(arguments.name, scopes)
    if arguments.json:
        say_json(_facts(guest, place))
    else:
        _tell(guest, place)
    if not _reload(place):
        return exits.DONE
    if not asyncio.run(_is_known(guest, place)):
        complain(f"NATS does not let it in yet: look at {place.state}/logs/nats.log")
        return exits.FAILED
    complain("NATS has read its accounts again and knows it")
    return exits.DONE


def _list(arguments: argparse.Namespace, place: Place) -> int:
    known = place.guests.known()
    if arguments.json:
        say_json([_row(guest) for guest in known])
    elif known:
        say(table([("SERVICE", "MAY REVOKE", "CREDENTIAL"), *(_cells(guest) for guest in known)]))
    else:
        complain("no service has a credential: `latchwire services add NAME` makes one")
    return exits.DONE


def _remove(arguments: argparse.Namespace, place: Place) -> int:
    guest = place.guests.remove(arguments.name)
    if arguments.json:
        say_json({"removed": guest.name})
    else:
        say(f"{guest.credential} is removed: its row, its credential, its place in accounts.conf")
    if _reload(place):
        complain(
            "NATS has been told to read its accounts again: it closes the service's connections"
        )
    complain(
        "what it could read it may have kept: the key of the blocklist is every reader's, and stays"
    )
    return exits.DONE


def _place(context: Path | None) -> Place:
    guests = Guests(find_secrets(context), find_revokers(context))
    state = context or STATE
    try:
        url = find_installation(context).nats_url
    except NoInstallationError:  # it does not run; its credentials can be made all the same
        url = NATS_URL
    if guests.secrets != state / "secrets":
        return Place(guests, COMPOSE_URL if url == NATS_URL else url, None)
    return Place(guests, url, state)


def _reload(place: Place) -> bool:
    """Whether NATS was told; else how to tell it is said."""
    if place.state is None:
        complain(f"now let NATS read its accounts again: {COMPOSE_RELOAD}")
        complain("the revocation workers read revokers.yaml again by themselves")
        return False
    if reload_nats(place.state):
        return True
    complain("`up` does not run: NATS reads its accounts when it starts")
    return False


async def _is_known(guest: Guest, place: Place) -> bool:
    """Whether NATS lets the new credential in, in time."""
    seed = load_seed(place.guests.secrets, guest.credential)
    clock, ids, name = SystemClock(), SystemIds(), guest.credential
    try:
        async with (
            asyncio.timeout(KNOWN_WITHIN),
            connect_bus(
                url=place.url, role=Role.SERVICE, name=name, seed=seed, clock=clock, ids=ids
            ),
        ):
            return True
    except TimeoutError:
        return False


def _facts(guest: Guest, place: Place) -> dict[str, object]:
    return {
        **_row(guest),
        "blocklist_key": str(place.guests.secrets / "blocklist.key"),
        "nats_url": place.url,
        "inbox_prefix": f"_INBOX_{guest.credential}",
        "api_prefix": EDGE_API,
        "says": TOKEN_REVOKED_BY.of(guest.name).name if guest.scopes else None,
    }


def _row(guest: Guest) -> dict[str, object]:
    return {
        "service": guest.name,
        "credential": guest.credential,
        "seed": str(guest.seed) if guest.seed.exists() else None,
        "may_revoke": list(guest.scopes or ()),
    }


def _cells(guest: Guest) -> tuple[str, str, str]:
    held = str(guest.seed) if guest.seed.exists() else "none: it cannot connect"
    return guest.name, ", ".join(guest.scopes or ()) or "nothing", held


def _tell(guest: Guest, place: Place) -> None:
    facts = _facts(guest, place)
    may = f"{', '.join(guest.scopes or ())}, by {facts['says']}" if guest.scopes else "nothing"
    for name, value in (
        ("credential", guest.credential),
        ("seed", f"{guest.seed}   (secret: this service's alone)"),
        ("key", f"{facts['blocklist_key']}   (secret: of all who read the feed)"),
        ("nats", place.url),
        ("inbox", facts["inbox_prefix"]),
        ("api", facts["api_prefix"]),
        ("may revoke", may),
    ):
        say(f"{name:<11} {value}")
    values = {
        "seed": str(guest.seed),
        "key": facts["blocklist_key"],
        "url": place.url,
        "name": guest.credential,
    }
    quoted = {name: json.dumps(value) for name, value in values.items()}
    say("\nIn Python (pip install latchwire; docs/contract.md for other languages):\n")
    say(EXAMPLE.format(**quoted))
