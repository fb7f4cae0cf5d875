"""Figures as SVG to be put inside an HTML page: no scripts, no shared ids, the same bytes every time."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from xml.etree import ElementTree

import matplotlib.style
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from tfx_privacy._printable import printable

WIDTH = 5.0
"""Inches; 360 units of the view box, so text keeps its size on a narrow screen."""
BLUE, ORANGE, RED, GREY = "#0060a0", "#b34700", "#a8201a", "#555555"
_BLACK, _WHITE, _GRID = "#000000", "#ffffff", "#dddddd"
# The page's style sheet sets these variables, for light and for dark; without one the colours are as they were drawn.
_VARIABLES = {
    BLUE: "blue", ORANGE: "orange", RED: "red", GREY: "grey", _BLACK: "ink", _WHITE: "paper", _GRID: "grid",
}  # fmt: skip
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_STYLE = {
    "axes.grid": True,
    "axes.labelsize": 11,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "legend.handlelength": 3.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "tfx-privacy",
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def render(paint: Callable[[Figure], None], *, height: float, prefix: str, title: str, description: str) -> str:
    """Draws a figure and returns it as an `<svg>` element for an HTML page.

    Args:
      paint: Adds axes to the empty figure it is given. Text from the data must go through `label`.
      height: In inches; the width is `WIDTH`.
      prefix: Begins every id, so several pictures can share a page.
      title: Short alternative text.
      description: Long alternative text: what is seen.
    """
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        # A letter that the font lacks is text all the same: the browser has a font for it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(WIDTH, height))
        FigureCanvasSVG(figure)
        paint(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    return _inline(buffer.getvalue(), prefix, title, description)


def label(text: str, max_length: int = 24) -> str:
    """Text from the data as single printable line with mathtext escaped."""
    visible = printable(text)
    short = visible if len(visible) <= max_length else visible[: max_length - 1] + "\u2026"
    return short.replace("$", r"\$")


def _inline(document: str, prefix: str, title: str, description: str) -> str:
    root = ElementTree.fromstring(document)
    for element in list(root.iter()):
        _without_page_wide_parts(element)
        _localise(element, prefix)
    size = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"xmlns": "http://www.w3.org/2000/svg", "viewBox": size, "role": "img"})
    # What matplotlib says for all elements, in a style sheet that would hold for the whole page.
    root.attrib.update({"stroke-linejoin": "round", "stroke-linecap": "butt", "aria-label": printable(title)})
    # Text has no colour of its own.
    root.attrib["style"] = f"fill: {_themed(_BLACK)}"
    for index, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(tag)
        element.text = printable(text)
        root.insert(index, element)
    return ElementTree.tostring(root, encoding="unicode")


def _without_page_wide_parts(element: ElementTree.Element) -> None:
    for child in list(element):
        if _local(child.tag) in ("metadata", "style"):
            element.remove(child)


def _localise(element: ElementTree.Element, prefix: str) -> None:
    """Names without namespaces, as HTML has them, and ids of this picture alone."""
    element.tag = _local(element.tag)
    attributes = {_local(name): value for name, value in element.attrib.items()}
    if "id" in attributes:
        attributes["id"] = f"{prefix}-{attributes['id']}"
    if attributes.get("href", "").startswith("#"):
        attributes["href"] = f"#{prefix}-{attributes['href'][1:]}"
    if "style" in attributes:
        attributes["style"] = _COLOUR.sub(lambda found: _themed(found[0]), attributes["style"])
    element.attrib.clear()
    element.attrib.update(
        {name: re.sub(r"url\(#", f"url(#{prefix}-", value) for name, value in attributes.items()},
    )


def _themed(colour: str) -> str:
    """A colour as a variable of the page, whose style sheet has one for each that the pictures use."""
    name = _VARIABLES.get(colour)
    return colour if name is None else f"var(--{name}, {colour})"


def _local(name: str) -> str:
    return name.rpartition("}")[2]
