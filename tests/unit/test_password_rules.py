"""Which passwords are refused, and with which code."""

import pytest

from services.auth.domain.password import PasswordRules, judge_password
from services.auth.domain.tries import tarpit_ms

COMMON = frozenset({"correcthorsebattery"})


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", "password_too_short"),
        ("elevenchars", "password_too_short"),
        ("twelve chars", None),
        ("äöüßéèçñøåþð", None),  # characters, not bytes
        ("🐎🔋🧷🐎🔋🧷🐎🔋🧷🐎🔋", "password_too_short"),
        ("🐎🔋🧷🐎🔋🧷🐎🔋🧷🐎🔋🧷", None),
        (" " * 12, None),  # exactly as received; lists decide what is common
        ("x" * 1024, None),
        ("x" * 1025, "password_too_long"),
        ("é" * 512, None),
        ("é" * 513, "password_too_long"),
        ("\ud800" * 341, None),  # half a pair, as JSON can carry it: no crash
        ("\ud800" * 342, "password_too_long"),
        ("correcthorsebattery", "password_common"),
        ("lovelacelovelace", "password_common"),
        ("Ada.Lovelace-1815!", "password_common"),
        ("ADA.LOVELACE2024", "password_common"),
        ("ada.lovelace@engines.example", "password_common"),
        ("Babbage Works!", "password_common"),
        ("babbageworks1234", "password_common"),
        ("enginesengines", "password_common"),
        ("my ada.lovelace", "password_common"),
        ("ada and babbage met in june", None),
        ("works like a charm, always", None),
        ("Schreibmaschine", None),
    ],
)
def test_a_password_is_judged_by_length_by_list_and_by_names(
    password: str, problem: str | None
) -> None:
    """Neither trimmed nor folded nor asked for digits; names of the person and the site alone are none."""
    rules = PasswordRules(12, "Babbage Works", COMMON.__contains__)

    assert rules.judge(password, "ada.lovelace+x@engines.example") == problem


@pytest.mark.parametrize("email", ["a@b.cd", "x.y@z.io", "aa+bb@cc.dd"])
def test_names_too_short_to_tell_refuse_nothing(email: str) -> None:
    """One letter occurs in every password."""
    judged = judge_password(
        "aaxbbyccz aab", email=email, site_name="Z", least=12, is_common=lambda _: False
    )

    assert judged is None


@pytest.mark.parametrize(
    ("earlier", "delay"),
    [(0, 0), (4, 0), (5, 1), (9, 1), (10, 2), (49, 9), (50, 10), (99, 10), (10_000, 10)],
)
def test_the_tarpit_grows_and_has_an_end(earlier: int, delay: int) -> None:
    """After five wrong ones a second more for every five, never more than ten seconds."""
    assert tarpit_ms(earlier) == delay * 1000
