"""``keys compromise``: the kill switch. Every token of a key is refused everywhere, for ever.

The revocation goes out first: every edge refuses within milliseconds, whatever becomes of the rest. Then new
keys that wait beside the stolen one are given up like it, a key made this moment signs, and the stolen one
leaves the document. The tokens of services that stood in a document of its own end too, and are named: whoever
had the key could have written any of them. What cannot be done is said and stops nothing else; a rerun does
what is left.
"""

import argparse
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.confirm import confirmed
from ctl.documents import Words, tell
from ctl.fate import Word
from ctl.heartbeats import RollCall
from ctl.key_desk import KeyDesk
from ctl.key_states import KeyStateError, compromised, next_keys, state_of
from ctl.output import clock_time_in_words, complain, one_line, say, say_json
from ctl.receipts import Published, Receipts, collect
from ctl.session import Session, operate
from ctl.vouched import Rows, as_json, as_line, vouched_for
from shared.contract import TOKEN_REVOKED
from shared.messages import TokenRevoked

# A silent edge does not hold the kill switch up: it knows the new key before it proves itself fresh again.
HURRY_SECONDS = 3.0
WARNING = (
    "Every token of {} is refused everywhere, for ever; people in browsers sign in again, and services whose "
    "tokens it vouches for need new ones."
)
STRANDED = (
    "nobody can sign in: {kid} still signs, and all it signs is refused. Repeat the command where signing/ and "
    "operator/ are"
)

UNLISTED = "the service tokens that end with it cannot be listed"

T = TypeVar("T")
Receiving = Callable[[], Awaitable[Receipts]]


@dataclass(frozen=True)
class Outcome:
    """What was done, None where it was not; *done*: no step had to be left out."""

    successor: str | None
    receipts: Receipts | None
    words: Words | None
    done: bool
    services: Rows | None = None  # tokens of services that end with the key

    @property
    def code(self) -> int:
        """0 when everybody has confirmed, 3 when somebody has not, 1 when something is left to do."""
        if not self.done or self.receipts is None or self.words is None:
            return exits.FAILED
        return exits.DONE if self.receipts.complete and self.words.complete else exits.PARTLY


def register(verbs: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``compromise`` to ``keys``."""
    parser = add_command(verbs, "compromise", "refuse every token of a key everywhere, for ever")
    parser.add_argument("kid")
    parser.add_argument("--reason", default="key compromised", help="kept with the event")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """0 when every live edge refuses, 3 when one has not confirmed, 1 when something could not be done."""
    try:
        event = TokenRevoked(
            scope="key", kid=arguments.kid, reason=arguments.reason, actor="operator"
        )
    except ValueError:
        complain("the kid or the reason is too long, or has control characters in it")
        return exits.USAGE
    if not confirmed(WARNING.format(one_line(arguments.kid)), yes=arguments.yes):
        return exits.USAGE
    return operate(arguments, partial(_begin, event=event))


async def _begin(session: Session, *, event: TokenRevoked) -> int:
    desk = await _attempt("the keys in force cannot be read", _opened(session))
    if desk is None:
        await _revoke(session, event)
        complain(f"{one_line(event.target)} is revoked, and still in the keys document: repeat")
        return exits.FAILED
    try:
        return desk.code(await _compromise(session, desk, event=event))
    except KeyStateError as error:
        complain(one_line(str(error)))
        return exits.FAILED


async def _opened(session: Session) -> KeyDesk:
    desk = KeyDesk(session)
    await desk.open()
    return desk


async def _compromise(session: Session, desk: KeyDesk, *, event: TokenRevoked) -> int:
    kid = event.target
    if state_of(desk.body, kid) is None:
        raise KeyStateError(
            f"{kid} is no key of this installation (`keys list`); `revoke key` refuses any name"
        )
    receiving = await _attempt(f"{kid} is NOT revoked yet", _revoke(session, event))
    services = await _attempt(UNLISTED, vouched_for(session, desk.body, kid))
    done = await _give_up_waiting(session, desk, event)
    successor = None
    if kid == desk.body.sign_with:
        successor = await _attempt("no other key can sign", _replace(session, desk))
    if kid == desk.body.sign_with:
        complain(STRANDED.format(kid=one_line(kid)))
        done = False
    else:
        done = await _attempt(f"{kid} is not put away", _take_out(desk, kid)) is not None and done
    # Only now: what an edge says of itself must not keep the key in the document.
    receipts = None
    if receiving is not None:
        receipts = await _attempt("no receipts", receiving())
    words = await _attempt("the edges' generations are not known", desk.words())
    outcome = Outcome(successor, receipts, words, done, services)
    _tell(session, desk, kid, outcome)
    return outcome.code


async def _attempt(trouble: str, work: Awaitable[T]) -> T | None:
    """What *work* comes to; None, and *trouble* is said, when it cannot be done."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - whatever it is, the other steps are still to be done
        complain(one_line(f"{trouble}: {str(error) or type(error).__name__}"))
        return None


async def _give_up_waiting(session: Session, desk: KeyDesk, event: TokenRevoked) -> bool:
    """New keys that wait to sign lay beside the stolen one: they end like it. Whether all did."""
    waiting = {*next_keys(desk.body), *desk.files.waiting()} - {event.target}
    done = True
    for kid in sorted(waiting):
        complain(one_line(f"{kid} waited to sign next, and counts as stolen too"))
        ended = await _attempt(f"{kid} is not given up", _end(session, desk, kid, event))
        done = ended is not None and done
    return done


async def _end(session: Session, desk: KeyDesk, kid: str, event: TokenRevoked) -> bool:
    await session.bus.publish(TOKEN_REVOKED, TokenRevoked(**{**event.model_dump(), "kid": kid}))
    return await _take_out(desk, kid)


async def _take_out(desk: KeyDesk, kid: str) -> bool:
    """Let *kid* leave the document, then the files. Raises: what `KeyDesk.change` does, OSError."""
    await desk.change(kid, "compromised", lambda body, now, gen: compromised(body, kid, now, gen))
    desk.files.put_away(kid, "compromised")
    desk.keep_files_in_step()
    return True


async def _replace(session: Session, desk: KeyDesk) -> str:
    """Let a key made this moment sign, in a hurry; its kid. Raises: SecretsError: there can be no other."""
    kid = await desk.publish_next(None, fresh=True)
    await desk.words(min(session.timeout, HURRY_SECONDS))
    await desk.switch(kid)
    if not session.json:
        say(f"signs       {kid}, generation {desk.generation}")
    return kid


async def _revoke(session: Session, event: TokenRevoked) -> Receiving:
    """Publish the revocation; how to wait for its receipts. Raises: BusUnavailableError."""
    identity = session.ids.ulid(session.clock.now_ms())
    roll, word = RollCall(session.clock), Word(identity)
    await roll.start(session.bus)
    await word.listen(session.bus)
    ack = await session.bus.publish(TOKEN_REVOKED, event.model_copy(update={"id": identity}))
    published = Published(ack, session.clock.monotonic(), session.clock.now_ms())
    if not session.json:
        say(f"revoked     {one_line(event.target)}: each edge refuses it from now on")

    async def receive() -> Receipts:
        passed = session.clock.monotonic() - published.acked
        patience = session.timeout + passed
        return await collect(session.bus, roll, word, published, session.clock, patience)

    return receive


def _tell_revoked(receipts: Receipts) -> None:
    for receipt in receipts.edges:
        name = one_line(receipt.edge_id).ljust(10)
        heard = receipt.after_ms is not None
        say(f"{name}  " + (f"refuses after {receipt.after_ms:.0f} ms" if heard else "is silent"))
    if not receipts.complete:
        say(f"safe everywhere at {clock_time_in_words(receipts.closed_at_ms)}")


def _tell(session: Session, desk: KeyDesk, kid: str, outcome: Outcome) -> None:
    if not session.json:
        if outcome.receipts is not None:
            _tell_revoked(outcome.receipts)
        for row in outcome.services or ():
            say(as_line(row))
        if state_of(desk.body, kid) == "compromised":
            say(f"taken out   {one_line(kid)}, generation {desk.generation}")
        if outcome.words is not None:
            tell(outcome.words)
        return
    say_json(_answer(desk, kid, outcome))


def _answer(desk: KeyDesk, kid: str, outcome: Outcome) -> dict[str, object]:
    receipts, words = outcome.receipts, outcome.words
    edges = receipts.edges if receipts is not None else ()
    complete = receipts is not None and receipts.complete
    told = [{"edge_id": edge.edge_id, "after_ms": edge.after_ms} for edge in edges]
    return {
        "kid": kid,
        "signs": outcome.successor or desk.body.sign_with,
        "done": outcome.done,
        "service_tokens": None
        if outcome.services is None
        else list(map(as_json, outcome.services)),
        "revoked": {"complete": complete, "edges": told},
        "safe_everywhere_at": receipts.safe_at if receipts else None,
        "generation": desk.generation,
        **(words.answer() if words is not None else {"complete": False}),
    }
