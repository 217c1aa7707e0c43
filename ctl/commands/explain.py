"""``explain --token-stdin``: what an edge would say to this token, and why. The token is kept nowhere."""

import argparse
import sys
from functools import partial

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.output import complain, date_time, masked, one_line, say, say_json
from ctl.session import Session, operate
from shared.contract import OP_EXPLAIN
from shared.messages import ExplainRequest, Explanation

MAX_TOKEN = 16 * 1024


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``explain``."""
    parser = add_command(commands, "explain", "why is this token refused (or not)?")
    parser.add_argument(
        "--token-stdin",
        action="store_true",
        required=True,
        help="read the token from standard input: an argument would show in the process list",
    )
    parser.add_argument("--host", default="", help="as a request to this host")
    parser.add_argument("--uri", default="/", help="as a request for this path (default /)")
    parser.add_argument("--method", default="GET")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when an edge answered, whatever it said."""
    token = sys.stdin.read(MAX_TOKEN + 1).strip()
    if not token or len(token) > MAX_TOKEN:
        complain("give one token on standard input")
        return exits.USAGE
    try:
        request = ExplainRequest(
            token=token.removeprefix("Bearer ").strip(),
            host=arguments.host,
            uri=arguments.uri,
            method=arguments.method,
        )
    except ValueError:
        complain("host, uri or method is too long, or has control characters in it")
        return exits.USAGE
    return operate(arguments, partial(_explain, request=request))


async def _explain(session: Session, *, request: ExplainRequest) -> int:
    answer = await session.bus.ask(OP_EXPLAIN, request, timeout=session.timeout)
    if session.json:
        say_json(answer.model_dump(exclude_none=True) | {"sub": masked(answer.sub)})
        return exits.DONE
    for name, value in _rows(answer):
        if value:
            say(f"{name:<9}  {one_line(value)}")
    return exits.DONE


def _rows(answer: Explanation) -> list[tuple[str, str]]:
    return [
        ("outcome", answer.outcome),
        ("reason", answer.reason),
        ("detail", answer.detail),
        ("rule", answer.rule),
        ("person", masked(answer.sub)),
        ("session", answer.sid),
        ("key", answer.kid),
        ("expires", date_time(answer.expires_at) if answer.expires_at else ""),
        ("asked", f"{answer.edge_id}, BLOCKLIST {answer.seq}, proof {answer.staleness_ms} ms old"),
    ]
