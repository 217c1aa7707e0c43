"""When service tokens were last used: noted in memory, told within a second, then once a minute for each.

What is not told is lost with the process; no request waits for it, and none fails for it.
"""

from typing import Final

from shared.messages.service_token import MAX_TOKENS

TELL_AGAIN_MS: Final = 60_000


class TokenUse:
    """The uses of one edge, by token id. Its size is bounded by the number of tokens there are."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._told: dict[str, int] = {}

    def note(self, token_id: str, now_ms: int) -> None:
        """The token was used at *now_ms* (Unix ms)."""
        self._seen[token_id] = now_ms

    def due(self, now_ms: int) -> dict[str, int]:
        """What is to be told at *now_ms*, id -> latest use; it counts as told."""
        due = {
            token_id: at
            for token_id, at in self._seen.items()
            if now_ms - self._told.get(token_id, 0) >= TELL_AGAIN_MS
        }
        some = dict(list(due.items())[:MAX_TOKENS])
        for token_id in some:
            del self._seen[token_id]
            self._told[token_id] = now_ms
        if not self._seen:  # forget whom nobody uses any more
            self._told = {i: at for i, at in self._told.items() if now_ms - at < TELL_AGAIN_MS}
        return some
