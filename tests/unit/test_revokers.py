"""revokers.yaml: who may revoke what, and what a mistake in it is answered with."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.revokers import (
    MAX_BYTES,
    MAX_SERVICES,
    RevokersError,
    RevokersFile,
    load_revokers,
    parse_revokers,
    valid_service_name,
)


def problem(text: str) -> str:
    """What the table says of *text*."""
    with pytest.raises(RevokersError) as caught:
        parse_revokers(text)
    return str(caught.value)


def test_a_service_may_what_its_row_says_and_nothing_else() -> None:
    """Each service has its own scopes; a stranger has none."""
    table = parse_revokers("shop: [session, token]\nhr:\n  - subject\nreports: []\n")
    assert table.allows("shop", "session")
    assert table.allows("shop", "token")
    assert not table.allows("shop", "subject")
    assert table.allows("hr", "subject")
    assert not table.allows("hr", "token")
    assert not any(table.allows("reports", scope) for scope in ("session", "token", "subject"))
    assert not table.allows("stranger", "session")


@pytest.mark.parametrize("scope", ["key", "service"])
def test_no_service_is_ever_allowed_a_key_or_a_service(scope: str) -> None:
    """One such event would close the installation: it is refused with its line, and never allowed."""
    assert problem(f"a: []\nshop: [session, {scope}]") == (
        f"revokers.yaml:2: shop: scope {scope} is for operators alone: remove it"
    )
    assert not parse_revokers("shop: [session, token, subject]").allows("shop", scope)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("shop: session", "revokers.yaml:1: shop: write a list: [session, token], or [] for none"),
        ("shop:", "revokers.yaml:1: shop: write a list: [session, token], or [] for none"),
        ("a: []\nshop: {}", "revokers.yaml:2: shop: write a list: [session, token], or [] for none"),
        ("shop:\n  - token\n  - sesion", "revokers.yaml:3: shop: no such scope: write session, token, subject"),
        ("shop: [[token]]", "revokers.yaml:1: shop: no such scope: write session, token, subject"),
        ("shop: [true]", "revokers.yaml:1: shop: no such scope: write session, token, subject"),
        ("shop: [token, token]", "revokers.yaml:1: shop: a scope stands twice: remove one"),
        ("shop: [token]\nshop: []", "revokers.yaml:2: shop stands twice: remove one"),
        ("a: &x [token]\nb: *x", "revokers.yaml:2: anchors and aliases are not used here: write it out"),
        ("<<: {a: [token]}", "revokers.yaml:1: a key is plain text here"),
        ("- shop", "revokers.yaml:1: is no table: write shop: [session]"),
        ("shop", "revokers.yaml:1: is no table: write shop: [session]"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_the_cure(text: str, told: str) -> None:
    """Nothing is guessed: what does not read in one way is refused."""
    assert problem(text) == told


@pytest.mark.parametrize("name", ["Shop", "shop.x", "*", ">", "", "-a", "a" * 41, "a b", "é"])
def test_a_name_that_is_no_token_of_a_subject_is_refused(name: str) -> None:
    """``token.revoked.by.*`` as a name would be everybody."""
    assert not valid_service_name(name)
    assert "that is no service's name" in problem(f"{name!r}: [token]".replace("'", '"'))


def test_no_file_is_nobody_and_an_empty_one_too(tmp_path: Path) -> None:
    """An installation without services needs no file."""
    assert load_revokers(tmp_path / "revokers.yaml").scopes == {}
    (tmp_path / "revokers.yaml").write_text("# nobody yet\n")
    assert load_revokers(tmp_path / "revokers.yaml").scopes == {}


def test_what_cannot_be_read_is_an_error_and_not_nobody(tmp_path: Path) -> None:
    """A table that is there and unreadable must not silently refuse every service."""
    path = tmp_path / "revokers.yaml"
    path.mkdir()
    with pytest.raises(RevokersError, match=r"revokers\.yaml: cannot be read: Is a directory"):
        load_revokers(path)
    path.rmdir()
    path.write_bytes(b"shop: [\xff]")
    with pytest.raises(RevokersError, match="is not UTF-8"):
        load_revokers(path)


def test_the_table_is_bounded(tmp_path: Path) -> None:
    """A file that grew without end is refused before it is read whole."""
    path = tmp_path / "revokers.yaml"
    path.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(RevokersError, match="is larger than"):
        load_revokers(path)
    rows = "".join(f"s{n}: []\n" for n in range(MAX_SERVICES + 1))
    assert "has more than 256 services" in problem(rows)
    assert "nested too deeply" in problem("a: " + "[" * 20_000 + "]" * 20_000)


# Text of chance is almost never a table: lines of one are put together as well.
_LINES = st.lists(
    st.sampled_from(
        [
            "shop: [session, token]",
            "hr:",
            "  - subject",
            "  - key",
            "a: [service]",
            "b: []",
            "c: *x",
            "",
        ]
    ),
    max_size=4,
).map("\n".join)


@given(st.text(max_size=200) | _LINES)
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text raises anything else, and none gives a scope that services never have."""
    try:
        table = parse_revokers(text)
    except RevokersError:
        return
    assert all(scopes <= {"session", "token", "subject"} for scopes in table.scopes.values())


def test_a_changed_file_counts_from_the_next_question_on(tmp_path: Path) -> None:
    """A right that was taken away is gone without a restart; a file that went means nobody."""
    path = tmp_path / "revokers.yaml"
    table = RevokersFile(path)
    assert not table.allows("shop", "token")

    path.write_text("shop: [token]")
    assert table.allows("shop", "token")
    path.write_text("shop: [session]")
    assert not table.allows("shop", "token")
    path.unlink()
    assert not table.allows("shop", "session")


def test_a_change_that_cannot_be_used_leaves_the_table_before_in_force(tmp_path: Path) -> None:
    """A slip of the pen stops neither the worker nor the services that were allowed."""
    path = tmp_path / "revokers.yaml"
    path.write_text("shop: [token]")
    table = RevokersFile(path)

    path.write_text("shop: [tokens]")

    assert table.allows("shop", "token")
    with pytest.raises(RevokersError):
        RevokersFile(path)
