"""How tests read a mail: no token that happens to look like a code is taken for one."""

from tests.support import chromium, visitor

LINK = "https://auth.acme.com/auth/link?id=01KAND0000ABCDEFGHJKMNPQRS#AaA-ABCD-EFGH-code-WXYZ-2345"
MAIL = f"Click:\n\n{LINK}\n\nOr type this code:\n\n    7777-QRST\n\nEither works once."
NOTICE = f"If not, end that session here:\n\n{LINK}\n"


def test_the_code_is_what_stands_on_a_line_of_its_own() -> None:
    """One link in some hundred thousand has such a word in its token."""
    for ends in ("\n", "\r\n"):
        mail = {"text": MAIL.replace("\n", ends)}
        assert visitor.code_in(mail) == chromium.code_in(mail) == "7777-QRST"


def test_a_notice_has_no_code_whatever_its_token_spells() -> None:
    """Not even the word."""
    assert visitor.has_code({"text": MAIL})
    assert not visitor.has_code({"text": NOTICE})
