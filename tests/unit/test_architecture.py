"""What a linter cannot see about the tree."""

import ast
import importlib
import re
import statistics
import subprocess
from pathlib import Path

import pytest

from shared import contract
from shared.settings import KNOWN_NAMES, SettingsError, WorkerSettings, read_environment

ROOT = Path(__file__).resolve().parents[2]
CODE = ("services", "shared", "sdk/src", "ctl")
WORKERS = ("auth", "edge", "mailer", "revocation")


def modules() -> list[Path]:
    """Every module of the product (not the tests)."""
    return [p for folder in CODE for p in sorted((ROOT / folder).rglob("*.py"))]


def function_lengths() -> list[int]:
    """Lines of every function, its docstring included."""
    nodes = (n for p in modules() for n in ast.walk(ast.parse(p.read_text())))
    functions = (n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return sorted((n.end_lineno or n.lineno) - n.lineno + 1 for n in functions)


def test_the_folder_named_like_the_client_library_holds_no_python() -> None:
    """A module under nats/ would be importable as part of nats-py."""
    assert list((ROOT / "nats").rglob("*.py")) == []


def test_modules_stay_readable() -> None:
    """Every module has fewer than 300 lines."""
    long = {str(p): n for p in modules() if (n := len(p.read_text().splitlines())) >= 300}

    assert long == {}


def test_operators_questions_are_named_noun_and_verb() -> None:
    """DESIGN §4: ``op.<noun>.<verb>``, asked by operators only; ``.*`` where one process is meant."""
    names = [q.name for q in contract.QUESTIONS if q.asks == (contract.Role.OPERATOR,)]

    assert names
    assert [n for n in names if not re.fullmatch(r"op\.[a-z]+\.[a-z]+(\.\*)?", n)] == []


def test_the_makefile_stays_readable() -> None:
    """At most 40 lines."""
    assert len((ROOT / "Makefile").read_text().splitlines()) <= 40


def test_functions_stay_short() -> None:
    """Median under 10 lines, 90th percentile under 25."""
    lengths = function_lengths()

    assert statistics.median(lengths) < 10
    assert lengths[int(len(lengths) * 0.9)] < 25


def test_no_lock_file_names_an_index() -> None:
    """The pinned requirements install from any mirror."""
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "://" not in text
        assert "--index" not in text
        assert text.count("==") > 10


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_says_what_it_is_for(worker: str) -> None:
    """The package docstring names purpose, consumes, publishes, owns and how it fails."""
    text = (importlib.import_module(f"services.{worker}").__doc__ or "").lower()

    assert [w for w in ("consumes", "publishes", "owns", "fails") if w not in text] == []


@pytest.mark.parametrize("worker", WORKERS)
def test_a_main_is_a_doorstep(worker: str) -> None:
    """__main__ is at most 15 lines."""
    assert len((ROOT / "services" / worker / "__main__.py").read_text().splitlines()) <= 15


def test_every_setting_is_known_and_used() -> None:
    """The registry of names is exactly the union of the workers' settings and the command line's."""
    used: set[str] = set()
    for worker in WORKERS:
        module = importlib.import_module(f"services.{worker}.settings")
        models = [v for v in vars(module).values() if isinstance(v, type)]
        for model in models:
            if issubclass(model, WorkerSettings):
                used |= {name.upper() for name in model.model_fields}

    assert used == KNOWN_NAMES


def test_a_misspelled_setting_is_refused_with_a_hint() -> None:
    """A typing mistake does not leave a default in force."""
    with pytest.raises(SettingsError, match="did you mean LATCHWIRE_ALLOW"):
        read_environment({"LATCHWIRE_ALOW": "@acme.com"})


def test_every_stored_subject_has_a_stream_and_every_durable_a_subject() -> None:
    """The contract's tables agree with one another."""
    assert all(contract.stream_of(s) is not None for s in contract.SUBJECTS if s.stored)
    names = {s.name for s in contract.SUBJECTS} | {f"{contract.BLOCKLIST_STATE}.*"}
    assert {d.filter_subject for d in contract.DURABLES} <= names


def test_nothing_names_this_machine() -> None:
    """No tracked file holds an absolute home or work path, or a registry's address."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.split("\0")
    suspects = ("/" + "work/", "/ro" + "ot/", "index" + "-url")
    bad = [
        name
        for name in tracked
        if name and (ROOT / name).is_file() and (ROOT / name).suffix != ".png"
        for suspect in suspects
        if suspect in (ROOT / name).read_text(errors="replace")
    ]

    assert [b for b in bad if not b.startswith("requirements/lock.sh")] == []
