"""Form tokens: what no other site, browser or form can show."""

from services.auth.http.form_tokens import FormTokens
from shared.secrets import SymmetricKeys

OLD, NEW = {"20250101-a": b"o" * 32}, {"20260101-b": b"n" * 32}
TOKENS = FormTokens(SymmetricKeys(OLD | NEW))


def test_a_token_is_good_for_its_form_in_its_browser() -> None:
    """The page's own form comes back and is taken."""
    assert TOKENS.accepts(TOKENS.issue("login", "nonce"), "login", "nonce")


def test_a_token_of_another_browser_is_refused() -> None:
    """An attacker's own token, planted into a victim's form, is worth nothing there."""
    assert not TOKENS.accepts(TOKENS.issue("login", "attacker"), "login", "victim")


def test_a_token_of_another_form_is_refused() -> None:
    """A token from the harmless e-mail form does not end a session."""
    assert not TOKENS.accepts(TOKENS.issue("login", "nonce"), "logout", "nonce")


def test_a_browser_without_a_secret_has_no_good_token() -> None:
    """The empty secret is not a secret that everybody shares."""
    assert not TOKENS.accepts(TOKENS.issue("login", ""), "login", "")


def test_a_page_shown_before_a_key_was_rotated_still_works() -> None:
    """Nobody's open form breaks because an operator rotated a key."""
    before = FormTokens(SymmetricKeys(OLD)).issue("login", "nonce")

    assert TOKENS.accepts(before, "login", "nonce")
    assert TOKENS.issue("login", "nonce") != before


def test_nonsense_is_refused_and_nothing_breaks() -> None:
    """Whatever is sent as a token, the answer is no."""
    whole = TOKENS.issue("login", "nonce")
    nonsense = [
        "",
        ".",
        "x",
        whole[:-1],
        whole + "A",
        "20990101-c." + whole.partition(".")[2],
        "é.ü",
    ]

    assert not [text for text in nonsense if TOKENS.accepts(text, "login", "nonce")]
