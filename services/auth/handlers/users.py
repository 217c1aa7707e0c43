"""``op.users.set|show``: an operator asks about a person, or decides; the answer says how it stands then."""

from functools import partial

from services.auth.domain.outcomes import Person
from services.auth.flows.directory import DirectoryFlow
from services.auth.flows.users import UserFlow
from services.auth.handlers.accounts import account_of
from shared.bus import Bus
from shared.contract import OP_USERS_SET, OP_USERS_SHOW
from shared.emails import InvalidEmailError, canonical_email
from shared.messages import SetUser, ShowUser, UserState


async def on_set(
    request: SetUser, *, users: UserFlow, directory: DirectoryFlow | None = None
) -> UserState:
    """Block or unblock."""
    try:
        email = canonical_email(request.email)
    except InvalidEmailError as error:
        return _invalid(error)
    if request.action == "block":
        await users.block(email, request.reason, request.actor)
    else:
        await users.unblock(email, request.actor)
    return await _state(email, users, directory)


async def on_show(
    request: ShowUser, *, users: UserFlow, directory: DirectoryFlow | None = None
) -> UserState:
    """Change nothing."""
    try:
        return await _state(canonical_email(request.email), users, directory)
    except InvalidEmailError as error:
        return _invalid(error)


async def answer_users(bus: Bus, users: UserFlow, directory: DirectoryFlow | None) -> None:
    """Begin to answer. *directory* None: accounts are off."""
    await bus.answer(OP_USERS_SET, partial(on_set, users=users, directory=directory))
    await bus.answer(OP_USERS_SHOW, partial(on_show, users=users, directory=directory))


def _invalid(error: InvalidEmailError) -> UserState:
    return UserState(error=f"invalid_email: {error.code}")


async def _state(email: str, users: UserFlow, directory: DirectoryFlow | None) -> UserState:
    person: Person = await users.show(email)
    listed = await directory.by_email(email) if directory else None
    return UserState(
        sub=person.sub,
        blocked=person.blocked_at_ms is not None,
        blocked_at=person.blocked_at_ms,
        sessions=person.sessions,
        has_account=listed is not None if directory else None,
        account=account_of(listed) if listed else None,
        forgotten=directory is not None and listed is None and person.sub != email,
    )
