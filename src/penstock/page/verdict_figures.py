"""Figures of verdicts: each estimate with its interval, in one column with one axis below."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.page.drawing import PAGE, Palette, Spec, axis_of, figure_of
from penstock.page.sentences import interval_told
from penstock.page.view import Verdict

__all__ = ["interval_axis", "interval_figure", "shared_domain"]

_LONGEST_TITLE = 45
"""Characters of a title that a phone has room for in one line."""


def shared_domain(verdicts: Sequence[Verdict]) -> tuple[float, float]:
    """Return one range for the intervals of verdicts of one measure, so that they line up."""
    ends = [0.0]
    for each in map(_scaled, verdicts):
        ends += [end for end in (each.low, each.high, each.estimate) if end is not None]
        ends += [-each.delta, each.delta] if each.delta is not None else []

    low, high = min(ends), max(ends)
    room = (high - low or 1.0) * 0.12
    return low - room, high + room


def interval_figure(verdict: Verdict, domain: tuple[float, float], palette: Palette = PAGE) -> Spec:
    """Draw an estimate with its interval, the zero line, and the band of what would not matter.

    Args:
        verdict: What is drawn.
        domain: The range of the axis.
        palette: The colours.
    """
    told = interval_told(
        verdict.estimate or 0.0, verdict.low, verdict.high, is_share=verdict.is_share
    )
    verdict = _scaled(verdict)
    decided = palette["muted" if verdict.word in {"inconclusive", "exploratory"} else "accent"]
    x = {"type": "quantitative", "scale": {"domain": list(domain)}, "axis": None}
    row = {"low": verdict.low, "estimate": verdict.estimate, "high": verdict.high, "told": told}
    layers = _band(verdict, x, palette)
    layers += [
        {
            "data": {"values": [{"zero": 0}]},
            "mark": {"type": "rule", "color": palette["faint"]},
            "encoding": {"x": {"field": "zero", **x}, "y": {"value": 24}, "y2": {"value": 60}},
        },
        {
            "mark": {"type": "rule", "color": decided, "strokeWidth": 2},
            "encoding": {"x": {"field": "low", **x}, "x2": {"field": "high"}, "y": {"value": 42}},
        },
        {
            "mark": {
                "type": "point",
                "filled": True,
                "size": 90,
                "color": decided,
                "stroke": palette["bg"],
                "strokeWidth": 2,
                "opacity": 1,
            },
            "encoding": {"x": {"field": "estimate", **x}, "y": {"value": 42}},
        },
        {
            "mark": {"type": "text", "color": palette["ink"], "fontSize": 13, "baseline": "middle"},
            "encoding": {
                "x": {"field": "estimate", **x},
                "y": {"value": 13},
                "text": {"field": "told"},
            },
        },
    ]
    return figure_of({"data": {"values": [row]}, "layer": layers}, height=64)


def _scaled(verdict: Verdict) -> Verdict:
    """Return a verdict of shares in percentage points, as its axis shows it."""
    if not verdict.is_share:
        return verdict

    values = {name: getattr(verdict, name) for name in ("estimate", "low", "high", "delta")}
    return verdict.model_copy(
        update={name: None if value is None else 100 * value for name, value in values.items()}
    )


def _band(verdict: Verdict, x: Spec, palette: Palette) -> list[Spec]:
    if verdict.delta is None:
        return []

    return [
        {
            "data": {"values": [{"low": -verdict.delta, "high": verdict.delta}]},
            "mark": {"type": "rect", "color": palette["band"]},
            "encoding": {
                "x": {"field": "low", **x},
                "x2": {"field": "high"},
                "y": {"value": 24},
                "y2": {"value": 60},
            },
        }
    ]


def interval_axis(domain: tuple[float, float], title: str, palette: Palette = PAGE) -> Spec:
    """Draw the one axis that stands below the column of intervals."""
    measured, comma, unit = title.partition(", ")
    is_long = bool(comma) and len(title) > _LONGEST_TITLE
    lines = [f"{measured},", unit] if is_long else title
    axis = axis_of(palette, title=lines, grid=False)
    scale = {"domain": list(domain)}
    spec = {
        "data": {"values": [{"x": 0}]},
        "mark": {"type": "point", "opacity": 0},
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "scale": scale, "axis": axis},
        },
    }
    return figure_of(spec, height=1, autosize="fit-x")
