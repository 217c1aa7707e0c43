"""`up --accounts` and `make up ACCOUNTS=on`: accounts in the state directory, and none without being asked."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from ctl.up import command, options
from ctl.up.layout import Layout, write_accounts
from ctl.up.named import NamedFileError
from ctl.up.plan import INSIDE, Plan, make_plan
from shared.secrets import create_secrets

INSIDE_PORTS = {name: 20000 + number for number, name in enumerate(INSIDE)}


def asked(*words: str, environ: Mapping[str, str]) -> options.Options:
    """The options of this command line."""
    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers())
    return options.parse(parser.parse_args(["up", *words]), environ)


@pytest.mark.parametrize(
    ("words", "environ", "on"),
    [
        ((), {}, False),
        ((), {"ACCOUNTS": "off"}, False),
        ((), {"ACCOUNTS": "on"}, True),
        (("--accounts",), {}, True),
        (("--accounts",), {"ACCOUNTS": "off"}, True),
    ],
)
def test_accounts_are_off_unless_asked_for(
    words: tuple[str, ...], environ: dict[str, str], on: bool
) -> None:
    """By the option, or by the variable of make."""
    assert asked(*words, environ=environ).accounts is on


def test_a_mistyped_switch_is_refused() -> None:
    """Rather than taken for either."""
    with pytest.raises(ValueError, match="ACCOUNTS must be on or off, not yes"):
        asked(environ={"ACCOUNTS": "yes"})


def plan_of(
    root: Path, *, accounts: bool, environ: Mapping[str, str] = MappingProxyType({})
) -> Plan:
    """What would be started."""
    layout = Layout(root)
    create_secrets(layout.secrets, date="20261122", credentials=("auth",))
    write_accounts(layout.secrets)
    options = {
        "port": 8080,
        "mail_port": 8025,
        "inside": INSIDE_PORTS,
        "app": None,
        "environ": environ,
    }
    return make_plan(layout, accounts=accounts, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("accounts", [True, False])
def test_only_workers_are_told_of_accounts_and_only_where_they_are_on(
    tmp_path: Path, accounts: bool
) -> None:
    """A file beside the rest of the state; nothing at all otherwise."""
    plan = plan_of(tmp_path, accounts=accounts)

    told = {
        part.name: part.program.env["LATCHWIRE_ACCOUNTS_URL"]
        for part in plan.parts
        if "LATCHWIRE_ACCOUNTS_URL" in part.program.env
    }
    assert ("auth" in told) is accounts
    assert set(told.values()) == ({f"sqlite:///{tmp_path}/accounts.db"} if accounts else set())
    assert not {"nats", "redis", "traefik"} & told.keys()


@pytest.mark.parametrize("name", ["LATCHWIRE_PROVIDERS", "LATCHWIRE_ROLES"])
def test_a_file_is_meant_from_where_it_was_typed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not from the state directory, where the workers run; an absolute path stays what it is."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "table.yaml").write_text("{}")
    monkeypatch.chdir(tmp_path / "here")

    for written in ("table.yaml", str(tmp_path / "here" / "table.yaml")):
        plan = plan_of(tmp_path / "state", accounts=True, environ={name: written})

        (auth,) = [part for part in plan.workers if part.name == "auth"]
        assert auth.program.env[name] == str(tmp_path / "here" / "table.yaml")


def test_without_a_name_they_are_looked_for_in_the_state_directory(tmp_path: Path) -> None:
    """That is where the workers run, and the default is relative."""
    plan = plan_of(tmp_path, accounts=True)

    (auth,) = [part for part in plan.workers if part.name == "auth"]
    assert {"LATCHWIRE_PROVIDERS", "LATCHWIRE_ROLES"} & auth.program.env.keys() == set()
    assert auth.program.cwd == tmp_path


def test_a_named_file_that_is_missing_refuses_to_start(tmp_path: Path) -> None:
    """Before anything is started, with the path that was looked at."""
    with pytest.raises(
        NamedFileError, match=r"LATCHWIRE_PROVIDERS names /nowhere/p\.yaml: no such file"
    ):
        plan_of(tmp_path, accounts=True, environ={"LATCHWIRE_PROVIDERS": "/nowhere/p.yaml"})
