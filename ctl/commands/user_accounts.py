"""``users list|roles``: all accounts, and what an operator grants."""

import argparse
from functools import partial
from itertools import chain

from ctl import exits
from ctl.accounts_words import account_lines, refused
from ctl.arguments import Commands, add_command
from ctl.output import complain, date_time, one_line, say, say_json
from ctl.session import Session, operate
from shared.contract import OP_USERS_LIST, OP_USERS_ROLES
from shared.emails import InvalidEmailError, canonical_email
from shared.messages import ListUsers, SetRoles, UserAccount


def register(actions: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``users list`` and ``users roles``."""
    listing = add_command(actions, "list", "every account, a line each (with --json a JSON object)")
    listing.set_defaults(run=run_list)
    roles = add_command(actions, "roles", "see, grant and revoke roles")
    roles.add_argument("address")
    roles.add_argument("--grant", action="append", default=[], metavar="ROLE")
    roles.add_argument("--revoke", action="append", default=[], metavar="ROLE")
    roles.add_argument("--org", default="", metavar="ID", help="in this organisation")
    roles.set_defaults(run=run_roles)


def run_list(arguments: argparse.Namespace) -> int:
    """0 when the last page was there."""
    return operate(arguments, _list)


def run_roles(arguments: argparse.Namespace) -> int:
    """0 when it is so now; without --grant and --revoke nothing changes."""
    try:
        request = SetRoles(
            email=canonical_email(arguments.address),
            org=arguments.org,
            grant=tuple(arguments.grant),
            revoke=tuple(arguments.revoke),
            actor="operator",
        )
    except InvalidEmailError as error:
        complain(f"that is not one plain address like ada@example.com ({error.code})")
        return exits.USAGE
    except ValueError:
        complain("a role or the organisation is too long, or has control characters in it")
        return exits.USAGE
    if both := sorted(set(arguments.grant) & set(arguments.revoke)):
        complain(one_line(f"granted and revoked at once: {', '.join(both)}"))
        return exits.USAGE
    return operate(arguments, partial(_roles, request=request))


async def _list(session: Session) -> int:
    after = ""
    while True:
        page = await session.bus.ask(OP_USERS_LIST, ListUsers(after=after), timeout=session.timeout)
        if page.error:
            return refused(page.error)
        for account in page.users:
            if session.json:
                say_json(account.model_dump(exclude_none=True))
            else:
                say(_row(account))
        after = page.next
        if not after:
            return exits.DONE


async def _roles(session: Session, *, request: SetRoles) -> int:
    state = await session.bus.ask(OP_USERS_ROLES, request, timeout=session.timeout)
    if session.json:
        say_json(state.model_dump(exclude_none=True))
    if state.error:
        return refused(state.error)
    if state.account and not session.json:
        say(one_line(f"{state.account.email}:"))
        say("\n".join(account_lines(state.account)))
    return exits.DONE


def _row(account: UserAccount) -> str:
    flags = [
        "proven" if account.verified_at else "unproven",
        *(["password"] if account.has_password else []),
        *account.providers,
        *(["blocked"] if account.blocked_at else []),
    ]
    held = chain(
        account.roles, *([f"{org.name}:{role}" for role in org.roles] for org in account.orgs)
    )
    words = [
        account.email,
        account.sub,
        date_time(account.created_at),
        ",".join(flags),
        ",".join(held) or "-",
    ]
    return one_line("  ".join(words))
