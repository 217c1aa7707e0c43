"""``op.users.list|roles|import|export``: what an operator does with accounts. No address reaches a log line.

Where accounts are off each answers with the error `ACCOUNTS_OFF`.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from services.auth.domain.importing import Judged, Line
from services.auth.domain.importing import Problem as LineProblem
from services.auth.flows.directory import DirectoryFlow, RoleChange
from services.auth.ports.directory import ChangedMeanwhileError, Listed
from shared.bus import Bus
from shared.contract import (
    OP_USERS_EXPORT,
    OP_USERS_IMPORT,
    OP_USERS_LIST,
    OP_USERS_ROLES,
    Question,
)
from shared.emails import InvalidEmailError, canonical_email
from shared.messages import (
    ExportPage,
    ExportUsers,
    ImportProblem,
    ImportReport,
    ImportUsers,
    ListUsers,
    OrgRoles,
    PortableUser,
    SetRoles,
    UserAccount,
    UserPage,
    UserState,
)
from shared.messages.base import Message
from shared.messages.people import IMPORT_BATCH

ACCOUNTS_OFF = "accounts_off"
M = TypeVar("M", bound=Message)
R = TypeVar("R", bound=Message)


async def on_list(request: ListUsers, *, directory: DirectoryFlow) -> UserPage:
    """A page of accounts."""
    listed = await directory.page(request.after, request.limit)
    users = tuple(map(account_of, listed))
    return UserPage(users=users, next=_next(listed, request.limit))


async def on_roles(request: SetRoles, *, directory: DirectoryFlow) -> UserState:
    """Grant and revoke; the answer says how it stands then."""
    try:
        email = canonical_email(request.email)
    except InvalidEmailError as error:
        return UserState(error=f"invalid_email: {error.code}")
    change = RoleChange(request.org, request.grant, request.revoke)
    refusal = await directory.change_roles(email, change)
    if refusal:
        return UserState(error=refusal)
    listed = await directory.by_email(email)
    account = account_of(listed) if listed else None
    return UserState(sub=email, has_account=listed is not None, account=account)


async def on_import(request: ImportUsers, *, directory: DirectoryFlow) -> ImportReport:
    """All of a batch or nothing of it."""
    if len(request.users) > IMPORT_BATCH:
        return ImportReport(error=f"too_many: at most {IMPORT_BATCH} at a time")
    lines = [_line(user) for user in request.users]
    try:
        judged = await directory.bring_in(lines, check=request.check)
    except ChangedMeanwhileError:
        return ImportReport(error="changed_meanwhile")
    return _report(judged, written=not request.check and not judged.problems)


async def on_export(request: ExportUsers, *, directory: DirectoryFlow) -> ExportPage:
    """A page of accounts as an import takes them."""
    listed = await directory.page(request.after, request.limit)
    users = tuple(_portable(found, hashes=request.hashes) for found in listed)
    return ExportPage(users=users, next=_next(listed, request.limit))


async def answer_accounts(bus: Bus, directory: DirectoryFlow | None) -> None:
    """Begin to answer. *directory* None: accounts are off."""

    async def answer(
        question: Question[M, R],
        handler: Callable[..., Awaitable[R]],
        off: Callable[..., R],
    ) -> None:
        await bus.answer(question, _when_on(handler, directory, off))

    await answer(OP_USERS_LIST, on_list, UserPage)
    await answer(OP_USERS_ROLES, on_roles, UserState)
    await answer(OP_USERS_IMPORT, on_import, ImportReport)
    await answer(OP_USERS_EXPORT, on_export, ExportPage)


def account_of(listed: Listed) -> UserAccount:
    """An account for an operator: everything but the hash."""
    account = listed.account
    return UserAccount(
        sub=account.sub,
        email=account.email,
        created_at=account.created_at_ms,
        verified_at=account.verified_at_ms,
        has_password=bool(account.password_hash),
        providers=listed.providers,
        roles=listed.roles,
        orgs=tuple(OrgRoles(org=o.org, name=o.name, roles=o.roles) for o in listed.orgs),
        blocked_at=account.blocked_at_ms,
    )


def _when_on(
    handler: Callable[..., Awaitable[R]], directory: DirectoryFlow | None, off: Callable[..., R]
) -> Callable[[M], Awaitable[R]]:
    if directory is not None:
        return partial(handler, directory=directory)

    async def refuse(_request: M) -> R:
        return off(error=ACCOUNTS_OFF)

    return refuse


def _next(listed: Sequence[Listed], limit: int) -> str:
    return listed[-1].account.sub if len(listed) == limit else ""


def _line(user: PortableUser) -> Line:
    return Line(
        email=user.email,
        sub=user.sub,
        verified=user.verified,
        password_hash=user.password_hash,
        roles=user.roles,
        created_at_ms=user.created_at,
        blocked=user.blocked,
    )


def _portable(listed: Listed, *, hashes: bool) -> PortableUser:
    account = listed.account
    return PortableUser(
        email=account.email,
        sub=account.sub,
        verified=account.verified_at_ms is not None,
        password_hash=account.password_hash if hashes else "",
        roles=listed.roles,
        created_at=account.created_at_ms,
        blocked=account.blocked_at_ms is not None,
    )


def _report(judged: Judged, *, written: bool) -> ImportReport:
    return ImportReport(
        written=len(judged.newcomers) + len(judged.claimed) if written else 0,
        known=judged.known,
        problems=tuple(map(_problem, judged.problems)),
        notes=tuple(map(_problem, judged.notes)),
    )


def _problem(problem: LineProblem) -> ImportProblem:
    return ImportProblem(index=problem.index, code=problem.code, detail=problem.detail)
