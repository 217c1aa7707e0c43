"""Operators see all accounts, grant and revoke roles, bring people in and take them along.

What changes somebody's roles refuses the access tokens that say otherwise and tells everybody, in the same
transaction; the sessions go on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import structlog

from services.auth.domain.importing import Judged, Line, Newcomer, canonical_or_none, judge
from services.auth.domain.org import NotDone, OrgRefusal, Seats
from services.auth.domain.outbox import Announce, announce
from services.auth.domain.roles import OWNER, RoleTable
from services.auth.flows.org import RoleWords
from services.auth.flows.subjects import Deliver
from services.auth.flows.users import UserFlow
from services.auth.ports.directory import Directory, Listed
from services.auth.ports.orgs import Orgs
from shared.clock import Clock
from shared.contract import USER_REGISTERED, USER_VERIFIED
from shared.ids import Ids
from shared.messages import UserRegistered, UserVerified

log = structlog.get_logger()

RoleRefusal = Literal[
    "no_account", "unknown_role", "no_such_member", "last_owner", "changed_meanwhile"
]
INSTALLATION = ""  # in place of an organisation


@dataclass(frozen=True)
class RoleChange:
    """*grant* and *revoke* roles in *org*, or ("") of the installation."""

    org: str
    grant: tuple[str, ...]
    revoke: tuple[str, ...]


@dataclass(frozen=True)
class DirectoryFlow:
    """All may raise `AccountsUnavailableError`; what writes, `NotAnnouncedError`: the relay does the rest."""

    directory: Directory
    orgs: Orgs
    table: RoleTable
    users: UserFlow
    deliver: Deliver
    clock: Clock
    ids: Ids

    async def page(self, after: str, limit: int) -> list[Listed]:
        """Accounts in the order of ``sub``."""
        return await self.directory.page(after, limit)

    async def by_email(self, email: str) -> Listed | None:
        """The account of a canonical address."""
        return await self.directory.by_email(email)

    async def change_roles(self, email: str, change: RoleChange) -> RoleRefusal | None:
        """None: it is so now."""
        found = await self.directory.by_email(email)
        if found is None:
            return "no_account"
        known = self.table.is_org_role if change.org else self.table.is_installation_role
        if not all(map(known, change.grant)):  # what the table has no more can still be taken away
            return "unknown_role"
        if change.org:
            return await self._change_in_org(found.account.sub, change)
        sub = found.account.sub
        entries = self._words.lost(INSTALLATION, [sub])
        if await self.directory.set_roles(sub, change.grant, change.revoke, entries):
            log.info("roles.changed", granted=len(change.grant), revoked=len(change.revoke))
            await self.deliver(*entries)
        return None

    async def _change_in_org(self, sub: str, change: RoleChange) -> RoleRefusal | None:
        place = await self.orgs.membership(change.org, sub)
        if place is None:
            return "no_such_member"
        wanted = {*place.roles, *change.grant} - set(change.revoke)

        def judge_seats(seats: Seats) -> OrgRefusal | None:
            if seats.target != place.roles:  # somebody else changed them since
                return "no_such_member"
            is_last = OWNER in place.roles and seats.other_owners == 0
            return "last_owner" if is_last and OWNER not in wanted else None

        result = await self.orgs.set_roles(
            change.org,
            sub,
            sub,
            sorted(wanted),
            judge_seats,
            lambda subs: self._words.lost(change.org, subs),
        )
        if isinstance(result, NotDone):
            return "last_owner" if result.code == "last_owner" else "changed_meanwhile"
        await self.deliver(*result.entries)
        return None

    async def bring_in(self, lines: Sequence[Line], *, check: bool) -> Judged:
        """Judge *lines*; without *check*, and where there is no problem, write them all. Repeatable.

        Who is blocked is written so, which lets nobody in; after that the address is blocked too. The other way
        round a batch that is not written after all would leave people kept out whom nobody brought in.

        Raises:
            ChangedMeanwhileError: somebody else wrote one of them just now; nothing was written.
        """
        emails = [email for line in lines if (email := canonical_or_none(line.email))]
        subs = [line.sub for line in lines if line.sub is not None]
        known = await self.directory.look_up(emails, subs)
        now_ms = self.clock.now_ms()
        judged = judge(lines, known, self.table.installation, lambda: self.ids.ulid(now_ms), now_ms)
        if check or judged.problems:
            return judged
        entries = [
            *chain.from_iterable(
                self._words_of(newcomer, known.deleted_emails) for newcomer in judged.newcomers
            ),
            *chain.from_iterable(map(self._proven, judged.claimed)),
        ]
        if judged.newcomers or judged.claimed:
            await self.directory.bring_in(judged.newcomers, entries, claimed=judged.claimed)
            count = len(judged.newcomers) + len(judged.claimed)
            log.info("accounts.imported", count=count)
        await self._keep_out(line.email for line in lines if line.blocked)
        await self.deliver(*entries)
        return judged

    async def _keep_out(self, addresses: Iterable[str]) -> None:
        """Also of those who were there: perhaps an import ended just before this."""
        for email in filter(None, map(canonical_or_none, addresses)):
            if (await self.users.people.find(email)).blocked_at_ms is None:
                await self.users.block(email, "imported", "operator")

    @property
    def _words(self) -> RoleWords:
        return RoleWords(self.clock, self.ids)

    def _words_of(self, newcomer: Newcomer, deleted: frozenset[str]) -> Iterator[Announce]:
        """As for anybody who registers (see `AccountSubjects.newcomer`)."""
        account, now_ms = newcomer.account, self.clock.now_ms()
        stays = account.sub == account.email or account.email in deleted
        registered = UserRegistered(
            id=self.ids.ulid(now_ms),
            at=now_ms,
            sub=account.sub,
            previous_sub=None if stays else account.email,
        )
        yield announce(USER_REGISTERED, registered)
        yield from self._proven(newcomer)

    def _proven(self, person: Newcomer) -> Iterator[Announce]:
        account, now_ms = person.account, self.clock.now_ms()
        if account.verified_at_ms is not None:
            verified = UserVerified(id=self.ids.ulid(now_ms), at=now_ms, sub=account.sub)
            yield announce(USER_VERIFIED, verified)
