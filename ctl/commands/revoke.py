"""``revoke``: say whom it hits, one word to the bus, then wait until each live edge says that it refuses."""

import argparse
import asyncio
from functools import partial

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.confirm import confirmed
from ctl.fate import Fate, Word
from ctl.heartbeats import RollCall, others_in_words
from ctl.key_warnings import key_warning
from ctl.output import clock_time_in_words, complain, date_time, one_line, say, say_json
from ctl.receipts import Published, Receipt, Receipts, collect
from ctl.session import Session, Work, operate
from ctl.targets import SCOPES, TargetError, revocation_of
from shared.bus import BusUnavailableError, NoAnswerError
from shared.contract import OP_REVOCATION_MATCH, TOKEN_REVOKED
from shared.messages import Match, MatchRequest, TokenRevoked

MATCH_SECONDS = 2.0
# What reaches further than one person is done only on a second word.
CONFIRM = {
    "key": "Every token that was signed with this key is refused everywhere, for ever.",
    "service": "Every token of this service is refused everywhere, and so is its name for ten years. "
    "(`latchwire tokens revoke --service NAME` ends the tokens that it has, and no later ones.)",
}
COUNTED = ("session", "subject")
LOCKED_OUT = "Nobody can sign in until another key signs."
_BECAME = {
    "stored": "applied     BLOCKLIST {seq}",
    "known": "applied     BLOCKLIST {seq}: all of it was refused before, nothing changed",
    "applied": "applied     by BLOCKLIST {seq}; the worker's own word of it was not heard",
}


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``revoke``."""
    parser = add_command(
        commands, "revoke", "refuse a session, person, token, service or key everywhere, now"
    )
    parser.add_argument("what", choices=tuple(SCOPES))
    parser.add_argument(
        "id",
        nargs="+",
        help="session: sid; person: address or account id; token: jti; service: client_id; "
        "key: kid, or refresh/kid",
    )
    parser.add_argument("--reason", required=True, help="kept with the event")
    parser.add_argument(
        "--dry-run", action="store_true", help="tell what it would hit and send, and send nothing"
    )
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the edges")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when every live edge confirmed (or with --no-wait: when it is stored), 3 when not all did,

    1 when the worker refused it.
    """
    try:
        event = revocation_of(arguments.what, arguments.id, arguments.reason)
    except TargetError as error:
        complain(str(error))
        return exits.USAGE
    if arguments.dry_run:
        return operate(arguments, partial(_rehearse, event=event))
    warning = CONFIRM.get(arguments.what)
    if warning is not None and not confirmed(warning, yes=arguments.yes):
        return exits.USAGE
    work = partial(_revoke, event=event, wait=not arguments.no_wait)
    return operate(arguments, partial(_warned, event=event, yes=arguments.yes, work=work))


async def _warned(session: Session, *, event: TokenRevoked, yes: bool, work: Work) -> int:
    """*work*, after what is to be said of a key."""
    locks_out = await _warn(session, event)
    # In a thread: the connection lives on while a person thinks.
    if locks_out and not await asyncio.to_thread(confirmed, LOCKED_OUT, yes=yes):
        return exits.USAGE
    return await work(session)


async def _warn(session: Session, event: TokenRevoked) -> bool:
    """Say what is to be said of a key; whether it would lock everybody out."""
    warning = await key_warning(session, event.target) if event.scope == "key" else None
    if warning is None:
        return False
    complain(one_line(warning.text))
    return warning.locks_out


async def _rehearse(session: Session, *, event: TokenRevoked) -> int:
    await _warn(session, event)
    match = await _match(session, event)
    body = event.model_dump(exclude_none=True)
    if session.json:
        say_json({"dry_run": True, "matched": _counts(match), "event": body})
        return exits.DONE
    fields = "  ".join(f"{name}={one_line(str(value))}" for name, value in body.items())
    say(f"would send  {TOKEN_REVOKED.name}  {fields}")
    say("nothing was sent")
    return exits.DONE


async def _revoke(session: Session, *, event: TokenRevoked, wait: bool) -> int:
    return await publish_and_wait(session, event, await _match(session, event), wait=wait)


async def publish_and_wait(
    session: Session, event: TokenRevoked, match: Match | None, *, wait: bool
) -> int:
    """Say *event* to the bus, then tell which edges refuse; the exit code."""
    identified = event.model_copy(update={"id": session.ids.ulid(session.clock.now_ms())})
    assert identified.id is not None
    roll, word = RollCall(session.clock), Word(identified.id)
    await roll.start(session.bus)
    await word.listen(session.bus)
    published = await _publish(session, identified)
    told = {"matched": _counts(match), **_stored(identified, published)}
    if not session.json:
        say(f"stored      event {identified.id}, TOKEN {published.ack.seq}")
    elif not wait:
        say_json(told)
    if not wait:
        return exits.DONE
    receipts = await collect(session.bus, roll, word, published, session.clock, session.timeout)
    if session.json:
        say_json({**told, **_answer(receipts)})
    else:
        _tell(receipts)
    return _code(receipts)


async def _match(session: Session, event: TokenRevoked) -> Match | None:
    """Whom it hits, counted by auth, and said; None when nobody counts."""
    request = MatchRequest(scope=event.scope, id=event.target)
    try:
        patience = min(MATCH_SECONDS, session.timeout)
        match = await session.bus.ask(OP_REVOCATION_MATCH, request, timeout=patience)
    except NoAnswerError:
        match = None
    if not session.json:
        say(f"matches     {matched_in_words(match, event.scope)}")
    if match is not None and match.counted and not match.sessions + match.links:
        complain("warning: 0 matched: is the id right? A token that lives outside may still be hit")
    return match


async def _publish(session: Session, event: TokenRevoked) -> Published:
    try:
        ack = await session.bus.publish(TOKEN_REVOKED, event)
    except BusUnavailableError:
        complain("it may be stored or not: repeat the command, twice does no harm")
        raise
    return Published(ack, session.clock.monotonic(), session.clock.now_ms())


def matched_in_words(match: Match | None, scope: str) -> str:
    """How many it hits, or why nobody can say: sessions and people are counted while Redis can be believed."""
    if match is None:
        return "not counted: auth does not answer"
    if not match.counted and scope in COUNTED:
        return "not counted: auth's store is away, or nobody vouches for it (`status`)"
    if not match.counted:
        return "not counted: auth keeps no list of these"
    return f"{_plural(match.sessions, 'session')}, {_plural(match.links, 'unopened link')}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _counts(match: Match | None) -> dict[str, int] | None:
    counted = match is not None and match.counted
    return {"sessions": match.sessions, "links": match.links} if match and counted else None


def _stored(event: TokenRevoked, published: Published) -> dict[str, object]:
    return {
        "id": event.id,
        "scope": event.scope,
        "token_seq": published.ack.seq,
        "stored_at": date_time(published.acked_at_ms),
    }


def _answer(receipts: Receipts) -> dict[str, object]:
    fate = receipts.fate
    position = fate.position if fate is not None else None
    return {
        "outcome": fate.outcome if fate else "waiting",
        "reason": fate.reason if fate else "",
        "complete": receipts.complete,
        "whole": receipts.whole,
        "missing": list(receipts.missing),
        "epoch": position and position.epoch,
        "seq": position and position.last_seq,
        "edges": [
            {"edge_id": r.edge_id, "confirmed": r.after_ms is not None, "after_ms": r.after_ms}
            for r in receipts.edges
        ],
        "safe_everywhere_at": receipts.safe_at,
    }


def _code(receipts: Receipts) -> int:
    if receipts.refused:
        return exits.FAILED
    return exits.DONE if receipts.complete else exits.PARTLY


def _tell(receipts: Receipts) -> None:
    if receipts.refused:
        assert receipts.fate is not None
        complain(f"refused by the revocation worker: {one_line(receipts.fate.reason)}")
        return
    say(_became(receipts.fate))
    if receipts.nothing_alive:
        return
    for receipt in receipts.edges:
        say(_line(receipt, receipts.fate))
    if receipts.complete:
        say(f"everywhere  {len(receipts.edges)} of {len(receipts.edges)} live edges refuse")
    else:
        _tell_unsafe(receipts)


def _became(fate: Fate | None) -> str:
    if fate is None:
        return "not applied yet: no revocation worker has taken it up; it is kept and will be"
    if fate.outcome == "lapsed":
        return "lapsed      nothing that it names can still be alive: no edge has anything to do"
    assert fate.position is not None
    return _BECAME[fate.outcome].format(seq=fate.position.last_seq)


def _tell_unsafe(receipts: Receipts) -> None:
    if not receipts.edges:
        say("no edge is heard on the bus")
    if not receipts.whole:
        for line in others_in_words(receipts.missing):
            say(line)
    safe_at = clock_time_in_words(receipts.closed_at_ms)
    say(f"safe everywhere at {safe_at}: by then a silent edge has closed itself")


def _line(receipt: Receipt, fate: Fate | None) -> str:
    name = one_line(receipt.edge_id).ljust(10)
    if receipt.after_ms is None:
        return f"{name}  has not confirmed"
    if not receipt.after_ms and fate is not None and fate.outcome == "known":
        return f"{name}  refused it already"
    return f"{name}  refuses after {receipt.after_ms:.1f} ms"
