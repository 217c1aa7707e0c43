"""The mailer's settings: where to hand mail in, as whom, and where its links lead."""

from email.headerregistry import Address
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from shared.setting_types import Admin, RedisURL, Sender, SmtpURL, parse_sender
from shared.settings import SiteSettings
from shared.smtp_url import MailServer, is_loopback, parse_smtp_url


class MailerSettings(SiteSettings):
    """See the field descriptions. `smtp_url` may hold a password and is never logged with it."""

    mail_from: Sender
    smtp_url: SmtpURL
    link_url: str = Field(
        default="",
        description="where links lead, with `{token}` in it, when not to `/auth/link`: "
        "`https://app.acme.com/login?token={token}`",
    )
    redis_url: RedisURL = "redis://127.0.0.1:6379/0"
    mailer_admin: Admin = "127.0.0.1:9002"

    @field_validator("link_url")
    @classmethod
    def _link_target(cls, value: str) -> str:
        if value:
            _check_link_target(value)
        return value

    @property
    def site(self) -> str:
        """The site's name as people know it."""
        return self.site_name

    @property
    def sender(self) -> Address:
        """Who the mail is from."""
        return parse_sender(self.mail_from)

    @property
    def server(self) -> MailServer:
        """Where mail is handed in; without the password of the secrets directory."""
        return parse_smtp_url(self.smtp_url)


def _check_link_target(value: str) -> None:
    parts = urlsplit(value)
    secure = parts.scheme == "https" or (
        parts.scheme == "http" and is_loopback(parts.hostname or "")
    )
    if not secure or not parts.hostname or not value.isascii() or not value.isprintable():
        raise ValueError("must be https://… (plain http only for localhost), ASCII only")
    if "{token}" not in parts.path + "?" + parts.query + "#" + parts.fragment:
        raise ValueError("must have {token} after the host, where the link's token goes")
