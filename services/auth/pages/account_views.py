"""The pages of accounts, one frozen model each: register, prove the address, passwords, deletion.

As in `services.auth.pages.views`: a form token for each form, and nothing that a query said.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from services.auth.pages.messages import LinkSpent, Message, WayOn
from services.auth.pages.views import Account, LogIn, OpenLink, View

LOG_IN = WayOn("Log in", "/auth/login")
LOG_IN_AGAIN = WayOn("Log in again", "/auth/login?next=/auth/account&again=1")
NEW_MESSAGE = WayOn("Get a new message", "/auth/password/forgot")
BACK = WayOn("Back to your account", "/auth/account")

At = Literal["email", "password", "code", "new_password", "name"]


@dataclass(frozen=True)
class ProviderLogin:
    """A button "Continue with *title*" that leads to *href*; *name* is the provider's in the settings."""

    name: str
    title: str
    href: str


@dataclass(frozen=True)
class LogInAnyWay(LogIn):
    """Password, link and providers side by side. *at* is the field that *problem* is about."""

    template: ClassVar[str] = "login_any_way.html"
    at: At = "email"
    register: str = "/auth/register"
    providers: tuple[ProviderLogin, ...] = ()


@dataclass(frozen=True)
class Register(View):
    """Address and password of a new account; *least* is the fewest characters of a password."""

    template: ClassVar[str] = "register.html"
    form_token: str
    least: int
    next: str = ""
    email: str = ""
    problem: str = ""
    at: At = "email"
    log_in: str = "/auth/login"
    providers: tuple[ProviderLogin, ...] = ()


@dataclass(frozen=True)
class RegisterSent(View):
    """The same page for every address: a message is on its way. *email* as in `views.CheckMail`."""

    template: ClassVar[str] = "register_sent.html"
    form_token: str
    again_token: str
    login_id: str
    email: str = ""
    start_again: str = "/auth/register"
    problem: str = ""


@dataclass(frozen=True)
class VerifyHere(View):
    """The browser that registered opened the link: one tap, and the password counts."""

    template: ClassVar[str] = "verify_here.html"
    link_token: str
    cancel_token: str
    token: str
    email: str
    instead_of: str = ""


@dataclass(frozen=True)
class VerifyElsewhere(View):
    """Another browser opened it: the password again, or go on without it."""

    template: ClassVar[str] = "verify_elsewhere.html"
    link_token: str
    cancel_token: str
    token: str
    email: str
    origin: str
    instead_of: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Forgot(View):
    """Ask for a message that lets one set a new password."""

    template: ClassVar[str] = "forgot.html"
    form_token: str
    email: str = ""
    problem: str = ""


@dataclass(frozen=True)
class ForgotSent(View):
    """Its code and a new password, for whoever reads mail on another device."""

    template: ClassVar[str] = "forgot_sent.html"
    form_token: str
    again_token: str
    login_id: str
    least: int
    email: str = ""
    problem: str = ""
    at: At = "code"


@dataclass(frozen=True)
class ResetPassword(View):
    """Behind the link of a reset. *origin* is empty in the browser that asked."""

    template: ClassVar[str] = "reset_password.html"
    form_token: str
    cancel_token: str
    token: str
    email: str
    least: int
    origin: str = ""
    problem: str = ""


@dataclass(frozen=True)
class LinkedLogin:
    """A login by a provider; *login* names it in the form that unlinks it."""

    login: str
    title: str
    email: str


@dataclass(frozen=True)
class AccountWithWays(Account):
    """The account page where accounts are on: the ways to log in, organisations, deletion beside."""

    template: ClassVar[str] = "account_with_ways.html"
    unlink_token: str = ""
    link_token: str = ""
    active_org: str = ""
    has_password: bool = False
    logins: tuple[LinkedLogin, ...] = ()
    offers: tuple[ProviderLogin, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class ChangePassword(View):
    """Change the password, or (without *has_password*) set a first one."""

    template: ClassVar[str] = "change_password.html"
    form_token: str
    email: str
    least: int
    has_password: bool
    problem: str = ""
    at: At = "new_password"


@dataclass(frozen=True)
class DeleteAccount(View):
    """What it means, and one clear button."""

    template: ClassVar[str] = "delete_account.html"
    form_token: str
    email: str


@dataclass(frozen=True)
class LogInAgain(Message):
    """What is asked for needs a login of the last minutes."""

    title: str = "Log in once more"
    paragraphs: tuple[str, ...] = (
        "You logged in some time ago. Before this goes on, please show again that it is you.",
    )
    way_on: WayOn | None = LOG_IN_AGAIN


@dataclass(frozen=True)
class PasswordSet(Message):
    """After a reset."""

    title: str = "Your new password counts"
    paragraphs: tuple[str, ...] = (
        "Whoever was signed in as you is out, on every device. You can log in now.",
    )
    way_on: WayOn | None = LOG_IN


@dataclass(frozen=True)
class AccountDeleted(Message):
    """After the deletion."""

    title: str = "Your account is deleted"
    paragraphs: tuple[str, ...] = (
        "You are signed out everywhere. What other services keep about you is being erased now.",
        "A message confirms this to your address. It is the last one.",
    )
    way_on: WayOn | None = None


@dataclass(frozen=True)
class DeletedUntold(AccountDeleted):
    """The same, while the others cannot be reached."""

    status: ClassVar[int] = 503
    paragraphs: tuple[str, ...] = (
        "You are signed out here. We could not tell every other service yet.",
        "They are told as soon as they can be reached. You need not do anything for that.",
    )


@dataclass(frozen=True)
class NotDeleted(View):
    """Organisations that would be without an owner; nothing was changed."""

    template: ClassVar[str] = "not_deleted.html"
    href: str
    organisations: tuple[str, ...]


@dataclass(frozen=True)
class ResetSpent(LinkSpent):
    """As `LinkSpent`, for a link that was to set a password."""

    way_on: WayOn | None = NEW_MESSAGE


@dataclass(frozen=True)
class ResetUntold(PasswordSet):
    """The same, while the others cannot be reached."""

    status: ClassVar[int] = 503
    paragraphs: tuple[str, ...] = (
        "Every session of yours is over here. We could not tell every other service yet.",
        "They are told as soon as they can be reached. You need not do anything for that.",
    )


@dataclass(frozen=True)
class OpenResetLink(OpenLink):
    """`OpenLink` for a message that lets one set a password: its code needs a new one beside it."""

    template: ClassVar[str] = "open_reset_link.html"
    reset_token: str = ""
    least: int = 0


@dataclass(frozen=True)
class PasswordUntold(Message):
    """The password is changed, and this session is over as well, while the others cannot be reached."""

    status: ClassVar[int] = 503
    title: str = "Your new password counts"
    paragraphs: tuple[str, ...] = (
        "You are signed out, here too. We could not tell every other service yet.",
        "They are told as soon as they can be reached. You need not do anything for that.",
    )
    way_on: WayOn | None = LOG_IN


@dataclass(frozen=True)
class DoneUntold(Message):
    """Written, durably; the others hear of it once they can be reached, whoever asks or not."""

    status: ClassVar[int] = 503
    title: str = "It is done here"
    paragraphs: tuple[str, ...] = (
        "We could not tell every other service yet. They are told as soon as they can be reached.",
    )
    way_on: WayOn | None = BACK
