"""What a person, or a program, is told when a login at a provider came to nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from services.auth.domain.provider import FailureCode, SocialFailed
from services.auth.http.page_context import show
from services.auth.http.problems import REASON, Problem
from services.auth.pages.messages import WayOn
from services.auth.pages.social_views import LoginNotFinished


@dataclass(frozen=True)
class Saying:
    """A status, a title and a sentence of what to do."""

    status: int
    title: str
    text: str


# Not one of them says what the provider wrote: that text is anybody's (RFC 9700 §4.1 of error_description).
SAYINGS: Mapping[FailureCode, Saying] = {
    "provider_denied": Saying(
        403,
        "You did not log in",
        "{provider} says that it was cancelled there. Nothing was changed.",
    ),
    "provider_failed": Saying(
        502,
        "That login does not work right now",
        "{provider} gave an answer we cannot use. Please use another way to log in.",
    ),
    "provider_unavailable": Saying(
        503,
        "{provider} does not answer",
        "Nothing was changed. Try again in a moment, or use another way to log in.",
    ),
    "provider_not_proven": Saying(
        403,
        "That login was not finished",
        "The answer did not prove who you are, so nobody was signed in. Please start again here.",
    ),
    "provider_no_email": Saying(
        403,
        "{provider} did not give us an address",
        "We need one to know you by. Log in by a link, then add {provider} on your account page.",
    ),
    "provider_login_spent": Saying(
        410,
        "That login cannot be finished here",
        "It was begun in another browser, more than 10 minutes ago, or is finished already.",
    ),
    "login_refused": Saying(
        403,
        "You cannot log in here",
        "Nobody was signed in. If that is a mistake, ask whoever runs this site.",
    ),
}


def failed(request: web.Request, failure: SocialFailed, title: str, again: str) -> web.Response:
    """The page for who asked for a page, the problem document for everybody else. *again* is where to go on."""
    saying = SAYINGS[failure.code]
    headers = {"Retry-After": "10"} if saying.status == 503 else {}
    if "text/html" not in request.headers.get("Accept", ""):
        raise Problem(saying.status, failure.code, headers=headers)
    view = LoginNotFinished(
        title=saying.title.format(provider=title),
        paragraphs=(saying.text.format(provider=title),),
        way_on=WayOn("Log in another way" if saying.status != 410 else "Start again", again),
    )
    response = show(request, view, status=saying.status)
    response.headers.update({REASON: failure.code, **headers})
    return response
