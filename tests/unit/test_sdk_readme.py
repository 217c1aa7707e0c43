"""The Python in the SDK's README: it compiles, it names what exists, and the part for tests is run."""

import ast
import importlib
import re
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parents[2] / "sdk" / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_examples_import_what_exists(block: str) -> None:
    """Every name that an example takes from the package is there."""
    imports = [n for n in ast.walk(ast.parse(block)) if isinstance(n, ast.ImportFrom)]
    ours = [n for n in imports if (n.module or "").startswith("latchwire")]

    assert ours
    for node in ours:
        module = importlib.import_module(node.module or "")
        assert [] == [alias.name for alias in node.names if not hasattr(module, alias.name)]


def test_the_example_for_tests_passes() -> None:
    """As its reader will paste it."""
    (block,) = [b for b in BLOCKS if "latchwire.testing" in b]
    names: dict[str, object] = {}

    exec(compile(block, "README.md", "exec"), names)

    example = names["test_a_revoked_session_is_out"]
    assert callable(example)
    example()


def test_every_name_of_the_table_exists() -> None:
    """The first word of each row, and what it calls its methods."""
    package = importlib.import_module("latchwire")
    table = README.split("## What there is")[1]
    classes = re.findall(r"`([A-Z]\w+)(?:\.(\w+))?\(", table)

    assert len(classes) >= 5
    for name, method in classes:
        found = getattr(package, name, None) or _anywhere(name)
        assert found is not None, name
        assert not method or hasattr(found, method), method


def _anywhere(name: str) -> object | None:
    modules = (importlib.import_module(f"latchwire.{m}") for m in ("asgi", "aiohttp", "testing"))
    return next((getattr(m, name) for m in modules if hasattr(m, name)), None)
