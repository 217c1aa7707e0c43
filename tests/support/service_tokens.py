"""Service tokens for tests: made by the product's own maker, and the row that is kept of one."""

from dataclasses import dataclass
from typing import Any

from shared.bus import Bus
from shared.contract import OP_TOKENS_CREATE
from shared.ids import SystemIds
from shared.messages import CreateServiceToken, ServiceToken
from shared.service_tokens import DAY_MS, hash_service_token, make_service_token
from tests.support.tokens import NOW_MS

IDS = SystemIds()


@dataclass(frozen=True)
class Made:
    """The *text*, shown once, and the *row*."""

    text: str
    row: ServiceToken

    @property
    def raw(self) -> bytes:
        return self.text.encode("ascii")


def made_token(service: str = "bot", *, now_ms: int = NOW_MS, **changes: Any) -> Made:
    """A token of *service*, made a minute before *now_ms* and good for 90 days; *changes* are of its row."""
    text = make_service_token(IDS.secret(), live=False)
    row = ServiceToken(
        id=IDS.ulid(now_ms - 60_000),
        service=service,
        sha256=hash_service_token(text.encode("ascii")),
        last_four=text[-4:],
        created_at=now_ms - 60_000,
        expires_at=now_ms + 90 * DAY_MS,
    )
    return Made(text, row.model_copy(update=changes))


async def kept_token(bus: Bus, service: str, *scopes: str, org: str | None = None) -> str:
    """A token that auth has taken in, as an operator's command line makes it."""
    made = made_token(service)
    request = CreateServiceToken(
        service=service,
        sha256=made.row.sha256,
        last_four=made.row.last_four,
        scopes=scopes,
        lifetime_ms=DAY_MS,
        org=org,
    )
    answer = await bus.ask(OP_TOKENS_CREATE, request, timeout=5.0)
    assert not answer.problem, answer.problem
    return made.text
