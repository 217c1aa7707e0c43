"""The pages around logins at providers."""

from dataclasses import dataclass
from typing import ClassVar

from services.auth.pages.messages import Message, WayOn
from services.auth.pages.views import View

LOG_IN = WayOn("Log in another way", "/auth/login")
BACK = WayOn("Back to your account", "/auth/account")


@dataclass(frozen=True)
class LoginNotFinished(Message):
    """A login at a provider came to nothing; the status says which kind of nothing."""

    title: str = "That login was not finished"
    paragraphs: tuple[str, ...] = ("Nobody was signed in.",)
    way_on: WayOn | None = LOG_IN


@dataclass(frozen=True)
class ConfirmLogin(View):
    """A signed-in person is back from *provider*: add that login to the account of *email*?

    *login_email* is the address the provider knows, "" when it gave none.
    """

    template: ClassVar[str] = "confirm_login.html"
    form_token: str
    ticket: str
    provider: str
    email: str
    login_email: str = ""


@dataclass(frozen=True)
class LoginTaken(Message):
    """The login is another account's."""

    status: ClassVar[int] = 409
    title: str = "That login belongs to another account"
    paragraphs: tuple[str, ...] = (
        "Nothing was changed. Unlink it there first, or use another login of yours.",
    )
    way_on: WayOn | None = BACK


@dataclass(frozen=True)
class LinkingSpent(Message):
    """The button came too late, twice, or in another browser."""

    status: ClassVar[int] = 410
    title: str = "That login was not added"
    paragraphs: tuple[str, ...] = ("It took more than 10 minutes, or was done already.",)
    way_on: WayOn | None = BACK


def ask_to_leave(provider: str, href: str) -> Message:
    """Another site sent the browser on its way to *provider*: one button, *href*, goes on."""
    return Message(
        title=f"Log in with {provider}?",
        paragraphs=(
            f"Another site sent you here to log in with {provider}.",
            "If that is not what you want, close this page. Nothing was done.",
        ),
        way_on=WayOn(f"Continue with {provider}", href),
    )
