"""Login attempts in Redis."""

from typing import cast

from services.auth.adapters.redis_scripts import (
    ATTEMPT,
    CLOCK,
    SESSION,
    SINCE,
    TRUSTED,
    Scripts,
    flatten,
)
from services.auth.adapters.session_fields import created, session_fields
from services.auth.domain.client import Client
from services.auth.domain.link import CODE_TRIES, Attempt, Muted, Purpose, State
from services.auth.ports import (
    Budgets,
    Exchange,
    Exchanged,
    NetworkLimited,
    NotExchanged,
    Opened,
    UsedBefore,
)


class RedisAttempts:
    """`services.auth.ports.Attempts`: each method is one script."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def open(
        self, attempt: Attempt, ttl_ms: int, budgets: Budgets, *, after_ms: int = 0
    ) -> Opened | NetworkLimited:
        limits = (budgets.address, budgets.known, *budgets.networks, budgets.whole)
        rates = [
            n
            for limit in limits
            if limit is not budgets.known  # its rate is the address's
            for n in (limit.rate.count, limit.rate.window_ms)
        ]
        status, now, detail = await self._scripts.run(
            "open_attempt",
            [
                CLOCK,
                ATTEMPT + attempt.login_id,
                *(f"lw:limit:{self._scripts.hash(limit.subject)}" for limit in limits),
                self._scripts.subject(attempt.email),
                self._scripts.mailbox(attempt.email),
                self._scripts.subject(attempt.email, attempt.purpose),
                self._scripts.subject(attempt.email, "browsers"),
                TRUSTED,
                SINCE,
            ],
            [
                *(attempt.login_id, ttl_ms, attempt.muted, self._scripts.browser(attempt.browser)),
                *(*rates, after_ms, *flatten(_fields(attempt))),
            ],
        )
        if status == b"limited":
            return NetworkLimited(detail)
        return Opened(now, cast("Muted", detail.decode()))

    async def open_notice(self, attempt: Attempt, ttl_ms: int) -> Opened:
        now = await self._scripts.run(
            "open_notice",
            [CLOCK, ATTEMPT + attempt.login_id],
            [ttl_ms, *flatten(_fields(attempt))],
        )
        return Opened(now, "")

    async def find(self, login_id: str) -> Attempt | None:
        fields = await self._scripts.read_hash(ATTEMPT + login_id)
        if not fields:
            await self._scripts.require_settled()
            return None
        return _attempt(login_id, fields)

    async def unopened(self, email: str, watermark: int) -> int:
        subject = self._scripts.subject
        keys = [subject(email, "sign_in"), subject(email), self._scripts.mailbox(email), SINCE]
        keys.append(subject(email, "verify_email"))
        return int(await self._scripts.run("unopened", keys, [ATTEMPT, watermark]))

    async def cancel(self, login_id: str) -> bool:
        return bool(await self._scripts.run("cancel_attempt", [ATTEMPT + login_id], []))

    async def exchange(self, exchange: Exchange) -> Exchanged | UsedBefore | NotExchanged:
        attempt, session, subject = exchange.attempt, exchange.session, self._scripts.subject
        status, *rest = await self._scripts.run(
            "exchange",
            [
                CLOCK,
                ATTEMPT + attempt.login_id,
                SESSION + session.sid,
                subject(session.sub),
                subject(session.sub, "sessions"),
                subject(attempt.email, "sign_in"),
                subject(attempt.email, "browsers"),
                self._scripts.mailbox(attempt.email),
                TRUSTED,
                SINCE,
                subject(attempt.email),
                subject(attempt.email, "verify_email"),
            ],
            self._exchange_args(exchange),
        )
        if status == b"opened":
            return created(session, *rest)
        return _refusal(status, rest[0].decode())

    async def judge(
        self, attempt: Attempt, *, by_code: bool, right: bool, watermark: int
    ) -> UsedBefore | NotExchanged | None:
        return await self._consume(attempt, by_code, right, watermark)

    async def type_password(self, attempt: Attempt) -> bool:
        return await self._typed(attempt, 1)

    async def untype_password(self, attempt: Attempt) -> None:
        await self._typed(attempt, -1)

    async def _typed(self, attempt: Attempt, change: int) -> bool:
        key = ATTEMPT + attempt.login_id
        return bool(await self._scripts.run("type_password", [key], [CODE_TRIES, change]))

    async def consume(
        self, attempt: Attempt, *, by_code: bool, right: bool, watermark: int, mark: str = ""
    ) -> bool:
        refusal = await self._consume(attempt, by_code, right, watermark, "take", mark)
        return refusal is None or (bool(mark) and refusal == UsedBefore(mark))

    async def _consume(
        self, attempt: Attempt, by_code: bool, right: bool, watermark: int, *take: str
    ) -> UsedBefore | NotExchanged | None:
        status, *rest = await self._scripts.run(
            "consume",
            [
                CLOCK,
                ATTEMPT + attempt.login_id,
                self._scripts.subject(attempt.email, attempt.purpose),
                self._scripts.mailbox(attempt.email),
                TRUSTED,
                SINCE,
                self._scripts.subject(attempt.email),
            ],
            [
                *(attempt.login_id, int(by_code), int(right), CODE_TRIES, watermark, ATTEMPT),
                *take,
            ],
        )
        return None if status == b"open" else _refusal(status, rest[0].decode())

    async def remembers(self, email: str) -> bool:
        return bool(await self._scripts.members(self._scripts.subject(email, "browsers")))

    def _exchange_args(self, exchange: Exchange) -> list[str | int]:
        return [
            exchange.attempt.login_id,
            int(exchange.by_code),
            int(exchange.right),
            CODE_TRIES,
            exchange.watermark,
            exchange.session.sid,
            exchange.session_ms,
            self._scripts.browser(exchange.browser),
            exchange.browser_ms,
            ATTEMPT,
            *flatten(session_fields(exchange.session)),
        ]


def _fields(attempt: Attempt) -> dict[str, str | int]:
    return {
        "email": attempt.email,
        "purpose": attempt.purpose,
        "link_kid": attempt.link_kid,
        "network": attempt.client.network,
        "user_agent": attempt.client.user_agent,
        "browser": attempt.browser,
        "next": attempt.next,
        "sid": attempt.sid,
        "identity": attempt.identity,
    }


def _refusal(status: bytes, detail: str) -> UsedBefore | NotExchanged:
    return UsedBefore(detail) if status == b"used" else NotExchanged(detail)


def _attempt(login_id: str, fields: dict[str, str]) -> Attempt:
    return Attempt(
        login_id=login_id,
        email=fields["email"],
        purpose=cast("Purpose", fields["purpose"]),
        requested_at_ms=int(fields["requested_at"]),
        expires_at_ms=int(fields["expires_at"]),
        link_kid=fields["link_kid"],
        client=Client(fields["network"], fields["user_agent"]),
        browser=fields["browser"],
        next=fields["next"],
        state=cast("State", fields["state"]),
        muted=cast("Muted", fields["muted"]),
        tries=int(fields["tries"]),
        sid=fields["sid"],
        identity=fields.get("identity", ""),
    )
