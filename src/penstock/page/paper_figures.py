"""Figures on their own: those of the page with labels and axes, for papers and notebooks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from penstock._base.atomic_files import set_aside
from penstock._base.extras import load_extra
from penstock.page.drawing import PAPER, Palette, Spec
from penstock.page.figures import forest_figure, matrix_figure, time_figure
from penstock.page.verdict_figures import interval_axis, interval_figure, shared_domain
from penstock.page.view import ReportView, Verdict

__all__ = ["FORMATS", "Figure", "Format", "paper_figures"]

Format = Literal["svg", "pdf", "png", "json"]

FORMATS: tuple[Format, ...] = ("svg", "pdf", "png")
"""What figures are drawn as; ``json`` is the Vega-Lite specification itself."""

_WIDTH = 560
_DRAWN_BY = "6.4"
"""The version of Vega-Lite, as the page vendors it."""

_PIXELS_PER_INCH = 288
_MIME_TYPE = "application/vnd.vegalite.v6+json"


class Figure(NamedTuple):
    """A figure as a Vega-Lite specification, which notebooks draw themselves.

    Args:
        name: What it shows, as its file is called.
        spec: The specification, as plain data.
    """

    name: str
    spec: Spec

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {_MIME_TYPE: self.spec, "text/plain": f"figure {self.name!r}"}

    def drawn(self, form: Format) -> bytes:
        """Draw the figure as a file holds it.

        Args:
            form: One of ``svg``, ``pdf``, ``png`` and ``json``.

        Raises:
            ValidationError: the extra ``penstock[figures]`` is not installed.
        """
        if form == "json":
            return f"{json.dumps(self.spec, indent=1)}\n".encode()

        convert = load_extra("vl_convert", extra="figures", what="a figure in a file")
        if form == "svg":
            return str(convert.vegalite_to_svg(self.spec, vl_version=_DRAWN_BY)).encode()

        if form == "pdf":
            return bytes(convert.vegalite_to_pdf(self.spec, vl_version=_DRAWN_BY))

        return bytes(
            convert.vegalite_to_png(self.spec, vl_version=_DRAWN_BY, ppi=_PIXELS_PER_INCH, scale=1)
        )

    def save(self, path: Path | str) -> Path:
        """Draw the figure into a file, in the format that its name ends with.

        Raises:
            ValueError: figures are not drawn in that format.
            ValidationError: the extra ``penstock[figures]`` is not installed.
        """
        path = Path(path)
        form = path.suffix.removeprefix(".").lower()
        forms: Mapping[str, Format] = {each: each for each in (*FORMATS, "json")}
        if form not in forms:
            raise ValueError(f"{path}: figures are drawn as {', '.join(forms)}")

        with set_aside(path) as aside:
            aside.write_bytes(self.drawn(forms[form]))

        return path


def paper_figures(view: ReportView, palette: Palette = PAPER) -> list[Figure]:
    """Return the figures of a study: its verdicts, conditions, problems, and it over time.

    Args:
        view: What the page shows; a figure without anything to show is left out.
        palette: The colours.
    """
    found = [*_verdicts(view.verdicts, palette)]
    if any(row.low is not None for row in view.conditions):
        spec = forest_figure(
            view.conditions, is_share=view.is_share, palette=palette, is_labelled=True
        )
        found.append(Figure("conditions", _alone(spec, _outcome(view), palette)))

    if len(view.matrix.problems) > 1:
        said = "conditions by problems, the hardest problem first"
        found.append(Figure("problems", _alone(matrix_figure(view.matrix, palette), said, palette)))

    if view.time:
        spec = time_figure(view.time, is_share=view.is_share, palette=palette)
        found.append(Figure("time", _alone(spec, _outcome(view), palette)))

    return found


def _outcome(view: ReportView) -> str:
    return f"{view.outcome} in percent" if view.is_share else view.outcome


def _verdicts(verdicts: Sequence[Verdict], palette: Palette) -> Iterator[Figure]:
    """Draw the verdicts of each measure as a column with one axis."""
    by_measure: dict[str, list[Verdict]] = {}
    for each in verdicts:
        if each.estimate is not None:
            by_measure.setdefault(each.measure, []).append(each)

    for number, (measure, alike) in enumerate(by_measure.items(), start=1):
        domain = shared_domain(alike)
        parts = [
            {
                **_part(interval_figure(each, domain, palette)),
                "title": _title(f"{each.name}: {each.word}", palette),
            }
            for each in alike
        ]
        parts.append(_part(interval_axis(domain, f"difference in {measure}", palette)))
        frame = interval_axis(domain, "", palette)
        spec = {
            "$schema": frame["$schema"],
            "background": palette["bg"],
            "config": frame["config"],
            "padding": 8,
            "spacing": 8,
            "vconcat": parts,
        }
        yield Figure("verdicts" if number == 1 else f"verdicts-{number}", spec)


def _part(spec: Spec) -> Spec:
    """Return a figure as a part of another: what belongs to the whole is left out."""
    whole = ("$schema", "autosize", "background", "config", "padding")
    return {**{name: each for name, each in spec.items() if name not in whole}, "width": _WIDTH}


def _alone(spec: Spec, title: str, palette: Palette) -> Spec:
    """Return a figure of the page as one that stands alone: with a width, a title, a ground."""
    return {
        **spec,
        "width": _WIDTH,
        "autosize": {"type": "pad"},
        "padding": 8,
        "background": palette["bg"],
        "title": _title(title, palette),
    }


def _title(text: str, palette: Palette) -> Spec:
    return {
        "text": text,
        "anchor": "start",
        "color": palette["ink"],
        "fontSize": 13,
        "fontWeight": "normal",
    }
