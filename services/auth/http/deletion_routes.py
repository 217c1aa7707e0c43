"""``DELETE /auth/me`` (alias ``/auth/delete``): delete my account, soon after signing in."""

from aiohttp import web

from services.auth.domain.deletion import Deletion
from services.auth.http.context import context_of
from services.auth.http.cookies import clear_session
from services.auth.http.policy import claims_of
from services.auth.http.problems import Problem, away, problem_response
from services.auth.http.reading import read_client, unauthorized
from services.auth.ports import NotAnnouncedError
from services.auth.ports.deletions import SoleOwner


async def delete_me(request: web.Request) -> web.Response:
    """202: the account is gone, every session has ended, and the services are being asked to erase.

    409 last_owner names the organisations that have to be handed over (or deleted) first. 503 that misses the
    bus: it is deleted, and everybody is told as soon as they can be reached.
    """
    accounts, claims = context_of(request).accounts, claims_of(request)
    assert accounts is not None, "the route is there only where accounts are"
    try:
        result = await accounts.deletion.delete(claims.sub, claims.email, read_client(request))
    except NotAnnouncedError as error:
        response = problem_response(request, away(error))
    else:
        if isinstance(result, SoleOwner):
            raise _handed_over_first(result)
        if not isinstance(result, Deletion):
            raise unauthorized("session_ended")
        answer = {"deletion_id": result.id, "deadline": result.deadline_ms}
        response = web.json_response(answer, status=202)
    clear_session(request, response)
    return response


def _handed_over_first(sole: SoleOwner) -> Problem:
    named = [{"org": org, "name": name} for org, name in sole.organisations]
    return Problem(409, "last_owner", members={"organisations": named})


ROUTES = (web.delete("/auth/me", delete_me), web.delete("/auth/delete", delete_me))
