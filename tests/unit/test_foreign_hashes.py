"""Password hashes of other systems: each kind, its costs, and everything that is not quite one."""

import base64
import hashlib
from collections.abc import Iterator

import bcrypt
import pytest
from argon2.low_level import Type, hash_secret
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from services.auth.adapters.argon2_hasher import Argon2Hasher, Argon2Parameters
from services.auth.domain.foreign_hashes import ForeignHash, HashProblem
from services.auth.domain.hash_formats import judge_import, read_hash
from services.auth.ports.accounts import PasswordVerdict
from tests.support.properties import examples

PASSWORD = "correct horse"
SALT = b"a salt of sixteen"[:16]
OUTDATED = PasswordVerdict(matches=True, outdated=True)
WRONG = PasswordVerdict(matches=False, outdated=True)
NOBODY = PasswordVerdict(matches=False)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def bare64(data: bytes) -> str:
    return b64(data).rstrip("=")


def bcrypt_of(password: bytes, cost: int = 8, prefix: bytes = b"2b") -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(cost, prefix)).decode()


def argon2_of(kind: Type, memory: int = 4096, passes: int = 2, lanes: int = 1) -> str:
    return hash_secret(PASSWORD.encode(), SALT, passes, memory, lanes, 32, kind).decode()


def scrypt_key(n: int, salt: bytes = SALT, p: int = 1) -> bytes:
    return hashlib.scrypt(PASSWORD.encode(), salt=salt, n=n, r=8, p=p, maxmem=2**26, dklen=64)


def pbkdf2_key(digest: str, rounds: int = 10_000, size: int | None = None) -> bytes:
    return hashlib.pbkdf2_hmac(digest, PASSWORD.encode(), SALT, rounds, size)


def made() -> Iterator[tuple[str, str]]:
    """A hash of `PASSWORD` in every kind that we can make here."""
    text = SALT.decode().replace(" ", "_")
    django = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), text.encode(), 10_000)
    of_text = scrypt_key(2**14, text.encode())
    prehashed = hashlib.sha256(PASSWORD.encode()).hexdigest().encode()
    yield "bcrypt 2b", bcrypt_of(PASSWORD.encode())
    yield "bcrypt 2a", bcrypt_of(PASSWORD.encode(), prefix=b"2a")
    yield "bcrypt 2y (PHP)", "$2y$" + bcrypt_of(PASSWORD.encode())[4:]
    yield "bcrypt of Django", "bcrypt$" + bcrypt_of(PASSWORD.encode())
    yield "bcrypt of SHA-256 of Django", "bcrypt_sha256$" + bcrypt_of(prehashed)
    yield "Argon2id", argon2_of(Type.ID)
    yield "Argon2i", argon2_of(Type.I)
    yield "Argon2d", argon2_of(Type.D)
    yield "Argon2id in four lanes", argon2_of(Type.ID, lanes=4)
    yield "Argon2 of Django", "argon2" + argon2_of(Type.ID)
    yield "scrypt", f"$scrypt$ln=14,r=8,p=1${bare64(SALT)}${bare64(scrypt_key(2**14))}"
    yield "scrypt with N", f"$scrypt$ln=16384,r=8,p=1${b64(SALT)}${b64(scrypt_key(2**14))}"
    yield "scrypt of Werkzeug", f"scrypt:16384:8:1${text}${of_text.hex()}"
    yield "scrypt of Django", f"scrypt$16384${text}$8$1${b64(of_text)}"
    for digest in ("sha1", "sha256", "sha512"):
        key = pbkdf2_key(digest)
        yield f"PBKDF2 {digest}", f"$pbkdf2-{digest}$i=10000,l={len(key)}${b64(SALT)}${b64(key)}"
        ab64 = bare64(key).replace("+", ".")
        yield f"PBKDF2 {digest} of passlib", f"$pbkdf2-{digest}$10000${bare64(SALT)}${ab64}"
    yield "PBKDF2 of passlib", f"$pbkdf2$10000${bare64(SALT)}${bare64(pbkdf2_key('sha1'))}"
    yield "PBKDF2 of Django", f"pbkdf2_sha256$10000${text}${b64(django)}"
    yield "PBKDF2 of Werkzeug", f"pbkdf2:sha256:10000${text}${django.hex()}"


MADE = dict(made())
# Published by the makers of these formats, with their passwords.
PUBLISHED = {
    "Firebase": (
        "user1password",
        (
            "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNm"
            "dZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh"
            "1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="
        ),
    ),
    "Firebase, as Kratos writes it": (
        "8x4WjoDbSxJZdR",
        (
            "$firescrypt$ln=14,r=8,p=1$sPtDhWcd1MfdAw==$xbSou7FOl6mChCyzpCPIQ7tku7nsQMTFtyOZSXXd7tjBa4NtimO"
            "x7v42Gv2SfzPQu1oxM2/k4SsbOu73wlKe1A==$Bw==$YE0dO4bwD4JnJafh6lZZfkp1MtKzuKAXQcDCJNJNyeCHairWHKE"
            "NOkbh3dzwaCdizzOspwr/FITUVlnOAwPKyw=="
        ),
    ),
    "scrypt with N, as Kratos writes it": (
        "test",
        (
            "$scrypt$ln=16384,r=8,p=1$2npRo7P03Mt8keSoMbyD/tKFWyUzjiQf2svUaNDSrhA=$MiCzNcIplSMqSBrm4HckjYqY"
            "haVPPjTARTzwB1cVNYE="
        ),
    ),
}


@pytest.fixture(scope="module")
def hasher() -> Iterator[Argon2Hasher]:
    hasher = Argon2Hasher(1, 100, Argon2Parameters(memory=8, passes=1))
    yield hasher
    hasher.close()


@pytest.mark.parametrize("kind", MADE)
async def test_a_hash_of_another_system_lets_its_owner_in_and_is_made_anew(
    hasher: Argon2Hasher, kind: str
) -> None:
    """The right password alone; it may be imported."""
    assert judge_import(MADE[kind]) is None
    assert await hasher.verify(MADE[kind], PASSWORD) == OUTDATED
    for wrong in ("", "correct hors", f"{PASSWORD} ", "Correct horse", "x" * 100):
        assert await hasher.verify(MADE[kind], wrong) == WRONG


@pytest.mark.parametrize("kind", PUBLISHED)
async def test_hashes_published_by_others_match_their_passwords(
    hasher: Argon2Hasher, kind: str
) -> None:
    """Not only what we make ourselves is read."""
    password, stored = PUBLISHED[kind]

    assert judge_import(stored) is None
    assert await hasher.verify(stored, password) == OUTDATED
    assert await hasher.verify(stored, password + "!") == WRONG


async def test_bcrypt_saw_72_bytes_and_the_new_hash_sees_all(hasher: Argon2Hasher) -> None:
    """A long password works as it did where it comes from, without an error, and counts whole from then on."""
    long = "é" * 50  # a hundred bytes
    stored = bcrypt_of(long.encode()[:72])

    assert await hasher.verify(stored, long) == OUTDATED
    assert await hasher.verify(stored, long[:36]) == OUTDATED
    assert await hasher.verify(stored, long[:35]) == WRONG
    anew = await hasher.hash(long)
    assert (await hasher.verify(anew, long)).matches
    assert not (await hasher.verify(anew, long[:36])).matches


def _argon(memory: int, passes: int, lanes: int = 1) -> str:
    return f"$argon2id$v=19$m={memory},t={passes},p={lanes}${bare64(SALT)}${bare64(bytes(32))}"


def _scrypt(ln: int, r: int, p: int) -> str:
    return f"$scrypt$ln={ln},r={r},p={p}${b64(SALT)}${b64(bytes(32))}"


def _pbkdf2(rounds: int, size: int = 32) -> str:
    return f"$pbkdf2-sha256$i={rounds},l={size}${b64(SALT)}${b64(bytes(size))}"


BCRYPT_53 = "a" * 21 + "." + "a" * 31
WEAK, COSTLY = "hash_too_weak", "hash_too_costly"
COSTS = [
    ("$2b$07$" + BCRYPT_53, WEAK),
    ("$2b$08$" + BCRYPT_53, None),
    ("$2b$14$" + BCRYPT_53, None),
    ("$2b$15$" + BCRYPT_53, COSTLY),
    ("$2b$31$" + BCRYPT_53, COSTLY),
    (_argon(4095, 3), WEAK),
    (_argon(4096, 1), WEAK),
    (_argon(4096, 2), None),
    (_argon(131_072, 8), None),
    (_argon(131_072, 9), COSTLY),
    (_argon(131_073, 1), COSTLY),
    (_argon(2_097_152, 1), COSTLY),
    (_argon(4096, 999_999), COSTLY),
    (_argon(4095, 999_999), COSTLY),
    (_argon(65_536, 3, 16), None),
    (_argon(65_536, 3, 17), COSTLY),
    (_scrypt(13, 8, 1), WEAK),
    (_scrypt(14, 8, 1), None),
    (_scrypt(17, 8, 2), None),
    (_scrypt(17, 8, 3), COSTLY),
    (_scrypt(18, 8, 1), COSTLY),
    (_scrypt(63, 8, 1), COSTLY),
    (_scrypt(14, 4_000_000_000, 1), COSTLY),
    (_scrypt(14, 8, 4_000_000_000), COSTLY),
    (_scrypt(17, 2, 8), None),
    (_scrypt(11, 64, 16), None),
    (_scrypt(10, 65, 1), COSTLY),
    (_scrypt(11, 65, 1), COSTLY),
    (_scrypt(1, 524_288, 2), COSTLY),
    (_scrypt(1, 8, 4_000_000_000), COSTLY),
    (_pbkdf2(9_999), WEAK),
    (_pbkdf2(10_000), None),
    (_pbkdf2(3_000_000), None),
    (_pbkdf2(3_000_001), COSTLY),
    (_pbkdf2(2_000_000, 64), COSTLY),
    (_pbkdf2(9_999_999_999), COSTLY),
]


@pytest.mark.parametrize(("text", "code"), COSTS, ids=[text[:45] for text, _ in COSTS])
async def test_costs_have_a_lowest_and_a_highest(
    hasher: Argon2Hasher, text: str, code: str | None
) -> None:
    """Neither a password nearly in clear, nor a second of a core for every guess at it."""
    problem = judge_import(text)

    assert code == (problem.code if problem else None)
    if code == COSTLY:
        assert isinstance(read_hash(text), HashProblem)
        assert await hasher.verify(text, PASSWORD) == NOBODY, "not even one that is stored"


MALFORMED = [
    "$2b$",
    "$2b$10$short",
    "$2b$10$" + "a" * 52 + "!",
    "$2b$10$" + "a" * 54,
    *("$2b$10$" + "a" * 21 + last + "a" * 31 for last in "aQ9/z"),
    "$argon2id$v=19$m=4096,t=2,p=1$" + bare64(SALT)[:-1] + "/$" + bare64(bytes(32)),
    "$argon2id$v=19$m=4096,t=2,p=1$" + bare64(SALT) + "$" + bare64(bytes(32))[:-1] + "/",
    _scrypt(17, 1, 1),
    "scrypt:131072:1:1$saltsaltsalt$" + "ab" * 32,
    "$firescrypt$ln=16,r=1,p=2$" + b64(SALT) + "$" + b64(bytes(64)) + "$Bw==$" + b64(bytes(64)),
    "$2b$03$" + "a" * 53,
    "$2b$99$" + "a" * 53,
    "bcrypt$$2x$10$" + "a" * 53,
    "bcrypt_sha256$" + "a" * 60,
    "$argon2id$",
    "$argon2id$v=18$m=4096,t=2,p=1$" + bare64(SALT) + "$" + bare64(bytes(32)),
    "$argon2id$m=4096,t=2,p=1$" + bare64(SALT) + "$" + bare64(bytes(32)),
    "$argon2x$v=19$m=4096,t=2,p=1$" + bare64(SALT) + "$" + bare64(bytes(32)),
    "$argon2id$v=19$m=0,t=2,p=1$" + bare64(SALT) + "$" + bare64(bytes(32)),
    "$argon2id$v=19$m=4096,t=2,p=1$" + bare64(b"short") + "$" + bare64(bytes(32)),
    "$argon2id$v=19$m=4096,t=2,p=1$" + bare64(SALT) + "$" + bare64(bytes(15)),
    "$argon2id$v=19$m=4096,t=2,p=1$" + bare64(SALT) + "$" + bare64(bytes(65)),
    "$argon2id$v=19$m=4096,t=2,p=1$" + bare64(SALT) + "$a",
    "$argon2id$v=19$m=4096,t=2,p=1,data=eA$" + bare64(SALT) + "$" + bare64(bytes(32)),
    "$argon2id$v=19$m=40,t=2,p=16$" + bare64(SALT) + "$" + bare64(bytes(32)),
    _argon(4096, 2) + "\n",
    _argon(4096, 2) + " ",
    "$scrypt$ln=16385,r=8,p=1$" + b64(SALT) + "$" + b64(bytes(32)),
    "$scrypt$ln=14,r=0,p=1$" + b64(SALT) + "$" + b64(bytes(32)),
    "$scrypt$ln=١٤,r=8,p=1$" + b64(SALT) + "$" + b64(bytes(32)),
    "$scrypt$ln=14,r=8,p=1$" + b64(SALT),
    "scrypt:16383:8:1$saltsaltsalt$" + "00" * 32,
    "scrypt:16384:8:1$short$" + "00" * 32,
    "scrypt:16384:8:1$saltsaltsalt$" + "0" * 63,
    "scrypt$16384$saltsaltsalt$8$1$",
    "$firescrypt$ln=14,r=8,p=1$" + b64(SALT) + "$" + b64(bytes(64)) + "$Bw==$" + b64(bytes(63)),
    "$fbscrypt$v=2,n=14,r=8,p=1,ss=Bw==,sk="
    + b64(bytes(64))
    + "$"
    + b64(SALT)
    + "$"
    + b64(bytes(64)),
    "$pbkdf2-md5$i=10000,l=16$" + b64(SALT) + "$" + b64(bytes(16)),
    "$pbkdf2-sha256$i=10000,l=31$" + b64(SALT) + "$" + b64(bytes(32)),
    "$pbkdf2-sha256$i=-1,l=32$" + b64(SALT) + "$" + b64(bytes(32)),
    "pbkdf2_sha256$10000$saltsaltsalt$" + b64(bytes(32))[:-2] + "!=",
    "pbkdf2_sha256$1e9$saltsaltsalt$" + b64(bytes(32)),
    "pbkdf2:md5:10000$saltsaltsalt$" + "00" * 16,
    "$2b$10$" + "a" * 2000,
]
UNKNOWN = [
    "x",
    "!",
    "*",
    "plain text",
    "$1$salt$hash",
    "$5$salt$hash",
    "$6$salt$hash",
    "$2x$10$" + "a" * 53,
]
UNKNOWN += [
    "{SSHA}JFZFs0oHzxbMwkSJmYVeI8MnTDy",
    "md5$salt$hash",
    "5f4dcc3b5aa765d61d8327deb882cf99",
    "$",
    "\x00",
]


@pytest.mark.parametrize(
    ("code", "text"),
    [("hash_malformed", text) for text in MALFORMED] + [("hash_unknown", text) for text in UNKNOWN],
)
async def test_what_is_not_quite_a_hash_is_a_problem_and_never_a_crash(
    hasher: Argon2Hasher, code: str, text: str
) -> None:
    """Named, without any of it in the sentence; if it is stored all the same, it lets nobody in."""
    problem = judge_import(text)

    assert problem is not None
    assert problem.code == code
    assert text not in problem.detail or len(text) < 3
    assert await hasher.verify(text, PASSWORD) == NOBODY


@pytest.mark.parametrize("cost", [(17, 2, 8), (16, 2, 16), (11, 64, 16), (14, 8, 16)])
async def test_every_scrypt_that_may_be_imported_is_checked(
    hasher: Argon2Hasher, cost: tuple[int, int, int]
) -> None:
    """Also the odd corners of the bounds, where OpenSSL wants more memory than N times r says."""
    assert judge_import(_scrypt(*cost)) is None
    assert await hasher.verify(_scrypt(*cost), PASSWORD) == WRONG


async def test_a_stored_hash_that_a_library_refuses_is_nobodys() -> None:
    """It lets nobody in, the log says so without a word of it, and it is no error of the request."""

    compared: list[ForeignHash] = []

    def refuses(stored: ForeignHash, _password: bytes) -> bool:
        compared.append(stored)
        if len(compared) == 1:  # the decoy after it is ours
            raise ValueError("Invalid salt")
        return True

    with capture_logs() as lines:
        async with Argon2Hasher(1, 2, Argon2Parameters(memory=8, passes=1), refuses) as hasher:
            assert await hasher.verify(MADE["bcrypt 2b"], PASSWORD) == NOBODY
    assert len(compared) == 2
    assert lines == [{"event": "hash.unusable", "reason": "hash_refused", "log_level": "error"}]


SOME = sorted([*MADE.values(), *(text for _, text in PUBLISHED.values())])


@settings(max_examples=examples(300))
@given(st.data())
def test_no_text_makes_the_reader_fail(data: st.DataObject) -> None:
    """Whatever stands at any place of any hash, the answer is a hash or a problem."""
    text = data.draw(st.sampled_from(SOME))
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 20))
    judge_import(text[:at] + data.draw(st.text(max_size=20)) + text[at + cut :])
    judge_import(data.draw(st.text(max_size=100)))
