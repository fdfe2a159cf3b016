"""Colours: readable in both themes, and written down in one place."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TOKENS = ROOT / "static" / "css" / "tokens.css"
NOT_OURS = {"vendor", "icon.svg", "tokens.css"}
BACKGROUNDS = ("page", "surface", "sunken")
LITERAL = re.compile(r"(?<!&)#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{3,4}|[0-9a-fA-F]{8})\b|\brgba?\(|\bhsla?\(|\boklch\(")


def tokens() -> dict[str, tuple[str, str]]:
    found = re.findall(r"--([a-z-]+): light-dark\((#[0-9A-F]{6}), (#[0-9A-F]{6})\);", TOKENS.read_text())
    return {name: (light, dark) for name, light, dark in found}


def luminance(colour: str) -> float:
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


ON_PANELS = ("page", "surface")
FILLS = ("authoritative", "speculative", "used", "wasted", "accent")
WORDS = ("accent", "authoritative", "speculative", "used", "wasted", "negative", "warn")
PAIRS = [
    # what stands in front, on what, and the least contrast
    *[(front, back, 4.5) for front in ("text", "muted") for back in (*BACKGROUNDS, "decode-fill", "hidden-fill")],
    *[(front, back, 4.5) for front in WORDS for back in ON_PANELS],
    *[("on-fill", back, 4.8) for back in FILLS],
    *[(front, back, 3.0) for front in ("control", "decode", *WORDS) for back in BACKGROUNDS],
    ("decode", "decode-fill", 3.0),
    ("used", "hidden-fill", 3.0),
]
"""Text 4.5, text on fills 4.8, borders and bars 3."""
SEPARATORS = {"line"}
"""Says nothing that its neighbours do not say."""


def test_there_are_the_tokens_of_the_design():
    assert len(tokens()) == 18


def test_every_token_but_separators_has_its_pairs():
    assert {name for front, back, _ in PAIRS for name in (front, back)} == set(tokens()) - SEPARATORS


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("front", "back", "least"), PAIRS)
def test_what_is_said_by_colour_is_seen(front: str, back: str, least: float, theme: str):
    k = ("light", "dark").index(theme)
    assert contrast(tokens()[front][k], tokens()[back][k]) >= least


def sources() -> list[Path]:
    folders = [ROOT / "static", ROOT / "templates", ROOT / "paste_web"]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".css", ".js", ".html", ".svg", ".py")]
    return [path for path in files if not NOT_OURS & set(path.parts)]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_colour_is_written_anywhere_else(path):
    lines = [line for line in path.read_text().splitlines() if LITERAL.search(line) and CLEAR not in line]
    assert lines == []


CLEAR = 'CLEAR = "rgba(0,0,0,0)"'  # charts.py: no colour at all


@pytest.mark.parametrize("path", [path for path in sources() if path.suffix == ".html"], ids=lambda path: path.name)
def test_a_template_has_no_inline_style_and_no_inline_script(path):
    text = path.read_text()
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:", text)
    assert all('src="' in tag for tag in re.findall(r"<script[^>]*>", text))
