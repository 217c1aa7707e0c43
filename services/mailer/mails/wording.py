"""What each mail is called and how it begins; the templates hold the rest.

Subjects carry the time, because mail programs fold equal subjects into one thread, and never the code,
because subjects show on locked screens.
"""

from dataclasses import dataclass

from shared.messages.login import NoticeReason, Purpose


@dataclass(frozen=True)
class Wording:
    """*template*: the file's stem. *on_our_pages*: the link leads to auth, whatever LINK_URL says."""

    template: str
    subject: str
    intro: str = ""
    button: str = ""
    on_our_pages: bool = False


_PURPOSES: dict[Purpose, Wording] = {
    "sign_in": Wording(
        "link",
        "Sign in to {site} ({time})",
        "Someone, hopefully you, asked to sign in to {site} with this address.",
        "Sign in to {site}",
    ),
    "verify_email": Wording(
        "link",
        "Confirm your address for {site} ({time})",
        "Someone, hopefully you, gave this address to {site}.",
        "Confirm this address",
    ),
    "reset_password": Wording(
        "link",
        "Reset your password for {site} ({time})",
        "Someone, hopefully you, asked for a new password at {site}.",
        "Choose a new password",
    ),
}
_NOTICES: dict[NoticeReason, Wording] = {
    "new_browser": Wording("new_browser", "New sign-in to {site} ({time})", on_our_pages=True),
    "refresh_reuse": Wording(
        "refresh_reuse", "A session at {site} was ended ({time})", on_our_pages=True
    ),
}


def wording_of(purpose: Purpose, notice: NoticeReason | None) -> Wording:
    """The wording for a request; a notice without a reason is about a new browser."""
    if notice is not None or purpose == "notice":
        return _NOTICES[notice or "new_browser"]
    return _PURPOSES[purpose]
