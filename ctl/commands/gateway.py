"""``gateway status|tokens|generate-token|logs``: the words of the owner's gateway document, over live data."""

import argparse
from functools import partial
from pathlib import Path

from ctl import exits
from ctl.access_log import NoAccessLogError, access_log, follow, last_lines
from ctl.arguments import Commands, add_command
from ctl.commands.edges import problems_of
from ctl.commands.tokens import add_create, add_list
from ctl.documents import DocumentDesk
from ctl.heartbeats import live_edges
from ctl.output import complain, say, say_json
from ctl.parts import ask_parts
from ctl.session import Session, operate, quiet_libraries
from ctl.token_desk import living
from latchwire.documents import CATALOGUE
from shared.bus import NoAnswerError
from shared.catalogue import CatalogueError, parse_catalogue
from shared.contract import Role
from shared.traefik import Gateway, render

USUAL_LINES = 20
# Where the parts are does not matter for what is counted.
SOMEWHERE = Gateway(auth="http://auth", edge="http://edge", internal="internal")


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``gateway``."""
    parser = add_command(commands, "gateway", "the gateway as a whole: status, service tokens, log")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    status = add_command(actions, "status", "routes, middlewares, edges and tokens in force")
    status.set_defaults(run=_run_status)
    add_list(actions, "tokens", "the same as `tokens list`")
    add_create(actions, "generate-token", "the same as `tokens create`", owner=True)
    logs = add_command(actions, "logs", "the gateway's access log, a line for each request")
    logs.add_argument("--follow", action="store_true", help="and each new one, until Ctrl-C")
    logs.add_argument(
        "--file", type=Path, help="Traefik's access log in JSON, default: that of `up`"
    )
    logs.add_argument("--lines", type=int, default=USUAL_LINES, help=f"default: {USUAL_LINES}")
    logs.set_defaults(run=_run_logs)


def _run_status(arguments: argparse.Namespace) -> int:
    """0 when every edge lets people in, and auth and the revocation worker do their work, else 1."""
    return operate(arguments, partial(_status, arguments=arguments))


def _run_logs(arguments: argparse.Namespace) -> int:
    quiet_libraries()
    try:
        path = access_log(arguments.context, arguments.file)
        for line in last_lines(path, max(0, arguments.lines), raw=arguments.json):
            say(line)
        if arguments.follow:
            for line in follow(path, raw=arguments.json):
                say(line)
    except NoAccessLogError as error:
        complain(str(error))
        return exits.FAILED
    except KeyboardInterrupt:
        pass
    return exits.DONE


async def _status(session: Session, *, arguments: argparse.Namespace) -> int:
    desk = DocumentDesk(session, CATALOGUE)
    await desk.open()
    told = await live_edges(session.bus, session.clock)
    parts = await ask_parts(session, Role.AUTH, Role.REVOCATION)
    problems = [*(line for part in parts for line in part.problems), *problems_of(told)]
    facts: dict[str, object] = {
        "status": "unhealthy" if problems else "healthy",
        **_routes(desk),
        "edges": len(told.edges),
        "service_tokens": await _tokens(session),
        "access_log": _log(arguments),
        "problems": problems,
    }
    if session.json:
        say_json(facts)
    else:
        _tell(facts)
    return exits.FAILED if problems else exits.DONE


def _routes(desk: DocumentDesk) -> dict[str, object]:
    """Of the catalogue that was published last; None before the first, when files count."""
    document = desk.shelf.in_force
    if document is None:
        return {"catalogue": 0, "routes": None, "middlewares": None}
    try:
        tables = render(parse_catalogue(document.body), SOMEWHERE)["http"]
    except CatalogueError:
        return {"catalogue": document.generation, "routes": None, "middlewares": None}
    middlewares = len(tables.get("middlewares", {}))
    return {
        "catalogue": document.generation,
        "routes": len(tables["routers"]),
        "middlewares": middlewares,
    }


async def _tokens(session: Session) -> int | None:
    try:
        return len(await living(session))
    except NoAnswerError:
        return None


def _log(arguments: argparse.Namespace) -> str:
    try:
        return str(access_log(arguments.context))
    except NoAccessLogError:
        return ""


def _tell(facts: dict[str, object]) -> None:
    from_file = "as services.yaml says at each edge: no catalogue was published"
    routes = facts["routes"]
    tokens = facts["service_tokens"]
    say(f"Gateway Status: {facts['status']}")
    say(f"Active Routes: {from_file if routes is None else routes}")
    if routes is not None:
        say(f"Middlewares: {facts['middlewares']}")
        say(f"Catalogue: generation {facts['catalogue']}")
    say(f"Edges: {facts['edges']}")
    say(f"Service Tokens: {'auth does not answer' if tokens is None else tokens}")
    say(f"Access Log: {facts['access_log'] or 'none'}")
    for problem in facts["problems"] if isinstance(facts["problems"], list) else []:
        complain(f"! {problem}")
