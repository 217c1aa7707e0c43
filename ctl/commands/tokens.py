"""``tokens``: what services prove themselves with. The token is made here; auth is told its hash alone."""

import argparse
from collections.abc import Sequence
from functools import partial

from pydantic import TypeAdapter, ValidationError

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.commands.revoke import publish_and_wait
from ctl.output import complain, say
from ctl.session import Session, operate
from ctl.targets import TargetError, revocation_of
from ctl.token_desk import (
    CURES,
    NotKeptError,
    ask_tokens,
    end_of,
    hear_edges,
    keep_token,
    living,
    say_tokens,
    show_and_wait,
    show_made,
    show_made_as_owner_does,
)
from shared.bus import NoAnswerError
from shared.messages import ServiceTokenRow, TokenRevoked
from shared.messages.base import ULID
from shared.messages.service_token import Scope, ServiceName
from shared.service_tokens import LIFETIME_MS, OVERLAP_MS, REGEX, parse_lifetime

_ULID: TypeAdapter[str] = TypeAdapter(ULID)
_NAME: TypeAdapter[str] = TypeAdapter(ServiceName)
_SCOPE: TypeAdapter[str] = TypeAdapter(Scope)


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``tokens``."""
    parser = add_command(commands, "tokens", "the tokens of services: make, list, rotate, revoke")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    add_create(actions, "create", "make one; it is printed once and kept nowhere")
    add_list(actions, "list", "every living token: whose, until when, when last used")
    rotate = add_command(actions, "rotate", "make the one that takes its place; both work a while")
    rotate.add_argument("id", type=token_id, help="the id `tokens list` shows")
    rotate.add_argument("--overlap", type=lifetime, default=OVERLAP_MS, metavar="24h")
    _add_lifetime(rotate)
    rotate.set_defaults(run=_run_rotate)
    revoke = add_command(actions, "revoke", "end one, or all of a service, everywhere, now")
    revoke.add_argument("id", nargs="?", type=token_id, help="the id `tokens list` shows")
    revoke.add_argument("--service", type=service_name, help="all tokens of this service")
    revoke.add_argument(
        "--org", type=token_id, metavar="ORG_ID", help="all that are bound to this organisation"
    )
    revoke.add_argument("--reason", required=True, help="kept with the event")
    revoke.set_defaults(run=_run_revoke)
    regex = add_command(actions, "regex", "the regular expression that finds one in a text")
    regex.set_defaults(run=_run_regex)


def add_create(
    actions: "Commands[argparse.ArgumentParser]", verb: str, summary: str, *, owner: bool = False
) -> None:
    """The command that makes one; *owner*: told in the words of the owner's document."""
    create = add_command(actions, verb, summary)
    create.add_argument("service", type=service_name, help="the service's name: discord-bot")
    create.add_argument(
        "--scope", action="append", default=[], type=scope, help="a permission it carries"
    )
    create.add_argument("--org", type=token_id, metavar="ORG_ID", help="bind it to an organisation")
    _add_lifetime(create)
    create.set_defaults(run=_run_create, owner=owner)


def add_list(actions: "Commands[argparse.ArgumentParser]", verb: str, summary: str) -> None:
    """The command that lists them."""
    listing = add_command(actions, verb, summary)
    listing.add_argument("--service", type=service_name, help="only those of this service")
    listing.add_argument("--all", action="store_true", help="also those that were revoked")
    listing.set_defaults(run=_run_list)


def token_id(text: str) -> str:
    """Raises: argparse.ArgumentTypeError; the text may be a token, so it is not repeated."""
    try:
        return _ULID.validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(
            "is no id: `latchwire tokens list` shows them; a token itself does not belong here"
        ) from None


def service_name(text: str) -> str:
    """Raises: argparse.ArgumentTypeError."""
    try:
        return _NAME.validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(
            "is no service's name: a letter, then letters, digits and -, all small"
        ) from None


def scope(text: str) -> str:
    """Raises: argparse.ArgumentTypeError."""
    try:
        return _SCOPE.validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError("is no permission's name: orders.read") from None


def lifetime(text: str) -> int:
    """Milliseconds. Raises: argparse.ArgumentTypeError."""
    try:
        return 0 if text == "0" else parse_lifetime(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_lifetime(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lifetime", type=lifetime, default=LIFETIME_MS, metavar="90d", help="at most 366d"
    )


def _run_create(arguments: argparse.Namespace) -> int:
    """0 when every live edge knows it, 3 when one may not; the token is all of standard output."""
    return operate(arguments, partial(_create, arguments=arguments))


def _run_list(arguments: argparse.Namespace) -> int:
    return operate(arguments, partial(_list, service=arguments.service, revoked=arguments.all))


def _run_rotate(arguments: argparse.Namespace) -> int:
    return operate(arguments, partial(_rotate, arguments=arguments))


def _run_revoke(arguments: argparse.Namespace) -> int:
    named = [n for n in (arguments.id, arguments.service, arguments.org) if n is not None]
    if len(named) != 1:
        complain("name one token by its id, or all of a service with --service, or with --org")
        return exits.USAGE
    try:
        # A service is the subject of its tokens: as for people, those made later are good.
        event = revocation_of("person" if arguments.service else "session", named, arguments.reason)
    except TargetError as error:
        complain(str(error))
        return exits.USAGE
    work = _revoke_of_org if arguments.org else _revoke
    return operate(arguments, partial(work, arguments=arguments, event=event))


def _run_regex(_arguments: argparse.Namespace) -> int:
    say(REGEX)
    return exits.DONE


async def _create(session: Session, *, arguments: argparse.Namespace) -> int:
    hearing = await hear_edges(session)
    try:
        made = await keep_token(
            session,
            arguments.service,
            scopes=tuple(dict.fromkeys(arguments.scope)),
            lifetime_ms=arguments.lifetime,
            org=arguments.org,
        )
    except NotKeptError as error:
        complain(str(error))
        return exits.FAILED
    show = show_made_as_owner_does if arguments.owner else show_made
    return await show_and_wait(hearing, made, show)


async def _list(session: Session, *, service: str | None, revoked: bool) -> int:
    say_tokens(session, await ask_tokens(session, service, revoked=revoked))
    return exits.DONE


async def _rotate(session: Session, *, arguments: argparse.Namespace) -> int:
    old = next((row for row in await living(session) if row.id == arguments.id), None)
    if old is None:
        complain(CURES["not_found"])
        return exits.FAILED
    hearing = await hear_edges(session)
    try:
        made = await keep_token(
            session,
            old.service,
            scopes=None,
            lifetime_ms=arguments.lifetime,
            replaces=old.id,
            overlap_ms=arguments.overlap,
            org=old.org,
        )
    except NotKeptError as error:
        complain(str(error))
        return exits.FAILED
    code = await show_and_wait(hearing, made, show_made)
    complain(f"the one before works until {end_of(old, session, arguments.overlap)}")
    return code


async def _revoke(session: Session, *, arguments: argparse.Namespace, event: TokenRevoked) -> int:
    """As `revoke session` and `revoke person` do it, auth away or not: it marks the rows once it hears."""
    try:
        rows = await living(session, arguments.service)
    except NoAnswerError:
        complain(
            "auth does not answer: which tokens those are cannot be said, and they are ended all the same"
        )
        return await publish_and_wait(session, event, None, wait=True)
    found = [row for row in rows if arguments.id in {None, row.id}]
    if not found:
        complain(f"there is no living token of that {'id' if arguments.id else 'service'}")
        return exits.FAILED
    _say_ends(session, found)
    return await publish_and_wait(session, event, None, wait=True)


async def _revoke_of_org(
    session: Session, *, arguments: argparse.Namespace, event: TokenRevoked
) -> int:
    """One event for each: no record is of an organisation, so auth has to say which tokens are bound to it."""
    found = [row for row in await living(session) if row.org == arguments.org]
    if not found:
        complain("there is no living token that is bound to that organisation")
        return exits.FAILED
    _say_ends(session, found)
    events = (event.model_copy(update={"sid": row.id}) for row in found)
    return max([await publish_and_wait(session, each, None, wait=True) for each in events])


def _say_ends(session: Session, rows: Sequence[ServiceTokenRow]) -> None:
    if not session.json:
        for row in rows:
            say(f"ends        {row.id} of {row.service}, …{row.last_four}")
