"""The mails: what a person reads, and what nobody can put into them."""

import email
import email.policy
import re
from email.headerregistry import Address
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mailer.mails import MailWriter, Site
from services.mailer.ports import Letter
from shared.links import link_token, login_code, show_code
from shared.messages import ClientHint, LoginRequested

KID = "20261122-aaaaaa"
KEY = bytes(range(32))
LOGIN = "01KAND0000ABCDEFGHJKMNPQRS"
AT = 1_795_312_920_000  # 2026-11-22 02:02 UTC
SITE = Site(
    "Acme", "https://auth.acme.com", "https://auth.acme.com", Address("Acme", "login", "acme.com")
)

NAUGHTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)//",
    "visit evil.com or https://evil.com/login now",
    "www.evil.com",
    "mailto:evil@evil.com",
    "{{ 7*7 }} {% include '/etc/passwd' %}",
    "Firefox/1.0 <a href=https://evil.com>x</a> Linux",
    "\u202eevil\u2066",
    "=?utf-8?q?evil?=",
    "'; DROP TABLE users; --",
    "%0d%0aBcc:evil@evil.com",
    "\u2028Bcc: evil@evil.com",
    "‮‮\ufeff",
    "A" * 255,
]


def writer(site: Site = SITE) -> MailWriter:
    """A writer with one key."""
    return MailWriter(site, {KID: KEY}, KID)


def request(**changes: object) -> LoginRequested:
    """A request as auth publishes it."""
    fields: dict[str, object] = {
        "id": "01KAND0000ABCDEFGHJKMNPQRT",
        "at": AT,
        "login_id": LOGIN,
        "email": "ada@example.com",
        "client": ClientHint(network="203.0.113.0/24", user_agent="Firefox on Linux"),
        "link_kid": KID,
        "expires_at": AT + 600_000,
    }
    return LoginRequested.model_validate({**fields, **changes})


def compose(site: Site = SITE, **changes: object) -> Letter:
    """The letter for such a request."""
    letter = writer(site).compose(request(**changes))
    assert letter is not None
    return letter


def parse(letter: Letter) -> EmailMessage:
    """As a mail program reads it."""
    message = email.message_from_bytes(letter.content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def bodies(message: EmailMessage) -> tuple[str, str]:
    """Text and HTML."""
    text, html = message.get_body(["plain"]), message.get_body(["html"])
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.hrefs: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.hrefs += [value or "" for name, value in attrs if name in {"href", "src"}]


def read(html: str) -> _Page:
    """The tags and links of a page."""
    page = _Page()
    page.feed(html)
    return page


def expected_link(purpose: str = "sign_in") -> str:
    """The link auth will accept."""
    token = link_token(KEY, purpose, LOGIN, "ada@example.com")
    return f"https://auth.acme.com/auth/link?id={LOGIN}#{token}"


def test_the_mail_says_what_a_person_needs() -> None:
    """Link, code, until when, who asked, and the warning; in both alternatives."""
    code = show_code(login_code(KEY, "sign_in", LOGIN, "ada@example.com"))

    for body in bodies(parse(compose())):
        flat = re.sub(r"<[^>]+>", " ", body)
        flat = re.sub(r"\s+", " ", flat)
        assert expected_link() in body
        assert code in body
        assert "once, for 10 minutes (until 02:12 UTC)" in flat
        assert "22 November 2026, 02:02 UTC" in flat
        assert "Firefox on Linux, network 203.0.113.0/24" in flat
        assert "Never give the code to anyone" in flat


def test_the_headers_are_those_of_one_automatic_mail() -> None:
    """Time in the subject and no code, stable id, date of the request, no reply wanted."""
    message = parse(compose())

    assert message["Subject"] == "Sign in to Acme (02:02 UTC)"
    assert message["From"] == "Acme <login@acme.com>"
    assert message["To"] == "ada@example.com"
    assert message["Message-ID"] == f"<{LOGIN}@auth.acme.com>"
    assert message["Date"] == "Sun, 22 Nov 2026 02:02:00 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"


def test_two_mails_for_one_request_are_the_same_bytes() -> None:
    """The second one across the dot is no second mail to anybody."""
    assert compose() == compose()


def test_the_code_is_not_where_a_locked_screen_shows_it() -> None:
    """Not in the subject, not in the first lines of text."""
    code = show_code(login_code(KEY, "sign_in", LOGIN, "ada@example.com"))
    message = parse(compose())
    text, _ = bodies(message)

    assert code not in str(message["Subject"])
    assert code not in text[:120]


def test_nothing_is_loaded_and_nothing_tracks() -> None:
    """No image, script, style sheet or form; only links."""
    for notice in (None, "new_browser", "refresh_reuse"):
        _, html = bodies(parse(compose(notice=notice)))
        page = read(html)

        assert not {"img", "script", "link", "iframe", "form", "object", "svg"} & set(page.tags)
        assert page.attributes <= {"lang", "charset", "name", "content", "style", "href"}
        assert "url(" not in html


@pytest.mark.parametrize("naughty", NAUGHTY)
@pytest.mark.parametrize("notice", [None, "new_browser", "refresh_reuse"])
def test_nobody_can_put_a_link_into_the_mail(naughty: str, notice: str | None) -> None:
    """User agent and network are the client's own words: none of them reaches the mail (M-25)."""
    clean = compose(notice=notice, client=ClientHint())
    hint = ClientHint(network=naughty, user_agent=naughty)
    message = parse(compose(notice=notice, client=hint, locale=naughty))

    for body in bodies(message):
        urls = re.findall(r"https?://[^\s\"<>]+|www\.\S+|evil", body)
        assert all(url.startswith("https://auth.acme.com/auth/") for url in urls)
    assert message.keys() == parse(clean).keys()
    _, html = bodies(message)
    assert read(html).tags == read(bodies(parse(clean))[1]).tags


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_a_client_says_of_itself_the_mail_keeps_its_shape(
    agent: str, network: str
) -> None:
    """Any text at all."""
    hint = ClientHint.model_construct(network=network, user_agent=agent)
    letter = writer().compose(request().model_copy(update={"client": hint}))
    assert letter is not None

    assert parse(letter).keys() == parse(compose()).keys()
    assert letter.content.isascii()


def test_the_sites_name_is_text_and_not_html() -> None:
    """Configuration is trusted, and escaped all the same."""
    site = Site("Tom & <b>Jerry</b>", SITE.url, SITE.link_target, SITE.sender)
    message = parse(compose(site))
    text, html = bodies(message)

    assert "Tom & <b>Jerry</b>" in text
    assert "<b>" not in html
    assert "Tom &amp; &lt;b&gt;Jerry" in html
    assert message["Subject"] == "Sign in to Tom & <b>Jerry</b> (02:02 UTC)"


def test_a_name_in_another_script_arrives_whole() -> None:
    """Encoded in headers and bodies, ASCII on the wire."""
    sender = Address("Bücher", "login", "acme.com")
    letter = compose(Site("Bücher 日本", SITE.url, SITE.link_target, sender))
    message = parse(letter)
    text, html = bodies(message)

    assert letter.content.isascii()
    assert message["Subject"] == "Sign in to Bücher 日本 (02:02 UTC)"
    assert str(message["From"]).startswith("Bücher <")
    assert "Bücher 日本" in text
    assert expected_link() in text
    assert "Bücher 日本" in html


def test_every_line_fits_the_wire() -> None:
    """RFC 5322 §2.1.1: 998 octets, and CRLF only."""
    content = compose(client=ClientHint(user_agent="x" * 255)).content

    assert max(len(line) for line in content.split(b"\r\n")) <= 998
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert b"\r" not in content.replace(b"\r\n", b"")


def test_a_deployments_own_login_page_gets_the_link() -> None:
    """LATCHWIRE_LINK_URL is for signing in; what ends a session stays with us."""
    own = Site("Acme", SITE.url, "https://app.acme.com/login?token={token}", SITE.sender)
    token = link_token(KEY, "sign_in", LOGIN, "ada@example.com")
    notice_token = link_token(KEY, "notice", LOGIN, "ada@example.com")

    text, _ = bodies(parse(compose(own)))
    notice, _ = bodies(parse(compose(own, purpose="notice", notice="new_browser")))

    assert f"https://app.acme.com/login?token={token}" in text
    assert f"https://auth.acme.com/auth/link?id={LOGIN}#{notice_token}" in notice


def test_a_notice_of_a_new_browser_links_to_the_page_that_ends_the_session() -> None:
    """And carries no code: there is nothing to sign in to."""
    letter = compose(purpose="notice", notice="new_browser", expires_at=AT + 7 * 86_400_000)
    message = parse(letter)
    text, html = bodies(message)

    assert message["Subject"] == "New sign-in to Acme (02:02 UTC)"
    assert message["Message-ID"] == f"<{LOGIN}.new_browser@auth.acme.com>"
    assert expected_link("notice") in text
    assert expected_link("notice") in read(html).hrefs
    assert show_code(login_code(KEY, "notice", LOGIN, "ada@example.com")) not in text + html


def test_a_notice_of_a_reused_key_says_what_was_done() -> None:
    """The session is over already: no link ends anything, one leads to signing in."""
    message = parse(compose(purpose="notice", notice="refresh_reuse"))
    text, html = bodies(message)

    assert message["Subject"] == "A session at Acme was ended (02:02 UTC)"
    assert read(html).hrefs == ["https://auth.acme.com/auth/login"]
    assert "#" not in re.findall(r"https://\S+", text)[0]


@pytest.mark.parametrize("purpose", ["verify_email", "reset_password"])
def test_other_purposes_have_their_own_words_and_links(purpose: str) -> None:
    """A link for one purpose is none for another."""
    text, _ = bodies(parse(compose(purpose=purpose)))

    assert expected_link(purpose) in text
    assert "asked to sign in" not in text


def test_without_its_key_no_mail_is_made_up() -> None:
    """A key this mailer does not know yet: wait for it."""
    assert writer().compose(request(link_kid="20991231-ffffff")) is None
    assert writer().compose(request(link_kid="")) == writer().compose(request())


def test_ours_is_not_a_name_the_person_ever_sees() -> None:
    """The site's name, never the product's."""
    for notice in (None, "new_browser", "refresh_reuse"):
        assert b"latchwire" not in compose(notice=notice).content.lower()
