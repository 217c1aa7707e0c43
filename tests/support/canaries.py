"""Canaries: values that must not turn up, and the search for them in whatever disguise.

Each secret is looked for whole, in pieces (a log that cuts a token at forty characters leaks as well), and
as URL, Base64 or hexadecimal encoding would write it. An address is looked for as it is and encoded for a URL.
"""

import base64
import binascii
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

HEAD = 8  # bytes by which a search finds where a needle may begin; none is shorter
PIECE = 24  # characters: far beyond chance, and well below the length of what people cut logs to
LEAST = 16  # a shorter secret is looked for whole only
ANY_SCHEME = re.compile(r"^(Basic|Bearer) ")


_numbers = itertools.count()  # no two canaries of a run share a piece


@dataclass
class Canaries:
    """Secrets and addresses by label."""

    secrets: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    _by_head: dict[bytes, dict[bytes, str]] = field(default_factory=dict)

    def make(self, label: str) -> str:
        """A fresh secret that fits a header, a URL, a cookie and a subject: 40 characters."""
        number = next(_numbers)
        text = f"canary{number:04d}" + binascii.hexlify(label.encode()).decode()[:10].ljust(10, "0")
        return self.add(label, text + "".join(reversed(text)))

    def add(self, label: str, secret: str) -> str:
        """Look for *secret* from now on; given back for use."""
        assert len(secret) >= 8, label
        if secret in self.secrets.values():
            return secret
        self.secrets[f"{label}#{len(self.secrets)}"] = secret
        for needle in _disguises(secret):
            self._look_for(needle, label)
        return secret

    def add_bytes(self, label: str, secret: bytes) -> None:
        """Look for a raw key, as it is and encoded."""
        self._look_for(secret, label)
        self.add(label, base64.b64encode(secret).decode().rstrip("="))
        self.add(label, base64.urlsafe_b64encode(secret).decode().rstrip("="))
        self.add(label, secret.hex())

    def address(self, name: str) -> str:
        """A person's address; given back for use."""
        text = f"canary-{name.lower()}@people.example.com"
        self.addresses[name] = text
        return text

    def secrets_in(self, content: bytes) -> set[str]:
        """The labels of all secrets in *content*."""
        heads = self._by_head
        # Thousands of needles, megabytes of logs: one pass, whatever the number of needles.
        return {
            label
            for at in range(len(content) - HEAD + 1)
            if content[at : at + HEAD] in heads
            for needle, label in heads[content[at : at + HEAD]].items()
            if content.startswith(needle, at)
        }

    def addresses_in(self, content: bytes) -> set[str]:
        """The addresses in *content*, however they are written."""
        lower = content.lower()
        return {a for a in self.addresses.values() if _has_address(lower, a)}

    def _look_for(self, needle: bytes, label: str) -> None:
        assert len(needle) >= HEAD, label
        self._by_head.setdefault(needle[:HEAD], {}).setdefault(needle, label)


def _has_address(content: bytes, address: str) -> bool:
    encoded = base64.b64encode(address.encode()).rstrip(b"=").lower()
    forms = (address.encode(), quote(address, safe="").lower().encode(), encoded)
    return any(form in content for form in forms)


def _disguises(secret: str) -> Iterator[bytes]:
    for text in (secret, *_pieces(secret)):
        raw = text.encode("utf-8", "surrogateescape")
        yield raw
        yield quote(raw, safe="").encode()
        yield raw.hex().encode()
        # Base64 of a text that begins at any of three places within a longer one.
        for shift in range(3):
            inner = base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4]
            if len(inner) >= LEAST:
                yield inner


def _pieces(secret: str) -> Iterator[str]:
    """What tells this secret: not a scheme, and of a JWT its signature.

    Its claims name a person as an event may do, and in Base64 the two can look the same.
    """
    text = ANY_SCHEME.sub("", secret)
    if text.count(".") == 2 and text.startswith("ey"):
        yield text[:PIECE]  # nothing else begins like a token of ours
        text = text.rpartition(".")[2]
    if len(text) < 2 * LEAST:
        return
    for start in range(0, len(text) - LEAST + 1, PIECE):
        yield text[start : start + PIECE]
