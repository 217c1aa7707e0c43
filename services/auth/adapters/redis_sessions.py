"""Sessions in Redis."""

from dataclasses import replace

from services.auth.adapters.end_notes import end_of, field_of, tail_of, text_of
from services.auth.adapters.redis_scripts import (
    CLOCK,
    INSTANT,
    KEEP_MS,
    SESSION,
    SINCE,
    TRUSTED,
    UNANNOUNCED,
    Scripts,
    flatten,
)
from services.auth.adapters.session_fields import created, session_fields, session_of
from services.auth.domain.client import UNKNOWN, Client
from services.auth.domain.ending import PendingEnd, reuse_of
from services.auth.domain.session import EndReason, Session
from services.auth.ports import Advanced, Exchanged, NotExchanged, OpenSession, Over
from shared.redis import translate_redis_errors

AT_ONCE = 1000  # notes read in one round


class RedisSessions:
    """`services.auth.ports.Sessions`."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def require_settled(self) -> None:
        await self._scripts.require_settled()

    async def now(self, *, after_ms: int = 0) -> int:
        now: int = await self._scripts.run("now", [CLOCK], [after_ms])
        return now

    async def instant(self, entry_id: str, *, keep_ms: int | None = None) -> int:
        keep = KEEP_MS if keep_ms is None else keep_ms
        at_ms: int = await self._scripts.run("instant", [CLOCK, INSTANT + entry_id], [keep])
        return at_ms

    async def open(self, opening: OpenSession) -> Exchanged | NotExchanged:
        session, subject = opening.session, self._scripts.subject
        status, *rest = await self._scripts.run(
            "open_session",
            [
                CLOCK,
                SESSION + session.sid,
                subject(session.sub),
                subject(session.sub, "sessions"),
                subject(session.email, "browsers"),
                self._scripts.mailbox(session.email),
                TRUSTED,
                SINCE,
                subject(session.email),
            ],
            [
                *(session.sid, opening.asked_at_ms, opening.watermark, opening.session_ms),
                *(self._scripts.browser(opening.browser), opening.browser_ms),
                *flatten(session_fields(session)),
            ],
        )
        if status == b"opened":
            return created(session, *rest)
        return NotExchanged(rest[0].decode())

    async def find(self, sid: str) -> Session | None:
        found = await self._read(sid)
        if found is None:
            await self._scripts.require_settled()
        return found

    async def look(self, sid: str) -> tuple[Session | None, int]:
        now, found = await self._scripts.run("look", [CLOCK, SESSION + sid], [])
        texts = [value.decode() for value in found]
        if not texts:
            await self._scripts.require_settled()
            return None, now
        fields = dict(zip(texts[::2], texts[1::2], strict=True))
        return session_of(sid, fields), now

    async def advance(
        self,
        session: Session,
        counter: int,
        grace_ms: int,
        *,
        after_ms: int = 0,
        client: Client = UNKNOWN,
        org: str | None = None,
    ) -> Advanced | Over:
        reuse = reuse_of(session)
        status, first, second = await self._scripts.run(
            "advance",
            [
                CLOCK,
                SESSION + session.sid,
                self._scripts.subject(session.sub),
                self._scripts.subject(session.sub, "sessions"),
                UNANNOUNCED,
                self._scripts.mailbox(session.email),
                TRUSTED,
                self._scripts.subject(session.email),
            ],
            [
                *(session.sid, counter, grace_ms, after_ms, client.network, client.user_agent),
                *(field_of(reuse), tail_of(reuse.reason, reuse.actor)),
                *(int(org is not None), org or ""),
            ],
        )
        if status == b"over":
            return Over(first.decode(), bool(second))
        return Advanced(first, second)

    async def end(self, sid: str, sub: str, reason: EndReason, actor: str) -> PendingEnd:
        end = PendingEnd("session", sid, reason, actor, 0)
        expires_at_ms: int = await self._scripts.run(
            "end_session",
            [SESSION + sid, self._scripts.subject(sub, "sessions"), UNANNOUNCED],
            [sid, reason, field_of(end), tail_of(reason, actor)],
        )
        return replace(end, at_ms=expires_at_ms)

    async def unannounced(self) -> list[PendingEnd]:
        found = []
        with translate_redis_errors():
            async for field, text in self._scripts.redis.hscan_iter(UNANNOUNCED, count=100):
                found.append(end_of(field.decode(), text.decode()))
                if len(found) == AT_ONCE:
                    break
        return found

    async def announced(self, end: PendingEnd) -> None:
        reused = [SESSION + end.target] if end.is_reuse else []
        await self._scripts.run("announced", [UNANNOUNCED, *reused], [field_of(end), text_of(end)])

    async def of(self, sub: str) -> list[Session]:
        sids = await self._scripts.members(self._scripts.subject(sub, "sessions"))
        found = [await self._read(sid) for sid in sids]
        living = [session for session in found if session and not session.ended]
        return sorted(living, key=lambda session: session.sst, reverse=True)

    async def _read(self, sid: str) -> Session | None:
        fields = await self._scripts.read_hash(SESSION + sid)
        return session_of(sid, fields) if fields else None

    async def end_all(
        self, sub: str, email: str, reason: EndReason, actor: str, *, at_ms: int | None = None
    ) -> PendingEnd:
        end = PendingEnd("subject", sub, reason, actor, at_ms or 0)
        return await end_person(self._scripts, end, email, reason)


async def end_person(
    scripts: Scripts, end: PendingEnd, email: str, reason: EndReason, *block: str
) -> PendingEnd:
    """End all a person has; with field/value pairs of a *block*, keep the address out too."""
    keys = [CLOCK, scripts.subject(end.target), scripts.subject(end.target, "sessions")]
    note = [field_of(end), tail_of(end.reason, end.actor)]
    at_ms: int = await scripts.run(
        "end_all",
        [*keys, UNANNOUNCED, scripts.subject(email)],
        [reason, KEEP_MS, SESSION, *note, end.at_ms, *block],
    )
    return replace(end, at_ms=at_ms)
