"""``revoke``: one word to the bus, then wait until each live edge says that it refuses."""

import argparse
import re
from functools import partial

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.heartbeats import RollCall
from ctl.output import clock_time, complain, date_time, say, say_json
from ctl.receipts import Published, Receipt, Receipts, collect
from ctl.session import Session, operate
from shared.contract import TOKEN_REVOKED
from shared.emails import InvalidEmailError, canonical_subject
from shared.messages import RevocationScope, TokenRevoked
from shared.messages.token import ID_FIELD

SCOPES: dict[str, RevocationScope] = {
    "session": "session",
    "person": "subject",
    "token": "token",
    "service": "service",
    "key": "key",
}
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)
_WHOLE_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``revoke``."""
    parser = add_command(
        commands, "revoke", "refuse a session, person, token or key everywhere, now"
    )
    parser.add_argument("what", choices=tuple(SCOPES))
    parser.add_argument(
        "id",
        help="session: sid; person: address or account id; token: jti; key: kid, or refresh/kid",
    )
    parser.add_argument("--reason", required=True, help="kept with the event")
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the edges")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when every live edge confirmed (or with --no-wait: when it is stored), 3 when not all did."""
    if arguments.what == "token" and _WHOLE_TOKEN.fullmatch(arguments.id):
        complain(
            "that is a token, and an argument shows in the process list: give its jti "
            "(`latchwire explain --token-stdin` reads a token)"
        )
        return exits.USAGE
    problem = _problem(arguments.what, arguments.id)
    if problem:
        complain(problem)
        return exits.USAGE
    try:
        event = _event(arguments)
    except ValueError:
        complain("the id or the reason is too long, or has control characters in it")
        return exits.USAGE
    return operate(arguments, partial(_revoke, event=event, wait=not arguments.no_wait))


def _problem(what: str, identifier: str) -> str | None:
    """Why *identifier* cannot name anybody: such an event would be stored, and hit nothing."""
    if what in ("session", "token") and not _ULID.fullmatch(identifier.strip()):
        claim = ID_FIELD[what]
        return f"a {what} is named by its {claim}: 26 digits and capital letters, as `explain` shows it"
    if what == "person":
        try:
            canonical_subject(identifier)
        except InvalidEmailError as error:
            return f"that is not one plain address like ada@example.com ({error.code})"
    return None


def _event(arguments: argparse.Namespace) -> TokenRevoked:
    scope = SCOPES[arguments.what]
    return TokenRevoked.model_validate(
        {
            "scope": scope,
            ID_FIELD[scope]: arguments.id,
            "reason": arguments.reason,
            "actor": "operator",
        }
    )


async def _revoke(session: Session, *, event: TokenRevoked, wait: bool) -> int:
    roll = RollCall(session.clock)
    await roll.start(session.bus)
    # The watermark and the life are the worker's to stamp: this machine's clock is nobody's business.
    identified = event.model_copy(update={"id": session.ids.ulid(session.clock.now_ms())})
    began = session.clock.monotonic()
    ack = await session.bus.publish(TOKEN_REVOKED, identified)
    published = Published(ack, began, session.clock.now_ms())
    if not wait:
        _tell_stored(session, identified, published)
        return exits.DONE
    receipts = await collect(session.bus, roll, published, session.clock, session.timeout)
    if session.json:
        say_json({**_stored(identified, published), **_answer(receipts)})
    else:
        _tell_stored(session, identified, published)
        _tell(receipts)
    return exits.DONE if receipts.complete else exits.PARTLY


def _stored(event: TokenRevoked, published: Published) -> dict[str, object]:
    return {"id": event.id, "scope": event.scope, "token_seq": published.ack.seq}


def _tell_stored(session: Session, event: TokenRevoked, published: Published) -> None:
    if session.json:
        say_json(_stored(event, published))
    else:
        say(f"stored      event {event.id}, TOKEN {published.ack.seq}")


def _answer(receipts: Receipts) -> dict[str, object]:
    position = receipts.position
    return {
        "complete": receipts.complete,
        "whole": receipts.whole,
        "epoch": position and position.epoch,
        "seq": position and position.last_seq,
        "edges": [
            {
                "edge_id": r.edge_id,
                "confirmed": r.after_ms is not None,
                "after_ms": r.after_ms and round(r.after_ms, 1),
            }
            for r in receipts.edges
        ],
        "safe_everywhere_at": None if receipts.complete else date_time(receipts.safe_at_ms),
    }


def _tell(receipts: Receipts) -> None:
    if receipts.position is None:
        say("not applied yet: no revocation worker has taken it up; it is kept and will be")
    else:
        say(f"applied     BLOCKLIST {receipts.position.last_seq}")
    for receipt in receipts.edges:
        say(_line(receipt))
    if receipts.complete:
        say(f"everywhere  {len(receipts.edges)} of {len(receipts.edges)} live edges refuse")
        return
    if not receipts.edges:
        say("no edge is heard on the bus")
    if not receipts.whole:
        say(
            "other edges may be live: no revocation worker has listened long enough to name them all"
        )
    say(
        f"safe everywhere at {clock_time(receipts.safe_at_ms)}: by then a silent edge has closed itself"
    )


def _line(receipt: Receipt) -> str:
    name = receipt.edge_id.ljust(10)
    return f"{name}  " + (
        "has not confirmed"
        if receipt.after_ms is None
        else f"refuses after {receipt.after_ms:.0f} ms"
    )
