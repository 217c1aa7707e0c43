"""``login.*``: somebody asked to sign in, did, or did not. No secret is ever in one of these."""

from typing import Literal

from shared.messages.base import ULID, Event, Identifier, Message, Millis, ShortText

Purpose = Literal["sign_in", "verify_email", "reset_password", "notice", "invitation"]
# The first two name a session that the mail's link can end. "already_registered": somebody, perhaps the person,
# registered the address again. The others say what has happened to the account.
NoticeReason = Literal[
    "new_browser",
    "refresh_reuse",
    "already_registered",
    "password_changed",
    "login_linked",
    "login_unlinked",
    "account_deleted",
]


class ClientHint(Message):
    """Who asked, as far as it can be said to a person: a network (/24 or /64) and a browser."""

    network: ShortText = ""
    user_agent: ShortText = ""


class LoginRequested(Event):
    """Send a mail for this attempt.

    The link's token and code are derived from *login_id* and *email* with the link key *link_kid*,
    which only auth and the mailer hold. *expires_at* (ms) is when the link dies: a mail is never
    sent after it. *at* is the instant the mail's text names (when the person asked).
    """

    login_id: ULID
    email: Identifier
    purpose: Purpose = "sign_in"
    locale: ShortText = "en"
    client: ClientHint = ClientHint()
    link_kid: ShortText = ""
    expires_at: Millis
    notice: NoticeReason | None = None
    # Whose invitation it is; for a notice about a provider's login, that provider's name.
    about: ShortText = ""


class LoginSucceeded(Event):
    """A session began."""

    sub: Identifier
    sid: Identifier
    method: ShortText
    login_id: ULID | None = None


class LoginFailed(Event):
    """An attempt was refused; *reason* is one of a fixed set of codes, never an address."""

    method: ShortText
    reason: ShortText
    sub: Identifier | None = None
    sid: Identifier | None = None
