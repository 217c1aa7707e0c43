"""Names that people chose, as they may stand in a mail: no link, no address, no markup, nothing invisible.

Mail programs turn ``evil.com``, ``www.evil``, ``a@b`` and telephone numbers in a plain text into links, and an
organisation may be called anything. So a name keeps letters, digits, single spaces and a little punctuation
that joins no two words, and is short.
"""

import re
import unicodedata

LONGEST = 64
NAMELESS = "an organisation"

_KEPT_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd"})
_KEPT = frozenset("&'-")
_LOOSE = re.compile(
    r"(?<![^\W\d_])['-]|['-](?![^\W\d_])"
)  # only between letters: no rule, no quotation
_MANY_DIGITS = re.compile(r"\d(?:[ -]?\d){4,}")  # five and more would be dialled
_MARKS = re.compile(
    r"([\u0300-\u036f]{2})[\u0300-\u036f]+"
)  # a stack of accents covers other lines


def plain_name(text: str) -> str:
    """*text* as a name that nothing makes a link of; `NAMELESS` when nothing is left."""
    compatible = unicodedata.normalize("NFKC", text[: 4 * LONGEST])
    kept = "".join(char if _is_kept(char) else " " for char in compatible)
    kept = _MARKS.sub(r"\1", _MANY_DIGITS.sub(" ", _LOOSE.sub(" ", kept)))
    return " ".join(kept.split())[:LONGEST].strip() or NAMELESS


def _is_kept(char: str) -> bool:
    return char in _KEPT or unicodedata.category(char) in _KEPT_CATEGORIES
