"""The shipped list of common passwords, and what it means too."""

import random
import string

import pytest

from services.auth.adapters.common_passwords import CommonPasswords
from services.auth.domain.password import judge_password
from services.auth.domain.password_patterns import bare, runs_of, unit_of

COMMON = CommonPasswords()


def judge(password: str, least: int = 8) -> str | None:
    """As the product judges it."""
    return judge_password(
        password, email="jo@x.example", site_name="Q", least=least, is_common=COMMON
    )


@pytest.mark.parametrize("added", ["", "1", "123", "2024!", "!!"])
@pytest.mark.parametrize("case", [str, str.upper, str.capitalize])
def test_every_entry_of_the_list_is_refused(case: type[str], added: str) -> None:
    """All of those that are long enough, in any case, also with digits and signs behind."""
    passwords = [f"{case(entry)}{added}" for entry in COMMON.entries if len(entry) >= 8]

    assert len(passwords) > 16_000
    assert [p for p in passwords if judge(p) != "password_common"] == []


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "Password2024!",
        "passwordpassword",
        "PasswordPassword1",
        "qwertyuiop123",
        "qwertyuiopasdf",
        "1qaz2wsx3edc",
        "1q2w3e4r5t6y",
        "123456789012",
        "123412341234",
        "987654321098",
        "abcdefghijkl",
        "abcabcabcabc",
        "aaaaaaaaaaaa",
        "            ",
        "monkey123456",
        "iloveyou2024",
        "Sunshine!!!!",
        "Football1234",
        "Liverpool2023",
        "letmeinletmein",
        "iloveyouforever",
        "Sunshine-Football1",
        "princess monkeys",
        "administrator",
        "trustno1trustno1",
        "111111222222",
        "yxcvbnmasdfghjkl",
        "ffffffffffff",
        "...password...",
    ],
)
def test_what_everybody_thinks_of_is_refused(password: str) -> None:
    """Twelve characters and more, and yet among the first that are tried."""
    assert judge(password, 12) == "password_common"


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "monkey brains 2024",
        "tall green bicycle",
        "my password is long",
        "Wer reitet so spät",
        "kx7#Qm!vT2zp",
        "7391 4820 5562 10",
        "пароль из трёх слов",
        "🐎🔋🧷🌂🎺🦉🧀🍋🚲🛶🪁🧲",
    ],
)
def test_what_nobody_else_would_think_of_is_accepted(password: str) -> None:
    """No rule about kinds of characters; a common word among others is no fault."""
    assert judge(password, 12) is None


def test_random_passwords_are_accepted() -> None:
    """What a password manager makes is never called common."""
    chance = random.Random(4)
    for letters in (string.ascii_lowercase, string.ascii_letters + string.digits + "-_!"):
        made = ["".join(chance.choices(letters, k=12)) for _ in range(5_000)]
        assert [p for p in made if judge(p, 12)] == []


def test_every_line_of_the_list_is_as_it_is_looked_up() -> None:
    """Case-folded and not shorter than six: an entry that is written otherwise would never be found."""
    assert len(COMMON.entries) == 36_841
    assert [e for e in COMMON.entries if e != e.casefold() or len(e) < 6 or e.strip() != e] == []


@pytest.mark.parametrize(
    ("text", "unit"),
    [("", ""), ("a", "a"), ("aaa", "a"), ("abab", "ab"), ("aba", "aba"), ("abcabcab", "abcabcab")],
)
def test_the_unit_of_a_text_is_what_it_repeats(text: str, unit: str) -> None:
    """Whole repetitions only."""
    assert unit_of(text) == unit


@pytest.mark.parametrize(
    ("text", "core"), [("12ab3c!", "ab3c"), ("123", ""), ("", ""), ("ab", "ab"), ("!é?", "é")]
)
def test_the_bare_form_has_letters_at_both_ends(text: str, core: str) -> None:
    """Digits inside stay."""
    assert bare(text) == core


@pytest.mark.parametrize(
    ("text", "runs"), [("abc", 1), ("cba", 1), ("abcqwe", 2), ("aab", 2), ("axa", 3), ("qaz", 1)]
)
def test_runs_are_counted_by_the_breaks_between_them(text: str, runs: int) -> None:
    """Forwards, backwards, in place, along the alphabet or the keys."""
    assert runs_of(text) == runs
