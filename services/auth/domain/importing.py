"""Accounts from elsewhere: what a line must be, and whether it says anything else than what is there already.

An import changes nobody who has proven their address. A line whose account exists, just so, is *known*, so an
import can be begun again wherever it ended; one that says anything else of it is a problem. But an account
that nobody has proven may be anybody's word: such a one stops no line, it is *claimed* by it. What an account
keeps in any case is its id, which services have heard of; a line with another is told so, in a note.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from services.auth.domain.account import Account
from services.auth.domain.hash_formats import judge_import
from shared.emails import InvalidEmailError, canonical_email

# Any other id may not look like an address: it would be taken for the person who has that one.
_SUB = re.compile(r"[A-Za-z0-9._:|~+/=-]{1,128}", re.ASCII)


@dataclass(frozen=True)
class Line:
    """One line as it came. *created_at_ms* None: now. *sub* None: a new one is made."""

    email: str = field(repr=False)
    sub: str | None = None
    verified: bool = False
    password_hash: str = field(default="", repr=False)
    roles: tuple[str, ...] = ()
    created_at_ms: int | None = None
    blocked: bool = False


@dataclass(frozen=True)
class Problem:
    """Why line *index* of the batch cannot be written, or what is to be known of it.

    *detail* names no address and no hash.
    """

    index: int
    code: str
    detail: str


@dataclass(frozen=True)
class Newcomer:
    """An account to be written as it is, with its roles of the installation."""

    account: Account
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """What the store has of an address or an id: accounts with their roles, and what was deleted.

    *forgotten* are addresses whose account, never proven in time, is kept without them.
    """

    by_email: dict[str, Newcomer]
    forgotten: frozenset[str] = frozenset()
    taken_subs: frozenset[str] = frozenset()
    deleted_subs: frozenset[str] = frozenset()
    deleted_emails: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Judged:
    """*newcomers* are to be written, *known* are there; nothing is written where there is a problem.

    *claimed* are accounts that are there unproven, as they are to be from now on.
    """

    newcomers: tuple[Newcomer, ...] = ()
    claimed: tuple[Newcomer, ...] = ()
    known: int = 0
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()


def canonical_or_none(text: str) -> str | None:
    """The canonical form of an address; None for what is none."""
    try:
        return canonical_email(text)
    except InvalidEmailError:
        return None


def judge(
    lines: Sequence[Line],
    known: Known,
    roles: Collection[str],
    new_sub: Callable[[], str],
    now_ms: int,
) -> Judged:
    """Every line against the rules, against each other, and against what is there."""
    problems, notes = list[Problem](), list[Problem]()
    newcomers, claimed = list[Newcomer](), list[Newcomer]()
    emails, subs = set[str](), set[str]()
    for index, line in enumerate(lines):
        email = canonical_or_none(line.email)
        found = _problems_alone(line, email, roles)
        if email is not None:
            found += _twice(line, email, emails, subs) + _contradicts(line, email, known)
        problems += [Problem(index, code, detail) for code, detail in found]
        if found or email is None:
            continue
        there = known.by_email.get(email)
        if there is None:
            newcomers.append(_newcomer(line, email, new_sub, now_ms))
            continue
        notes += [Problem(index, code, detail) for code, detail in _keeps(line, there)]
        account = _claimed(line, there, now_ms)
        if account != there or email in known.forgotten:
            claimed.append(account)
    count = len(lines) - len({p.index for p in problems}) - len(newcomers) - len(claimed)
    return Judged(tuple(newcomers), tuple(claimed), count, tuple(problems), tuple(notes))


Found = list[tuple[str, str]]


def _problems_alone(line: Line, email: str | None, roles: Collection[str]) -> Found:
    found: Found = []
    if email is None:
        found.append(("invalid_email", "not one plain address like ada@example.com"))
    if line.sub is not None and not _is_sub(line.sub, email):
        found.append(
            (
                "invalid_sub",
                "at most 128 of A-Z a-z 0-9 . _ : | ~ + / = -, or the line's own address",
            )
        )
    unknown = sorted(set(line.roles) - set(roles))
    if unknown:
        found.append(
            ("unknown_role", f"not in roles.yaml for the installation: {', '.join(unknown)}"[:200])
        )
    if line.password_hash and not line.verified:
        found.append(("unproven_password", "a password counts only with a proven address"))
    problem = judge_import(line.password_hash) if line.password_hash else None
    if problem:
        found.append((problem.code, problem.detail))
    return found


def _is_sub(sub: str, email: str | None) -> bool:
    return sub == email if "@" in sub else _SUB.fullmatch(sub) is not None


def _twice(line: Line, email: str, emails: set[str], subs: set[str]) -> Found:
    found: Found = []
    if email in emails:
        found.append(("duplicate_email", "an earlier line has the same address"))
    if line.sub is not None and line.sub in subs:
        found.append(("duplicate_sub", "an earlier line has the same sub"))
    emails.add(email)
    if line.sub is not None:
        subs.add(line.sub)
    return found


def _contradicts(line: Line, email: str, known: Known) -> Found:
    """What keeps the line from being so."""
    there = known.by_email.get(email)
    if there is not None and line.sub == there.account.sub:
        return _differs(line, there)
    return _taken(line, email, known) + (_differs(line, there) if there else [])


def _taken(line: Line, email: str, known: Known) -> Found:
    """Whether the id, which the account of the address has not, is or was somebody's."""
    if line.sub is None:
        return []
    if line.sub in known.taken_subs:
        return [("sub_taken", "another account has this sub")]
    deleted = line.sub in known.deleted_subs or (
        line.sub == email and email in known.deleted_emails
    )
    return (
        [("sub_deleted", "an account with this sub was deleted: it is never used again")]
        if deleted
        else []
    )


def _differs(line: Line, there: Newcomer) -> Found:
    """What the line says otherwise than the proven account of its address, but for the id (`_keeps`).

    Passwords may have been changed since.
    """
    account = there.account
    if account.verified_at_ms is None:
        return []
    said = {
        "password_hash": bool(line.password_hash) and not account.password_hash,
        "roles": not set(line.roles) <= set(there.roles),
        "blocked": line.blocked and account.blocked_at_ms is None,
    }
    differing = [name for name, differs in said.items() if differs]
    if not differing:
        return []
    return [("exists", f"there is an account of this address with another {', '.join(differing)}")]


def _keeps(line: Line, there: Newcomer) -> Found:
    """What the operator has to know: tokens will not carry the line's id."""
    sub = there.account.sub
    if line.sub in {None, sub}:
        return []
    kept = "which is its address" if "@" in sub else sub
    return [("kept_sub", f"the address had an account here before, whose id stays: {kept}"[:255])]


def _claimed(line: Line, there: Newcomer, now_ms: int) -> Newcomer:
    """What becomes of the account: what the line says beside what it has; a proven one stays as it is."""
    account = there.account
    if account.verified_at_ms is not None:
        return there
    changed = replace(
        account,
        created_at_ms=min(line.created_at_ms or account.created_at_ms, account.created_at_ms),
        verified_at_ms=now_ms if line.verified else None,
        blocked_at_ms=account.blocked_at_ms or (now_ms if line.blocked else None),
        password_hash=line.password_hash,
    )
    return Newcomer(changed, tuple(sorted({*there.roles, *line.roles})))


def _newcomer(line: Line, email: str, new_sub: Callable[[], str], now_ms: int) -> Newcomer:
    account = Account(
        sub=line.sub or new_sub(),
        email=email,
        created_at_ms=min(line.created_at_ms or now_ms, now_ms),
        verified_at_ms=now_ms if line.verified else None,
        blocked_at_ms=now_ms if line.blocked else None,
        password_hash=line.password_hash,
    )
    return Newcomer(account, tuple(sorted(set(line.roles))))
