"""Drawing: what all figures share: palettes, an axis, and the frame of a specification.

Figures are Vega-Lite specifications, as plain data that is tested without a browser. A palette is
an argument: names of CSS variables for the page, so that light and dark need no new drawing, and
plain colours for papers and notebooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["PAGE", "PAPER", "Palette", "Spec", "axis_of", "figure_of"]

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


def axis_of(palette: Palette, *, title: str | None = None, grid: bool = True) -> Spec:
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
