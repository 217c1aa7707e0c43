"""The mails about accounts: what each says, and that no name anybody chose can bring anything into one."""

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mailer.domain.names import LONGEST, NAMELESS, plain_name
from shared.links import login_code, show_code
from shared.messages.login import NoticeReason, Purpose
from tests.unit.test_mailer_mails import (
    AT,
    KEY,
    LOGIN,
    NAUGHTY,
    bodies,
    compose,
    expected_link,
    parse,
    read,
    request,
    writer,
)

NOTICES = get_args(NoticeReason)
# Every mail there is: (purpose, notice). "already_registered" signs in, the other notices do not.
MAILS = [
    *((purpose, None) for purpose in get_args(Purpose) if purpose != "notice"),
    *(("sign_in" if notice == "already_registered" else "notice", notice) for notice in NOTICES),
]
WITH_CODE = {("sign_in", None), ("verify_email", None), ("reset_password", None)}
WITH_CODE |= {("sign_in", "already_registered")}
WITH_LINK = WITH_CODE | {("invitation", None), ("notice", "new_browser")}
NAMED = [("invitation", None), ("notice", "login_linked"), ("notice", "login_unlinked")]
SUBJECTS = {
    ("verify_email", None): "Confirm your address for Acme (02:02 UTC)",
    ("reset_password", None): "Choose a new password for Acme (02:02 UTC)",
    ("invitation", None): "You are invited at Acme (02:02 UTC)",
    ("sign_in", "already_registered"): "You have an account at Acme (02:02 UTC)",
    ("notice", "password_changed"): "Your password at Acme was changed (02:02 UTC)",
    ("notice", "login_linked"): "A login was added at Acme (02:02 UTC)",
    ("notice", "login_unlinked"): "A login was removed at Acme (02:02 UTC)",
    ("notice", "account_deleted"): "Your account at Acme was deleted (02:02 UTC)",
}
NAMES = [
    *NAUGHTY,
    "evil.com",
    "WWW.EVIL.COM",
    "\uff45\uff56\uff49\uff4c\uff0e\uff43\uff4f\uff4d",
    "evil\u3002com",
    "e\u200bvil.com",
    "eve@evil.com",
    "+49 171 1234567",
    "tel:0900123456",
    "Acme\r\nBcc: eve@evil.com",
    "Acme</p><a href='//evil.com'>Sign in</a>",
    "xn--80ak6aa92e.com",
    "//evil.com/%2e",
    "evil [.] com, evil(dot)com",
    "\u0301" * 60,
]


@pytest.mark.parametrize("mail", MAILS)
def test_every_mail_is_of_ours_and_loads_nothing(mail: tuple[str, str | None]) -> None:
    """Text and HTML, the site's name only, nothing fetched, one subject with the time and without the code."""
    purpose, notice = mail
    letter = compose(purpose=purpose, notice=notice, about="Acme & Sons")
    message = parse(letter)
    code = show_code(login_code(KEY, purpose, LOGIN, "ada@example.com"))

    assert message.get_content_type() == "multipart/alternative"
    assert b"latchwire" not in letter.content.lower()
    assert "(02:02 UTC)" in str(message["Subject"])
    assert code not in str(message["Subject"])
    for body in bodies(message):
        assert (code in body) == (mail in WITH_CODE)
        assert (expected_link(purpose) in body) == (mail in WITH_LINK)
        urls = re.findall(r"https?://[^\s\"<>]+", body)
        assert all(url.startswith("https://auth.acme.com/auth/") for url in urls)
    page = read(bodies(message)[1])
    assert not {"img", "script", "link", "iframe", "form", "object", "svg"} & set(page.tags)
    assert page.attributes <= {"lang", "charset", "name", "content", "style", "href"}


@pytest.mark.parametrize(("mail", "subject"), SUBJECTS.items())
def test_each_mail_says_in_its_subject_what_happened(
    mail: tuple[str, str | None], subject: str
) -> None:
    """So that a person sees from the list what to be alarmed by."""
    purpose, notice = mail

    assert parse(compose(purpose=purpose, notice=notice))["Subject"] == subject


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mail", NAMED)
def test_no_name_that_people_chose_brings_a_link_or_markup_into_a_mail(
    mail: tuple[str, str | None], name: str
) -> None:
    """M-25: the mail has the headers, the tags and the links it has for a harmless name, and no dotted word."""
    purpose, notice = mail
    clean = parse(compose(purpose=purpose, notice=notice, about="Acme"))
    asked = request(purpose=purpose, notice=notice).model_copy(update={"about": name})
    letter = writer().compose(asked)
    assert letter is not None
    message = parse(letter)
    text, html = bodies(message)

    assert message.items() == clean.items()
    assert read(html).tags == read(bodies(clean)[1]).tags
    assert read(html).hrefs == read(bodies(clean)[1]).hrefs
    without_ours = re.sub(r"https://auth\.acme\.com[^\s\"<]*|auth\.acme\.com", "", text)
    assert not re.search(
        r"[\w-]\.[\w-]|@|://|www\.|\d{5}", without_ours.replace("203.0.113.0/24", "")
    )


def test_an_ordinary_name_stays_as_it_is() -> None:
    """What is taken away is what makes links, and nothing else."""
    names = [
        "Acme & Sons",
        "O'Reilly-M\u00fcller GmbH",
        "AT&T",
        "Route 66",
        "\u65e5\u672c\u682a\u5f0f\u4f1a\u793e",
    ]

    assert [plain_name(name) for name in names] == names
    assert plain_name("") == plain_name("...") == NAMELESS


@given(st.text(max_size=300))
def test_whatever_a_name_is_it_is_short_and_joins_no_words(name: str) -> None:
    """Any text at all; applied twice it is the same."""
    plain = plain_name(name)

    assert 0 < len(plain) <= LONGEST
    assert not set(plain) & set('.:/@<>"\\\r\n\t%#?=+_`\u3002\uff0e')
    assert plain.isprintable()
    assert plain_name(plain) == plain


def test_an_invitation_says_until_when_it_works() -> None:
    """A week is no number of minutes."""
    letter = compose(purpose="invitation", about="Acme", expires_at=AT + 7 * 86_400_000)

    for body in bodies(parse(letter)):
        assert "29 November 2026, 02:02 UTC" in body
        assert "10080" not in body


def test_a_changed_password_leads_to_the_page_that_sets_another_one() -> None:
    """Whoever did not change it is a click from the cure."""
    text, html = bodies(parse(compose(purpose="notice", notice="password_changed")))

    assert "https://auth.acme.com/auth/password/forgot" in text
    assert read(html).hrefs == ["https://auth.acme.com/auth/password/forgot"]
