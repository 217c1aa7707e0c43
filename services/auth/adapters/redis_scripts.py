"""The keys and the Lua scripts of auth in Redis.

Keys hold no personal data: people and networks appear as keyed hashes. Some scripts reach keys that
they compute (a person's sessions), so this is for one Redis with replicas, not for a Redis Cluster.

    lw:clock                       greatest time ever given out (ms)
    lw:attempt:<login_id>          hash, lives as long as the link
    lw:session:<sid>               hash, lives as long as the session; ended ones are tombstones
    lw:unannounced                 hash: ends to be published, until they are
    lw:instant:<entry>             when an entry of the outbox was first done (ms)
    lw:subject:<hash>              hash: blocked_at (also under the address without its +tag), voided_before
    lw:subject:<hash>:sessions     sorted set: sid -> expires_at
    lw:subject:<hash>:browsers     sorted set: browser's hash -> last sign-in
    lw:subject:<hash>:<purpose>    sorted set: login_id -> expires_at
    lw:limit:<hash>                sorted set: login_id -> when
    lw:service_tokens:used         hash: id of a service token -> when it was last used (ms)

The hash is of the address for blocks, browsers and attempts, of the ``sub`` for sessions, and of either for
``voided_before``. Without accounts the ``sub`` is the address.

Read, and written by the revocation worker:

    lw:bl:trusted                  there while this store has lost nothing and forgets nothing
    lw:life:since                  the instant (ms) since which that is so; what is single-use and not
                                   later does not count
"""

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import NoScriptError, ResponseError

from services.auth.domain.clock import REASONS
from services.auth.ports import ClockSkewedError, StoreUnsettledError
from shared.clock import Clock
from shared.emails import limit_address
from shared.redis import translate_redis_errors

log = structlog.get_logger()

CLOCK = "lw:clock"
ATTEMPT = "lw:attempt:"
SESSION = "lw:session:"
UNANNOUNCED = "lw:unannounced"
INSTANT = "lw:instant:"
TRUSTED = "lw:bl:trusted"
SINCE = "lw:life:since"
KEEP_MS = 8 * 86_400_000  # a watermark outlives every session it ends

_LUA = Path(__file__).parent / "lua"
_PRELUDE = (
    "clock",
    "tombstone",
    "blocked",
    "settled",
    "attempt",
)  # functions that every script has


class Scripts:
    """The scripts, loaded once; `run` translates errors."""

    def __init__(self, redis: Redis, index_key: bytes, clock: Clock) -> None:
        self.redis = redis
        self.clock = clock
        self._index_key = index_key
        shared = "".join((_LUA / f"{name}.lua").read_text("utf-8") for name in _PRELUDE)
        self._scripts: dict[str, AsyncScript] = {
            path.stem: redis.register_script(shared + path.read_text("utf-8"))
            for path in sorted(_LUA.glob("*.lua"))
            if path.stem not in _PRELUDE
        }

    async def run(self, name: str, keys: list[str], args: list[Any]) -> Any:
        """Run script *name*: one round trip.

        Raises:
            StoreUnavailableError, ClockSkewedError, StoreUnsettledError: nothing was done.
        """
        with translate_redis_errors(), _own_errors():
            return await self._run(
                self._scripts[name], [*keys, self.clock.now_ms(), *args], len(keys)
            )

    async def _run(self, script: AsyncScript, given: list[Any], keys: int) -> Any:
        evaluate = self.redis.execute_command  # `script` itself costs twenty lines of Python more
        try:
            return await evaluate("EVALSHA", script.sha, keys, *given)  # type: ignore[no-untyped-call]
        except NoScriptError:  # the first time since the server began
            return await script(keys=given[:keys], args=given[keys:])

    async def require_settled(self) -> None:
        """For what was not found: read this after, so that a loss in between shows too.

        Raises:
            StoreUnavailableError, StoreUnsettledError.
        """
        with translate_redis_errors():
            trusted = await self.redis.exists(TRUSTED)
        if not trusted:
            raise StoreUnsettledError

    async def read_hash(self, key: str) -> dict[str, str]:
        """The fields of a hash as text; empty when there is none. Raises: StoreUnavailableError."""
        with translate_redis_errors():
            fields = await self.redis.hgetall(key)
        return {_text(name): _text(value) for name, value in fields.items()}

    async def members(self, key: str) -> list[str]:
        """The members of a sorted set, lowest first. Raises: StoreUnavailableError."""
        with translate_redis_errors():
            found: list[Any] = await self.redis.zrange(key, 0, -1)
        return [_text(member) for member in found]

    def hash(self, text: str) -> str:
        """What stands for *text* in a key: 128 bits of an HMAC, hexadecimal."""
        return hmac.digest(self._index_key, f"redis/v1|{text}".encode(), "sha256")[:16].hex()

    def browser(self, browser: str) -> str:
        """What stands for a browser."""
        return self.hash(f"browser|{browser}")

    def mailbox(self, sub: str) -> str:
        """The key of the person whose mail *sub*, a ``+tag`` aside, goes to."""
        return self.subject(limit_address(sub))

    def subject(self, sub: str, part: str = "") -> str:
        """The key of a person, or of one *part* of what is kept about one."""
        name = f"lw:subject:{self.hash(f'subject|{sub}')}"
        return f"{name}:{part}" if part else name


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except ResponseError as error:
        if "LATCHWIRE_UNSETTLED" in str(error):
            raise StoreUnsettledError from error
        said = str(error).partition("LATCHWIRE_CLOCK ")[2].split()
        if not said:
            raise
        log.error("clock.skewed", reason=said[0])  # noqa: TRY400 - not where, but what is wrong
        raise ClockSkewedError(REASONS[said[0]]) from error


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def flatten(fields: dict[str, str | int]) -> list[str | int]:
    """Field/value pairs as a script takes them."""
    return [item for pair in fields.items() for item in pair]
