"""Drawing: what all figures share: palettes, an axis, and the frame of a specification.

Figures are Vega-Lite specifications, as plain data that is tested without a browser. A palette is
an argument: names of CSS variables for the page, so that light and dark need no new drawing, and
plain colours for papers and notebooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["PAGE", "PAPER", "Palette", "Spec", "axis_of", "figure_of", "mixed"]

Palette = Mapping[str, str]
Spec = dict[str, Any]

PAGE: Palette = {
    name: f"var(--{name})"
    for name in ("accent", "band", "bg", "faint", "failure", "ink", "line", "muted", "wrong")
}
PAPER: Palette = {
    "accent": "#1f5fae",
    "band": "#eceef1",
    "bg": "#ffffff",
    "faint": "#8a94a1",
    "failure": "#c4500f",
    "ink": "#1b222c",
    "line": "#e4e7eb",
    "muted": "#5a6573",
    "wrong": "#cfd5dc",
}

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"


def axis_of(palette: Palette, *, title: str | list[str] | None = None, grid: bool = True) -> Spec:
    """Return an axis without lines of its own."""
    return {
        "title": title,
        "labelColor": palette["muted"],
        "titleColor": palette["muted"],
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "domain": False,
        "ticks": False,
        "grid": grid,
        "gridColor": palette["line"],
        "tickCount": 5,
    }


def figure_of(spec: Spec, *, height: int, autosize: str = "fit") -> Spec:
    """Return a whole specification: as wide as its place, and so many pixels high."""
    return {
        "$schema": _SCHEMA,
        "width": "container",
        "height": height,
        "autosize": {"type": autosize, "contains": "padding"},
        "padding": {"left": 0, "right": 8, "top": 0, "bottom": 4},
        "background": None,
        **spec,
        "config": {"view": {"stroke": None}, "aria": False, "font": "system-ui, sans-serif"},
    }


def mixed(colour: str, other: str, percent: int) -> str:
    """Return so much of one colour mixed into another, as a browser would.

    Args:
        colour: A name of a CSS variable, or a colour such as ``#1f5fae``, as the other is.
        other: What is mixed into it.
        percent: How much of the first.
    """
    if not colour.startswith("#"):
        return f"color-mix(in srgb, {colour} {percent}%, {other})"

    parts = [
        round((int(first, 16) * percent + int(second, 16) * (100 - percent)) / 100)
        for first, second in zip(_channels(colour), _channels(other), strict=True)
    ]
    return "#" + "".join(f"{part:02x}" for part in parts)


def _channels(colour: str) -> list[str]:
    return [colour[at : at + 2] for at in (1, 3, 5)]
