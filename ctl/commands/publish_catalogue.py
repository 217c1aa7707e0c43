"""``catalogue apply|rollback|show``: services.yaml in force at every edge, without a restart."""

import argparse
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.catalogue_history import as_json, history, line
from ctl.commands.rehearse_catalogue import in_force, opening_lines, rehearse
from ctl.confirm import confirmed
from ctl.documents import ConflictError, DocumentDesk, Words, tell
from ctl.installation import NoInstallationError, find_catalogue
from ctl.lost_catalogue import generation_of_auth
from ctl.output import complain, one_line, say, say_json
from ctl.parts import ask_parts
from ctl.people_rules import people_lines
from ctl.session import Session, operate
from ctl.shadows import shadow_lines
from ctl.up.reload import adds_app
from latchwire.documents import CATALOGUE, Document
from shared.catalogue import CatalogueError, parse_catalogue, read_text
from shared.catalogue.changes import changes
from shared.contract import Role
from shared.documents import DocumentTooLargeError
from shared.secrets import SecretsError

NOBODY_LEFT = "No service is left in it: every request will be refused."
CURE = "Write what you want into services.yaml, and apply that"
BY_HAND = "write what `catalogue show` prints into it, or the next apply puts it in force again"

Work = Callable[[Session, DocumentDesk], Awaitable[int]]


class NothingToRollBackError(Exception):
    """There is no such earlier catalogue."""


def register(verbs: "Commands[argparse.ArgumentParser]") -> None:
    """Add the three to ``catalogue``."""
    apply = add_command(verbs, "apply", "put services.yaml in force at every edge")
    apply.add_argument(
        "file", nargs="?", type=Path, help="default: the one `catalogue check` reads"
    )
    apply.add_argument(
        "--dry-run", action="store_true", help="only say what would change, and for whom"
    )
    apply.set_defaults(run=_run_apply)
    back = add_command(verbs, "rollback", "put an earlier catalogue in force again")
    back.add_argument("--to", type=int, metavar="GENERATION", help="default: the one before")
    back.add_argument(
        "--dry-run", action="store_true", help="only say what would change, and for whom"
    )
    back.set_defaults(
        run=lambda arguments: _operate(
            arguments, partial(_back, to=arguments.to, dry_run=arguments.dry_run)
        )
    )
    show = add_command(
        verbs, "show", "the catalogue in force, what each generation changed, which edges have it"
    )
    show.add_argument("--generation", type=int, help="an earlier one")
    show.set_defaults(
        run=lambda arguments: _operate(arguments, partial(_show, wanted=arguments.generation))
    )


def _run_apply(arguments: argparse.Namespace) -> int:
    """0 when every live edge has it, 1 when it cannot be used, 3 when an edge has not confirmed."""
    try:
        path = arguments.file or find_catalogue(arguments.context)
        if arguments.file is None and adds_app(path):
            complain(
                "this `up` adds an application to services.yaml: copy its lines into that (`up` has printed "
                "them), or name the file that has it"
            )
            return exits.USAGE
        # Once: what is checked is what is published, whatever an editor does to the file meanwhile.
        text = read_text(path, str(path))
        catalogue = parse_catalogue(text, str(path))
    except (CatalogueError, NoInstallationError) as error:
        complain(str(error))
        return exits.FAILED
    context = arguments.context
    for warning in shadow_lines(catalogue, context) + people_lines(catalogue, context):
        complain(warning)
    if arguments.dry_run:
        return _operate(arguments, partial(rehearse, text=text))
    if not catalogue.services and not confirmed(NOBODY_LEFT, yes=arguments.yes):
        return exits.USAGE
    code = _operate(arguments, partial(_apply, text=text, before=_text_of_installation(arguments)))
    if code in (exits.DONE, exits.PARTLY):
        _say_what_differs(arguments, text)
    return code


def _text_of_installation(arguments: argparse.Namespace) -> str | None:
    """What edges go by before the first document, where another file is applied; None: nobody can say."""
    try:
        own = find_catalogue(arguments.context)
        if arguments.file is None or own.samefile(arguments.file):
            return None
        text = read_text(own)
        parse_catalogue(text)
    except (OSError, CatalogueError, NoInstallationError):
        return None
    return text


def _say_what_differs(arguments: argparse.Namespace, text: str) -> None:
    own = find_catalogue(arguments.context)
    try:
        same = arguments.file is None or read_text(own) == text
    except CatalogueError:
        return
    if not same:
        complain(f"{own} says something else: write this into it too, or its next apply undoes it")


def _operate(arguments: argparse.Namespace, work: Work) -> int:
    async def begin(session: Session) -> int:
        desk = DocumentDesk(session, CATALOGUE)
        try:
            await desk.open()
            return await work(session, desk)
        except (
            ConflictError,
            DocumentTooLargeError,
            SecretsError,
            NothingToRollBackError,
        ) as error:
            complain(one_line(str(error)))
            return exits.FAILED

    return operate(arguments, begin)


async def _apply(
    session: Session, desk: DocumentDesk, *, text: str, before: str | None = None
) -> int:
    """*before*: what everybody went by until now; kept as the first generation, so that a rollback finds it."""
    known = desk.shelf.in_force
    if known is None and before is not None and before != text:
        await desk.publish(before, await _next_generation(session, desk), at=session.clock.now_ms())
    if desk.shelf.in_force is not None and not session.json:
        for opening in opening_lines(changes(in_force(desk), parse_catalogue(text))):
            say(opening)
    if known is None or known.body != text:
        await desk.publish(text, await _next_generation(session, desk), at=session.clock.now_ms())
    same = known is desk.shelf.in_force
    return await _confirm(session, desk, "already in force" if same else "applied")


async def _next_generation(session: Session, desk: DocumentDesk) -> int:
    """Above auth's too: it goes by the catalogue and may outlive the stream, and never goes back."""
    return await desk.next_generation(await generation_of_auth(session))


async def _back(
    session: Session, desk: DocumentDesk, *, to: int | None, dry_run: bool = False
) -> int:
    before = _find(desk, to)
    try:
        parse_catalogue(before.body, "")
    except CatalogueError as error:
        for problem in error.problems:  # ":12: what is wrong"
            complain(f"generation {before.generation}, line {problem.removeprefix(':')}")
        return exits.FAILED
    if dry_run:
        return await rehearse(session, desk, text=before.body, repeats=before.generation)
    await desk.publish(
        before.body, await _next_generation(session, desk), at=session.clock.now_ms()
    )
    return await _confirm(session, desk, f"as {before.generation}", back=True)


def _find(desk: DocumentDesk, generation: int | None) -> Document:
    """The document of *generation*; None: the newest that says something else than the one in force."""
    kept, now = desk.shelf.genuine, desk.shelf.in_force
    if generation is None:
        earlier = [d for d in kept if now is not None and d.body != now.body]
    else:
        earlier = [d for d in kept if d.generation == generation]
    if not earlier or not isinstance(earlier[-1].body, str):
        there = ", ".join(str(d.generation) for d in kept) or "none"
        raise NothingToRollBackError(
            f"{NothingToRollBackError.__doc__} Kept generations: {there}. {CURE}"
        )
    return earlier[-1]


async def _confirm(session: Session, desk: DocumentDesk, how: str, *, back: bool = False) -> int:
    generation = desk.shelf.generation
    words = await desk.words(generation, session.timeout)
    (auth,) = await ask_parts(session, Role.AUTH)
    routed = bool(auth.told)
    if session.json:
        say_json({"generation": generation, "how": how, "auth": routed, **words.answer()})
    else:
        say(f"catalogue   generation {generation} ({how})")
        tell(words)
        _explain(words, routed=routed, back=back)
    return exits.DONE if words.complete and routed else exits.PARTLY


def _explain(words: Words, *, routed: bool, back: bool) -> None:
    if not routed:
        say("traefik     goes by the routes it has, if any: it gets them from auth, which is away")
    elif words.complete:
        say(
            "traefik     gets its routes from auth now; a gateway with a file of its own needs a new one"
        )
    if back:
        say(f"services.yaml is as it was: {BY_HAND}")
    if any(edge.after_ms is None for edge in words.edges):
        say(
            "an edge that stays behind is cut off, or cannot read it: its log says document.refused"
        )


def _none(words: Words) -> str:
    """Why nothing can be shown."""
    if any(edge.generation for edge in words.edges):
        return (
            "the stream has no document (any more): an edge with a generation goes by what it has taken, "
            "and once it starts again by its own file; `latchwire status` says more"
        )
    return "no document yet: each edge goes by its own file"


async def _show(session: Session, desk: DocumentDesk, *, wanted: int | None) -> int:
    found = desk.shelf.in_force if wanted is None else _find(desk, wanted)
    words = await desk.words(desk.shelf.generation, min(session.timeout, 2.0))
    kept = history(desk.shelf.genuine)
    if session.json:
        shown = {"generation": found.generation, "text": found.body} if found else {"generation": 0}
        say_json({**shown, "kept": [as_json(each) for each in kept], **words.answer()})
        return exits.DONE
    for each in kept:
        complain(line(each))
    for edge in words.edges:
        complain(f"{one_line(edge.edge_id).ljust(10)}  has generation {edge.generation}")
    if found is None:
        complain(_none(words))
    else:
        say(str(found.body).rstrip("\n"))
    return exits.DONE
