"""As much of JSON Schema (2020-12) as our own schema uses; a keyword that it does not know is an error."""

import re
from collections.abc import Callable
from typing import Any

_ANNOTATIONS = {"$schema", "$defs", "title", "description", "default"}


def fits(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether *value* fits *schema*, whose references are looked up in *root*."""
    for keyword, told in schema.items():
        if keyword in _ANNOTATIONS or keyword in {"patternProperties", "additionalProperties"}:
            continue
        if not _KEYWORDS[keyword](value, told, root):
            return False
    return not isinstance(value, dict) or _members_fit(value, schema, root)


def _members_fit(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any]) -> bool:
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, member in value.items():
        own = [named[name]] if name in named else []
        own += [told for pattern, told in patterns.items() if re.search(pattern, name)]
        if not own and schema.get("additionalProperties") is False:
            return False
        if not all(fits(member, told, root) for told in own):
            return False
    return True


def _is_of_type(value: Any, name: str, _root: Any) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(
        value, {"object": dict, "array": list, "string": str, "integer": int}.get(name, ())
    )


def _reference(value: Any, name: str, root: dict[str, Any]) -> bool:
    return fits(value, root["$defs"][name.removeprefix("#/$defs/")], root)


_Check = Callable[[Any, Any, dict[str, Any]], bool]
_KEYWORDS: dict[str, _Check] = {
    "type": _is_of_type,
    "$ref": _reference,
    "anyOf": lambda value, told, root: any(fits(value, choice, root) for choice in told),
    "enum": lambda value, told, _: value in told,
    "properties": lambda _value, _told, _root: True,
    "required": lambda value, told, _: not isinstance(value, dict) or set(told) <= value.keys(),
    "propertyNames": lambda value, told, root: (
        not isinstance(value, dict) or all(fits(name, told, root) for name in value)
    ),
    "items": lambda value, told, root: (
        not isinstance(value, list) or all(fits(item, told, root) for item in value)
    ),
    "pattern": lambda value, told, _: not isinstance(value, str) or bool(re.search(told, value)),
    "maxLength": lambda value, told, _: not isinstance(value, str) or len(value) <= told,
    "minItems": lambda value, told, _: not isinstance(value, list) or len(value) >= told,
    "minProperties": lambda value, told, _: not isinstance(value, dict) or len(value) >= told,
    "minimum": lambda value, told, _: not isinstance(value, int) or value >= told,
    "maximum": lambda value, told, _: not isinstance(value, int) or value <= told,
}
