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

    async def block(self, email: str, reason: str, actor: str) -> PendingEnd:
        end = PendingEnd("subject", email, reason, actor, 0)
        block = ("blocked_reason", reason, "blocked_by", actor)
        return await end_person(self._scripts, end, email, "blocked", *block)

    async def unblock(self, email: str) -> None:
        await self._scripts.run("unblock", [self._scripts.subject(email)], [KEEP_MS])

    async def find(self, email: str) -> Person:
        fields = await self._scripts.read_hash(self._scripts.subject(email))
        with translate_redis_errors():
            sessions = await self._scripts.redis.zcard(self._scripts.subject(email, "sessions"))
        blocked_at = fields.get("blocked_at")
        return Person(email, int(blocked_at) if blocked_at else None, sessions)
