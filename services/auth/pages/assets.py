"""The static files, read once at start and named by their content.

A page asks for ``pages.css?v=<digest>``: such an address never changes its meaning and may be kept for
ever, while an address without the digest is asked for again each time.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).parent / "static"
CONTENT_TYPES = {".css": "text/css", ".js": "text/javascript"}


@dataclass(frozen=True)
class Asset:
    """A file as it is sent: *digest* (16 hex digits of SHA-256) is its version and its ETag."""

    name: str
    body: bytes
    content_type: str
    digest: str


@dataclass(frozen=True)
class Assets:
    """All static files by name; nothing outside this table can be asked for."""

    by_name: Mapping[str, Asset]

    @classmethod
    def load(cls, directory: Path = STATIC) -> "Assets":
        """Read every file of *directory*; an unknown kind of file is a mistake and raises KeyError."""
        return cls({path.name: _read(path) for path in sorted(directory.iterdir())})

    def url(self, name: str) -> str:
        """Where a page finds the file *name*, with its version."""
        return f"/auth/static/{name}?v={self.by_name[name].digest}"


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    digest = hashlib.sha256(body).hexdigest()[:16]
    return Asset(path.name, body, CONTENT_TYPES[path.suffix], digest)
