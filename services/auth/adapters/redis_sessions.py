"""Sessions in Redis."""

from dataclasses import replace

from services.auth.adapters.end_notes import end_of, field_of, tail_of, text_of
from services.auth.adapters.redis_scripts import (
    CLOCK,
    KEEP_MS,
    SESSION,
    TRUSTED,
    UNANNOUNCED,
    Scripts,
)
from services.auth.domain.client import UNKNOWN, Client
from services.auth.domain.ending import PendingEnd, reuse_of
from services.auth.domain.session import EndReason, Session
from services.auth.ports import (
    Advanced,
    Over,
)
from shared.redis import translate_redis_errors

AT_ONCE = 1000  # notes read in one round


class RedisSessions:
    """`services.auth.ports.Sessions`."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def require_settled(self) -> None:
        await self._scripts.require_settled()

    async def find(self, sid: str) -> Session | None:
        found = await self._read(sid)
        if found is None:
            await self._scripts.require_settled()
        return found

    async def advance(
        self,
        session: Session,
        counter: int,
        grace_ms: int,
        *,
        after_ms: int = 0,
        client: Client = UNKNOWN,
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
                self._scripts.mailbox(session.sub),
                TRUSTED,
            ],
            [
                *(session.sid, counter, grace_ms, after_ms, client.network, client.user_agent),
                *(field_of(reuse), tail_of(reuse.reason, reuse.actor)),
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
        return _session(sid, fields) if fields else None

    async def end_all(self, sub: str, reason: EndReason, actor: str) -> PendingEnd:
        return await end_person(self._scripts, PendingEnd("subject", sub, reason, actor, 0), reason)


async def end_person(
    scripts: Scripts, end: PendingEnd, reason: EndReason, *block: str
) -> PendingEnd:
    """End all a person has; with field/value pairs of a *block*, keep them out too."""
    keys = [CLOCK, scripts.subject(end.target), scripts.subject(end.target, "sessions")]
    note = [field_of(end), tail_of(end.reason, end.actor)]
    now: int = await scripts.run(
        "end_all", [*keys, UNANNOUNCED], [reason, KEEP_MS, SESSION, *note, *block]
    )
    return replace(end, at_ms=now)


def _session(sid: str, fields: dict[str, str]) -> Session:
    return Session(
        sid=sid,
        sub=fields.get("sub", ""),
        email=fields.get("email", ""),
        sst=int(fields["sst"]),
        expires_at_ms=int(fields["expires_at"]),
        counter=int(fields["counter"]),
        advanced_at_ms=int(fields.get("advanced_at", "0")),
        secret=fields.get("secret", ""),
        client=Client(fields.get("network", ""), fields.get("user_agent", "")),
        client_id=fields.get("client_id", ""),
        amr=fields.get("amr", ""),
        ended=fields.get("ended", ""),
        announced=fields.get("announced", "1") == "1",
    )
