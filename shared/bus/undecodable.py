"""Why a message is not its subject's model, in words that repeat nothing of it: it may hold a secret."""

from typing import Final

from pydantic import ValidationError

SHOWN: Final = 3  # a sender's mistake is one or two fields; the rest is counted
LONGEST: Final = 200  # characters; a dead letter's reason takes 255


def why_undecodable(error: Exception) -> str:
    """``undecodable: sid: Input should be a valid string (string_type)``: field, rule, never the input.

    For one that is no `ValidationError` its type alone: its text could quote what was read.
    """
    if not isinstance(error, ValidationError):
        return f"undecodable: {type(error).__name__}"
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = [_one(str(e["type"]), str(e["msg"]), e["loc"]) for e in found[:SHOWN]]
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return _cut("undecodable: " + "; ".join(told + more))


def _one(kind: str, message: str, loc: tuple[int | str, ...]) -> str:
    if kind == "json_invalid":
        return f"not JSON: {message.removeprefix('Invalid JSON: ')}"
    # Of the place only its first part: that is a field of the model. A further one can be a key of the input's.
    place = f"{loc[0]}: " if loc else ""
    return f"{place}{message} ({kind})"


def _cut(text: str) -> str:
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"
