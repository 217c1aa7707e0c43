"""``make bench``: every bench_*.py in turn, each printing its own figures."""

import subprocess
import sys
from pathlib import Path

from tests.bench.machine import describe_machine

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run them; the exit code says whether all could be measured, never whether they were fast."""
    print(
        f"machine: {describe_machine()} (shared and noisy: read ratios, not absolutes)\n",
        flush=True,
    )
    failed = 0
    for script in sorted(HERE.glob("bench_*.py")):
        print(f"== {script.stem.removeprefix('bench_')} ==", flush=True)
        failed += (
            subprocess.run([sys.executable, "-m", f"tests.bench.{script.stem}"]).returncode != 0
        )
        print(flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
