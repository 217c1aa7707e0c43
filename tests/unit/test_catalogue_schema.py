"""The published JSON Schema of services.yaml says what the reader says, as far as forms go."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ctl import exits
from ctl.main import main
from shared.catalogue import CatalogueError, ServiceDocument, parse_catalogue, schema
from tests.support.json_schema import fits
from tests.support.properties import damaged, examples
from tests.unit.test_catalogue_rules import EXAMPLE, FINE, catalogue

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = schema()


def fits_schema(text: str) -> bool:
    """Whether an editor would find nothing in *text*."""
    return fits(yaml.safe_load(text), SCHEMA, SCHEMA)


def is_read(text: str) -> bool:
    """Whether the reader takes it."""
    try:
        parse_catalogue(text)
    except CatalogueError:
        return False
    return True


def test_the_file_in_the_docs_is_the_schema_of_this_version(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And what `catalogue schema` prints, byte for byte."""
    assert main(["catalogue", "schema"]) == exits.DONE
    printed = capsys.readouterr().out

    assert printed == (ROOT / "docs" / "services.schema.json").read_text("utf-8")
    assert json.loads(printed) == SCHEMA


def test_every_key_is_explained_to_whoever_writes_it() -> None:
    """An editor shows the sentence beside the key."""
    keys: dict[str, Any] = SCHEMA["$defs"]["ServiceDocument"]["properties"]

    assert keys.keys() == set(ServiceDocument.model_fields)
    assert [
        name for name, told in keys.items() if not told.get("description", "").endswith(".")
    ] == []


@pytest.mark.parametrize("lines", FINE, ids=range(len(FINE)))
def test_nothing_that_is_read_is_marked_in_an_editor(lines: list[str]) -> None:
    """A schema that is stricter than the reader would teach people to ignore it."""
    assert fits_schema(catalogue(*lines))


def test_the_example_is_not_marked() -> None:
    """With every key."""
    assert fits_schema(EXAMPLE.read_text("utf-8"))


BAD = [
    ["upstraem: http://x"],
    ["host: https://a.b"],
    ["host:"],
    ["login_age:"],
    ["roles:"],
    ["roles: ['a,b']"],
    ["roles: {some: [a]}"],
    *([f"{key}: []"] for key in ("paths", "token_types", "emails", "organisation", "callers")),
    *(
        [f"{key}: []"]
        for key in ("roles", "permissions", "public_paths", "allowed_origins", "middlewares")
    ),
    *([f"roles: {value}"] for value in ("{}", "{any: []}", "{any: [a], all: []}")),
    ["permissions: {all: []}"],
    ["headers: {}"],
    ["paths: ['/a*']"],
    ["token_types: [robot]"],
    ["rate_limit: 100/day"],
    ["rate_burst: 0"],
    ["rate_burst: true"],
    ["headers: {X_User: email}"],
    ["headers: {X-User-Name: password}"],
    ["api_gateway: {}"],
    ["allowed_origins: [a.b]"],
    ["require_auth: 'no'"],
]


@pytest.mark.parametrize("lines", BAD, ids=range(len(BAD)))
def test_a_wrong_form_is_marked_and_refused(lines: list[str]) -> None:
    """By both."""
    text = catalogue(*lines)

    assert not fits_schema(text)
    assert not is_read(text)


@pytest.mark.parametrize("key", [k for k in ServiceDocument.model_fields if k != "upstream"])
def test_a_key_whose_value_was_forgotten_never_means_no_rule(key: str) -> None:
    """``roles:`` with nothing behind it would open what somebody wanted to close."""
    with pytest.raises(CatalogueError, match=f"{key}: is empty: write a value, or remove the key"):
        parse_catalogue(catalogue(f"{key}:"))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 200) | st.text("/ax*-@.:1", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("anyl", max_size=3), inner, max_size=2)
    ),
    max_leaves=6,
)


# Values of chance are hardly ever read: what can be meant is put together, one of it with a slip of the pen.
_MEANT = [line for lines in FINE for line in yaml.safe_load("\n".join(lines)).items()]
_SLIPS = st.sampled_from(_MEANT).flatmap(
    lambda line: st.tuples(st.just(line[0]), _slip(line[1]) | _VALUES)
)


def _slip(value: Any) -> st.SearchStrategy[Any]:
    """*value* with a slip of the pen in one of its texts."""
    match value:
        case str():
            return damaged(value)
        case list() if value:
            return st.lists(st.one_of(*map(_slip, value), st.sampled_from(value)), max_size=3)
        case dict():
            return st.fixed_dictionaries({key: st.just(v) | _slip(v) for key, v in value.items()})
    return st.just(value) | st.just(str(value).lower())


@given(
    st.dictionaries(st.sampled_from([*ServiceDocument.model_fields, "x"]), _VALUES, max_size=3)
    | st.lists(st.sampled_from(_MEANT) | _SLIPS, max_size=3).map(dict)
)
@settings(max_examples=examples(300))
def test_whatever_is_read_fits_the_schema(entry: dict[str, Any]) -> None:
    """Made-up values under real keys: the reader takes nothing that an editor would mark."""
    text = json.dumps({"services": {"a": {"upstream": "http://a:1", **entry}}})

    assert fits_schema(text) or not is_read(text)
