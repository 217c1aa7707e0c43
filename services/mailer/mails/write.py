"""From a request to a finished mail.

Two rules: everything in it comes from configuration, from the derived link or from tables of ours (a name that
people chose is first stripped of all that could become a link), and the same request gives the same bytes
(fixed boundary, Date of the request), so that the one mail in a great many that goes out twice is no second
mail to anybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.mailer.domain.attempt import mail_key
from services.mailer.domain.names import plain_name
from services.mailer.domain.who import describe_browser, describe_network
from services.mailer.mails.wording import Wording, wording_of
from services.mailer.ports import Letter
from shared.links import link_token, link_url, login_code, show_code
from shared.messages import LoginRequested
from shared.trace import current_trace

_TEMPLATES = Path(__file__).parent / "templates"
_HTML = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
# Plain text has nothing to escape; what goes in is ours alone (see `_facts`).
_TEXT = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=False,  # noqa: S701 - for the text alternative only
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Site:
    """What configuration says: *url* is the public origin, *link_target* see `shared.links.link_url`."""

    name: str
    url: str
    link_target: str
    sender: Address


@dataclass(frozen=True)
class MailWriter:
    """See `services.mailer.ports.Letters`. *keys*: link keys by kid, *current* the newest."""

    site: Site
    keys: Mapping[str, bytes] = field(repr=False)
    current: str

    def message_id(self, request: LoginRequested) -> str:
        """``<login_id@host>``; a notice adds which one it is."""
        key = mail_key(request.login_id, request.notice)
        return f"<{key}@{urlsplit(self.site.url).hostname}>"

    def compose(self, request: LoginRequested) -> Letter | None:
        """The mail, byte for byte the same for the same request; None without its link key."""
        key = self.keys.get(request.link_kid or self.current)
        if key is None:
            return None
        wording = wording_of(request.purpose, request.notice)
        facts = _facts(request, self.site, wording, key)
        message = self._envelope(request, wording, facts)
        _set_text(message, _TEXT.get_template(f"{wording.template}.txt").render(facts), "plain")
        html = EmailMessage(policy=SMTP)
        _set_text(html, _HTML.get_template(f"{wording.template}.html").render(facts), "html")
        message.make_alternative(boundary=f"=_{mail_key(request.login_id, request.notice)}")
        del html["MIME-Version"]
        message.attach(html)
        return Letter(
            sender=self.site.sender.addr_spec,
            recipient=request.email,
            message_id=self.message_id(request),
            content=message.as_bytes(),
        )

    def _envelope(
        self, request: LoginRequested, wording: Wording, facts: Mapping[str, str]
    ) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["From"] = self.site.sender
        message["To"] = request.email
        message["Subject"] = wording.subject.format(site=self.site.name, time=facts["time"])
        message["Date"] = format_datetime(_utc(request.at))
        message["Message-ID"] = self.message_id(request)
        # No vacation notes, no bounces to a person (RFC 3834 §5, and what older programs look at).
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        trace = current_trace()  # the request's own: a repeated delivery has the same one
        if trace is not None:
            message["Traceparent"] = trace.traceparent
        return message


def _facts(request: LoginRequested, site: Site, wording: Wording, key: bytes) -> dict[str, str]:
    """Everything a template may say. Nothing of it is the client's own text, but for a name made plain."""
    at, until = _utc(request.at), _utc(request.expires_at)
    derived = (key, request.purpose, request.login_id, request.email)
    target = site.url if wording.on_our_pages else site.link_target
    minutes = round((until - at) / timedelta(minutes=1))
    return {
        "site": site.name,
        "host": urlsplit(site.url).netloc,
        "intro": wording.intro.format(site=site.name),
        "button": wording.button.format(site=site.name),
        "closing": wording.closing.format(site=site.name),
        "about": plain_name(request.about),
        "link": link_url(target, link_token(*derived), request.login_id),
        "login_page": f"{site.url}/auth/login",
        "forgot_page": f"{site.url}/auth/password/forgot",
        "account_page": f"{site.url}/auth/account",
        "code": show_code(login_code(*derived)),
        "browser": describe_browser(request.client.user_agent),
        "network": describe_network(request.client.network),
        "time": f"{at:%H:%M} UTC",
        "date": _date(at),
        "minutes": str(minutes),
        "until": f"{until:%H:%M} UTC",
        "until_date": _date(until),
    }


def _set_text(message: EmailMessage, text: str, subtype: str) -> None:
    """ASCII stays readable as it is, links in one piece; anything else becomes quoted-printable."""
    cte = "7bit" if text.isascii() else "quoted-printable"
    message.set_content(text, subtype=subtype, charset="utf-8", cte=cte)


def _date(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}, {moment:%H:%M} UTC"


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
