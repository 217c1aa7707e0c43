"""Which service tokens were used: noted in memory, told within a second, then once a minute for each.

What is not told is lost with the process; no request waits for it, and none fails for it.
"""

import re
from typing import Final

from shared.messages.base import ULID_PATTERN
from shared.messages.service_token import MAX_TOKENS

TELL_AGAIN_MS: Final = 60_000
_TOKEN_ID: Final = re.compile(ULID_PATTERN, re.ASCII)


class TokenUse:
    """The uses of one edge, by token id. Its size is bounded by the number of tokens there are."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._told: dict[str, int] = {}

    def note(self, token_id: str) -> None:
        """The token was used just now."""
        self._seen.add(token_id)

    def due(self, now_ms: int) -> dict[str, int]:
        """What is to be told at *now_ms* (Unix ms), id -> that time; it counts as told.

        A token used again within the minute after it was told waits for the minute to end. What is no id of
        a service token is not told: the message would be refused as a whole.
        """
        self._seen = {seen for seen in self._seen if _TOKEN_ID.fullmatch(seen)}
        self._told = {i: at for i, at in self._told.items() if now_ms - at < TELL_AGAIN_MS}
        due = dict.fromkeys(sorted(self._seen - self._told.keys())[:MAX_TOKENS], now_ms)
        self._seen -= due.keys()
        self._told |= due
        return due
