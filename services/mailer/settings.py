"""The mailer's settings: where to hand mail in, as whom, and where its links lead."""

import re
from email.errors import HeaderParseError
from email.headerregistry import Address
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from services.mailer.domain.server import MailServer, is_loopback, parse_smtp_url
from shared.emails import InvalidEmailError, canonical_email
from shared.settings import WorkerSettings

MAX_NAME = 64
_SENDER_RULE = "must be login@acme.com or Acme <login@acme.com>"
_SENDER = re.compile(r"(?P<name>[^<>@]*?) ?<(?P<named>[^<>]+)>|(?P<bare>[^<> ]+)")


class MailerSettings(WorkerSettings):
    """See the field descriptions. `smtp_url` may hold a password and is never logged with it."""

    site_name: str = Field(default="", max_length=MAX_NAME, description="as people know the site")
    mail_from: str = Field(description="login@acme.com, or Acme <login@acme.com>")
    smtp_url: str = Field(
        repr=False,
        description="smtp://user@host:587 (STARTTLS) or smtps://user@host; "
        "the password in it, or in the file smtp.password of the secrets directory",
    )
    link_url: str = Field(default="", description="where links lead, with {token} in it")
    redis_url: str = "redis://127.0.0.1:6379/0"
    mailer_admin: str = Field(default="127.0.0.1:9002", description="host:port of the admin door")

    @field_validator("site_name")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("must be one line of text")
        return value.strip()

    @field_validator("mail_from")
    @classmethod
    def _one_sender(cls, value: str) -> str:
        parse_sender(value)
        return value

    @field_validator("smtp_url")
    @classmethod
    def _usable_server(cls, value: str) -> str:
        parse_smtp_url(value)
        return value

    @field_validator("link_url")
    @classmethod
    def _link_target(cls, value: str) -> str:
        if value:
            _check_link_target(value)
        return value

    @property
    def site(self) -> str:
        """The site's name; without one its host, which is also what people know."""
        return self.site_name or urlsplit(self.url).hostname or self.url

    @property
    def sender(self) -> Address:
        """Who the mail is from."""
        return parse_sender(self.mail_from)

    @property
    def server(self) -> MailServer:
        """Where mail is handed in; without the password of the secrets directory."""
        return parse_smtp_url(self.smtp_url)


def parse_sender(text: str) -> Address:
    """``login@acme.com`` or ``Acme <login@acme.com>``.

    Raises:
        ValueError: anything else, such as two addresses or a line break.
    """
    match = _SENDER.fullmatch(text)
    if match is None or not text.isprintable():
        raise ValueError(_SENDER_RULE)
    try:
        local, _, domain = canonical_email(match["named"] or match["bare"]).partition("@")
        return Address(
            display_name=(match["name"] or "").strip('" '), username=local, domain=domain
        )
    except (InvalidEmailError, HeaderParseError) as error:
        raise ValueError(_SENDER_RULE) from error


def _check_link_target(value: str) -> None:
    parts = urlsplit(value)
    secure = parts.scheme == "https" or (
        parts.scheme == "http" and is_loopback(parts.hostname or "")
    )
    if not secure or not parts.hostname or not value.isascii() or not value.isprintable():
        raise ValueError("must be https://… (plain http only for localhost), ASCII only")
    if "{token}" not in parts.path + "?" + parts.query + "#" + parts.fragment:
        raise ValueError("must have {token} after the host, where the link's token goes")
