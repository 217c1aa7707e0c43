"""Contrast of the pages' colours, computed as WCAG 2.2 does, in light and in dark."""

import re

import pytest

from services.auth.pages.assets import STATIC

CSS = (STATIC / "pages.css").read_text("utf-8")
# (foreground, background, least ratio): 4.5 for text (1.4.3), 3 for borders and focus (1.4.11).
PAIRS = [
    ("ink", "sheet", 4.5),
    ("ink", "ground", 4.5),
    ("ink", "field", 4.5),
    ("soft", "sheet", 4.5),
    ("soft", "ground", 4.5),
    ("link", "sheet", 4.5),
    ("problem", "sheet", 4.5),
    ("problem", "ground", 4.5),
    ("sheet", "ink", 4.5),
    ("button-ink", "button", 4.5),
    ("button-ink", "button-over", 4.5),
    ("note-ink", "note", 4.5),
    ("field-line", "sheet", 3.0),
    ("field-line", "field", 3.0),
    ("focus", "sheet", 3.0),
    ("focus", "ground", 3.0),
    ("problem", "field", 3.0),
]


def _palettes() -> dict[str, dict[str, str]]:
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in blocks)
    return {"light": light, "dark": dark}


def _luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("fore", "back", "least"), PAIRS)
def test_text_and_borders_can_be_seen(scheme: str, fore: str, back: str, least: float) -> None:
    """Every pair of colours that meet on a page reaches WCAG AA."""
    palette = _palettes()[scheme]

    assert contrast(palette[fore], palette[back]) >= least


def test_both_schemes_define_the_same_colours() -> None:
    """A colour missing in the dark would be a light one on dark ground."""
    palettes = _palettes()

    assert palettes["light"].keys() == palettes["dark"].keys()
    assert set(re.findall(r"var\(--([a-z-]+)\)", CSS)) <= palettes["light"].keys()


def test_contrast_is_computed_as_the_standard_says() -> None:
    """Black on white is 21, and a grey of the standard's own note is 4.48."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
