"""docs/settings.md says of each setting what the workers' models say."""

import importlib
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from shared.settings import KNOWN_NAMES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
WORKERS = ("auth", "edge", "mailer", "revocation")
PRODUCTION = ("URL", "ALLOW", "SITE_NAME", "SMTP_URL", "MAIL_FROM", "SECRETS_DIR")
# What ctl/ reads, which has no model.
COMMAND_LINE = {"URL", "NATS_URL", "SECRETS_DIR", "CATALOGUE", "REVOKERS"}


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
    return f"`{value}`" if value else "-"


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


def test_every_setting_has_a_meaning() -> None:
    """Nobody has to guess."""
    assert [name for name in KNOWN_NAMES if "|  |" in row(name)] == []


def test_the_command_line_reads_what_the_page_says() -> None:
    """The names it takes out of the environment."""
    code = "".join(p.read_text() for p in (PAGE.parents[1] / "ctl").rglob("*.py"))
    read = {n for n in KNOWN_NAMES if f'settings.get("{n}"' in code or f'settings["{n}"]' in code}

    assert read == COMMAND_LINE
