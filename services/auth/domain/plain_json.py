"""JSON from strangers: text that can be written again, nested no deeper than it is read."""

import json
from typing import Any


class NotPlainJSONError(ValueError):
    """Not JSON in UTF-8, or JSON that other parts could not carry (half a surrogate pair, endless nesting)."""


def parse_plain_json(body: bytes) -> Any:
    """The value in *body*. Raises: NotPlainJSONError."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise NotPlainJSONError from error
    return value


def parse_plain_object(body: bytes) -> dict[str, Any]:
    """The object in *body*. Raises: NotPlainJSONError: also for any other value."""
    value = parse_plain_json(body)
    if not isinstance(value, dict):
        raise NotPlainJSONError
    return value


def _refuse(_name: str) -> None:
    """NaN and Infinity are Python's, not JSON's (RFC 8259 §6)."""
    raise NotPlainJSONError
