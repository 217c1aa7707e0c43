"""Invitations into an organisation: for one address, once, for seven days.

The mail's link is derived as every other; what counts is the row in SQL, so nothing that happens to attempts in
Redis makes an invitation work twice, or not at all. It is accepted by somebody who is signed in with that very
address, and gives what its maker may still offer by then.
"""

import hmac
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog

from services.auth.domain.link import LinkAsk, Purpose, TooManyRequests
from services.auth.domain.org import (
    INVITATION_MS,
    Done,
    Invitation,
    NotDone,
    Org,
    judge_invitation,
    judge_permission,
)
from services.auth.domain.roles import INVITE
from services.auth.flows.asking import Asking
from services.auth.flows.org import OrgFlow, Place
from services.auth.ports import Attempts, Keys, StoreUnavailableError
from shared.links import link_token, parse_link_token

log = structlog.get_logger()

PURPOSE: Purpose = "invitation"


@dataclass(frozen=True)
class Invited:
    """What an open invitation offers: *roles* that count, in *org*, to *email*."""

    invitation: Invitation
    org: Org
    roles: tuple[str, ...]


@dataclass(frozen=True)
class InvitationFlow:
    """The use cases of an invitation; *actor* is the ``sub`` of who asks. Errors as in `OrgFlow`."""

    organisations: OrgFlow
    asking: Asking
    attempts: Attempts
    keys: Keys

    async def invite(
        self, actor: str, org: str, ask: LinkAsk, roles: Sequence[str]
    ) -> Invitation | NotDone | TooManyRequests:
        """Offer *roles* to the address of *ask*, by a mail. An earlier offer to it counts no more.

        Whether a mail goes out (the address may be one that cannot sign in here, or have had too many) is told
        to nobody, as for any other mail.
        """
        flow, now_ms = self.organisations, self.organisations.clock.now_ms()
        place = await flow.place(org, actor)
        if place is None:
            return NotDone("no_such_org")
        offer = Invitation(
            invitation=flow.ids.ulid(now_ms),
            org=org,
            email=ask.email,
            roles=tuple(sorted(set(roles))),
            invited_by=actor,
            created_at_ms=now_ms,
            expires_at_ms=now_ms + INVITATION_MS,
        )
        result = await flow.orgs.invite(offer, partial(judge_invitation, flow.table, roles=roles))
        if isinstance(result, NotDone):
            return result
        return await self._send(actor, offer, ask, place)

    async def open(self, org: str) -> list[Invitation]:
        """Those of *org* that can be accepted."""
        return await self.organisations.orgs.invitations(org, self.organisations.clock.now_ms())

    async def withdraw(self, actor: str, org: str, invitation: str) -> Done | NotDone:
        """Let it work no more."""
        flow = self.organisations
        judge = partial(judge_permission, flow.table, permission=INVITE)
        result = await flow.orgs.withdraw(org, actor, invitation, judge)
        if isinstance(result, Done):
            await self._close(invitation)
        return result

    async def inspect(self, token: str) -> Invited | None:
        """What the link offers; None: nothing (any more). Changes nothing."""
        parsed = parse_link_token(token)
        if parsed is None:
            return None
        flow = self.organisations
        found = await flow.orgs.invitation(parsed[0], flow.clock.now_ms())
        if found is None or not self._is_right(token, found[0]):
            return None
        invitation, org = found
        roles = tuple(filter(flow.table.is_org_role, invitation.roles))
        return Invited(invitation, org, roles)

    def token_of(self, invitation: str, email: str) -> str:
        """The link's token, for who is signed in with *email* and lost the link on the way to that.

        An invitation is its address's, and a session proves the address. "" for what is no invitation's id.
        """
        keys = self.keys.link
        try:
            return link_token(keys.by_kid[keys.current], PURPOSE, invitation, email)
        except ValueError:  # no ULID
            return ""

    async def accept(self, actor: str, email: str, token: str) -> Place | NotDone:
        """Join, as *actor* who is signed in with *email*."""
        invited = await self.inspect(token)
        if invited is None:
            return NotDone("no_such_invitation")
        offer, flow = invited.invitation, self.organisations
        if email != offer.email:
            return NotDone("other_address")
        result = await flow.orgs.accept(
            offer,
            actor,
            flow.clock.now_ms(),
            partial(judge_invitation, flow.table, roles=offer.roles),
            partial(flow.words.gained, offer.org),
        )
        if isinstance(result, NotDone):
            return result
        await flow.tell(result)
        await self._close(offer.invitation)
        log.info("invitation.accepted", org=offer.org)
        return await flow.place(offer.org, actor) or NotDone("no_such_invitation")

    async def _send(
        self, actor: str, offer: Invitation, ask: LinkAsk, place: Place
    ) -> Invitation | TooManyRequests:
        sent = await self.asking.ask(
            ask,
            purpose=PURPOSE,
            login_id=offer.invitation,
            about=place.org.name,
            seconds=INVITATION_MS // 1000,
        )
        if isinstance(sent, TooManyRequests):
            await self.withdraw(actor, offer.org, offer.invitation)
            return sent
        log.info("invitation.made", org=offer.org)
        return offer

    async def _close(self, invitation: str) -> None:
        """The attempt behind the mail is looked at by pages only; without it the row decides alone."""
        with suppress(StoreUnavailableError):
            await self.attempts.cancel(invitation)

    def _is_right(self, token: str, invitation: Invitation) -> bool:
        """Under any link key that is still accepted; constant time for each."""
        expected = [
            link_token(key, PURPOSE, invitation.invitation, invitation.email)
            for key in self.keys.link.by_kid.values()
        ]
        return any(hmac.compare_digest(token.encode(), text.encode()) for text in expected)
