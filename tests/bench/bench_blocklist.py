"""What many records cost the blocklist itself, without a server: bytes, a look-up, and the longest pauses.

Each size is measured in a process of its own. Times are of the processor and not of the clock, because
neighbours on the machine would be measured with it; a look-up is the best of many rounds.

``python -m tests.bench.bench_blocklist [--quick]``
"""

import argparse
import gc
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from latchwire._replica import SWEEP_TICKS
from latchwire.blocklist import SWEEP_LIMIT, Blocklist, Fingerprint
from latchwire.claims import build_claims
from latchwire.records import Record, text_key
from latchwire.snapshots import Loading, Part, Tally, load_part, parts_of
from tests.bench.goals import at_most
from tests.support.tokens import NOW_MS, make_claims

ROOT = Path(__file__).resolve().parents[2]
KEY = b"bench" * 8
SIZES = (0, 1_000, 100_000, 1_000_000)
TOKENS = 500
ROUNDS = 40
HALF_LIFE_MS = 1_000
BYTES_GOAL, PAUSE_GOAL, LOAD_GOAL = 64.0, 10.0, 5.0
# Half of the records are single tokens, a third sessions, the rest subjects.
SHARES = (("j", 24, 2), ("s", 24, 3), ("u", 40, 6))


@dataclass(frozen=True)
class Cost:
    """*find_us*: one token that nobody revoked, six look-ups; the pauses in ms of processor time."""

    entries: int
    bytes_each: float
    find_us: float
    add_us: float
    add_pause_ms: float
    sweep_pause_ms: float
    load_seconds: float
    load_pause_ms: float
    drop_pause_ms: float
    collect_ms: float


def resident_bytes() -> int:
    """The resident set of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def packed(letter: str, width: int, number: int) -> bytes:
    """One entry; every other has lapsed at NOW_MS."""
    key = hashlib.sha256(f"{letter}{number}".encode()).digest()[:16]
    until = NOW_MS + (HALF_LIFE_MS if number % 2 else -HALF_LIFE_MS)
    return key + until.to_bytes(8, "big") + bytes(width - 24)


def timed(work: Callable[[], object]) -> float:
    """Processor seconds."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def fill(blocklist: Blocklist, entries: int) -> list[float]:
    """*entries* one by one, as deltas come in; the processor seconds of each."""
    times = []
    for letter, width, part in SHARES:
        for number in range(entries // part):
            entry = packed(letter, width, number)
            key, record = text_key(letter, entry[:16]), Record(int.from_bytes(entry[16:24], "big"))
            began = time.thread_time()
            blocklist.apply(key, record)
            times.append(time.thread_time() - began)
    return times


def find_cost(blocklist: Blocklist) -> float:
    """Seconds of one `Blocklist.find` that finds nothing: the best round of TOKENS tokens in turn."""
    tokens = [
        blocklist.fingerprint(build_claims(make_claims(jti=f"t-{n}", sid=f"s-{n}", sub=f"u-{n}"), "k"))
        for n in range(TOKENS)
    ]  # fmt: skip

    def look(fingerprints: list[Fingerprint] = tokens) -> None:
        find = blocklist.find
        for fingerprint in fingerprints:
            find(fingerprint, NOW_MS)

    return min(timed(look) for _ in range(ROUNDS)) / TOKENS


def sweep_pause(blocklist: Blocklist) -> float:
    """The longest step of a round in which half of the records go."""
    limit = max(SWEEP_LIMIT, len(blocklist) // SWEEP_TICKS)
    return max(timed(lambda: blocklist.sweep(NOW_MS, limit)) for _ in range(SWEEP_TICKS * 2))


def load(parts: list[bytes]) -> tuple[float, float]:
    """Processor seconds for all *parts* into an empty list, and the longest step between two turns."""
    tally, steps = Tally(), []
    for part in parts:
        tally.add(part, Part.unpack(part).records)
    loading = Loading(tally.head("id", "epoch", 1), Blocklist(KEY))
    for part in parts:
        walk = loading.take(part)
        going = True
        while going:
            began = time.thread_time()
            going = next(walk, None) is not None
            steps.append(time.thread_time() - began)
    return sum(steps), max(steps, default=0.0)


def drop_pause(parts: list[bytes]) -> float:
    """The longest step of taking a whole list apart."""
    blocklist, steps = Blocklist(KEY), [0.0]
    for part in parts:
        load_part(part, blocklist)
    while blocklist:
        steps.append(timed(blocklist.dismantle))
    return max(steps)


def collection() -> float:
    """Processor seconds of a full garbage collection."""
    return min(timed(gc.collect) for _ in range(5))


def measure(entries: int) -> Cost:
    """One list of *entries*, in this process."""
    nothing = collection()
    blocklist, before = Blocklist(KEY), resident_bytes()
    for letter, width, part in SHARES:
        for number in range(entries // part):
            for _ in blocklist.load(letter, packed(letter, width, number)):
                pass
    grown = resident_bytes() - before
    collect = collection() - nothing
    times = fill(Blocklist(KEY), entries)
    # What the list itself does comes again; what a neighbour's load did to a step does not.
    pause = min(max(times, default=0.0), max(fill(Blocklist(KEY), entries), default=0.0))
    found, parts = find_cost(blocklist), list(parts_of(blocklist))
    seconds, load_pause = load(parts)
    return Cost(
        entries=entries,
        bytes_each=grown / entries if entries else 0.0,
        find_us=found * 1e6,
        add_us=sum(times) / max(1, len(times)) * 1e6,
        add_pause_ms=pause * 1e3,
        sweep_pause_ms=sweep_pause(blocklist) * 1e3,
        load_seconds=seconds,
        load_pause_ms=load_pause * 1e3,
        drop_pause_ms=drop_pause(parts) * 1e3,
        collect_ms=max(0.0, collect) * 1e3,
    )


def measure_apart(entries: int) -> Cost:
    """`measure` in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.bench_blocklist", "--one", str(entries)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return Cost(**json.loads(done.stdout))


def report(cost: Cost) -> None:
    """Figures and goals of one size."""
    print(f"{cost.entries} records")
    print(f"  a look-up that finds nothing    {cost.find_us:6.2f} us")
    if not cost.entries:
        return
    print(f"  one more record                 {cost.add_us:6.2f} us")
    if cost.entries >= 100_000:
        print(f"  memory per record               {at_most(cost.bytes_each, BYTES_GOAL, 'bytes')}")
    pauses = {"growing": cost.add_pause_ms, "sweeping": cost.sweep_pause_ms,
              "loading a snapshot": cost.load_pause_ms, "dropping a list": cost.drop_pause_ms,
              "what it adds to a collection": cost.collect_ms}  # fmt: skip
    for name, pause in pauses.items():
        print(f"  {'longest pause, ' + name:38}{at_most(pause, PAUSE_GOAL, 'ms')}")
    print(f"  loading all from a snapshot     {at_most(cost.load_seconds, LOAD_GOAL, 's')}")


def main() -> None:
    """Print every size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="without the million")
    parser.add_argument("--one", type=int, help="one size, as JSON")
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(asdict(measure(arguments.one))))
        return
    for entries in SIZES[:-1] if arguments.quick else SIZES:
        report(measure_apart(entries))


if __name__ == "__main__":
    main()
