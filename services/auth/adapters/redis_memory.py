"""Forget a deleted person in Redis."""

from typing import cast, get_args

from services.auth.adapters.redis_scripts import ATTEMPT, CLOCK, SESSION, Scripts
from services.auth.domain.link import Purpose
from shared.emails import limit_address
from shared.redis import translate_redis_errors

A_BATCH = 500  # keys looked at in one step: a millisecond of the store's time


class RedisMemory:
    """`services.auth.ports.deletions.Memory`.

    Used attempts and notices are in no list, so every attempt is looked at, a batch at a time.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def forget(self, sub: str, email: str) -> None:
        until_ms = await self._scripts.run("forget", self._keys(sub, email), [SESSION, ATTEMPT])
        cursor = 0
        while True:
            with translate_redis_errors():
                cursor, keys = await self._scripts.redis.scan(cursor, f"{ATTEMPT}*", A_BATCH)
            if keys:
                await self._scripts.run(
                    "forget_attempts", cast("list[str]", keys), [email, until_ms]
                )
            if cursor == 0:
                return

    def _keys(self, sub: str, email: str) -> list[str]:
        subject, mailbox = self._scripts.subject, limit_address(email)
        return [
            CLOCK,
            subject(sub),
            subject(email),
            subject(sub, "sessions"),
            subject(email, "browsers"),
            self._limit(f"address|{mailbox}"),
            self._limit(f"password|{mailbox}"),
            *(subject(email, purpose) for purpose in get_args(Purpose)),
        ]

    def _limit(self, counted: str) -> str:
        return f"lw:limit:{self._scripts.hash(counted)}"
