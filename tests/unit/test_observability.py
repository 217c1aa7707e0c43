"""The page of metrics names exactly what the workers measure, and no label is a client's."""

import ast
import re
from collections.abc import Iterator

from tests.support.servers import ROOT

PAGE = (ROOT / "docs" / "observability.md").read_text("utf-8")
KINDS = ("Counter", "Gauge", "Histogram")
LABELS = {
    "proxy", "outcome", "reason", "result", "name", "scope", "why", "consumer", "method", "code", "way",
}  # fmt: skip


def metrics() -> Iterator[tuple[str, str, list[str]]]:
    """Kind, name and labels of each metric that a module of the workers makes."""
    for path in (p for part in ("services", "shared") for p in (ROOT / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield from _metric(node, node.func.id.removesuffix("MetricFamily"))


def _metric(call: ast.Call, kind: str) -> Iterator[tuple[str, str, list[str]]]:
    texts = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    if kind in KINDS and texts and texts[0].startswith("latchwire_"):
        lists = (*call.args, *(k.value for k in call.keywords if k.arg == "labels"))
        found = [ast.literal_eval(a) for a in lists if isinstance(a, ast.List)]
        yield kind, texts[0], [label for labels in found for label in labels]


def test_the_page_names_every_metric_and_no_other() -> None:
    """An alarm on a metric that is gone never rings."""
    measured = {
        name if kind != "Counter" or name.endswith("_total") else f"{name}_total"
        for kind, name, _ in metrics()
    }

    assert len(measured) > 20
    assert set(re.findall(r"latchwire_[a-z_]+", PAGE)) == measured


def test_every_label_is_one_of_the_few_with_a_fixed_set_of_values() -> None:
    """A label of users, paths or hosts leaks them, and grows for ever."""
    made = {label for _, _, labels in metrics() for label in labels}
    shown = {name for group in re.findall(r"\{([a-z,]+)\}", PAGE) for name in group.split(",")}

    assert made == LABELS
    assert shown == LABELS
