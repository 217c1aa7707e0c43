"""docs/gateway.md says what services.yaml and the edge do."""

import re
from pathlib import Path

import pytest

from ctl.main import parser
from services.edge.domain.decision import STATUS
from shared.catalogue import CatalogueError, ServiceDocument, parse_catalogue
from shared.catalogue.words import WORDS
from shared.traefik import shields

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "gateway.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under *heading*, without its first two lines."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def names(cell: str) -> list[str]:
    """What stands in its code spans."""
    return re.findall(r"`([^`]+)`", cell)


def test_every_key_has_its_row() -> None:
    """None is missing, and none is made up."""
    keys = [names(row[0])[0] for row in rows("The keys")]

    assert sorted(keys) == sorted(ServiceDocument.model_fields)


@pytest.mark.parametrize(
    ("key", "default"),
    [
        *(("expose_publicly", "true"), ("require_auth", "true"), ("security_headers", "true")),
        *(("allow_credentials", "false"), ("token_types", "[user]"), ("paths", "[/]")),
    ],
)
def test_the_defaults_are_those_of_the_reader(key: str, default: str) -> None:
    """What somebody gets who writes nothing."""
    (row,) = [row for row in rows("The keys") if names(row[0]) == [key]]
    real = ServiceDocument.model_fields[key].default
    written = str(real).lower() if isinstance(real, bool) else f"[{', '.join(real)}]"

    assert names(row[1]) == [default]
    assert default == written


def test_the_usual_policy_is_the_one_that_is_sent() -> None:
    """Word for word."""
    assert f"`{shields.CONTENT_SECURITY_POLICY}`" in PAGE


def test_each_reason_has_the_status_that_it_has_at_the_edge() -> None:
    """Every code of the table is one, with its status."""
    for row in rows("What a caller hears"):
        codes = [name for name in names(row[2]) if re.fullmatch(r"[a-z]+_[a-z_]+", name)]
        codes = [code for code in codes if code in STATUS]
        assert codes, row
        assert {str(STATUS[code]) for code in codes} == {row[1][:3]}  # type: ignore[index]


def test_every_word_for_a_middleware_has_its_row() -> None:
    """And no other."""
    told = [name for row in rows("Words for middlewares") for name in names(row[0])]

    assert sorted(told) == sorted(WORDS)


def test_every_command_of_the_page_is_one() -> None:
    """With the options that are named."""
    told = [name for row in rows("The commands") for name in names(row[0])]
    assert len(told) > 8
    for line in told:
        if not line.startswith("latchwire "):
            continue
        words = line.removeprefix("latchwire ").replace("[", "").replace("]", "")
        arguments = re.findall(r'"[^"]*"|\S+', words)
        values = {"FILE": "services.yaml", "N": "3"}
        parser().parse_args([values.get(a, a.strip('"')) for a in arguments])


BROKEN = {
    "shop": "paths: ['/a*']",
    "bots": "token_types: [service]",
    "api": "allowed_origins: ['*'], allow_credentials: true",
    "wiki": "roles: ",
}


def test_the_messages_on_the_page_are_those_that_are_said() -> None:
    """As far as the page quotes them."""
    told = re.findall(r"^    services\.yaml:\d+: (services\.(\w+)\..*)$", PAGE, re.MULTILINE)

    assert [service for _, service in told] == list(BROKEN)
    for message, service in told:
        text = f"services: {{{service}: {{upstream: 'http://a:1', {BROKEN[service]}}}}}"
        with pytest.raises(CatalogueError) as caught:
            parse_catalogue(text)
        quoted = message.removesuffix(" ...").removesuffix(",")
        assert any(quoted in problem for problem in caught.value.problems), caught.value.problems
