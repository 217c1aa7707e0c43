"""``services.yaml`` as a JSON Schema, for editors: they complete keys, explain them and mark mistakes.

It says no more than the keys, their types and forms; what contradicts what only `parse_catalogue` knows.
"""

from typing import Any, Final

from shared.catalogue.document import CatalogueDocument

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The schema, the same each time."""
    plain = _tidy(CatalogueDocument.model_json_schema())
    return {"$schema": DIALECT, "title": "services.yaml", **plain}


def _tidy(node: Any) -> Any:
    """Without made-up titles and nulls (an empty key is refused), and with nothing beside what is named."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _tidy(value) for key, value in node.items() if not _is_noise(key, value)}
    choices = [choice for choice in kept.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        kept = {**choices[0], **{key: value for key, value in kept.items() if key != "anyOf"}}
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    if kept.get("type") == "array":
        kept["minItems"] = 1  # the reader refuses every list of nothing
    return kept


def _is_noise(key: str, value: Any) -> bool:
    return (key == "title" and isinstance(value, str)) or (key == "default" and _is_empty(value))


def _is_empty(value: Any) -> bool:
    """No value, or a list or halves of nothing, which may not be written."""
    halves = value.values() if isinstance(value, dict) else [value]
    return value is None or all(half == [] for half in halves)
