"""The package as it would be published: built, installed where nothing of this repository is, and used."""

import ast
import asyncio
import base64
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.conftest import BusFactory
from tests.support.feed import HASH_KEY, Writer
from tests.support.sdk_wheel import Built, Installed, build, install
from tests.support.servers import ROOT, NatsServer

SMOKE = ROOT / "tests" / "support" / "sdk_smoke.py"
TYPING = ROOT / "tests" / "typing"
DECLARED = {"cryptography", "jwt", "nats"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The wheel and the sdist."""
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """``pip install latchwire``."""
    return install(built, tmp_path_factory.mktemp("plain") / "venv")


@pytest.fixture(scope="module")
def with_aiohttp(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """``pip install 'latchwire[aiohttp]'``."""
    return install(built, tmp_path_factory.mktemp("extra") / "venv", "aiohttp")


def names_in(built: Built) -> list[str]:
    """Every file of the wheel."""
    with ZipFile(built.wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_the_package_its_marker_and_nothing_else(built: Built) -> None:
    """Nothing of shared/, services/ or tests/; typed (PEP 561)."""
    names = names_in(built)

    assert {"latchwire"} == {n.split("/")[0] for n in names if ".dist-info/" not in n}
    assert "latchwire/py.typed" in names
    assert [] == [n for n in names if "__pycache__" in n or n.endswith((".pyc", ".pem", ".key"))]


def test_the_sdist_holds_what_builds_the_wheel(built: Built) -> None:
    """And again nothing of the platform."""
    with tarfile.open(built.sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}

    assert {"pyproject.toml", "README.md", "CHANGELOG.md", "src/latchwire/py.typed"} <= names
    assert set() == {name.split("/")[0] for name in names} & {"shared", "services", "ctl", "tests"}


def test_the_metadata_is_what_a_stranger_needs(built: Built) -> None:
    """The README first says what is not in it; no address of anybody's machine."""
    head, _, page = built.metadata.partition("\n\n")

    assert "Name: latchwire\n" in head
    assert "Typing :: Typed" in head
    assert "command line `latchwire` is not in this package" in page[:200]
    hosts = set(re.findall(r"(?:https?|nats|tls)://([^/\s\"'`)<]+)", built.metadata))
    assert {
        h for h in hosts if not re.search(r"(example\.com|localhost|127\.0\.0\.1|nats)", h)
    } <= {
        "keepachangelog.com",
        "asgi.readthedocs.io",
    }


def test_only_what_is_declared_is_imported(installed: Installed) -> None:
    """aiohttp in its own module alone."""
    found: dict[str, set[str]] = {}
    for path in (installed.site / "latchwire").rglob("*.py"):
        for name in imported(path):
            found.setdefault(name, set()).add(path.name)
    foreign = {n: w for n, w in found.items() if n not in sys.stdlib_module_names | {"latchwire"}}

    assert {"aiohttp.py"} == foreign.pop("aiohttp")
    assert set(foreign) <= DECLARED


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names}
    named = {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)}
    return {name.split(".")[0] for name in plain | named}


def test_every_public_module_imports_with_nothing_but_what_is_declared(
    built: Built, installed: Installed, with_aiohttp: Installed
) -> None:
    """From an empty directory; the aiohttp module needs its extra and says so."""
    found = [re.fullmatch(r"latchwire/([a-z]\w*)\.py", name) for name in names_in(built)]
    names = [f"latchwire.{match[1]}" for match in found if match]
    assert {"latchwire.feed", "latchwire.testing", "latchwire.asgi"} < set(names)
    plain = [n for n in names if n != "latchwire.aiohttp"]

    assert "" == installed.run("-c", f"import {', '.join(plain)}").stderr
    assert "No module named 'aiohttp'" in installed.run("-c", "import latchwire.aiohttp").stderr
    assert "" == with_aiohttp.run("-c", f"import {', '.join(names)}").stderr


async def test_a_service_lives_from_the_wheel_alone(
    installed: Installed, nats_server: NatsServer, bus_of: BusFactory
) -> None:
    """Fake and real feed, verifier, events: against real NATS, isolated from this repository."""
    writer = Writer(await bus_of("revocation"))
    await writer.answer_probes()
    await writer.revoke("before")
    given = {
        "servers": nats_server.url,
        "name": "service-shop",
        "nkey_seed": nats_server.seed("service-shop"),
        "blocklist_key": base64.urlsafe_b64encode(HASH_KEY).decode().rstrip("="),
    }
    service = await asyncio.create_subprocess_exec(
        installed.python, "-I", "-W", "error", SMOKE,
        cwd=installed.root / "empty", stdin=-1, stdout=-1, stderr=-1,
    )  # fmt: skip
    assert service.stdin is not None
    assert service.stdout is not None
    service.stdin.write(json.dumps(given).encode())
    service.stdin.close()
    try:
        async with asyncio.timeout(90):
            assert b"ready\n" == await service.stdout.readline()
            await writer.revoke("afterwards")
            told, errors = await service.communicate()
    finally:
        if service.returncode is None:
            service.kill()
            await service.wait()

    assert (0, b"session\n", b"") == (service.returncode, told, errors)


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_a_stricter_reader_than_python_understands_the_public_names(
    with_aiohttp: Installed, tmp_path: Path, checker: str
) -> None:
    """A consumer's module has no error and each mistake of another is found, for mypy and for pyright."""
    marked = {
        number
        for number, line in enumerate((TYPING / "wrong_use.py").read_text().splitlines(), 1)
        if "# error: " in line
    }

    found = {"mypy": run_mypy, "pyright": run_pyright}[checker](with_aiohttp, tmp_path)

    assert marked
    assert {("wrong_use.py", number) for number in marked} == found


def run_mypy(installed: Installed, tmp_path: Path) -> set[tuple[str, int]]:
    """File and line of each error of mypy --strict."""
    files = [TYPING / "consumer.py", TYPING / "wrong_use.py"]
    options = ["--strict", "--config-file=", f"--python-executable={installed.python}"]
    text = run_checker("mypy", *options, f"--cache-dir={tmp_path}", *files, cwd=tmp_path)
    return {
        (Path(m[1]).name, int(m[2]))
        for m in re.finditer(r"^(\S+\.py):(\d+): error", text, re.MULTILINE)
    }


def run_pyright(installed: Installed, tmp_path: Path) -> set[tuple[str, int]]:
    """The same for pyright's strict mode."""
    settings = {"typeCheckingMode": "strict", "include": [str(TYPING)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    options = ["-p", tmp_path, "--pythonpath", installed.python, "--outputjson"]
    found = json.loads(run_checker("basedpyright", *options, cwd=tmp_path))
    return {
        (Path(d["file"]).name, d["range"]["start"]["line"] + 1)
        for d in found["generalDiagnostics"]
        if d["severity"] == "error"
    }


def run_checker(name: str, *arguments: str | Path, cwd: Path) -> str:
    """What the checker prints."""
    command = [Path(sys.executable).parent / name, *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=110, check=False
    ).stdout
