"""A setting means the same to everybody who reads it, and `init` writes nothing they refuse."""

import importlib
import os
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from ctl import init
from services.auth.settings import AuthSettings
from services.edge.settings import EdgeSettings
from services.mailer.settings import MailerSettings
from services.revocation.settings import RevocationSettings
from shared.setting_types import MAX_SITE_NAME
from shared.settings import PREFIX, SettingsError, WorkerSettings

WORKERS = ("auth", "edge", "mailer", "revocation")
SETTINGS = {
    "LATCHWIRE_URL": "https://auth.acme.com",
    "LATCHWIRE_ALLOW": "@acme.com",
    "LATCHWIRE_SITE_NAME": "Acme",
    "LATCHWIRE_SMTP_URL": "smtp://mail.acme.com",
    "LATCHWIRE_MAIL_FROM": "Acme <login@acme.com>",
}
READERS: list[type[WorkerSettings]] = [AuthSettings, EdgeSettings, MailerSettings]


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine says, in its environment or in a .env of the checkout, is not what is tested."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def fields_by_name() -> dict[str, list[Any]]:
    """Each setting's field in every worker that reads it."""
    found: dict[str, list[Any]] = {}
    for worker in WORKERS:
        module = importlib.import_module(f"services.{worker}.settings")
        model = getattr(module, f"{worker.title()}Settings")
        for name, field in model.model_fields.items():
            found.setdefault(name, []).append(field)
    return found


def test_a_setting_has_one_type_bound_and_default_wherever_it_is_read() -> None:
    """One .env serves all workers: what one takes no other may refuse."""
    fields = {name: {repr(f) for f in found} for name, found in fields_by_name().items()}

    assert {name: forms for name, forms in fields.items() if len(forms) > 1} == {}


@pytest.mark.parametrize("model", [AuthSettings, EdgeSettings])
@pytest.mark.parametrize(("text", "seconds"), [("10s", 10.0), ("2m", 120.0), ("2.5", 2.5)])
def test_staleness_is_written_the_same_for_auth_and_the_edge(
    model: type[AuthSettings] | type[EdgeSettings], text: str, seconds: float
) -> None:
    """With and without a unit."""
    assert model.load({**SETTINGS, "LATCHWIRE_MAX_STALENESS": text}).max_staleness == seconds


@pytest.mark.parametrize("model", [AuthSettings, EdgeSettings])
@pytest.mark.parametrize("text", ["0.5", "500ms", "901", "16m", "10 s", "-1", """ "soon" """])
def test_staleness_has_the_same_bounds_for_auth_and_the_edge(
    model: type[WorkerSettings], text: str
) -> None:
    """From one second to a token's life."""
    with pytest.raises(SettingsError, match="LATCHWIRE_MAX_STALENESS"):
        model.load({**SETTINGS, "LATCHWIRE_MAX_STALENESS": text})


EDGES = [
    ("edge-1", ("edge-1",)),
    ("edge-1, edge-2 ,edge", ("edge-1", "edge-2", "edge")),
    ("edge-1,edge-1", ("edge-1",)),
    ("", ()),
    ("edge-1,", ("edge-1",)),
]


@pytest.mark.parametrize(("text", "names"), EDGES)
def test_the_names_of_the_edges_are_read_with_commas_between(
    text: str, names: tuple[str, ...]
) -> None:
    """None at all is the same as no setting."""
    assert RevocationSettings.load({**SETTINGS, "LATCHWIRE_EDGES": text}).edges == names


@pytest.mark.parametrize(
    "text", ["shop", "edge-1;edge-2", "edge 1", "EDGE-1", "edge-*", f"edge{'1' * 61}"]
)
def test_what_no_edge_can_be_called_is_no_name_of_one(text: str) -> None:
    """Nobody would ever be heard under it, and every worker would wait for it."""
    with pytest.raises(SettingsError, match="LATCHWIRE_EDGES: must be names of edges"):
        RevocationSettings.load({**SETTINGS, "LATCHWIRE_EDGES": text + ",edge-2"})


@pytest.mark.parametrize("model", [AuthSettings, EdgeSettings])
def test_nobody_may_be_told_to_believe_everybody(model: type[WorkerSettings]) -> None:
    """Neither auth about addresses nor the edge about what was asked for."""
    with pytest.raises(SettingsError, match="LATCHWIRE_TRUSTED_PROXIES"):
        model.load({**SETTINGS, "LATCHWIRE_TRUSTED_PROXIES": "0.0.0.0/0"})


@pytest.mark.parametrize("model", [AuthSettings, MailerSettings])
def test_without_a_name_a_site_is_called_by_its_host(
    model: type[AuthSettings] | type[MailerSettings],
) -> None:
    """In pages and mails alike, and never by the product's name."""
    unnamed = {name: v for name, v in SETTINGS.items() if name != "LATCHWIRE_SITE_NAME"}

    assert model.load(unnamed).site_name == "auth.acme.com"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LATCHWIRE_URL", "http://auth.acme.com"),
        ("LATCHWIRE_URL", "https://auth.acme.com/login"),
        ("LATCHWIRE_ALLOW", "acme.com"),
        ("LATCHWIRE_ALLOW", "@acme"),
        ("LATCHWIRE_ALLOW", "@acme.com;sam@x.org"),
        ("LATCHWIRE_ALLOW", ""),
        ("LATCHWIRE_SMTP_URL", "mail.acme.com"),
        ("LATCHWIRE_SMTP_URL", "smtp://mail.acme.com?x=1"),
        ("LATCHWIRE_SMTP_URL", "smtp://mail.acme.com:0"),
        ("LATCHWIRE_SMTP_URL", "smtp://:canary@mail.acme.com"),
        ("LATCHWIRE_MAIL_FROM", "acme"),
        ("LATCHWIRE_MAIL_FROM", "a@b, c@d"),
        ("LATCHWIRE_MAIL_FROM", "a@b.com, c@d.com"),
        ("LATCHWIRE_SITE_NAME", "x" * (MAX_SITE_NAME + 1)),
        ("LATCHWIRE_SITE_NAME", "A\tB"),
    ],
)
def test_init_refuses_what_a_worker_would_refuse(name: str, value: str) -> None:
    """Before it writes anything; by the same rule, and without repeating a password."""
    environment = {**SETTINGS, name: value}
    refusals = []
    for model in READERS:
        try:
            model.load(environment)
        except SettingsError as error:
            refusals += error.problems

    found = init.problems(environment, edges=2)

    assert refusals
    assert len(found) == 1
    assert found[0].startswith(f"{init.OPTIONS[name]} ")
    assert "canary" not in found[0]


@pytest.mark.parametrize("name", ["", "  "])
def test_init_wants_a_name_for_the_site(name: str) -> None:
    """People have to recognise whose mail it is."""
    [found] = init.problems({**SETTINGS, "LATCHWIRE_SITE_NAME": name}, edges=2)

    assert found.startswith("--site-name")


def test_a_name_at_the_bound_is_taken_by_all() -> None:
    """The bound of init, the pages and the mails is one number."""
    environment = {**SETTINGS, "LATCHWIRE_SITE_NAME": "x" * MAX_SITE_NAME}

    assert init.problems(environment, edges=2) == []
    assert AuthSettings.load(environment).site_name == "x" * MAX_SITE_NAME
    assert MailerSettings.load(environment).site_name == "x" * MAX_SITE_NAME


def test_init_does_not_heed_the_environment_it_runs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of another installation says nothing about this one."""
    monkeypatch.setenv("LATCHWIRE_LOG_LEVEL", "loud")

    assert init.problems(SETTINGS, edges=2) == []


@pytest.mark.parametrize("name", ["Ada's", 'The "A" team', "50 % $HOME #1", "Büro"])
def test_a_name_is_read_back_as_it_was_typed(name: str, tmp_path: Any) -> None:
    """Quotes, signs and letters of a name survive the .env file."""
    environment = {**SETTINGS, "LATCHWIRE_SITE_NAME": name}
    (tmp_path / ".env").write_text(init._env_file(environment, "1:1"))

    assert init.problems(environment, edges=2) == []
    assert dotenv_values(tmp_path / ".env")["LATCHWIRE_SITE_NAME"] == name
    assert "\\" not in (tmp_path / ".env").read_text()


@pytest.mark.parametrize("name", ["A\\B", "Ada's $5", 'Ada\'s "A"'])
def test_a_name_that_compose_would_read_otherwise_is_refused(name: str) -> None:
    """Escapes inside quotes differ between compose and dotenv."""
    [found] = init.problems({**SETTINGS, "LATCHWIRE_SITE_NAME": name}, edges=2)

    assert found.startswith("--site-name cannot have")
