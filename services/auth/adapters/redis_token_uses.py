"""When service tokens were last used, in Redis: one hash of token id -> ms. Lost with it, and made anew."""

from collections.abc import Mapping

from services.auth.adapters.redis_scripts import Scripts
from shared.redis import translate_redis_errors

KEY = "lw:service_tokens:used"


class RedisTokenUses:
    """`services.auth.ports.service_tokens.TokenUses`."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def note(self, used: Mapping[str, int]) -> None:
        if used:
            args = [item for pair in used.items() for item in pair]
            await self._scripts.run("token_used", [KEY], args)

    async def last(self) -> Mapping[str, int]:
        fields = await self._scripts.read_hash(KEY)
        return {token_id: int(at) for token_id, at in fields.items()}

    async def forget(self, token_ids: frozenset[str]) -> None:
        if token_ids:
            with translate_redis_errors():
                await self._scripts.redis.hdel(KEY, *sorted(token_ids))
