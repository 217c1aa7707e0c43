"""``keys list|rotate|retire``: the keys that sign access tokens. ``compromise`` is in `kill_key`."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from ctl import exits
from ctl.arguments import Commands, add_command, number_of_seconds
from ctl.commands import kill_key
from ctl.documents import ConflictError, Words, tell
from ctl.key_desk import KeyDesk
from ctl.key_states import KeyStateError, retire_at_ms, retired, state_of
from ctl.output import complain, date_time, one_line, say, say_json, table
from ctl.session import Session, operate
from shared.documents import DocumentTooLargeError
from shared.secrets import SecretsError

ALGORITHMS = ("RS256", "ES256", "EdDSA")
# Auth and services follow the document too and send no heartbeat: within max_staleness they have it, or refuse.
SETTLE_SECONDS = 12.0
MAX_SETTLE_SECONDS = 3600.0
POLL_SECONDS = 0.25

Work = Callable[[Session, KeyDesk], Awaitable[int]]


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``keys``."""
    parser = add_command(commands, "keys", "the keys that sign access tokens")
    verbs = parser.add_subparsers(metavar="ACTION", required=True)
    listing = add_command(verbs, "list", "each key, its state, and which edges know of it")
    listing.set_defaults(run=lambda _arguments: _operate(_arguments, _list))
    rotate = add_command(verbs, "rotate", "publish a new key, wait for every edge, sign with it")
    rotate.add_argument("--alg", choices=ALGORITHMS, help="default: as the key that signs now")
    rotate.add_argument(
        "--settle",
        type=_settle,
        metavar="SECONDS",
        help="for readers that send no heartbeat, before the new key signs (default, and at least: "
        f"{SETTLE_SECONDS:g}, or longer where max_staleness is)",
    )
    rotate.set_defaults(run=_run_rotate)
    retire = add_command(verbs, "retire", "accept a key no more whose tokens have run out")
    retire.add_argument("kid")
    retire.set_defaults(run=_run_retire)
    kill_key.register(verbs)


def _settle(text: str) -> float:
    seconds = number_of_seconds(text)
    if not SETTLE_SECONDS <= seconds <= MAX_SETTLE_SECONDS:
        raise argparse.ArgumentTypeError(
            f"must be {SETTLE_SECONDS:g} to {MAX_SETTLE_SECONDS:g} seconds: whoever sends no heartbeat may not "
            "know the new key before"
        )
    return seconds


def _run_rotate(arguments: argparse.Namespace) -> int:
    """0 when the new key signs and every live edge says so, 3 when an edge has not confirmed."""
    return _operate(arguments, partial(_rotate, algorithm=arguments.alg, settle=arguments.settle))


def _run_retire(arguments: argparse.Namespace) -> int:
    """0 when no live edge accepts it any more, 1 when it is too early, 3 when an edge has not confirmed."""
    return _operate(arguments, partial(_retire, kid=arguments.kid))


def _operate(arguments: argparse.Namespace, work: Work) -> int:
    """Open the desk, do *work*, and say in a line what is not allowed."""

    async def begin(session: Session) -> int:
        desk = KeyDesk(session)
        try:
            await desk.open()
            return desk.code(await work(session, desk))
        except (KeyStateError, ConflictError, DocumentTooLargeError, SecretsError) as error:
            complain(one_line(str(error)))
            return exits.FAILED

    return operate(arguments, begin)


async def _list(session: Session, desk: KeyDesk) -> int:
    words = await desk.words(min(session.timeout, 2.0))
    rows = [_row(desk, words, kid) for kid in sorted({*desk.body.history, *desk.body.kids})]
    if desk.documents.shelf.not_believed:
        complain(f"{desk.documents.shelf.not_believed} messages of DOCUMENT are not the operator's")
    if session.json:
        say_json({"generation": desk.generation, "keys": rows, **words.answer()})
        return exits.DONE
    source = f"document {desk.generation}" if desk.generation else "the files: no document yet"
    say(f"keys of {source}")
    heading = ("KID", "ALG", "STATE", "SINCE", "GENERATION", "EDGES", "RETIRE FROM")
    say(table([heading, *(_line(row) for row in rows)]))
    return exits.DONE


def _row(desk: KeyDesk, words: Words, kid: str) -> dict[str, object]:
    known, state = desk.body.since(kid), state_of(desk.body, kid)
    keys = (*desk.body.keys, *desk.body.former)
    times = (known.compromised_at, known.retired_at, known.replaced_at, known.used_at)
    since = next((at for at in times if at), known.added_at)
    have = [edge.edge_id for edge in words.edges if edge.generation >= known.generation]
    return {
        "kid": kid,
        "alg": next((key["alg"] for key in keys if key["kid"] == kid), None),
        "state": state,
        "since": date_time(since) if since else None,
        "generation": known.generation,
        "edges": have,
        "edges_live": len(words.edges),
        "retire_from": date_time(retire_at_ms(desk.body, kid)) if state == "accepted" else None,
    }


def _line(row: dict[str, object]) -> tuple[object, ...]:
    edges = row["edges"]
    assert isinstance(edges, list)
    return (
        one_line(str(row["kid"])),
        row["alg"] or "-",
        row["state"],
        row["since"] or "-",
        row["generation"],
        f"{len(edges)}/{row['edges_live']}",
        row["retire_from"] or "-",
    )


def usual_settle(desk: KeyDesk) -> float:
    """As long as anybody of this installation may go by what was true before."""
    return max(SETTLE_SECONDS, desk.documents.roll.window_ms() / 1000)


async def _rotate(
    session: Session,
    desk: KeyDesk,
    *,
    algorithm: str | None,
    settle: float | None,
    least: Callable[[KeyDesk], float] = usual_settle,
) -> int:
    before = desk.body.sign_with
    kid = await desk.publish_next(algorithm)
    if not desk.files.has(kid):
        raise SecretsError(
            f"the rotation to {kid} was begun where its private key is: go on there, or give it up "
            f"with `keys retire {kid}`"
        )
    desk.keep_files_in_step()
    told: dict[str, object] = {"kid": kid, "before": before, "signs": False}
    if not session.json:
        say(f"published   {kid}, generation {desk.generation}; {before} still signs")
    published = await desk.words()
    if not session.json:
        tell(published)
    if not published.complete:
        return _stopped(session, desk, told, published)
    needed = least(desk)
    if settle is not None and settle < needed:
        complain(
            f"--settle {settle:g} is too short: here somebody may go by what was true {needed:g} s ago. "
            f"{kid} waits and the old key signs: repeat the command without it"
        )
        return exits.USAGE
    await _let_settle(session, desk, kid, needed if settle is None else settle)
    await desk.switch(kid)
    return await _switched(session, desk, told | {"signs": True})


def _stopped(session: Session, desk: KeyDesk, told: dict[str, object], words: Words) -> int:
    complain("an edge may not know the new key yet, so the old one goes on: repeat the command")
    if session.json:
        say_json({**told, "generation": desk.generation, **words.answer()})
    return exits.PARTLY


async def _let_settle(session: Session, desk: KeyDesk, kid: str, settle: float) -> None:
    """Wait until *kid* has been published for *settle* seconds."""
    ready_at, clock = desk.body.since(kid).added_at + settle * 1000, session.clock
    left = min(settle, (ready_at - clock.now_ms()) / 1000)
    if left > 0 and not session.json:
        say(f"waiting     {left:.0f} s for readers that send no heartbeat")
    # By the wall clock, as another machine may have published it; but no longer than *settle* from now.
    until = clock.monotonic() + settle
    while clock.now_ms() < ready_at and clock.monotonic() < until:  # noqa: ASYNC110 - time tells nobody
        await asyncio.sleep(POLL_SECONDS)


async def _switched(session: Session, desk: KeyDesk, told: dict[str, object]) -> int:
    desk.keep_files_in_step()
    kid, before = str(told["kid"]), str(told["before"])
    words = await desk.words()
    retire_from = retire_at_ms(desk.body, before)
    if session.json:
        answer = {**told, "generation": desk.generation, "retire_from": date_time(retire_from)}
        say_json({**answer, **words.answer()})
    else:
        say(f"signs       {kid}, generation {desk.generation}")
        tell(words)
        say(f"accepted    {before}, until you retire it: from {date_time(retire_from)} on")
    return exits.DONE if words.complete else exits.PARTLY


async def _retire(session: Session, desk: KeyDesk, *, kid: str) -> int:
    retire_from = retire_at_ms(desk.body, kid)
    if session.clock.now_ms() < retire_from:
        raise KeyStateError(
            f"{kid} may have signed tokens that are still good: retire it from {date_time(retire_from)} on"
        )
    await desk.change(kid, "retired", lambda body, now, gen: retired(body, kid, now, gen))
    desk.files.put_away(kid, "retired")
    desk.keep_files_in_step()
    words = await desk.words()
    if session.json:
        say_json({"kid": kid, "generation": desk.generation, **words.answer()})
    else:
        say(f"retired     {one_line(kid)}, generation {desk.generation}")
        tell(words)
    return exits.DONE if words.complete else exits.PARTLY
