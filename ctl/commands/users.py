"""``users …``: keep a person out, see how it stands; where accounts are on, all of them and their roles."""

import argparse
from functools import partial
from typing import Literal

from ctl import exits
from ctl.accounts_words import account_lines, refused
from ctl.arguments import Commands, add_command
from ctl.commands import user_accounts, user_transfer
from ctl.output import complain, counted, date_time, one_line, say, say_json
from ctl.session import Session, operate
from shared.contract import OP_USERS_SET, OP_USERS_SHOW
from shared.emails import InvalidEmailError, canonical_email
from shared.messages import SetUser, ShowUser, UserState

Action = Literal["block", "unblock", "show"]
SUMMARIES: dict[Action, str] = {
    "block": "no new login; sessions and unopened links end",
    "unblock": "may log in again",
    "show": "blocked or not, how many sessions, and the account",
}


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``users``."""
    parser = add_command(commands, "users", "keep a person out; accounts and their roles")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for action, summary in SUMMARIES.items():
        one = add_command(actions, action, summary)
        one.add_argument("address")
        one.add_argument("--reason", default="", required=action == "block")
        one.set_defaults(run=run, action=action)
    user_accounts.register(actions)
    user_transfer.register(actions)


def run(arguments: argparse.Namespace) -> int:
    """0 when auth did it, 2 when that is no address."""
    try:
        canonical_email(arguments.address)
        request = _request(arguments)
    except InvalidEmailError as error:
        complain(f"that is not one plain address like ada@example.com ({error.code})")
        return exits.USAGE
    except ValueError:
        complain("the address or the reason is too long, or has control characters in it")
        return exits.USAGE
    return operate(arguments, partial(_ask, request=request))


def _request(arguments: argparse.Namespace) -> SetUser | ShowUser:
    if arguments.action == "show":
        return ShowUser(email=arguments.address)
    return SetUser(
        email=arguments.address,
        action=arguments.action,
        reason=arguments.reason,
        actor="operator",
    )


async def _ask(session: Session, *, request: SetUser | ShowUser) -> int:
    bus, timeout = session.bus, session.timeout
    if isinstance(request, ShowUser):
        state = await bus.ask(OP_USERS_SHOW, request, timeout=timeout)
    else:
        state = await bus.ask(OP_USERS_SET, request, timeout=timeout)
    if session.json:
        say_json(state.model_dump(exclude_none=True))
    elif not state.error:
        say(_line(canonical_email(request.email), state))
        if state.account and isinstance(request, ShowUser):
            say("\n".join(account_lines(state.account)))
        elif state.forgotten:
            say(
                one_line(
                    f"  no account: nobody proved the address; of its id {state.sub} services may know"
                )
            )
        elif state.has_account is False:
            say("  no account")
    return refused(state.error) if state.error else exits.DONE


def _line(email: str, state: UserState) -> str:
    since = f" since {date_time(state.blocked_at)}" if state.blocked_at else ""
    standing = f"blocked{since}" if state.blocked else "may log in"
    return one_line(f"{email}: {standing}, {counted(state.sessions, 'session')}")
