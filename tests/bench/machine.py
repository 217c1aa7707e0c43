"""The machine under the figures: processor, cores, versions, and how long its disk takes to promise."""

import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.servers import binary

WRITES = 100
BLOCK = b"x" * 4096


def describe_machine() -> str:
    """Processor, cores, Python."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next(
        (x.split(":")[1].strip() for x in cpu.splitlines() if x.startswith("model name")), ""
    )
    cores = cpu.count("processor\t")
    return f"{model or platform.processor()}, {cores} cores, Python {platform.python_version()}"


def describe_nats() -> str:
    """The server's own version line."""
    done = subprocess.run([binary("nats-server"), "--version"], capture_output=True, text=True)
    return done.stdout.strip()


def fsync_seconds(directory: Path) -> list[float]:
    """The time of each of WRITES fsyncs of 4 KiB on *directory*'s disk, sorted."""
    times: list[float] = []
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        for _ in range(WRITES):
            file.write(BLOCK)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return sorted(times)


def describe_fsync(directory: Path) -> str:
    """Median and worst of it."""
    times = fsync_seconds(directory)
    median, worst = statistics.median(times) * 1e3, times[-1] * 1e3
    return f"fsync of 4 KiB {median:.2f} ms median, {worst:.2f} ms worst of {WRITES}"
