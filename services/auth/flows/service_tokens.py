"""Service tokens: made, listed, rotated and revoked, in the one document that edges and auth go by.

Each change reads the document from its stream's leader and writes the next one in its place, only if nobody
else did meanwhile. A revocation is published before the row leaves, so that a crash in between leaves nothing
that works; and what anybody else revokes by its id or its service leaves too, because a record of the
blocklist does not live as long as a token may.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from latchwire.claims import Claims
from services.auth.domain.service_tokens import (
    Added,
    NotDone,
    Rows,
    Wanted,
    add,
    alive,
    without,
)
from services.auth.domain.session import revocation_id
from services.auth.ports import (
    NOBODY,
    BusUnavailableError,
    Events,
    FeedStaleError,
    Revocations,
    StoreUnavailableError,
    Watch,
)
from services.auth.ports.service_tokens import (
    KnownTokens,
    Register,
    Registers,
    RegisterTooLargeError,
    TokenUses,
)
from shared.clock import Clock
from shared.contract import SERVICE_TOKEN_ISSUED, TOKEN_REVOKED
from shared.ids import Ids
from shared.messages import ServiceToken, ServiceTokenIssued, TokenRevoked
from shared.service_tokens import claims_of, is_service_token

log = structlog.get_logger()

TRIES = 5


@dataclass(frozen=True)
class Listed:
    """The living tokens; *uses* None: when they were used cannot be said now."""

    rows: Rows
    uses: Mapping[str, int] | None


@dataclass(frozen=True)
class Kept:
    """*row* is in force from *generation* of the document on."""

    row: ServiceToken
    generation: int


@dataclass(frozen=True)
class Struck:
    """*row* is revoked by the event *event_id*; *generation* is the first without it, 0: it leaves soon."""

    row: ServiceToken
    event_id: str
    generation: int


@dataclass(frozen=True)
class ServiceTokenFlow:
    """*issuer* and *audience* as in access tokens. May raise the errors of `services.auth.ports`."""

    registers: Registers
    known: KnownTokens
    uses: TokenUses
    revocations: Revocations
    events: Events
    issuer: str
    audience: str
    clock: Clock
    ids: Ids

    def claims(self, row: ServiceToken, kid: str | None = None) -> Claims:
        """What *row*'s token says, vouched for by *kid* (None: as the rows in force here)."""
        voucher = self.known.kid if kid is None else kid
        return claims_of(row, issuer=self.issuer, audience=self.audience, kid=voucher)

    def accepts(self, row: ServiceToken) -> bool:
        """Whether *row*'s token counts now. Raises: FeedStaleError."""
        now_ms = self.clock.now_ms()
        if now_ms >= row.expires_at or self.revocations.refuses(self.claims(row), now_ms):
            return False
        self.revocations.require_fresh()
        return True

    def find(self, token: str) -> ServiceToken | None:
        """The row of *token*; None when it is surely nobody's.

        Raises:
            FeedStaleError: it has the form of one, and may be one that is not known here yet.
        """
        row = self.known.find(token)
        if row is None and is_service_token(token.encode("utf-8", "surrogatepass")):
            self.revocations.require_fresh()
            if self.known.lags:
                raise FeedStaleError
        return row

    def identify(self, token: str) -> Claims | None:
        """Whose service token this is; None when it counts for nothing."""
        row = self.known.find(token)
        return self.claims(row) if row is not None and self.accepts(row) else None

    async def listed(self, service: str | None = None) -> Listed:
        """All living tokens, or those of *service*, as the document's leader has them."""
        register = await self.registers.read()
        living = alive(register.rows, self.clock.now_ms())
        rows = tuple(row for row in living if service in {None, row.service})
        try:
            return Listed(rows, await self.uses.last())
        except StoreUnavailableError:
            return Listed(rows, None)

    async def keep(self, wanted: Wanted) -> Kept | NotDone:
        """Take a token in, in place of another one or as one more."""
        self.revocations.require_fresh()
        for _ in range(TRIES):
            now_ms = self.clock.now_ms()
            register = await self.registers.read()
            rows = self._vouched_for(register, now_ms)
            added = add(rows, wanted, self.ids.ulid(now_ms), now_ms)
            if isinstance(added, NotDone):
                return added
            if self.revocations.refuses(self.claims(added.new, ""), now_ms):
                return NotDone("service_revoked")
            try:
                written = await self.registers.write(added.rows, register)
            except RegisterTooLargeError:
                return NotDone("too_many")
            if written is not None:
                await self._tell(added, wanted)
                return Kept(added.new, written.generation)
        raise BusUnavailableError("the register is written by others all the time")

    async def revoke(
        self, token_id: str, reason: str, actor: str, *, watch: Watch = NOBODY
    ) -> Struck | NotDone:
        """End a token everywhere: the event first, then its row."""
        register = await self.registers.read()
        row = next((r for r in register.rows if r.id == token_id), None)
        if row is None:
            return NotDone("not_found")
        event = self._revoked(row, reason, actor)
        assert event.id is not None
        await watch.expect(event.id)
        await self.events.publish(TOKEN_REVOKED, event)
        log.info("service_token.revoked", token_id=token_id, service=row.service)
        written = await self._strike(register, token_id)
        return Struck(row, event.id, written.generation if written else 0)

    async def tidy(self) -> None:
        """Strike what was revoked or has run out, and sign with the key that signs now.

        Raises: FeedStaleError: the key that vouches for the rows may be revoked; they are not signed anew.
        """
        self.revocations.require_fresh()
        register = await self.registers.read()
        now_ms = self.clock.now_ms()
        rows = self._vouched_for(register, now_ms)
        unsigned = bool(register.generation) and register.kid != self.registers.signs_with
        if rows == register.rows and not unsigned:
            return
        written = await self.registers.write(rows, register)
        if written is not None:
            gone = frozenset(r.id for r in register.rows) - {r.id for r in rows}
            log.info("service_tokens.tidied", struck=len(gone), generation=written.generation)
            await self._forget(gone)

    async def _strike(self, register: Register, token_id: str) -> Register | None:
        """The register without that row; None when it could not be written: `tidy` will do it."""
        try:
            for _ in range(TRIES):
                rows = self._vouched_for(register, self.clock.now_ms())
                rows = without(rows, lambda row: row.id == token_id)
                written = await self.registers.write(rows, register)
                if written is not None:
                    await self._forget(frozenset({token_id}))
                    return written
                register = await self.registers.read()
        except BusUnavailableError:
            log.warning("service_token.strikes_later", token_id=token_id)
        return None

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
        )
        try:
            await self.events.publish(SERVICE_TOKEN_ISSUED, event)
        except BusUnavailableError:
            # It is in force, and whoever made it has to be shown it: the event is for the record.
            log.warning("service_token.untold", token_id=new.id)

    def _vouched_for(self, register: Register, now_ms: int) -> Rows:
        """Its living rows without what is revoked: the next write would vouch for them anew."""
        living = alive(register.rows, now_ms)
        return without(living, lambda row: self._is_revoked(row, now_ms, register.voucher))

    def _is_revoked(self, row: ServiceToken, now_ms: int, voucher: str) -> bool:
        return self.revocations.refuses(self.claims(row, voucher), now_ms)

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
