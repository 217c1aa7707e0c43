"""The SDK as a stranger gets it: built, and installed beside exactly what it declares, nothing else.

What it declares is taken from this environment's own pinned distributions, by links: no network, and an
import that is not declared fails.
"""

import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement

from tests.support.servers import ROOT


@dataclass(frozen=True)
class Built:
    """The two files that would be published."""

    wheel: Path
    sdist: Path

    @property
    def metadata(self) -> str:
        """The wheel's METADATA."""
        with ZipFile(self.wheel) as archive:
            name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
            return archive.read(name).decode()


def build(directory: Path) -> Built:
    """`python -m build` of sdk/ with the pinned backend."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", directory, ROOT / "sdk"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (sdist,) = directory.glob("*.whl"), directory.glob("*.tar.gz")
    return Built(wheel, sdist)


@dataclass(frozen=True)
class Installed:
    """An environment of its own, and an empty directory to work in."""

    root: Path

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python"

    @property
    def site(self) -> Path:
        (found,) = (self.root / "lib").glob("python*/site-packages")
        return found

    def run(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run its Python, isolated (-I): no PYTHONPATH, not the current directory."""
        return subprocess.run(
            [self.python, "-I", "-W", "error", *arguments],
            cwd=self.root / "empty",
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def install(built: Built, root: Path, *extras: str) -> Installed:
    """The wheel and the closure of what it requires."""
    venv.create(root, with_pip=False, symlinks=True)
    (root / "empty").mkdir()
    installed = Installed(root)
    with ZipFile(built.wheel) as archive:  # a pure wheel is installed by unpacking it (PEP 427)
        archive.extractall(installed.site)
    (info,) = installed.site.glob("latchwire-*.dist-info")
    for found in _closure(Distribution.at(info), frozenset(extras)):
        _link(found, installed.site)
    return installed


def _closure(start: Distribution, extras: frozenset[str]) -> list[Distribution]:
    found: dict[str, Distribution] = {}
    waiting = [(start, extras)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        current, wanted = waiting.pop()
        for line in current.requires or []:
            need = Requirement(line)
            key = (need.name.lower(), frozenset(need.extras))
            if key in seen or not _applies(need, wanted):
                continue
            seen.add(key)
            found[key[0]] = distribution(need.name)
            waiting.append((found[key[0]], key[1]))
    return list(found.values())


def _applies(need: Requirement, extras: frozenset[str]) -> bool:
    marker = need.marker
    return marker is None or any(marker.evaluate({"extra": e}) for e in (*extras, ""))


def _link(found: Distribution, site: Path) -> None:
    tops = {
        file.parts[0] for file in found.files or [] if file.parts[0] not in {"..", "__pycache__"}
    }
    for name in tops:
        target = Path(str(found.locate_file(name)))
        if target.exists() and not (site / name).exists():
            (site / name).symlink_to(target)
