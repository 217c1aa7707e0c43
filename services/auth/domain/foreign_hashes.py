"""Password hashes of other systems, as an import brings them: what they cost, and their bounds.

Whoever imports a hash makes our machine do what it says, for everybody who tries that address: so each kind
has a highest cost, of about one second of a core and 128 MiB. And it has a lowest, because a hash stays until
its owner's next login, and a cheap one is a password in clear to whoever gets the table.
"""

from dataclasses import dataclass, field
from typing import Literal

Code = Literal["hash_unknown", "hash_malformed", "hash_too_weak", "hash_too_costly"]


@dataclass(frozen=True)
class HashProblem:
    """Why a hash cannot be used: a stable *code*, and a sentence that holds nothing of it."""

    code: Code
    detail: str


@dataclass(frozen=True)
class Bounds:
    """The lowest and the highest cost, in *unit*."""

    least: int
    most: int
    unit: str

    def judge(self, cost: int) -> HashProblem | None:
        """Whether *cost* is out of bounds."""
        detail = f"{self.unit} must be between {self.least:,} and {self.most:,}, not {cost:,}"
        if cost < self.least:
            return HashProblem("hash_too_weak", detail)
        return HashProblem("hash_too_costly", detail) if cost > self.most else None


BCRYPT = Bounds(8, 14, "the cost of bcrypt")
ARGON2_WORK = Bounds(8_192, 1_048_576, "memory (KiB) times passes of Argon2")
ARGON2_MEMORY = Bounds(4_096, 131_072, "the memory (KiB) of Argon2")
ARGON2_LANES = Bounds(1, 16, "the lanes of Argon2")
SCRYPT_WORK = Bounds(2**17, 2**21, "N times r times p of scrypt")
SCRYPT_MEMORY = Bounds(2**17, 2**20, "N times r of scrypt")
SCRYPT_BLOCK = Bounds(
    1, 64, "r of scrypt"
)  # of a greater one, what N does not count takes memory too
PBKDF2 = Bounds(10_000, 3_000_000, "the iterations of PBKDF2, of all blocks together")

DIGEST_BYTES = {"sha1": 20, "sha256": 32, "sha512": 64}


@dataclass(frozen=True)
class BcryptHash:
    """``$2b$`` with its cost, salt and hash in *text*; *prehashed*: of the hexadecimal SHA-256 (Django)."""

    text: str = field(repr=False)
    cost: int
    prehashed: bool = False

    def judge(self) -> HashProblem | None:
        """Whether its cost is out of bounds."""
        return BCRYPT.judge(self.cost)


@dataclass(frozen=True)
class Argon2Hash:
    """A PHC string of any Argon2. *memory* in KiB."""

    text: str = field(repr=False)
    variant: str
    memory: int
    passes: int
    lanes: int

    def judge(self) -> HashProblem | None:
        """Whether its cost is out of bounds."""
        return _worst(
            ARGON2_LANES.judge(self.lanes),
            ARGON2_MEMORY.judge(self.memory),
            ARGON2_WORK.judge(self.memory * self.passes),
        )


@dataclass(frozen=True)
class ScryptHash:
    """scrypt (RFC 7914) with its parameters; of Firebase where *signer_key* is not empty."""

    n: int
    r: int
    p: int
    salt: bytes = field(repr=False)
    derived: bytes = field(repr=False)
    signer_key: bytes = field(default=b"", repr=False)

    def judge(self) -> HashProblem | None:
        """Whether its cost is out of bounds."""
        return _worst(
            SCRYPT_MEMORY.judge(self.n * self.r),
            SCRYPT_BLOCK.judge(self.r),
            SCRYPT_WORK.judge(self.n * self.r * self.p),
        )


@dataclass(frozen=True)
class Pbkdf2Hash:
    """PBKDF2 (RFC 8018) with HMAC of *digest*."""

    digest: str
    iterations: int
    salt: bytes = field(repr=False)
    derived: bytes = field(repr=False)

    def judge(self) -> HashProblem | None:
        """Whether its cost is out of bounds."""
        blocks = -(-len(self.derived) // DIGEST_BYTES[self.digest])
        return PBKDF2.judge(self.iterations * blocks)


def _worst(*problems: HashProblem | None) -> HashProblem | None:
    """What is too costly is never computed, so it counts before what is too weak."""
    found = [problem for problem in problems if problem is not None]
    costly = [problem for problem in found if problem.code == "hash_too_costly"]
    return next(iter([*costly, *found]), None)


ForeignHash = BcryptHash | Argon2Hash | ScryptHash | Pbkdf2Hash
