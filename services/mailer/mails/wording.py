"""What each mail is called and how it begins; the templates hold the rest.

Subjects carry the time, because mail programs fold equal subjects into one thread, and never the code,
because subjects show on locked screens.
"""

from dataclasses import dataclass

from shared.messages.login import NoticeReason, Purpose


@dataclass(frozen=True)
class Wording:
    """*template*: the file's stem. *on_our_pages*: the link leads to auth, whatever LINK_URL says.

    *closing*: what to do who did not ask for it.
    """

    template: str
    subject: str
    intro: str = ""
    button: str = ""
    closing: str = ""
    on_our_pages: bool = False


_PURPOSES: dict[Purpose, Wording] = {
    "sign_in": Wording(
        "link",
        "Sign in to {site} ({time})",
        "Someone, hopefully you, asked to sign in to {site} with this address.",
        "Sign in to {site}",
        "there is nothing to do: nobody gets in without this mail.",
    ),
    "verify_email": Wording(
        "link",
        "Confirm your address for {site} ({time})",
        "Someone, hopefully you, registered at {site} with this address.",
        "Confirm this address",
        "there is nothing to do: without this mail nobody gets in, and what was registered is forgotten.",
    ),
    "reset_password": Wording(
        "link",
        "Choose a new password for {site} ({time})",
        "Someone, hopefully you, asked for a new password at {site}.",
        "Choose a new password",
        "there is nothing to do: the password stays as it is.",
    ),
    "invitation": Wording(
        "invitation",
        "You are invited at {site} ({time})",
        "At {site} you have been invited to join the organisation named:",
        "See the invitation",
    ),
}
_NOTICES: dict[NoticeReason, Wording] = {
    "new_browser": Wording("new_browser", "New sign-in to {site} ({time})", on_our_pages=True),
    "refresh_reuse": Wording(
        "refresh_reuse", "A session at {site} was ended ({time})", on_our_pages=True
    ),
    "already_registered": Wording(
        "already_registered",
        "You have an account at {site} ({time})",
        "Someone, hopefully you, wanted to register at {site} with this address. It has an account already; "
        "nothing was changed.",
        "Sign in to {site}",
        "there is nothing to do: nobody gets in without this mail.",
    ),
    "password_changed": Wording(
        "password_changed", "Your password at {site} was changed ({time})", on_our_pages=True
    ),
    "login_linked": Wording(
        "login_changed",
        "A login was added at {site} ({time})",
        "From now on this login opens your account at {site}:",
        on_our_pages=True,
    ),
    "login_unlinked": Wording(
        "login_changed",
        "A login was removed at {site} ({time})",
        "This login no longer opens your account at {site}:",
        on_our_pages=True,
    ),
    "account_deleted": Wording(
        "account_deleted", "Your account at {site} was deleted ({time})", on_our_pages=True
    ),
}


def wording_of(purpose: Purpose, notice: NoticeReason | None) -> Wording:
    """The wording for a request; a notice without a reason is about a new browser."""
    if notice is not None or purpose == "notice":
        return _NOTICES[notice or "new_browser"]
    return _PURPOSES[purpose]
