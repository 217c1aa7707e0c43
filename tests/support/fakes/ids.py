"""Identifiers that come out the same in every run."""

import hashlib

from shared.ids import b64url, encode_ulid


class FakeIds:
    """Deterministic, never repeating."""

    def __init__(self, seed: str = "seed") -> None:
        self._seed = seed
        self._count = 0

    def ulid(self, now_ms: int) -> str:
        return encode_ulid(now_ms, self._draw()[:10])

    def secret(self) -> str:
        return b64url(self._draw())

    def random(self) -> float:
        return int.from_bytes(self._draw()[:6], "big") / (1 << 48)

    def _draw(self) -> bytes:
        self._count += 1
        return hashlib.sha256(f"{self._seed}{self._count}".encode()).digest()
