"""`make up`: how long until it is ready, the first and the second time, and each part's memory at rest."""

import json
import re
import tempfile
from pathlib import Path

from tests.bench.bench_auth import resident_mib
from tests.support.stack import Stack, start_stack

WORKERS = ("auth", "mailer", "revocation", "edge")


def ready_after(stack: Stack) -> float:
    """The seconds `up` itself reports."""
    found = re.search(r"Ready after ([0-9.]+) s", stack.up.text)
    assert found is not None
    return float(found.group(1))


def main() -> None:
    """Start twice in one state directory; the requirements are installed already."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first start (makes keys)", "second start"):
            stack = start_stack(Path(folder) / "state")
            print(f"{name:26}{ready_after(stack):6.1f} s")
            if name == "second start":
                pids = json.loads((stack.up.state / "run.json").read_text())["pids"]
                for worker in WORKERS:
                    print(f"{worker:26}{resident_mib(pids[worker]):6.0f} MiB resident at rest")
            stack.up.end()
            stack.up.kill()


if __name__ == "__main__":
    main()
