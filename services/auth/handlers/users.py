"""``op.users.*``: an operator asks about a person, or decides; the answer says how it stands then."""

from functools import partial

from services.auth.domain.outcomes import Person
from services.auth.flows.users import UserFlow
from shared.bus import Bus
from shared.contract import OP_USERS_SET, OP_USERS_SHOW
from shared.emails import InvalidEmailError, canonical_email
from shared.messages import SetUser, ShowUser, UserState


async def on_set(request: SetUser, *, users: UserFlow) -> UserState:
    """Block or unblock."""
    try:
        sub = canonical_email(request.email)
    except InvalidEmailError as error:
        return _invalid(error)
    if request.action == "block":
        await users.block(sub, request.reason, request.actor)
    else:
        await users.unblock(sub, request.actor)
    return _state(await users.show(sub))


async def on_show(request: ShowUser, *, users: UserFlow) -> UserState:
    """Change nothing."""
    try:
        return _state(await users.show(canonical_email(request.email)))
    except InvalidEmailError as error:
        return _invalid(error)


async def answer_users(bus: Bus, users: UserFlow) -> None:
    """Begin to answer."""
    await bus.answer(OP_USERS_SET, partial(on_set, users=users))
    await bus.answer(OP_USERS_SHOW, partial(on_show, users=users))


def _invalid(error: InvalidEmailError) -> UserState:
    return UserState(error=f"invalid_email: {error.code}")


def _state(person: Person) -> UserState:
    return UserState(
        sub=person.sub,
        blocked=person.blocked_at_ms is not None,
        blocked_at=person.blocked_at_ms,
        sessions=person.sessions,
    )
