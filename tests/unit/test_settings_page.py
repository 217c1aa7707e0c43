"""docs/settings.md says of each setting what the workers' models say."""

import importlib
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from shared.settings import KNOWN_NAMES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
WORKERS = ("auth", "edge", "mailer", "revocation")
OF_ACCOUNTS = (
    "ACCOUNTS_URL", "DELETION_DEADLINE", "DELETION_SERVICES", "HASH_WORKERS", "LIMIT_PASSWORD",
    "PASSWORD_LENGTH", "PROVIDERS", "ROLES",
)  # fmt: skip
PRODUCTION = ("URL", "ALLOW", "SITE_NAME", "SMTP_URL", "MAIL_FROM", "SECRETS_DIR")
# What ctl/ reads, which has no model.
COMMAND_LINE = {"URL", "NATS_URL", "SECRETS_DIR", "CATALOGUE", "REVOKERS", "ACCOUNTS_URL", "ROLES"}


def fields_of(worker: str) -> dict[str, FieldInfo]:
    """A worker's settings by upper-case name."""
    module = importlib.import_module(f"services.{worker}.settings")
    model = getattr(module, f"{worker.title()}Settings")
    return {name.upper(): field for name, field in model.model_fields.items()}


def default_of(field: FieldInfo) -> str:
    """As one would write it in .env."""
    value: Any = field.default
    if field.is_required():
        return "required"
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    if isinstance(value, float):
        value = f"{value:g}"
    return "-" if value in {None, ""} else f"`{value}`"


def row(name: str) -> str:
    """The line of the table for one setting."""
    models = {worker: fields_of(worker) for worker in WORKERS}
    readers = [worker for worker in WORKERS if name in models[worker]]
    field = models[readers[0]][name]
    who = ["all workers"] if len(readers) == len(WORKERS) else readers
    who += ["command line"] if name in COMMAND_LINE else []
    told = (f"`LATCHWIRE_{name}`", default_of(field), field.description or "", ", ".join(who))
    return f"| {' | '.join(told)} |"


def test_the_page_says_what_the_models_say() -> None:
    """Every setting, its default, its meaning and who reads it: the six of a production, then by name."""
    names = [*PRODUCTION, *sorted(KNOWN_NAMES - set(PRODUCTION))]
    written = [line for line in PAGE.read_text().splitlines() if line.startswith("| `LATCHWIRE_")]

    assert written == [row(name) for name in names]


def test_a_default_of_nought_is_shown() -> None:
    """Only what has no value at all is a dash."""
    assert "| `0` |" in row("HASH_WORKERS")
    assert "| - |" in row("COOKIE_DOMAIN")
    assert "| - |" in row("DELETION_SERVICES")


def test_the_page_names_what_compose_sets_itself() -> None:
    """What auth's container sets over .env, so that nobody looks for their own value in vain."""
    _, _, told = PAGE.read_text().partition("## In compose")
    told = told.partition("\n## ")[0]
    compose = yaml.safe_load((PAGE.parents[1] / "compose.yaml").read_text())
    services = compose["services"].values()
    names = {name for service in services for name in service.get("environment", {})}

    ours = {
        n for n in names if n.startswith("LATCHWIRE_") and not n.endswith(("_LISTEN", "_ADMIN"))
    }
    assert {n for n in ours if f"`{n}`" not in told} == set()


def test_the_changelog_names_every_setting_that_came_with_accounts() -> None:
    """Who upgrades learns of all of them there."""
    changelog = (PAGE.parents[1] / "CHANGELOG.md").read_text()

    assert [name for name in OF_ACCOUNTS if f"`LATCHWIRE_{name}`" not in changelog] == []


def test_every_setting_has_a_meaning() -> None:
    """Nobody has to guess."""
    assert [name for name in KNOWN_NAMES if "|  |" in row(name)] == []


def test_the_command_line_reads_what_the_page_says() -> None:
    """The names it takes out of the environment."""
    code = "".join(p.read_text() for p in (PAGE.parents[1] / "ctl").rglob("*.py"))
    read = {n for n in KNOWN_NAMES if f'settings.get("{n}"' in code or f'settings["{n}"]' in code}

    assert read == COMMAND_LINE
