"""Sessions in Redis."""

from services.auth.adapters.redis_scripts import CLOCK, KEEP_MS, SESSION, Scripts
from services.auth.domain.client import Client
from services.auth.domain.session import EndReason, Session
from services.auth.ports import Advanced, Over
from shared.redis import translate_redis_errors


class RedisSessions:
    """`services.auth.ports.Sessions`."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def find(self, sid: str) -> Session | None:
        fields = await self._scripts.read_hash(SESSION + sid)
        return _session(sid, fields) if fields else None

    async def advance(
        self, session: Session, counter: int, grace_ms: int, *, after_ms: int = 0
    ) -> Advanced | Over:
        status, first, second = await self._scripts.run(
            "advance",
            [
                CLOCK,
                SESSION + session.sid,
                self._scripts.subject(session.sub),
                self._scripts.subject(session.sub, "sessions"),
            ],
            [session.sid, counter, grace_ms, after_ms],
        )
        if status == b"over":
            return Over(first.decode(), bool(second))
        return Advanced(first, second)

    async def end(self, sid: str, sub: str, reason: EndReason) -> int | None:
        expires_at_ms: int | None = await self._scripts.run(
            "end_session", [SESSION + sid, self._scripts.subject(sub, "sessions")], [sid, reason]
        )
        return expires_at_ms

    async def announced(self, sid: str) -> None:
        with translate_redis_errors():
            # Only an existing tombstone: a bare write would make a session that never expires.
            if await self._scripts.redis.exists(SESSION + sid):
                await self._scripts.redis.hset(SESSION + sid, "announced", "1")

    async def of(self, sub: str) -> list[Session]:
        sids = await self._scripts.members(self._scripts.subject(sub, "sessions"))
        found = [await self.find(sid) for sid in sids]
        living = [session for session in found if session and not session.ended]
        return sorted(living, key=lambda session: session.sst, reverse=True)

    async def end_all(self, sub: str, reason: EndReason) -> int:
        now: int = await self._scripts.run(
            "end_all",
            [CLOCK, self._scripts.subject(sub), self._scripts.subject(sub, "sessions")],
            [reason, KEEP_MS, SESSION],
        )
        return now


def _session(sid: str, fields: dict[str, str]) -> Session:
    return Session(
        sid=sid,
        sub=fields["sub"],
        email=fields["email"],
        sst=int(fields["sst"]),
        expires_at_ms=int(fields["expires_at"]),
        counter=int(fields["counter"]),
        advanced_at_ms=int(fields["advanced_at"]),
        secret=fields["secret"],
        client=Client(fields["network"], fields["user_agent"]),
        client_id=fields["client_id"],
        amr=fields["amr"],
        ended=fields.get("ended", ""),
        announced=fields.get("announced", "1") == "1",
    )
