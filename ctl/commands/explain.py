"""``explain``: what an edge would say to a token or a request, and why. The token is kept nowhere."""

import argparse
import asyncio
import re
import sys
from functools import partial
from urllib.parse import urlsplit

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.commands.explain_person import explain_person
from ctl.explanations import as_json, sentences, verdict
from ctl.heartbeats import live_edges
from ctl.installation import NoInstallationError
from ctl.output import complain, one_line, say, say_json
from ctl.people_rules import People, people_of
from ctl.session import Session, operate
from shared.bus import NoAnswerError
from shared.contract import OP_EXPLAIN, OP_EXPLAIN_AT
from shared.emails import InvalidEmailError, canonical_email
from shared.messages import ExplainRequest, Explanation

MAX_TOKEN = 16 * 1024
ONE_EDGE_SECONDS = 3.0
_REQUEST = re.compile(r"(?:([A-Z][A-Z-]{0,31}) +)?(\S+)")
_EDGE_NAME = re.compile(r"[\w-]{1,64}", re.ASCII)
_ORIGIN = re.compile(r"null|https?://[^/?#@\s]+")
_HOW = 'write it as "GET https://app.example.com/path"'
# The headers that a request may be described with: field of the question.
_HEADERS = {"origin": "origin", "access-control-request-method": "asks_method"}
_NO_PREFLIGHT = "It is no preflight: that has --header 'Origin: https://app.example.com' too."


class RequestError(ValueError):
    """What was given cannot be asked; the message is the cure."""


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``explain``."""
    parser = add_command(commands, "explain", "why is this token or request refused (or not)?")
    parser.add_argument(
        "--token-stdin",
        action="store_true",
        help="read a token from standard input: an argument would show in the process list",
    )
    parser.add_argument(
        "--request",
        metavar="REQUEST",
        help="'GET https://app.example.com/path', with or without a token",
    )
    parser.add_argument(
        "--header",
        metavar="HEADER",
        action="append",
        default=[],
        help="with --request 'OPTIONS https://…': 'Origin: https://app.example.com' of the page that asks "
        "(a preflight), and 'Access-Control-Request-Method: PUT' (else GET)",
    )
    parser.add_argument(
        "--person",
        metavar="ADDRESS",
        help="with --request, in place of a token: as auth knows this person's account",
    )
    parser.add_argument(
        "--service", metavar="NAME", default="", help="as a gateway asks that is about to call it"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--edge", metavar="NAME", help="ask this edge, not any")
    which.add_argument("--all", action="store_true", help="ask each live edge")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when an edge answered, whatever it said; 3 when with --all not every edge did."""
    try:
        request, people = _asked(arguments), people_of(arguments.context)
    except (NoInstallationError, RequestError) as error:
        complain(str(error))
        return exits.USAGE
    work = _explain_all if arguments.all else partial(_explain, edge=arguments.edge)
    if arguments.person is not None:
        work = partial(explain_person, email=arguments.person)
    return operate(arguments, partial(work, request=request, people=people))


def _asked(arguments: argparse.Namespace) -> ExplainRequest:
    if not arguments.token_stdin and arguments.request is None:
        raise RequestError(f"give --token-stdin, or --request, or both: {_HOW}")
    if arguments.edge is not None and not _EDGE_NAME.fullmatch(arguments.edge):
        raise RequestError("that is no edge's name: `latchwire edges list` shows them")
    _check_person(arguments)
    described = read_request(arguments.request) if arguments.request is not None else {}
    described |= read_headers(arguments.header, described.get("method", ""))
    token = _read_token() if arguments.token_stdin else ""
    try:
        asked = {"token": token, "chosen": arguments.service, **described}
        return ExplainRequest.model_validate(asked)
    except ValueError:
        raise RequestError("the request is too long, or has control characters in it") from None


def _check_person(arguments: argparse.Namespace) -> None:
    """Raises: RequestError: *arguments* say nothing that a person's account could be held against."""
    if arguments.person is None:
        return
    try:
        arguments.person = canonical_email(arguments.person)
    except InvalidEmailError as error:
        raise RequestError(
            f"that is not one plain address like ada@example.com ({error.code})"
        ) from None
    if arguments.request is None or arguments.token_stdin or arguments.all or arguments.edge:
        raise RequestError(
            f"--person goes with --request, and without a token, --all and --edge: {_HOW}"
        )


def _read_token() -> str:
    token = sys.stdin.read(MAX_TOKEN + 1).strip()
    if not token or len(token) > MAX_TOKEN:
        raise RequestError("give one token on standard input")
    return token.removeprefix("Bearer ").strip()


def read_request(text: str) -> dict[str, str]:
    """Method, scheme, host and target of ``GET https://app.example.com/path``.

    Raises:
        RequestError: it is not written so. What was given is not repeated.
    """
    found = _REQUEST.fullmatch(text.strip())
    if found is None:
        raise RequestError(f"that is no request: {_HOW}")
    try:
        url = urlsplit(found[2])
    except ValueError:
        raise RequestError(f"that is no address: {_HOW}") from None
    if url.scheme not in ("http", "https") or not url.netloc:
        raise RequestError(f"the address has no host: {_HOW}")
    if "@" in url.netloc:
        raise RequestError(f"no user or password in the address: {_HOW}")
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return {"method": found[1] or "GET", "scheme": url.scheme, "host": url.netloc, "uri": target}


def read_headers(lines: list[str], method: str) -> dict[str, str]:
    """What ``Name: value`` *lines* say of a request with *method*; "" for the token alone.

    A preflight that names no method asks about GET.

    Raises:
        RequestError: a header that no answer depends on, or one of them twice, or no request to go with it.
    """
    said: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        field = _HEADERS.get(name.strip().lower(), "")
        if not (field and colon and value.strip()) or field in said:
            raise RequestError(
                f"--header is one of Origin and Access-Control-Request-Method: {_HOW}"
            )
        said[field] = value.strip()
    if said and not method:
        raise RequestError(f"--header goes with --request: {_HOW}")
    if not _ORIGIN.fullmatch(said.get("origin", "null")):
        raise RequestError(
            "an origin is a scheme, a host and maybe a port: https://app.example.com"
        )
    if method == "OPTIONS" and "origin" in said:
        said.setdefault("asks_method", "GET")
    return said


async def _explain(
    session: Session, *, request: ExplainRequest, people: People, edge: str | None
) -> int:
    question = OP_EXPLAIN if edge is None else OP_EXPLAIN_AT.of(edge)
    try:
        told = await session.bus.ask(question, request, timeout=session.timeout)
    except NoAnswerError:
        which = f"no live edge of the name {edge}" if edge else "no live edge"
        complain(f"{which} answers: `latchwire edges list` shows them")
        return exits.FAILED
    if session.json:
        say_json(as_json(told))
        return exits.DONE
    for sentence in sentences(told, session.clock.now_ms(), people):
        say(sentence)
    if request.method == "OPTIONS" and not request.origin:
        say(_NO_PREFLIGHT)
    return exits.DONE


async def _explain_all(session: Session, *, request: ExplainRequest, people: People) -> int:
    names = [seen.beat.edge_id for seen in (await live_edges(session.bus, session.clock)).edges]
    async with asyncio.TaskGroup() as group:
        asking = {name: group.create_task(_ask_one(session, name, request)) for name in names}
    told = {name: task.result() for name, task in asking.items()}
    if session.json:
        say_json({"edges": {name: answer and as_json(answer) for name, answer in told.items()}})
    else:
        _tell_all(session, told, people)
    if not told:
        complain("no edge is heard on the bus")
        return exits.FAILED
    return exits.DONE if all(told.values()) else exits.PARTLY


async def _ask_one(session: Session, name: str, request: ExplainRequest) -> Explanation | None:
    patience = min(ONE_EDGE_SECONDS, session.timeout)
    try:
        return await session.bus.ask(OP_EXPLAIN_AT.of(name), request, timeout=patience)
    except NoAnswerError:
        return None


def _tell_all(session: Session, told: dict[str, Explanation | None], people: People) -> None:
    for name, answer in told.items():
        said = verdict(answer) if answer else "does not answer"
        say(f"{one_line(name).ljust(10)}  {said}")
    answers = sorted((a for a in told.values() if a), key=lambda a: a.outcome == "allow")
    if answers:
        say("")
        one = answers[0]  # that refuses, if any does
        for sentence in sentences(one, session.clock.now_ms(), people):
            say(sentence)
