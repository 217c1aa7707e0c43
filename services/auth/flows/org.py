"""Organisations: make one, see its people, change their roles, leave, remove, end it.

Whoever loses a role keeps the session: the access tokens that still say more are refused everywhere, and the
next token says what is true. Word of it is written in the transaction that changes the rows.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog

from services.auth.domain.org import (
    Done,
    Member,
    Membership,
    NotDone,
    Org,
    OrgRefusal,
    Seats,
    judge_permission,
    judge_removal,
    judge_roles,
)
from services.auth.domain.outbox import Announce, Entry, RefuseTokens, announce
from services.auth.domain.roles import DELETE, RENAME, RoleTable, known
from services.auth.flows.subjects import Deliver
from services.auth.ports import NotAnnouncedError
from services.auth.ports.orgs import Orgs
from shared.clock import Clock
from shared.contract import USER_ROLES_CHANGED
from shared.ids import Ids
from shared.messages import UserRolesChanged

log = structlog.get_logger()

ROLES_CHANGED = "roles_changed"


@dataclass(frozen=True)
class Place:
    """Somebody's place in *org*: the roles that count, and what they permit there."""

    org: Org
    roles: tuple[str, ...]
    permissions: tuple[str, ...]


@dataclass(frozen=True)
class RoleWords:
    """What is to be said and done when somebody's roles change."""

    clock: Clock
    ids: Ids

    def lost(self, org: str, subs: Sequence[str]) -> tuple[Entry, ...]:
        """The access tokens that *subs* have now are refused, then everybody hears."""
        return tuple(
            entry for sub in subs for entry in (self._refuse(sub), self._changed(org, sub))
        )

    def gained(self, org: str, subs: Sequence[str]) -> tuple[Entry, ...]:
        """A new membership: no token says anything of it yet, so none says too much."""
        return tuple(self._changed(org, sub) for sub in subs)

    def _refuse(self, sub: str) -> RefuseTokens:
        return RefuseTokens(self.ids.ulid(self.clock.now_ms()), sub, ROLES_CHANGED)

    def _changed(self, org: str, sub: str) -> Announce:
        now_ms = self.clock.now_ms()
        event = UserRolesChanged(id=self.ids.ulid(now_ms), at=now_ms, sub=sub, org=org)
        return announce(USER_ROLES_CHANGED, event)


@dataclass(frozen=True)
class OrgFlow:
    """The use cases of organisations. *actor* is the ``sub`` of who asks; ids are as they came.

    All may raise `AccountsUnavailableError`, and those that change something `NotAnnouncedError`: it is
    written, and the relay does the rest.
    """

    orgs: Orgs
    table: RoleTable
    deliver: Deliver
    clock: Clock
    ids: Ids

    @property
    def words(self) -> RoleWords:
        """What changes say."""
        return RoleWords(self.clock, self.ids)

    async def refusal(self, org: str, actor: str, permission: str) -> OrgRefusal | None:
        """Why *actor* may not do in *org* what needs *permission* ("": be a member); None: he may."""
        found = await self.orgs.membership(org, actor)
        if found is None:
            return "no_such_org"
        held = self.table.org_permissions(found.roles)
        return None if not permission or permission in held else "not_permitted"

    async def create(self, actor: str, name: str) -> Place | NotDone:
        """A new organisation, *actor* its owner. *name* has no `name_problem`."""
        now_ms = self.clock.now_ms()
        org = Org(self.ids.ulid(now_ms), name, now_ms)
        result = await self.orgs.create(org, actor, self.words.gained(org.org, [actor]))
        if isinstance(result, NotDone):
            return result
        await self.tell(result)
        log.info("org.created", org=org.org)
        place = await self.place(org.org, actor)
        return place or NotDone("no_such_org")

    async def places(self, actor: str) -> list[Place]:
        """Where *actor* is a member."""
        return [self._place(found) for found in await self.orgs.memberships(actor)]

    async def place(self, org: str, actor: str) -> Place | None:
        """The place of *actor* in *org*; None: he is no member."""
        found = await self.orgs.membership(org, actor)
        return self._place(found) if found else None

    async def members(self, org: str, after: str, limit: int) -> list[Member]:
        """Members after *after*, with the roles that count."""
        return [
            Member(m.sub, m.email, m.joined_at_ms, known(m.roles, self.table.organisation))
            for m in await self.orgs.members(org, after, limit)
        ]

    async def rename(self, actor: str, org: str, name: str) -> Done | NotDone:
        """Call it *name*, which has no `name_problem`."""
        return await self.orgs.rename(org, actor, name, self._needs(RENAME))

    async def delete(self, actor: str, org: str) -> Done | NotDone:
        """End it: nobody is a member any more."""
        words = partial(self.words.lost, org)
        return await self._done(
            await self.orgs.delete(org, actor, self._needs(DELETE), words), "org.deleted", org
        )

    async def set_roles(
        self, actor: str, org: str, sub: str, roles: Sequence[str]
    ) -> Done | NotDone:
        """Let *sub* have exactly *roles* there."""
        result = await self.orgs.set_roles(
            org,
            actor,
            sub,
            sorted(set(roles)),
            partial(judge_roles, self.table, roles=roles),
            partial(self.words.lost, org),
        )
        return await self._done(result, "org.roles_changed", org)

    async def remove(self, actor: str, org: str, sub: str) -> Done | NotDone:
        """Remove *sub*; oneself too."""
        judge = partial(judge_removal, self.table, oneself=actor == sub)
        words = partial(self.words.lost, org)
        result = await self.orgs.remove(org, actor, sub, judge, words)
        return await self._done(result, "org.member_removed", org)

    async def tell(self, gain: Done) -> None:
        """Say what is no less true when it is said later: a 503 would only have it done twice."""
        with suppress(NotAnnouncedError):
            await self.deliver(*gain.entries)

    def _needs(self, permission: str) -> Callable[[Seats], OrgRefusal | None]:
        return partial(judge_permission, self.table, permission=permission)

    async def _done(self, result: Done | NotDone, event: str, org: str) -> Done | NotDone:
        if isinstance(result, Done):
            await self.deliver(*result.entries)
            log.info("org.changed", what=event, org=org)
        return result

    def _place(self, found: Membership) -> Place:
        permissions = self.table.org_permissions(found.roles)
        held = known(found.roles, self.table.organisation)
        return Place(found.org, held, tuple(sorted(permissions)))
