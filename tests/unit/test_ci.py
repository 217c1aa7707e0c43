"""CI runs everything or fails: a test that was skipped for want of a tool proves nothing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.chromium import browser_missing
from tests.support.node import node_missing
from tests.support.postgresql import postgresql_missing
from tests.support.proxies import proxy_missing

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("value", ["true", "1", "yes"])
def test_without_chromium_the_browser_tests_fail_in_ci(value: str) -> None:
    """Whatever CI is set to."""
    with pytest.raises(RuntimeError, match="Chromium is missing"):
        browser_missing({"CI": value}, None)


def test_without_chromium_they_are_skipped_elsewhere_and_the_reason_names_the_cure() -> None:
    """Loudly; and not at all where there is one."""
    assert "apt-get install chromium" in (browser_missing({}, None) or "")
    assert browser_missing({"CI": "true"}, "/usr/bin/chromium") is None


def test_without_node_its_tests_fail_in_ci_and_are_skipped_elsewhere() -> None:
    """The renewing script, the vectors and the reader for other languages are tested in Node alone."""
    with pytest.raises(RuntimeError, match="Playwright is missing"):
        node_missing({"CI": "true"}, None)
    assert "MISSING" in (node_missing({}, None) or "")
    assert node_missing({"CI": "true"}, "/usr/bin/node") is None


def test_without_postgresql_its_tests_fail_in_ci_and_are_skipped_elsewhere() -> None:
    """A store that was tested on SQLite alone is not the one that runs in production."""
    with pytest.raises(RuntimeError, match="PostgreSQL is missing"):
        postgresql_missing({"CI": "true"}, None)
    assert "apt-get install postgresql" in (postgresql_missing({}, None) or "")
    assert postgresql_missing({"CI": "true"}, Path("/usr/lib/postgresql/15/bin")) is None


@pytest.mark.parametrize("name", ["nginx", "haproxy", "caddy"])
def test_without_a_proxy_its_tests_fail_in_ci_and_are_skipped_elsewhere(name: str) -> None:
    """A contract that was shown at four of five proxies is not shown."""
    with pytest.raises(RuntimeError, match=f"{name} is missing"):
        proxy_missing({"CI": "true"}, name, None)
    assert "apt-get install" in (proxy_missing({}, name, None) or "")
    assert proxy_missing({"CI": "true"}, name, f"/usr/sbin/{name}") is None


def test_no_test_is_left_out_for_want_of_a_package_without_asking_whether_this_is_ci() -> None:
    """pytest's own way to leave out a module knows nothing of CI."""
    word = "import" + "orskip"
    assert [p for p in (ROOT / "tests").rglob("*.py") if word in p.read_text()] == []


@pytest.mark.parametrize(("ci", "code"), [("1", 1), ("true", 1), ("", 0), (None, 0)])
def test_the_installer_fails_in_ci_where_it_cannot_install(
    tmp_path: Path, ci: str | None, code: int
) -> None:
    """A PATH without Chromium and without apt-get."""
    for name in ("id", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    environment = {"PATH": str(tmp_path), **({} if ci is None else {"CI": ci})}

    done = subprocess.run(
        ["sh", ROOT / "tests" / "support" / "install-debian.sh"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == code
    assert "MISSING: chromium" in done.stderr


def test_ci_says_that_it_is_ci(tmp_path: Path) -> None:
    """Also where whoever runs it does not."""
    checkout = tmp_path / "checkout"
    (checkout / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", checkout / ".ci" / "run")
    (checkout / "Makefile").write_text('lint test:\n\t@echo "$@ CI=$$CI"\n')
    # Without what a make above this test would hand down: it would announce its folders.
    handed = {"CI", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    environment = {name: value for name, value in os.environ.items() if name not in handed}

    done = subprocess.run(
        [checkout / ".ci" / "run"], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.split("\n")[:2] == ["lint CI=true", "test CI=true"]
