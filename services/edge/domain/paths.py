"""Paths as every reader would understand them: decoded once, or refused as ambiguous.

Gateways, frameworks and file systems disagree about ``..``, ``//``, ``%2f``, ``;``, ``\\`` and double encoding;
each disagreement has been a way around somebody's rules (GHSA-p224-6x5r-fjpm, CVE-2026-40912,
GHSA-pxq7-h93f-9jrg). So a path that two of them could read differently matches no rule at all.
"""

import re
import unicodedata
from typing import Final
from urllib.parse import unquote_to_bytes

MAX_CHARS: Final = 8_190

# Segments of unreserved and sub-delimiter characters without ";", none empty, "." or "..".
_PLAIN: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+,=:@-]+)*/?", re.ASCII)
_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_ENCODED: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,=:@/%-]+", re.ASCII)
# What may not come out of an escape: separators and "%" (escaped they mean something else), "\\", dots (a
# segment could become ".."). Others such as "%40" may: Traefik routes on them escaped, but no prefix of the
# catalogue holds one, so both readings come under the same rule.
_FORBIDDEN: Final = re.compile(
    r"[/;?#%.\[\]\\\u2044\u2215\u2216]"
)  # and what Windows takes for slashes
# Nor what some reader strips, does not show, or does not know: controls, marks of direction, the unassigned,
# and all spaces (Unicode categories C* and Z*) but " " between other characters, as in names of files.
_UNSEEN: Final = frozenset("CZ")
_SPACE_AT_AN_END: Final = re.compile(r"/ | /| $")
_ASCII: Final = re.compile(r"[\x00-\x7f]")
_ESCAPES: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+", re.ASCII)


def plain_path(target: str) -> str | None:
    """The path of *target* (path and query), percent-decoded once; None when it is ambiguous."""
    path = target.partition("?")[0]
    if "#" in target or not path.startswith("/") or len(target) > MAX_CHARS:
        return None
    if _PLAIN.fullmatch(path):
        return path
    return _decoded(path) if "%" in path else None


def _decoded(path: str) -> str | None:
    if not _ENCODED.fullmatch(path) or _ESCAPE.search(path):
        return None
    try:
        texts = [unquote_to_bytes(run).decode("utf-8") for run in set(_ESCAPES.findall(path))]
    except UnicodeDecodeError:
        return None
    if not all(_means_itself(text) for text in texts):
        return None
    # Nothing decoded can be a separator or a dot, so the shape can be checked on the escaped text.
    if not _PLAIN.fullmatch(_ESCAPES.sub("a", path)):
        return None
    decoded = unquote_to_bytes(path).decode("utf-8")
    return None if _SPACE_AT_AN_END.search(decoded) else decoded


def _means_itself(text: str) -> bool:
    """Whether nobody takes *text* for something else."""
    if _FORBIDDEN.search(text):
        return False
    return text.isprintable() if text.isascii() else all(map(_is_itself, text))


def _is_itself(character: str) -> bool:
    """Seen by everybody, and no other spelling of ASCII: who normalises (NFKC) reads "\uff0f" as "/"."""
    if character == " ":
        return True
    if unicodedata.category(character)[0] in _UNSEEN:
        return False
    return character.isascii() or not _ASCII.search(unicodedata.normalize("NFKC", character))
