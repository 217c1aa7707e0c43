"""A service token of the doctor's own: made for the run, tried, and revoked with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ctl.session import Session
from ctl.targets import revocation_of
from ctl.token_desk import NotKeptError, keep_token, living
from shared.bus import NoAnswerError
from shared.contract import TOKEN_REVOKED

NAME = "latchwire-doctor"
LIFETIME_MS = 600_000  # it ends by itself where the doctor cannot end it
REASON = "latchwire doctor"


@dataclass(frozen=True, repr=False)
class OwnToken:
    """*token* is the credential itself."""

    token: str
    id: str
    session: Session

    async def revoke(self) -> None:
        """End it everywhere; again does no harm. Raises: BusUnavailableError."""
        await revoke(self.session, self.id)


@asynccontextmanager
async def own_token(session: Session) -> AsyncIterator[OwnToken | str]:
    """A token of the service `NAME`, which has no scope; or why there is none. Revoked at the end of the block.

    What an earlier run could not revoke is revoked first.
    """
    try:
        for row in await living(session, NAME):
            await revoke(session, row.id)
        made = await keep_token(session, NAME, scopes=(), lifetime_ms=LIFETIME_MS)
    except NotKeptError as error:
        yield str(error)
        return
    except NoAnswerError:
        yield "auth does not answer"
        return
    own = OwnToken(made.token, made.row.id, session)
    try:
        yield own
    finally:
        await own.revoke()


async def revoke(session: Session, token_id: str) -> None:
    """Say it to the bus, as `tokens revoke` does."""
    event = revocation_of("session", [token_id], REASON)
    identified = event.model_copy(update={"id": session.ids.ulid(session.clock.now_ms())})
    await session.bus.publish(TOKEN_REVOKED, identified)
