"""Figures of the evidence: conditions, problems, and the outcome over time."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.page.drawing import PAGE, Palette, Spec, axis_of, figure_of, mixed
from penstock.page.view import ConditionRow, Matrix, TimePoint

__all__ = ["forest_figure", "matrix_figure", "time_figure"]

_STEPS = 7
"""Colours of the matrix: solid steps, for opacity by data makes printed files huge."""


def forest_figure(
    rows: Sequence[ConditionRow],
    *,
    is_share: bool,
    palette: Palette = PAGE,
    is_labelled: bool = False,
) -> Spec:
    """Draw the conditions' intervals; each row is 40 pixels high, as the table's rows are.

    Args:
        rows: The conditions, in the order of the table.
        is_share: Whether the axis runs from 0 to 100 %.
        palette: The colours.
        is_labelled: Whether conditions are named beside their intervals; on the page the table
            does that.
    """
    scale: Spec = {"domain": [0, 100], "nice": False} if is_share else {"zero": False}
    x = {"type": "quantitative", "scale": scale, "axis": axis_of(palette)}
    y = {
        "field": "row",
        "type": "quantitative",
        "scale": {"domain": [0, len(rows)], "reverse": True, "nice": False},
        "axis": None,
    }
    if is_labelled:
        y = {"field": "name", "type": "nominal", "sort": None, "axis": _labels(palette)}

    spec = {
        "data": {"name": "rows", "values": _rows(rows, 100 if is_share else 1)},
        "layer": [
            {
                "mark": {"type": "rule", "color": palette["accent"], "strokeWidth": 2},
                "encoding": {"x": {"field": "low", **x}, "x2": {"field": "high"}, "y": y},
            },
            {
                "mark": {
                    "type": "point",
                    "filled": True,
                    "size": 60,
                    "color": palette["accent"],
                    "opacity": 1,
                },
                "encoding": {
                    "x": {"field": "mean", **x},
                    "y": y,
                    "tooltip": [{"field": "name"}, {"field": "mean", "format": ".3~f"}],
                },
            },
        ],
    }
    return figure_of(spec, height=40 * len(rows), autosize="fit-x")


def _rows(rows: Sequence[ConditionRow], factor: int) -> list[Spec]:
    return [
        {
            "row": at + 0.5,
            "name": row.name,
            **{
                field: None if (value := getattr(row, field)) is None else value * factor
                for field in ("low", "mean", "high")
            },
        }
        for at, row in enumerate(rows)
    ]


def matrix_figure(matrix: Matrix, palette: Palette = PAGE) -> Spec:
    """Draw conditions by problems: darker is better, an orange tick where runs failed."""
    cells = _cells(matrix)
    x = {"field": "place", "type": "ordinal", "axis": None, "scale": {"padding": 0}}
    y = {
        "field": "condition",
        "type": "nominal",
        "sort": None,
        "scale": {"paddingInner": 0.12},
        "axis": _labels(palette),
    }
    tooltip = [{"field": name} for name in ("condition", "problem", "value", "failed")]
    spec = {
        "data": {"values": cells},
        "layer": [
            {
                "transform": [{"filter": "datum.step >= 0"}],
                "mark": {"type": "rect"},
                "encoding": {"x": x, "y": y, "color": _steps(palette), "tooltip": tooltip},
            },
            {
                "transform": [{"filter": "datum.failed > 0"}],
                "mark": {"type": "tick", "color": palette["failure"], "thickness": 3},
                "encoding": {
                    "x": x,
                    "y": {**y, "bandPosition": 0.85},
                    "tooltip": tooltip,
                },
            },
        ],
    }
    return figure_of(spec, height=26 * len(matrix.conditions), autosize="fit-x")


def _legend(palette: Palette) -> Spec:
    """Return a legend of lines above a figure."""
    return {
        "title": None,
        "orient": "top",
        "symbolType": "stroke",
        "symbolStrokeColor": palette["accent"],
        "labelColor": palette["ink"],
        "labelFontSize": 12,
    }


def _labels(palette: Palette) -> Spec:
    """Return an axis that names rows and draws nothing else."""
    return {
        "title": None,
        "labelColor": palette["ink"],
        "labelFontSize": 12,
        "labelLimit": 260,
        "labelPadding": 8,
        "domain": False,
        "ticks": False,
    }


def _steps(palette: Palette) -> Spec:
    steps = [
        mixed(palette["accent"], palette["band"], share) for share in (0, 15, 32, 49, 66, 83, 100)
    ]
    scale = {"domain": list(range(_STEPS)), "range": steps}
    return {"field": "step", "type": "ordinal", "legend": None, "scale": scale}


def _cells(matrix: Matrix) -> list[Spec]:
    ranges = _ranges(matrix)
    return [
        {
            "condition": matrix.conditions[at],
            "problem": problem,
            "place": place,
            "value": value,
            "failed": matrix.failed[at][place],
            "step": _step(value, *ranges[place]),
        }
        for at, row in enumerate(matrix.values)
        for place, (problem, value) in enumerate(zip(matrix.problems, row, strict=True))
    ]


def _ranges(matrix: Matrix) -> list[tuple[float, float]]:
    """Return for each problem between which values colours go.

    Shares have one range; other outcomes have one for each problem, or that of the problem with the
    largest numbers would take up all colours.
    """
    columns = [
        [value for value in column if value is not None]
        for column in zip(*matrix.values, strict=True)
    ]
    if matrix.is_share:
        return [(0.0, 1.0)] * len(columns)

    return [(min(each), max(each)) if each else (0.0, 1.0) for each in columns]


def _step(value: float | None, low: float, high: float) -> int:
    if value is None:
        return -1

    share = 0.5 if high <= low else (value - low) / (high - low)
    return min(_STEPS - 1, int(share * _STEPS))


def time_figure(
    points: Sequence[TimePoint],
    *,
    is_share: bool,
    palette: Palette = PAGE,
) -> Spec:
    """Draw the mean outcome in the order of the runs, a line for each agent, with its band.

    Args:
        points: Stretches of runs.
        is_share: Whether they are shown in percent.
        palette: The colours.
    """
    factor = 100 if is_share else 1
    values = [
        {
            "agent": point.agent,
            "order": point.order,
            "mean": point.mean * factor,
            "low": point.low * factor,
            "high": point.high * factor,
        }
        for point in points
    ]
    x = {
        "field": "order",
        "type": "quantitative",
        "axis": axis_of(palette, title="runs, in the order in which they were started", grid=False),
        "scale": {"nice": False},
    }
    y = {"type": "quantitative", "scale": {"zero": False}, "axis": axis_of(palette)}
    several = len({point.agent for point in points}) > 1
    legend = _legend(palette) if several else None
    dash = {"field": "agent", "type": "nominal", "legend": legend}
    spec = {
        "data": {"values": values},
        "layer": [
            {
                "mark": {"type": "area", "color": palette["band"], "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": {"field": "low", **y},
                    "y2": {"field": "high"},
                    "detail": {"field": "agent"},
                },
            },
            {
                "mark": {"type": "line", "color": palette["accent"], "strokeWidth": 2},
                "encoding": {"x": x, "y": {"field": "mean", **y}, "strokeDash": dash},
            },
        ],
    }
    return figure_of(spec, height=200)
