"""A clock that stands still until a test moves it."""


class FakeClock:
    """Wall time in ms and monotonic seconds, moved together by `advance`."""

    def __init__(self, now_ms: int = 1_795_312_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic = 1000.0

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, ms: int) -> None:
        """Let *ms* milliseconds pass."""
        self._now_ms += ms
        self._monotonic += ms / 1000
