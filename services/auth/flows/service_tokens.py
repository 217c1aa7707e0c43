"""Service tokens: made, listed, rotated and revoked, in the one document that edges and auth go by.

Each change reads the document from its stream's leader and writes the next one in its place, only if nobody
else did meanwhile. A revocation is published before the row is marked, so that a crash in between leaves
nothing that works; and what anybody else revokes by its id or its service is marked too, because a record of
the blocklist does not live as long as a token may.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from services.auth.domain.service_tokens import (
    Added,
    NotDone,
    Rows,
    Wanted,
    add,
    alive,
    marked,
    without_oldest,
)
from services.auth.domain.session import revocation_id
from services.auth.flows.token_reader import TokenReader
from services.auth.ports import (
    NOBODY,
    BusUnavailableError,
    Events,
    Revocations,
    StoreUnavailableError,
    Watch,
)
from services.auth.ports.service_tokens import (
    Organisations,
    Register,
    Registers,
    RegisterTooLargeError,
    TokenUses,
)
from shared.clock import Clock
from shared.contract import SERVICE_TOKEN_ISSUED, TOKEN_REVOKED
from shared.ids import Ids
from shared.messages import ServiceToken, ServiceTokenIssued, TokenRevoked
from shared.service_tokens import TokenTable, is_service_token

log = structlog.get_logger()

TRIES = 5
ORGANISATION_ENDED = "organisation_ended"


@dataclass(frozen=True)
class Listed:
    """The tokens asked for; *uses* None: when they were used cannot be said now."""

    rows: Rows
    uses: Mapping[str, int] | None


@dataclass(frozen=True)
class Kept:
    """*row* is in force from *generation* of the document on."""

    row: ServiceToken
    generation: int


@dataclass(frozen=True)
class Struck:
    """*row* is revoked by the event *event_id*; *generation* is the first that says so, 0: one soon will."""

    row: ServiceToken
    event_id: str
    generation: int


@dataclass(frozen=True)
class ServiceTokenFlow:
    """What *reader* judges, this one changes. May raise the errors of `services.auth.ports`."""

    reader: TokenReader
    registers: Registers
    uses: TokenUses
    revocations: Revocations
    events: Events
    clock: Clock
    ids: Ids

    async def listed(self, service: str | None = None, *, revoked: bool = False) -> Listed:
        """All living tokens, or those of *service*, as the document's leader has them.

        With *revoked* also those that were revoked and would not have run out yet.
        """
        known = self.reader.vouched_for(await self.registers.read(), now_ms := self.clock.now_ms())
        counted = known if revoked else alive(known, now_ms)
        rows = tuple(row for row in counted if service in {None, row.service})
        try:
            return Listed(rows, await self.uses.last())
        except StoreUnavailableError:
            return Listed(rows, None)

    async def find(self, token_id: str) -> ServiceToken | None:
        """The row named *token_id*, unless it was revoked.

        One that is not known here may have been made a moment ago, through another process: the document's
        leader says whether there is one.
        """
        if self.reader.known.by_id(token_id) is not None:
            return self.reader.living(token_id)
        register, now_ms = await self.registers.read(), self.clock.now_ms()
        rows = alive(self.reader.vouched_for(register, now_ms), now_ms)
        return next((row for row in rows if row.id == token_id), None)

    async def find_shown(self, token: str) -> ServiceToken | None:
        """The row of *token*, as it is shown; None when it is nobody's, as of the newest document too.

        Raises:
            FeedStaleError: as `TokenReader.find`.
        """
        row = self.reader.find(token)
        if row is None and is_service_token(shown := token.encode("utf-8", "surrogatepass")):
            row = TokenTable.of((await self.registers.read()).rows).find(shown)
        return row

    async def keep(self, wanted: Wanted) -> Kept | NotDone:
        """Take a token in, in place of another one or as one more."""
        self.revocations.require_fresh()
        for _ in range(TRIES):
            register = await self.registers.read()
            rows = self.reader.vouched_for(register, self.clock.now_ms())
            now_ms = self._after_the_cutoff(wanted.service)
            added = add(rows, wanted, self.ids.ulid(now_ms), now_ms)
            if isinstance(added, NotDone):
                return added
            if self.revocations.refuses(self.reader.claims(added.new, ""), now_ms):
                return NotDone("service_revoked")
            try:
                written = await self._write(added.rows, register)
            except RegisterTooLargeError:
                return NotDone("too_many")
            if written is not None:
                await self._tell(added, wanted)
                return Kept(added.new, written.generation)
        raise BusUnavailableError("the register is written by others all the time")

    async def revoke(
        self, token_id: str, reason: str, actor: str, *, watch: Watch = NOBODY
    ) -> Struck | NotDone:
        """End a token everywhere: the event first, then its row is marked."""
        register = await self.registers.read()
        row = next((r for r in register.rows if r.id == token_id), None)
        if row is None or row.revoked_at is not None:
            return NotDone("not_found")
        event = self._revoked(row, reason, actor)
        assert event.id is not None
        await watch.expect(event.id)
        await self.events.publish(TOKEN_REVOKED, event)
        log.info("service_token.revoked", token_id=token_id, service=row.service)
        written = await self._mark(register, token_id)
        return Struck(row, event.id, written.generation if written else 0)

    async def end_of_organisations(self, orgs: Organisations) -> None:
        """Revoke the tokens bound to an organisation that is no more. Raises: AccountsUnavailableError."""
        register = await self.registers.read()
        bound = [row for row in alive(register.rows, self.clock.now_ms()) if row.org is not None]
        if not bound:
            return
        there = await orgs.existing(frozenset(row.org for row in bound if row.org))
        for row in bound:
            if row.org not in there:
                await self.revoke(row.id, ORGANISATION_ENDED, "auth")

    async def tidy(self) -> None:
        """Mark what was revoked, strike what has run out, and sign with the key that signs now.

        Raises: FeedStaleError: the key that vouches for the rows may be revoked; they are not signed anew.
        """
        self.revocations.require_fresh()
        register = await self.registers.read()
        now_ms = self.clock.now_ms()
        rows = self.reader.vouched_for(register, now_ms)
        unsigned = bool(register.generation) and register.kid != self.registers.signs_with
        if rows == register.rows and not unsigned:
            return
        written = await self._write(rows, register)
        if written is not None:
            gone = frozenset(r.id for r in register.rows) - {r.id for r in written.rows}
            log.info("service_tokens.tidied", struck=len(gone), generation=written.generation)
            await self._forget(gone)

    def _after_the_cutoff(self, service: str) -> int:
        """Now (Unix ms), or the first moment whose tokens no revocation of all of *service*'s hits.

        That is two seconds after it at most: as for people's sessions, the clocks of two hosts differ.
        """
        cutoff = self.revocations.watermark(service)
        return max(self.clock.now_ms(), cutoff.sessions_before + 1, cutoff.tokens_before + 1)

    async def _mark(self, register: Register, token_id: str) -> Register | None:
        """The register with that row marked; None when it could not be written: `tidy` will do it."""
        try:
            for _ in range(TRIES):
                now_ms = self.clock.now_ms()
                rows = self.reader.vouched_for(register, now_ms)
                rows = marked(rows, lambda row: row.id == token_id, now_ms)
                written = await self._write(rows, register)
                if written is not None:
                    return written
                register = await self.registers.read()
        except (BusUnavailableError, RegisterTooLargeError):
            log.warning("service_token.marked_later", token_id=token_id)
        return None

    async def _write(self, rows: Rows, after: Register) -> Register | None:
        """As `Registers.write`; where there is no room, without the oldest of those that were revoked."""
        while True:
            try:
                return await self.registers.write(rows, after)
            except RegisterTooLargeError:
                fewer = without_oldest(rows)
                if len(fewer) == len(rows):
                    raise
                rows = fewer

    async def _forget(self, gone: frozenset[str]) -> None:
        try:
            await self.uses.forget(gone)
        except StoreUnavailableError:
            log.info("service_token.uses_kept")  # a few bytes more, of nobody

    async def _tell(self, added: Added, wanted: Wanted) -> None:
        new, now_ms = added.new, self.clock.now_ms()
        log.info("service_token.issued", token_id=new.id, service=new.service)
        event = ServiceTokenIssued(
            id=new.id,
            at=now_ms,
            token_id=new.id,
            service=new.service,
            scopes=new.scopes,
            expires_at=new.expires_at,
            actor=wanted.actor,
            replaces=wanted.replaces,
            org=new.org,
        )
        try:
            await self.events.publish(SERVICE_TOKEN_ISSUED, event)
        except BusUnavailableError:
            # It is in force, and whoever made it has to be shown it: the event is for the record.
            log.warning("service_token.untold", token_id=new.id)

    def _revoked(self, row: ServiceToken, reason: str, actor: str) -> TokenRevoked:
        return TokenRevoked(
            scope="session",
            sid=row.id,
            reason=reason,
            actor=actor,
            affected_until=row.expires_at,
            id=revocation_id(row.id),
            at=self.clock.now_ms(),
        )
