"""Blocks in Redis: they live until somebody lifts them."""

from services.auth.adapters.redis_scripts import KEEP_MS, Scripts
from services.auth.adapters.redis_sessions import end_person
from services.auth.domain.ending import PendingEnd
from services.auth.domain.outcomes import Person
from shared.redis import translate_redis_errors


class RedisPeople:
    """`services.auth.ports.People`."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def block(self, sub: str, reason: str, actor: str) -> PendingEnd:
        end = PendingEnd("subject", sub, reason, actor, 0)
        block = ("blocked_reason", reason, "blocked_by", actor)
        return await end_person(self._scripts, end, "blocked", *block)

    async def unblock(self, sub: str) -> None:
        await self._scripts.run("unblock", [self._scripts.subject(sub)], [KEEP_MS])

    async def find(self, sub: str) -> Person:
        fields = await self._scripts.read_hash(self._scripts.subject(sub))
        with translate_redis_errors():
            sessions = await self._scripts.redis.zcard(self._scripts.subject(sub, "sessions"))
        blocked_at = fields.get("blocked_at")
        return Person(sub, int(blocked_at) if blocked_at else None, sessions)
