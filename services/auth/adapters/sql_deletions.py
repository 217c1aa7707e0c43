"""The ledger of deletions in SQL. What is locked is locked in this order: account, organisations, deletion."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.adapters.sql import Database, enqueue
from services.auth.adapters.sql_org_rows import delete_org
from services.auth.adapters.sql_schema import (
    accounts,
    deletion_answers,
    deletions,
    invitations,
    member_roles,
    members,
    organisations,
    outbox,
)
from services.auth.domain.account import email_hash
from services.auth.domain.deletion import DELAYS_MS, Answer, Deletion, entry_ids
from services.auth.domain.outbox import Entry
from services.auth.domain.roles import OWNER
from services.auth.ports.deletions import Deleted, Erasing, LedgerRow, NoAccount, SoleOwner


class SQLDeletions:
    """`services.auth.ports.deletions.Deletions`. *hash_key* names addresses that are not kept."""

    def __init__(self, database: Database, hash_key: bytes) -> None:
        self._database = database
        self._hash_key = hash_key

    async def delete(
        self, deletion: Deletion, services: Sequence[str], entries: Sequence[Entry]
    ) -> Deleted | SoleOwner | NoAccount:
        async with self._database.writing() as connection:
            email = await _lock_account(connection, deletion.sub)
            if email is None:
                return await _earlier(connection, deletion.sub)
            orgs = await _lock_orgs(connection, deletion.sub)
            if sole := await _solely_owned(connection, deletion.sub, orgs):
                return SoleOwner(tuple((org, orgs[org]) for org in sole))
            await _remove(connection, deletion.sub, email, orgs)
            await self._record(connection, replace(deletion, email=email), services)
            await enqueue(connection, entries)
        return Deleted(deletion)

    async def claim(self, now_ms: int, limit: int) -> list[Erasing]:
        async with self._database.reading() as connection:
            due = await _askable(connection, now_ms, limit)
        if not due:
            return []
        # In one order, or two processes could each hold a row that the other waits for.
        due.sort(key=lambda row: (row.deletion, row.service))
        async with self._database.writing() as connection:
            return [
                Erasing(_deletion(row), row.service, row.asked + 1)
                for row in due
                if await _take(connection, row, now_ms)
            ]

    async def done(self, deletion_id: str, service: str, at_ms: int) -> bool:
        async with self._database.writing() as connection:
            # Two last answers at once must not each leave the completion to the other.
            locked = select(deletions.c.deletion).where(deletions.c.deletion == deletion_id)
            await connection.execute(locked.with_for_update())
            answered = update(deletion_answers).where(_one(deletion_id, service))
            unset = deletion_answers.c.answered_at.is_(None)
            await connection.execute(answered.where(unset).values(answered_at=at_ms, note=""))
            left = select(func.count()).where(deletion_answers.c.deletion == deletion_id, unset)
            if (await connection.execute(left)).scalar():
                return False
            complete = update(deletions).where(
                deletions.c.deletion == deletion_id, deletions.c.completed_at.is_(None)
            )
            result = await connection.execute(complete.values(completed_at=at_ms, email=""))
        return bool(result.rowcount)

    async def note(self, deletion_id: str, service: str, note: str) -> None:
        noted = update(deletion_answers).where(
            _one(deletion_id, service), deletion_answers.c.answered_at.is_(None)
        )
        async with self._database.writing() as connection:
            await connection.execute(noted.values(note=note))

    async def page(self, *, every: bool, after: str, limit: int) -> list[LedgerRow]:
        wanted = select(deletions).where(deletions.c.deletion > after)
        if not every:
            wanted = wanted.where(deletions.c.completed_at.is_(None))
        async with self._database.reading() as connection:
            oldest = wanted.order_by(deletions.c.deletion).limit(limit)
            rows = (await connection.execute(oldest)).all()
            answers = await _answers(connection, [row.deletion for row in rows])
        return [LedgerRow(_deletion(row), tuple(answers.get(row.deletion, ()))) for row in rows]

    async def late(self, now_ms: int) -> int:
        late = select(func.count()).where(
            deletions.c.completed_at.is_(None), deletions.c.deadline < now_ms
        )
        (row,) = await self._database.ask(late)
        return int(row[0])

    async def _record(
        self, connection: AsyncConnection, deletion: Deletion, services: Sequence[str]
    ) -> None:
        row = {
            "deletion": deletion.id,
            "sub": deletion.sub,
            "email": deletion.email,
            "email_hash": email_hash(self._hash_key, deletion.email),
            "requested_at": deletion.requested_at_ms,
            "deadline": deletion.deadline_ms,
        }
        await connection.execute(deletions.insert(), row)
        answers = [{"deletion": deletion.id, "service": service} for service in services]
        await connection.execute(deletion_answers.insert(), answers)


async def _lock_orgs(connection: AsyncConnection, sub: str) -> dict[str, str]:
    """The names of the person's organisations by id; nobody changes roles in them now.

    Nobody can join meanwhile either, because the account is locked already.
    """
    theirs = select(members.c.org).where(members.c.sub == sub)
    wanted = select(organisations).where(organisations.c.org.in_(theirs))
    locked = wanted.order_by(organisations.c.org).with_for_update()
    return {row.org: row.name for row in await connection.execute(locked)}


async def _lock_account(connection: AsyncConnection, sub: str) -> str | None:
    wanted = select(accounts.c.email).where(accounts.c.sub == sub).with_for_update()
    return (await connection.execute(wanted)).scalar()


async def _earlier(connection: AsyncConnection, sub: str) -> Deleted | NoAccount:
    row = (await connection.execute(select(deletions).where(deletions.c.sub == sub))).first()
    return NoAccount() if row is None else Deleted(_deletion(row), again=True)


async def _solely_owned(connection: AsyncConnection, sub: str, orgs: dict[str, str]) -> list[str]:
    """Those of *orgs* that have other members, and no owner but *sub*."""
    everybody = select(members.c.org, members.c.sub).where(members.c.org.in_(orgs))
    owning = select(member_roles.c.org, member_roles.c.sub).where(
        member_roles.c.org.in_(orgs), member_roles.c.role == OWNER
    )
    owners = [(row.org, row.sub) for row in await connection.execute(owning)]
    shared = {row.org for row in await connection.execute(everybody) if row.sub != sub}
    own = {org for org, owner in owners if owner == sub}
    others = {org for org, owner in owners if owner != sub}
    return sorted((own & shared) - others)


async def _remove(connection: AsyncConnection, sub: str, email: str, orgs: dict[str, str]) -> None:
    """The account with what hangs on it, and organisations that nobody is left in."""
    about = or_(invitations.c.email == email, invitations.c.invited_by == sub)
    await connection.execute(delete(invitations).where(about))
    await connection.execute(delete(member_roles).where(member_roles.c.sub == sub))
    await connection.execute(delete(accounts).where(accounts.c.sub == sub))
    peopled = select(members.c.org).where(members.c.org.in_(orgs))
    for org in set(orgs) - set((await connection.execute(peopled)).scalars()):
        await delete_org(connection, org)


async def _askable(connection: AsyncConnection, now_ms: int, limit: int) -> list[Row[Any]]:
    """What is due and announced. Who was found waiting after all is left out, and does not hide the next."""
    waiting: set[str] = set()
    while True:
        due = [*await connection.execute(_due(now_ms, limit, waiting))]
        found = await _undone(connection, {row.deletion for row in due})
        if not found:
            return due
        waiting |= found


def _due(now_ms: int, limit: int, without: Collection[str]) -> Select[Any]:
    """Questions to put, those that waited longest first.

    Without those whose entries are in the outbox, or many of these would hide all others: the ids of entries
    are the numbers that follow the deletion's own, so (but for a carry, three of 1,024, which `_undone` finds)
    all characters but the last two are the same.
    """
    stem = func.substr(deletions.c.deletion, 1, 24)
    untold = exists().where(outbox.c.entry.between(deletions.c.deletion, stem.concat("ZZ")))
    answers = deletion_answers.c
    rest = DELAYS_MS[-1]
    delay: ColumnElement[int] = case(
        *((answers.asked == n, ms) for n, ms in enumerate(DELAYS_MS)), else_=rest
    )
    due = or_(answers.asked_at.is_(None), answers.asked_at + delay <= now_ms)
    open_ = and_(deletions.c.completed_at.is_(None), answers.answered_at.is_(None), due, ~untold)
    open_ = and_(open_, deletions.c.deletion.not_in(without))
    wanted = select(deletions, answers.service, answers.asked).where(
        open_, answers.deletion == deletions.c.deletion
    )
    return wanted.order_by(answers.asked_at.is_not(None), answers.asked_at).limit(limit)


async def _undone(connection: AsyncConnection, ids: set[str]) -> set[str]:
    """Those of the deletions whose entries are still in the outbox."""
    of_entry = {entry: id_ for id_ in ids for entry in entry_ids(id_)}
    there = select(outbox.c.entry).where(outbox.c.entry.in_(of_entry))
    return {of_entry[entry] for entry in (await connection.execute(there)).scalars()}


async def _take(connection: AsyncConnection, row: Any, now_ms: int) -> bool:
    """Count one question, unless another process just did or the answer has come."""
    mine = update(deletion_answers).where(
        _one(row.deletion, row.service),
        deletion_answers.c.asked == row.asked,
        deletion_answers.c.answered_at.is_(None),
    )
    result = await connection.execute(mine.values(asked=row.asked + 1, asked_at=now_ms))
    return bool(result.rowcount)


async def _answers(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, list[Answer]]:
    wanted = select(deletion_answers).where(deletion_answers.c.deletion.in_(ids))
    found: dict[str, list[Answer]] = {}
    for row in await connection.execute(wanted.order_by(deletion_answers.c.service)):
        answer = Answer(row.service, row.answered_at, row.asked, row.asked_at, row.note)
        found.setdefault(row.deletion, []).append(answer)
    return found


def _one(deletion_id: str, service: str) -> ColumnElement[bool]:
    return and_(deletion_answers.c.deletion == deletion_id, deletion_answers.c.service == service)


def _deletion(row: Any) -> Deletion:
    return Deletion(
        id=row.deletion,
        sub=row.sub,
        email=row.email,
        requested_at_ms=row.requested_at,
        deadline_ms=row.deadline,
        completed_at_ms=row.completed_at,
    )
