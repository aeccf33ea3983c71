"""Rendering: the page as one file that loads nothing, whatever models have answered.

Everything that comes from a study is escaped; scripts and styles are known to the content-security
policy by their hashes, so nothing else in the file can run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from penstock.page.figures import forest_figure, matrix_figure, time_figure
from penstock.page.sentences import difference_told, money_told, value_told
from penstock.page.verdict_figures import interval_axis, interval_figure, shared_domain
from penstock.page.view import ReportView

__all__ = ["Page", "figures_of", "render", "render_page", "render_report"]

_HERE = Path(__file__).parent
_LIBRARIES = ("vega", "vega-lite", "vega-interpreter")
_GLYPHS = {
    "supported": "●",
    "equivalent": "◉",
    "not supported": "○",
    "inconclusive": "◌",
    "exploratory": "◌",
    "blind": "◌",
}


class Page(NamedTuple):
    """A page, and what its content-security policy allows."""

    text: str
    policy: str


def render(view: ReportView) -> str:
    """Return the page of a view: the same bytes for the same view."""
    return render_report(view).text


def render_report(view: ReportView) -> Page:
    """Return the page of a view, with what its policy allows."""
    data = {
        "runs": dict(view.runs.columns),
        "texts": view.runs.texts,
        "briefs": view.runs.briefs,
        "details": dict(view.runs.details.runs),
    }
    modules = ("page.js", "grid.js", "details.js", "runs.js")
    return render_page("report.html.j2", view, modules=modules, data=data)


def render_page(
    template: str,
    view: ReportView,
    *,
    modules: Sequence[str],
    data: Mapping[str, Any],
    styles: Sequence[str] = ("page.css",),
    asks_server: bool = False,
    **more: Any,
) -> Page:
    """Return a page that is made from a view by a template that extends the report's.

    Args:
        template: The template's file.
        view: What the page shows.
        modules: The files of its script, which are one module, in their order.
        data: What the script reads, besides figures and the names of conditions and problems.
        styles: The files of its style sheet.
        asks_server: Whether its script may ask the server that the page came from.
        **more: What else the template reads.
    """
    figures = figures_of(view)
    style = "".join(_read(f"templates/{name}") for name in styles)
    scripts = [_read(f"vendor/{name}.js") for name in _LIBRARIES] if figures else []
    module = "\n".join(_read(f"templates/{name}") for name in modules)
    policy = _policy(style, [*scripts, module], asks_server=asks_server)
    known = {
        "figures": figures,
        "isShare": view.is_share,
        "conditions": [row.name for row in view.flow],
        "problems": view.problems,
        "study": view.study_id,
    }
    text = (
        _environment()
        .get_template(template)
        .render(
            view=view,
            figures=figures,
            policy=policy,
            style=Markup(style),  # noqa: S704 - our own files
            scripts=[Markup(script) for script in scripts],  # noqa: S704 - vendored
            module=Markup(module),  # noqa: S704 - our own files
            data=Markup(_as_json({**known, **data})),  # noqa: S704 - every < is escaped
            glyphs=_GLYPHS,
            **more,
        )
    )
    return Page(text, policy)


def figures_of(view: ReportView) -> dict[str, Any]:
    """Return the figures of the page by name, as Vega-Lite specifications."""
    drawn = [each for each in view.verdicts if each.estimate is not None]
    found: dict[str, Any] = {}
    for at, each in enumerate(view.verdicts):
        if each.estimate is not None:
            alike = [other for other in drawn if other.measure == each.measure]
            found[f"verdict-{at}"] = interval_figure(each, shared_domain(alike))

    if len({each.measure for each in drawn}) == 1:  # else each has numbers of its own kind
        found["axis"] = interval_axis(shared_domain(drawn), f"difference in {drawn[0].measure}")

    if any(row.low is not None for row in view.conditions):
        found["forest"] = forest_figure(view.conditions, is_share=view.is_share)

    if len(view.matrix.problems) > 1:
        found["matrix"] = matrix_figure(view.matrix)

    if view.time:
        found["time"] = time_figure(view.time, is_share=view.is_share)

    return found


def _policy(style: str, scripts: list[str], *, asks_server: bool) -> str:
    allowed = " ".join(_hash(script) for script in scripts)
    asks = "connect-src 'self'; " if asks_server else ""
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data:; "
        f"{asks}base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _as_json(data: dict[str, Any]) -> str:
    """Write JSON that cannot end the element that holds it."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


@cache
def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = _shown
    environment.globals["value_told"] = value_told
    environment.globals["money_told"] = money_told
    environment.globals["difference_told"] = difference_told
    return environment


_CONTROLS: dict[int, int | str] = {
    **{code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)},
    0x7F: 0x2421,
    **dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\u25a1"),
}


def _shown(text: object) -> str:
    """Write control characters, and those that reorder text, as symbols."""
    return str(text).translate(_CONTROLS)
