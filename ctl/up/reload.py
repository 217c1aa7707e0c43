"""A running `up`: has its NATS read its accounts anew; does it add an application?"""

import fcntl
import json
import os
import signal
from pathlib import Path

from ctl.up.layout import names_app
from shared.catalogue import CatalogueError, load_catalogue


def reload_nats(state: Path) -> bool:
    """Whether an `up` runs from *state*; then its NATS has been told to read its configuration again."""
    pid = _nats_of(state) if _is_held(state / "lock") else None
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGHUP)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def adds_app(catalogue: Path) -> bool:
    """Whether the `up` that runs beside *catalogue*, a usable one, adds an application to it."""
    try:
        app = json.loads((catalogue.parent / "run.json").read_text("utf-8")).get("app")
        return bool(app) and not names_app(load_catalogue(catalogue), app)
    except (OSError, ValueError, CatalogueError):
        return False


def _is_held(lock: Path) -> bool:
    """run.json of an `up` that was killed still lies there, and its numbers may be others' by now."""
    try:
        with lock.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _nats_of(state: Path) -> int | None:
    try:
        return int(json.loads((state / "run.json").read_text("utf-8"))["pids"]["nats"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
