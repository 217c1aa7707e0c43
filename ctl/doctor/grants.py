"""What each credential at hand really may on the bus, compared with what the contract grants it.

Only what must be denied is tried. Calls of JetStream's API that destroy are tried on a stream that does not
exist: a grant wide enough to matter covers that name too.
"""

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path

from ctl.doctor.findings import Finding
from shared import contract
from shared.bus.permissions import EDGE_API, permissions_of, role_of
from shared.bus.trespass import NotLetInError, Trespasses, lets_anybody_in, trespass
from shared.contract import Role
from shared.secrets import SecretsError, load_seed, new_seed

NOWHERE = "LATCHWIRE_DOCTOR"  # a stream, and a name, that nobody has
# Calls that change or destroy, then those that read.
_CALLS = ("CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE", "SNAPSHOT", "RESTORE")
_CONSUMER_CALLS = ("CREATE", "DURABLE.CREATE", "DELETE", "MSG.NEXT")
_READS = ("STREAM.MSG.GET", "DIRECT.GET")
_WIDE = (">", "*.>", "$JS.>", "$SYS.>", "_INBOX.>", "login.>", "token.>", "user.>", "op.>")


async def judge_grants(url: str, secrets: Path) -> tuple[list[Finding], int]:
    """What is wrong, and how many credentials were tried."""
    names = credentials(secrets)
    findings = [Finding("bus.open", url, f"lets in {who}") for who in await _strangers(url)]
    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(_try(url, secrets, name)) for name in names]
    return [*findings, *(found for task in tries for found in task.result())], len(names)


def credentials(secrets: Path) -> list[str]:
    """The names of the seeds here that have a role."""
    return sorted(path.stem for path in (secrets / "nats").glob("*.seed") if _has_role(path.stem))


def forbidden(name: str) -> tuple[list[str], list[str]]:
    """What *name* may neither publish nor hear, of everything that is worth a thief's while."""
    allowed = permissions_of(name)
    heard = [*_subjects(), *_WIDE, f"_INBOX_{_other(name)}.>"]
    return (
        [s for s in (*_subjects(), *_api(name)) if not _covered(s, allowed.publish)],
        [s for s in heard if not _covered(s, allowed.subscribe)],
    )


async def _strangers(url: str) -> list[str]:
    open_to = {"nobody's connection": "", "a key nobody was given": new_seed()}
    return [who for who, seed in open_to.items() if await lets_anybody_in(url, seed)]


async def _try(url: str, secrets: Path, name: str) -> list[Finding]:
    publish, hear = forbidden(name)
    try:
        found = await trespass(url, name, load_seed(secrets, name), publish=publish, hear=hear)
    except NotLetInError as error:
        return [Finding("bus.not_let_in", name, f"NATS refuses it ({error})")]
    except SecretsError:
        return []  # readable by others, which is said of the file
    return list(_judge(name, found))


def _judge(name: str, found: Trespasses) -> Iterator[Finding]:
    yield from (Finding("bus.may_publish", name, f"publishes {s}") for s in found.published)
    yield from (Finding("bus.may_hear", name, f"hears {s}") for s in found.heard)


def _subjects() -> list[str]:
    """Every subject of the contract, wildcards filled in with a name nobody has."""
    named = [s.name for s in contract.SUBJECTS] + [q.name for q in contract.QUESTIONS]
    state = [
        f"{contract.BLOCKLIST_STATE}.*", f"{contract.BLOCKLIST_DELTAS}.*", contract.SNAPSHOT_HEAD,
        contract.SNAPSHOT_PARTS, *contract.DOCUMENT_WRITERS, f"{contract.DOCUMENT_DELTAS}.*",
        "$SYS.REQ.SERVER.PING",
    ]  # fmt: skip
    return list(dict.fromkeys(name.replace("*", NOWHERE) for name in (*named, *state)))


def _api(name: str) -> Iterator[str]:
    prefix = EDGE_API if role_of(name) in (Role.EDGE, Role.SERVICE) else "$JS.API"
    yield from (f"{prefix}.STREAM.{call}.{NOWHERE}" for call in _CALLS)
    yield from (f"{prefix}.CONSUMER.{call}.{NOWHERE}.{NOWHERE}" for call in _CONSUMER_CALLS)
    yield from (f"{prefix}.{call}.{stream.name}" for call in _READS for stream in contract.STREAMS)


def _other(name: str) -> str:
    return Role.OPERATOR.value if name != Role.OPERATOR.value else Role.AUTH.value


def _has_role(name: str) -> bool:
    try:
        role_of(name)
    except ValueError:
        return False
    return True


def _covered(subject: str, patterns: Iterable[str]) -> bool:
    return any(covers(pattern, subject) for pattern in patterns)


def covers(pattern: str, subject: str) -> bool:
    """Whether NATS takes *subject*, itself perhaps a pattern, for a part of *pattern*."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    if len(wanted) != len(given):
        return False
    return all(w == g or (w == "*" and g != ">") for w, g in zip(wanted, given, strict=True))
