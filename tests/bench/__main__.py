"""``make bench``: every bench_*.py in turn, each printing its own figures."""

import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def describe_machine() -> str:
    """What the figures were measured on."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next(
        (x.split(":")[1].strip() for x in cpu.splitlines() if x.startswith("model name")), ""
    )
    cores = cpu.count("processor\t")
    return f"{model or platform.processor()}, {cores} cores, Python {platform.python_version()}"


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
