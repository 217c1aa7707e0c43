"""``keys compromise``: the kill switch. Every token of a key is refused everywhere, for ever.

Where the key signs, another one does first: nobody who is at work in that second may be left without. Then
the revocation, which every edge refuses by within milliseconds, then the key leaves the document.
"""

import argparse
from collections.abc import Awaitable, Callable
from functools import partial

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.confirm import confirmed
from ctl.documents import Words, tell
from ctl.fate import Word
from ctl.heartbeats import RollCall
from ctl.key_desk import KeyDesk
from ctl.key_states import KeyStateError, compromised, state_of
from ctl.output import clock_time_in_words, complain, one_line, say, say_json
from ctl.receipts import Published, Receipts, collect
from ctl.session import Session
from shared.contract import TOKEN_REVOKED
from shared.messages import TokenRevoked

# A silent edge does not hold the kill switch up: it knows the new key before it proves itself fresh again.
HURRY_SECONDS = 3.0
WARNING = "Every token of {} is refused everywhere, for ever; people in browsers sign in again."

Work = Callable[[Session, KeyDesk], Awaitable[int]]
Operate = Callable[[argparse.Namespace, Work], int]


def register(verbs: "Commands[argparse.ArgumentParser]", operate: Operate) -> None:
    """Add ``compromise`` to ``keys``."""
    parser = add_command(verbs, "compromise", "refuse every token of a key everywhere, for ever")
    parser.add_argument("kid")
    parser.add_argument("--reason", default="key compromised", help="kept with the event")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=partial(_run, operate=operate))


def _run(arguments: argparse.Namespace, *, operate: Operate) -> int:
    """0 when every live edge refuses, 3 when one has not confirmed, 1 when it cannot be done."""
    try:
        event = TokenRevoked(
            scope="key", kid=arguments.kid, reason=arguments.reason, actor="operator"
        )
    except ValueError:
        complain("the kid or the reason is too long, or has control characters in it")
        return exits.USAGE
    if not confirmed(WARNING.format(one_line(arguments.kid)), yes=arguments.yes):
        return exits.USAGE
    return operate(arguments, partial(_compromise, event=event))


async def _compromise(session: Session, desk: KeyDesk, *, event: TokenRevoked) -> int:
    kid = event.target
    if state_of(desk.body, kid) is None:
        raise KeyStateError(
            f"{kid} is no key of this installation (`keys list`); `revoke key` refuses any name"
        )
    successor = await _replace(session, desk) if kid == desk.body.sign_with else None
    receipts = await _revoke(session, event)
    if not session.json:
        _tell_revoked(receipts)
    await desk.change(kid, "compromised", lambda body, now, gen: compromised(body, kid, now, gen))
    desk.files.put_away(kid, "compromised")
    desk.keep_files_in_step()
    words = await desk.words()
    _tell(session, desk, kid, successor, receipts, words)
    return exits.DONE if receipts.complete and words.complete else exits.PARTLY


async def _replace(session: Session, desk: KeyDesk) -> str:
    """Let another key sign, in a hurry; its kid. Raises: SecretsError: there can be no other."""
    kid = await desk.publish_next(None)
    if not desk.files.has(kid):
        raise KeyStateError(f"the private key of {kid}, which would sign next, is not here")
    await desk.words(min(session.timeout, HURRY_SECONDS))
    await desk.switch(kid)
    if not session.json:
        say(f"signs       {kid}, generation {desk.generation}")
    return kid


async def _revoke(session: Session, event: TokenRevoked) -> Receipts:
    identity = session.ids.ulid(session.clock.now_ms())
    roll, word = RollCall(session.clock), Word(identity)
    await roll.start(session.bus)
    await word.listen(session.bus)
    ack = await session.bus.publish(TOKEN_REVOKED, event.model_copy(update={"id": identity}))
    published = Published(ack, session.clock.monotonic(), session.clock.now_ms())
    return await collect(session.bus, roll, word, published, session.clock, session.timeout)


def _tell_revoked(receipts: Receipts) -> None:
    for receipt in receipts.edges:
        name = one_line(receipt.edge_id).ljust(10)
        heard = receipt.after_ms is not None
        say(f"{name}  " + (f"refuses after {receipt.after_ms:.0f} ms" if heard else "is silent"))
    if not receipts.complete:
        say(f"safe everywhere at {clock_time_in_words(receipts.safe_at_ms)}")


def _tell(
    session: Session,
    desk: KeyDesk,
    kid: str,
    successor: str | None,
    receipts: Receipts,
    words: Words,
) -> None:
    if not session.json:
        say(f"taken out   {one_line(kid)}, generation {desk.generation}")
        tell(words)
        return
    edges = [{"edge_id": r.edge_id, "after_ms": r.after_ms} for r in receipts.edges]
    say_json(
        {
            "kid": kid,
            "signs": successor or desk.body.sign_with,
            "revoked": {"complete": receipts.complete, "edges": edges},
            "safe_everywhere_at": None if receipts.complete else receipts.safe_at_ms,
            "generation": desk.generation,
            **words.answer(),
        }
    )
