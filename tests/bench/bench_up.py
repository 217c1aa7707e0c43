"""`make up` as a newcomer types it: a fresh clone, then once more; and each worker's memory at rest.

The package cache is as warm as this checkout's own installation left it. What is measured is what is
committed: a clone has nothing else.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.bench_auth import resident_mib
from tests.bench.goals import at_most, memory
from tests.support.servers import ROOT, free_port
from tests.support.stack import Up

WORKERS = ("auth", "mailer", "revocation", "edge")
FIRST_GOAL, SECOND_GOAL = 60.0, 10.0  # seconds until it says that it is ready
GIVE_UP = 600.0  # seconds


def clone(folder: Path) -> Path:
    """A fresh clone of this checkout below *folder*."""
    target = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, target], check=True)
    return target


def environment() -> dict[str, str]:
    """A developer's: nothing of ours, and not make's own when a make runs this."""
    ours = ("LATCHWIRE_", "MAKE", "MFLAGS", "APP", "PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PORT": str(free_port()), "MAIL_PORT": str(free_port())}


@contextmanager
def made_up(checkout: Path) -> Iterator[tuple[Up, float]]:
    """``make up`` in *checkout*, ready, and the seconds that took; ended afterwards."""
    began = time.perf_counter()
    process = subprocess.Popen(
        ["make", "--no-print-directory", "up", f"PYTHON={sys.executable}"],
        cwd=checkout,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    up = Up(process, checkout / ".latchwire")
    try:
        up.wait_for("Ready after", within=GIVE_UP)
        yield up, time.perf_counter() - began
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            up.wait(30)
        up.kill()


def main() -> None:
    """Twice in one clone."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = clone(Path(folder))
        with made_up(checkout) as (_, seconds):
            line = at_most(seconds, FIRST_GOAL, "s")
            print(f"{'make up, fresh clone':26}{line}", flush=True)
        with made_up(checkout) as (up, seconds):
            line = at_most(seconds, SECOND_GOAL, "s")
            print(f"{'make up, second time':26}{line}", flush=True)
            pids = up.run()["pids"]
            for worker in WORKERS:
                print(f"{worker + ' at rest':26}{memory(resident_mib(pids[worker]))}")


if __name__ == "__main__":
    main()
