"""YAML that reads in one way: no repeated keys, no anchors, no merge keys, no tags; with line numbers."""

from typing import Any

import yaml

Lines = dict[tuple[str | int, ...], int]
MAX_DEPTH = 32  # deeper has no meaning here, and costs the square of its depth to read


class StrictYAMLError(Exception):
    """Not YAML, or YAML that two readers could understand differently; *line* counts from 1.

    *more* is a further place each: (line, problem). *rest* is what can be read nevertheless, so that whoever
    mends the file hears of everything at once; None where nothing can.
    """

    def __init__(self, line: int, problem: str) -> None:
        self.line = line
        self.problem = problem
        self.more: tuple[tuple[int, str], ...] = ()
        self.rest: tuple[Any, Lines] | None = None
        super().__init__(f"line {line}: {problem}")


def read_yaml(text: str) -> tuple[Any, Lines]:
    """The one document in *text* as plain values, and the line of every key and item by path.

    Raises:
        StrictYAMLError: at the first thing that is not plain; of repeated keys all are named.
    """
    lines: Lines = {}
    twice: list[StrictYAMLError] = []
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise _error(event, "is nested too deeply: write it flat")
            # An alias can also make a few lines unfold to gigabytes.
            if isinstance(event, yaml.AliasEvent):
                raise _error(event, "anchors and aliases are not used here: write it out")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not YAML"
        raise StrictYAMLError(mark.line + 1 if mark else 1, problem) from None
    document = {} if root is None else _plain(root, (), lines, twice)
    if twice:
        first, *others = sorted(twice, key=lambda error: error.line)
        first.more = tuple((error.line, error.problem) for error in others)
        first.rest = document, lines
        raise first
    return document, lines


_Twice = list[StrictYAMLError]


def _plain(node: yaml.Node, path: tuple[str | int, ...], lines: Lines, twice: _Twice) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines, twice)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, i), lines, twice) for i, item in enumerate(node.value)]
    try:
        return yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError):
        raise _error(node, "a tag or value that is not plain") from None


def _mapping(
    node: yaml.MappingNode, path: tuple[str | int, ...], lines: Lines, twice: _Twice
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value
        if not isinstance(key_node, yaml.ScalarNode) or key == "<<":
            raise _error(key_node, "a key is plain text here")
        if key in found:
            twice.append(_error(key_node, f"{key} stands twice: remove one"))
            continue
        lines[(*path, key)] = key_node.start_mark.line + 1
        found[key] = _plain(value_node, (*path, key), lines, twice)
    return found


def _error(place: Any, problem: str) -> StrictYAMLError:
    return StrictYAMLError(place.start_mark.line + 1, problem)
