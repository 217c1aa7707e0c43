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
PLACE = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)#([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


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


def places(page: Path) -> set[str]:
    """What a link to a heading of *page* may name behind its #, as the usual viewers make it of the words."""
    headings = re.findall(r"^#+ +(.*)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    shown = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-") for words in shown}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_link_to_a_heading_finds_it(page: Path) -> None:
    """A heading that was renamed, or lost, leaves its readers at the top of a long page."""
    links = PLACE.findall((ROOT / page).read_text())
    pages = [((ROOT / page.parent / name) if name else ROOT / page, place) for name, place in links]
    assert [place for target, place in pages if place not in places(target)] == []


def test_every_promise_of_the_security_page_names_its_test() -> None:
    """A promise without something that shows it is a wish."""
    table = (ROOT / "SECURITY.md").read_text().split("## What is kept")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "---" not in line][1:]

    assert [row for row in rows if "`tests/" not in row] == []


def upgrading() -> str:
    """The steps of the changelog."""
    return (ROOT / "CHANGELOG.md").read_text().partition("### Upgrading\n")[2].split("\n### ")[0]


def test_an_upgrade_has_every_step_in_its_order() -> None:
    """A new edge answers an earlier auth, not the other way round; containers mount what init makes."""
    steps = re.split(r"^\d+\. ", upgrading(), flags=re.MULTILINE)[1:]
    order = [
        "catalogue check", ".env", "latchwire init", "--signal HUP nats", "--detach edge-1 edge-2",
        "--detach auth", "--remove-orphans", "gateway of your own", "run --rm ctl status",
    ]  # fmt: skip

    found = [next(n for n, step in enumerate(steps) if word in step) for word in order]
    assert found == list(range(len(order)))


def test_an_upgrade_names_what_is_new_at_each_gateway() -> None:
    """Whoever reads only this part misses no lines that an entry below asks them to take."""
    own = re.split(r"^   - ", upgrading().partition("gateway of your own")[2], flags=re.MULTILINE)
    lines = {
        "nginx": ("latchwire*.conf", "client_max_body_size"),
        "Caddy": ("(latchwire)", "max_header_size", "@auth"),
        "HAProxy": ("latchwire.lua", "upgrade", "latchwire-trailers"),
        "Envoy": ("upgrade_configs", "referer", "timeout: 0s"),
        "Traefik": ("maxHeaderBytes", "aliasHeadersStrategy", "latchwire-auth"),
    }

    for name, wanted in lines.items():
        (line,) = [one for one in own if one.startswith(name)]
        assert [word for word in wanted if word not in line] == []
