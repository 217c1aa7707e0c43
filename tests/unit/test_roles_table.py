"""The table of roles: what it may say, how it refuses, and what a token says by it."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.auth.adapters.roles_file import RolesError, load_roles, parse_roles
from services.auth.domain.account import Account, Rights, Standing
from services.auth.domain.roles import DEFAULT, OWN_PERMISSIONS, RoleTable, is_role_name
from shared.lifecycle import REFUSALS

ROOT = Path(__file__).resolve().parents[2]
OWN = ", ".join(sorted(OWN_PERMISSIONS))
RIGHT = f"""\
organisation:
  owner: [{OWN}, invoices.pay]
  billing: [members.read, invoices.pay]
installation:
  auditor: [audit.read]
"""
TABLE = parse_roles(RIGHT)
ADA = Account("01ADA", "ada@acme.com", 1)


def test_the_example_is_what_is_in_force_without_a_file(tmp_path: Path) -> None:
    """deploy/roles.yaml can be copied and changed: it begins as the built-in table."""
    assert load_roles(ROOT / "deploy" / "roles.yaml") == DEFAULT
    with capture_logs() as lines:
        assert load_roles(tmp_path / "nothing.yaml") == DEFAULT
    assert [line["event"] for line in lines] == ["roles.built_in"]


def test_a_table_that_somebody_named_has_to_be_there(tmp_path: Path) -> None:
    """A mistyped path does not leave the built-in table in force."""
    with pytest.raises(RolesError, match=r"nothing\.yaml: no such file"):
        load_roles(tmp_path / "nothing.yaml", needed=True)


def test_a_right_table_is_read_as_written() -> None:
    """Roles and permissions by section."""
    assert TABLE.organisation["billing"] == {"members.read", "invoices.pay"}
    assert TABLE.installation == {"auditor": frozenset({"audit.read"})}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- owner", "roles.yaml:1: the file: write the sections organisation and installation"),
        ("installation: {}", "roles.yaml:1: organisation: owner is missing: add it"),
        (f"organisation:\n  owner: [{OWN}]\nroles: {{}}", "roles.yaml:3: roles: unknown key"),
        (f"organisation:\n  owner: [{OWN}]\n  owner: []", "roles.yaml:3: owner stands twice"),
        ("organisation:\n  owner: [members.read]", "organisation.owner: lacks members.invite"),
        (f"organisation:\n  owner: [{OWN}]\n  vip: []", "roles.yaml:3: organisation.vip: permits"),
        (f"organisation:\n  owner: [{OWN}]\n  vip: a.b", "roles.yaml:3: organisation.vip: write a"),
        (f"organisation:\n  owner: [{OWN}]\n  vip: [a.b]", "organisation.owner: lacks a.b"),
        (
            f"organisation:\n  owner: [{OWN}, service_tokens.manage.any]",
            "organisation.owner.6: service_tokens.manage.any is of the whole installation",
        ),
        (
            f"organisation:\n  owner: [{OWN}, service_tokens.manage]",
            "organisation.owner.6: service_tokens.manage is of the whole installation",
        ),
        (
            f"organisation:\n  owner: [{OWN}]\ninstallation:\n  boss: [org.delete]",
            "roles.yaml:4: installation.boss.0: org.delete is one of organisation too",
        ),
        (
            f"organisation:\n  owner:\n    - {OWN.replace(', ', chr(10) + '    - ')}\n    - org.delete",
            "roles.yaml:9: organisation.owner.6: org.delete stands twice",
        ),
        (f"organisation:\n  owner: [{OWN}, A.b]", "organisation.owner.6: is no name for a perm"),
        (
            f"organisation:\n  owner: [{OWN}, 5]",
            "organisation.owner.6: is no name for a permission",
        ),
        (f"organisation:\n  owner: [{OWN}, &x a, *x]", "roles.yaml:2: anchors"),
        ("organisation: 5", "roles.yaml:1: organisation: write one line for each role"),
        (
            f"organisation:\n  owner: [{OWN}, {', '.join(f'p{n}' for n in range(59))}]",
            "roles.yaml:1: organisation: has more than 64 permissions",
        ),
        (
            f"organisation:\n  owner: [{OWN}, {', '.join('x' * 60 + str(n) for n in range(10, 27))}]",
            "roles.yaml:1: organisation: has more than 64 permissions, or 1024 bytes",
        ),
        (
            f"organisation:\n  owner: [{OWN}]\ninstallation:\n"
            + "\n".join(f"  r{n}: []" for n in range(33)),
            "roles.yaml:3: installation: has more than 32 roles",
        ),
        ("x" * 70_000, "is larger than 65536 bytes"),
    ],
)
def test_a_wrong_table_names_line_key_and_cure(text: str, said: str) -> None:
    """Nobody has to guess what is wrong with the file."""
    with pytest.raises(RolesError) as caught:
        parse_roles(text)
    assert said in str(caught.value)
    assert isinstance(caught.value, REFUSALS)  # the worker ends with this text, and no traceback


def test_an_unreadable_file_is_no_missing_file(tmp_path: Path) -> None:
    """What is there and cannot be read must not become the built-in table."""
    (tmp_path / "roles.yaml").write_bytes(b"\xff\xfe")
    for path in (tmp_path, tmp_path / "roles.yaml"):
        with pytest.raises(RolesError, match="cannot be read"):
            load_roles(path)


LOOK_ALIKES = (
    "Owner", "OWNER", " owner", "owner ", "owner\n", "own er", "\u043ewner", "owner\u200b", "\uff4fwner",
    "ow\u0131er", "", "-owner", "1owner", "owner/x", "owner.x", "org:owner", "o" * 33, "owner\x00",
)  # fmt: skip


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_no_second_role_looks_like_another(name: str) -> None:
    """Case, whitespace and letters of other scripts are refused where a role is made."""
    assert not is_role_name(name)
    table = f"organisation:\n  owner: [{OWN}]\ninstallation:\n  {name!r}: []\n"
    with pytest.raises(RolesError):
        parse_roles(table.replace("'", '"'))


@pytest.mark.parametrize(
    ("rights", "org", "expected"),
    [
        (Rights(ADA), "", Standing("01ADA", "ada@acme.com")),
        (Rights(ADA, ("auditor",)), "", Standing("01ADA", "ada@acme.com", "", ("auditor",), ("audit.read",))),
        (Rights(ADA, (), None), "01ORG", Standing("01ADA", "ada@acme.com")),
        (Rights(ADA, (), ()), "01ORG", Standing("01ADA", "ada@acme.com", "01ORG")),
        (
            Rights(ADA, ("auditor",), ("billing",)),
            "01ORG",
            Standing(
                "01ADA", "ada@acme.com", "01ORG",
                ("auditor", "org:billing"), ("audit.read", "invoices.pay", "members.read"),
            ),
        ),
        (Rights(ADA, ("boss", "owner"), ("Owner", "auditor", "root")), "01ORG",
         Standing("01ADA", "ada@acme.com", "01ORG")),
        (Rights(ADA, (), ("billing",)), "", Standing("01ADA", "ada@acme.com")),
    ],
)  # fmt: skip
def test_a_token_says_what_the_table_knows(rights: Rights, org: str, expected: Standing) -> None:
    """Roles of an organisation only while it is active and theirs; what the table has not means nothing."""
    assert TABLE.standing(rights, org) == expected


def test_whoever_makes_an_organisation_gains_no_plain_role() -> None:
    """An owner is ``org:owner``: a catalogue that asks for admin or owner does not mean him."""
    table = RoleTable({"admin": frozenset({"members.read"})}, {"admin": frozenset()})
    roles = table.standing(Rights(ADA, (), ("admin",)), "01ORG").roles
    assert roles == ("org:admin",)
