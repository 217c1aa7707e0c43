"""A service that nobody can enter is told of: it asks for roles where nobody has any, or for an unknown one."""

import argparse
import json
from pathlib import Path

import pytest

from ctl import exits
from ctl.commands.read_catalogue import _check
from ctl.explanations import sentences
from ctl.people_rules import BUILT_IN, People, people_of
from services.auth.domain.roles import DEFAULT, ORG_PREFIX
from shared.messages import ExplainedRule, Explanation

CATALOGUE = """
services:
  reports: {{upstream: http://r, paths: [/r], {}}}
"""
ROLES = """
organisation: {owner: [members.read], clerk: [members.read]}
installation: {auditor: []}
"""
OFF = "and accounts are off: nobody has any"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory of an `up`."""
    return tmp_path


def run_file(state: Path, **said: object) -> None:
    """What `up` says there of itself."""
    (state / "run.json").write_text(json.dumps(said))


def told(state: Path, rule: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What `catalogue check` warns of."""
    (state / "services.yaml").write_text(CATALOGUE.format(rule))
    arguments = argparse.Namespace(file=None, context=state, json=False)
    assert _check(arguments) == exits.DONE
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("roles: [auditor]", "roles"),
        ("permissions: [audit.read]", "permissions"),
        ('organisation: "*"', "an organisation"),
        ("roles: [a], token_types: [user, service], callers: [b]", "roles"),
        ("permissions: [a], token_types: [service]", ""),
        ('emails: ["@acme.com"]', ""),
        ("require_auth: false", ""),
    ],
)
def test_without_accounts_nobody_has_roles_permissions_or_an_organisation(
    state: Path, rule: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The warning names the service, what it asks for and how accounts are switched on."""
    run_file(state, accounts=False, roles="")

    said = told(state, rule, capsys)

    assert (f"reports asks people for {what}, {OFF}" in said) if what else said == ""
    assert not what or "make up ACCOUNTS=on" in said


def test_a_role_that_the_table_does_not_have_is_told_of(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table that was named, the one in the state directory, or the built-in one."""
    rule, missing = "roles: [auditor, clerk]", "reports asks for the role clerk, and the table"
    run_file(state, accounts=True, roles="")
    assert missing in told(state, rule, capsys)
    (state / "roles.yaml").write_text(ROLES)
    assert missing in told(state, rule, capsys)
    assert told(state, 'roles: [auditor, "org:clerk"]', capsys) == ""

    named = state / "mine.yaml"
    named.write_text(ROLES.replace("auditor", "clerk"))
    run_file(state, accounts=True, roles=str(named))
    assert "the role auditor" in told(state, rule, capsys)
    named.write_text("[")
    assert told(state, rule, capsys) == "", "auth says what is wrong with it"


def test_nothing_is_guessed_of_an_auth_that_is_set_up_elsewhere(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that only reaches the bus does not know what auth was started with."""
    monkeypatch.chdir(state)
    assert people_of(state) == People(), "nothing runs there"
    monkeypatch.setenv("LATCHWIRE_NATS_URL", "nats://127.0.0.1:1")
    assert people_of(None) == People()
    monkeypatch.setenv("LATCHWIRE_MAIL_FROM", "login@acme.com")
    assert people_of(None) == People(accounts=False)
    monkeypatch.setenv("LATCHWIRE_ACCOUNTS_URL", "sqlite:////accounts/accounts.db")
    assert people_of(None) == People(accounts=True)
    (state / "roles.yaml").write_text(ROLES)
    assert people_of(None).roles == {"auditor", "org:owner", "org:clerk"}


def test_the_built_in_roles_are_auths() -> None:
    """One table, written down where no worker can be asked."""
    assert BUILT_IN == {
        *DEFAULT.installation,
        *(ORG_PREFIX + role for role in DEFAULT.organisation),
    }


def test_an_explanation_says_that_nobody_has_the_role_and_that_this_person_has_none() -> None:
    """The reason alone, "(roles)", sends whoever reads it to look for a person's mistake."""
    rule = ExplainedRule(service="reports", path="/r", roles=("auditor",))
    refused = Explanation(
        edge_id="edge-1", outcome="deny", status=403, reason="not_allowed", detail="roles",
        sub="ada@example.com", sid="S", jti="J", expires_at=1, route=rule,
        seq=1, staleness_ms=1, keys_generation=0, catalogue_generation=0,
    )  # fmt: skip

    lines = list(sentences(refused, 0, People(accounts=False)))

    assert any(line.startswith("Mind: reports asks people for roles") for line in lines)
    assert any("person a…@example.com without any role" in line for line in lines)
    assert not any("Mind" in line for line in sentences(refused, 0))
