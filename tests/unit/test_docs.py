"""The pages name files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    p.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "sdk/*.md", "deploy/**/*.md", "examples/**/*.md")
    for p in ROOT.glob(pattern)
)
SPAN = re.compile(r"`((?:services|shared|sdk|ctl|tests|docs|deploy|examples|nats)/[\w./*-]+)`")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def missing(page: Path) -> list[str]:
    """Paths that *page* names and nobody made."""
    text = (ROOT / page).read_text()
    spans = [name for name in SPAN.findall(text) if not list(ROOT.glob(name.rstrip("/")))]
    links = [name for name in LINK.findall(text) if not (ROOT / page.parent / name).exists()]
    return spans + links


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_names_only_what_exists(page: Path) -> None:
    """Every path in code spans and every relative link leads somewhere."""
    assert missing(page) == []


def test_every_promise_of_the_security_page_names_its_test() -> None:
    """A promise without something that shows it is a wish."""
    table = (ROOT / "SECURITY.md").read_text().split("## What is kept")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "---" not in line][1:]

    assert [row for row in rows if "`tests/" not in row] == []
