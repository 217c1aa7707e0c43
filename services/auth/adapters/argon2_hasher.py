"""Argon2id (RFC 9106) in a bounded pool of threads: memory and waiting have a bound, and the loop goes on.

The threads leave the interpreter's lock while they hash. On Linux each of them is nicer than the loop: a
machine full of logins still answers everything else first.
"""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import structlog
from argon2.low_level import Type, hash_secret

from services.auth.adapters.foreign_hashes import matches
from services.auth.domain.foreign_hashes import ForeignHash, HashProblem
from services.auth.domain.hash_formats import read_hash
from services.auth.domain.password import is_too_long
from services.auth.ports.accounts import HasherBusyError, PasswordVerdict

log = structlog.get_logger()

T = TypeVar("T")

QUEUE = 256  # passwords that wait, at most; a core takes two to three seconds for a hundred
# With no niceness a loop under load came twice as late; with 19 a busy machine would hardly hash at all.
NICE = 10
NICEST = 19
SALT_BYTES = 16
HASH_BYTES = 32


@dataclass(frozen=True)
class Argon2Parameters:
    """OWASP's first choice among those of equal strength: 19 MiB, two passes, one lane. *memory* in KiB."""

    memory: int = 19 * 1024
    passes: int = 2
    lanes: int = 1

    @property
    def prefix(self) -> str:
        """How every hash with these parameters begins."""
        return f"$argon2id$v=19$m={self.memory},t={self.passes},p={self.lanes}$"


OWASP = Argon2Parameters()


class Argon2Hasher:
    """`services.auth.ports.accounts.Hasher`. *workers* 0: one for each core."""

    def __init__(
        self,
        workers: int = 0,
        queue: int = QUEUE,
        parameters: Argon2Parameters = OWASP,
        compare: Callable[[ForeignHash, bytes], bool] = matches,
    ) -> None:
        workers = workers or available_cores()
        self._parameters = parameters
        self._compare = compare
        self._room = threading.BoundedSemaphore(workers + queue)
        self._pool = ThreadPoolExecutor(workers, "hash", initializer=_be_nice)
        decoy = read_hash(self._hash_now(os.urandom(SALT_BYTES)))
        assert not isinstance(decoy, HashProblem)  # our own parameters are within bounds
        self._decoy = decoy

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._hash_now(_bytes(password)))

    async def verify(self, password_hash: str, password: str) -> PasswordVerdict:
        return await self._run(lambda: self._verify_now(password_hash, password))

    def close(self) -> None:
        """Begin nothing more; who still waits gets a CancelledError."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def __aenter__(self) -> "Argon2Hasher":
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.close()

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._room.acquire(blocking=False):
            raise HasherBusyError
        future = self._pool.submit(work)
        future.add_done_callback(self._leave)  # also when its request was cancelled before it began
        return await asyncio.wrap_future(future)

    def _leave(self, _future: "Future[T]") -> None:
        self._room.release()

    def _hash_now(self, password: bytes) -> str:
        p = self._parameters
        salt = os.urandom(SALT_BYTES)
        return hash_secret(
            password, salt, p.passes, p.memory, p.lanes, HASH_BYTES, Type.ID
        ).decode()

    def _verify_now(self, password_hash: str, password: str) -> PasswordVerdict:
        if not password_hash or is_too_long(password):
            return self._nobody()
        stored = read_hash(password_hash)
        if isinstance(stored, HashProblem):
            log.error("hash.unusable", reason=stored.code)
            return self._nobody()
        try:
            found = self._compare(stored, _bytes(password))
        except ValueError:  # of a library: it knows a reason that `read_hash` does not
            log.error("hash.unusable", reason="hash_refused")  # noqa: TRY400 - a library's words may hold it
            return self._nobody()
        ours = password_hash.startswith(self._parameters.prefix)
        return PasswordVerdict(found, outdated=not ours)

    def _nobody(self) -> PasswordVerdict:
        """The same work, and nobody is let in, not even by the decoy's own password."""
        self._compare(self._decoy, b"")
        return PasswordVerdict(matches=False)


def available_cores() -> int:
    """The cores this process may run on."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _be_nice() -> None:
    if sys.platform == "linux":  # elsewhere a thread has no niceness of its own
        thread = threading.get_native_id()
        niceness = min(NICEST, os.getpriority(os.PRIO_PROCESS, thread) + NICE)
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            os.setpriority(os.PRIO_PROCESS, thread, niceness)
