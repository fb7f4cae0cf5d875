"""The page's colours, light and dark: readable, defined in both, and used by the pictures."""

import importlib.resources
import re

import evaluations
import evidence
import pytest

from tfx_privacy.guarantee.epsilon_over_steps import Spent
from tfx_privacy.reporting.facts import BudgetPoint
from tfx_privacy.reporting.figures import curves, intervals, spending

TEMPLATE = (importlib.resources.files("tfx_privacy") / "templates" / "report" / "report.html.j2").read_text("utf-8")
DARK = "@media screen and (prefers-color-scheme: dark) {"
MIN_TEXT, MIN_LINES = 4.5, 3.0
"""WCAG 2.2, success criteria 1.4.3 and 1.4.11."""


def variables(style: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", style))


LIGHT_STYLE, DARK_STYLE = (style.partition("}")[0] for style in TEMPLATE.split(":root {")[1:])
THEMES = {"light": variables(LIGHT_STYLE), "dark": variables(DARK_STYLE)}


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_the_definition() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
def test_text_and_lines_can_be_told_from_every_ground(theme: str) -> None:
    found = THEMES[theme]
    grounds = ("bg", "panel", "over")
    for text in ("ink", "soft", "yes", "no", "but", "link"):
        for ground in grounds:
            assert contrast(found[text], found[ground]) >= MIN_TEXT, (text, ground)
    assert contrast(found["ink"], found["paper"]) >= MIN_TEXT
    for line in ("blue", "orange", "red", "grey"):
        assert contrast(found[line], found["paper"]) >= MIN_LINES, line


def test_the_dark_page_is_dark_and_paper_is_never() -> None:
    assert luminance(THEMES["dark"]["bg"]) < 0.05 < luminance(THEMES["dark"]["ink"])
    before, _, after = TEMPLATE.partition(DARK)
    assert after.count("prefers-color-scheme") == before.count("prefers-color-scheme") == 0
    assert "color-scheme: light;" in before
    assert "color-scheme: dark;" in DARK_STYLE


def test_a_colour_is_a_variable_that_both_themes_have() -> None:
    style = TEMPLATE.partition("<style>")[2].partition("</style>")[0]
    themes = style.partition("* { box-sizing")[0]
    assert set(THEMES["light"]) == set(THEMES["dark"])
    used = set(re.findall(r"var\(--([a-z]+)", TEMPLATE))
    assert used <= {*THEMES["light"], "shade"}
    assert not re.search(r"#[0-9a-f]{3,8}\b", style.removeprefix(themes))


def pictures() -> dict[str, str | None]:
    record, stated = evaluations.make(), evidence.make_guarantee()
    point = BudgetPoint(sequence=1, at="2026-01-01", kind="reserve", spent_epsilon=1.0, budget_epsilon=2.0)
    return {
        "roc": curves.roc(record.curves[0], stated, others=record.curves[1:]),
        "scores": curves.score_histogram(record.curves[0]),
        "training": curves.over_training(record),
        "forest": intervals.forest(record, "loss", 0.55),
        "findings": intervals.findings(record),
        "steps": spending.over_steps([Spent(step=1, epsilon=1.0)], stated=1.0, limit=2.0),
        "budget": spending.over_time([point]),
    }


def test_pictures_take_every_colour_from_the_page() -> None:
    for name, picture in pictures().items():
        assert picture is not None
        assert 'style="fill: var(--ink, #000000)"' in picture, name
        used = dict(re.findall(r"var\(--([a-z]+), (#[0-9a-f]{6})\)", picture))
        assert set(used) <= set(THEMES["light"]), name
        # Without a style sheet a picture is as it was drawn, and that is the light page's.
        assert {key: THEMES["light"][key] for key in used if key != "ink"} == {
            key: colour for key, colour in used.items() if key != "ink"
        }
        bare = re.sub(r"var\(--[a-z]+, #[0-9a-f]{6}\)", "", picture)
        assert not re.search(r"(?:fill|stroke|color): ?(?!none)[#a-z]", bare), name
