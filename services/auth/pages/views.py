"""One frozen model per page: everything its template may say.

A form token belongs to one form (`services.auth.http.form_tokens`), so a view carries one per form.
Addresses in here are the canonical ones from the flows, never text from a query.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class View:
    """A page and the status it is sent with."""

    template: ClassVar[str]
    status: ClassVar[int] = 200


@dataclass(frozen=True)
class LoggedIn:
    """Who is logged in already where a login form is shown; "" for nobody. *go_on*: where to without it.

    *unsent*: they sent a form to a service and were not logged in any more, or not lately enough.
    """

    email: str = ""
    go_on: str = ""
    unsent: bool = False


@dataclass(frozen=True)
class LogIn(View):
    """The e-mail form. *problem* says what was wrong with the last try."""

    template: ClassVar[str] = "login.html"
    form_token: str
    next: str = ""
    email: str = ""
    problem: str = ""
    logged_in: LoggedIn = LoggedIn()


@dataclass(frozen=True)
class CheckMail(View):
    """The mail is on its way: a field for its code, and again after a pause.

    *email* is empty where this browser is not the one that asked; then nothing can be sent again.
    *offer* is the provider whose login the code would add as well, "" for none: the buttons ask.
    """

    template: ClassVar[str] = "check_mail.html"
    form_token: str
    again_token: str
    login_id: str
    email: str = ""
    next: str = ""
    start_again: str = "/auth/login"
    problem: str = ""
    offer: str = ""


@dataclass(frozen=True)
class OpenLink(View):
    """Where the link in the mail leads; *login_id* is the ``?id=`` of its address, or empty.

    *offer* as in `CheckMail`, with the *email* it belongs to. *logged_in*: for who comes back after the login.
    """

    template: ClassVar[str] = "open_link.html"
    inspect_token: str
    code_token: str
    login_id: str = ""
    problem: str = ""
    offer: str = ""
    email: str = ""
    logged_in: LoggedIn = LoggedIn()


@dataclass(frozen=True)
class Confirm(View):
    """The browser that asked opened the link: one tap. *instead_of* is who is signed in now.

    *offer* is the provider whose login the link would add as well, "" for none: then there are two taps to
    choose from.
    """

    template: ClassVar[str] = "confirm.html"
    link_token: str
    cancel_token: str
    token: str
    email: str
    instead_of: str = ""
    offer: str = ""


@dataclass(frozen=True)
class WasThisYou(View):
    """Another browser opened the link. *origin*: "3 minutes ago, from Firefox on Linux, …"."""

    template: ClassVar[str] = "was_this_you.html"
    link_token: str
    cancel_token: str
    token: str
    email: str
    origin: str
    instead_of: str = ""


@dataclass(frozen=True)
class EndThatSession(View):
    """Where the sign-in notice leads: one button, which ends the session it was about."""

    template: ClassVar[str] = "notice.html"
    form_token: str
    token: str
    email: str
    origin: str


@dataclass(frozen=True)
class SessionRow:
    """A session in the list: *device* "Firefox on Linux", *times* since when and used when."""

    handle: str
    device: str
    times: str
    network: str
    current: bool


@dataclass(frozen=True)
class Account(View):
    """Who am I, and where else."""

    template: ClassVar[str] = "account.html"
    logout_token: str
    sessions_token: str
    email: str
    sessions: tuple[SessionRow, ...]


@dataclass(frozen=True)
class Hop(View):
    """A page between two redirects that goes on to *target* by itself."""

    template: ClassVar[str] = "hop.html"
    target: str
