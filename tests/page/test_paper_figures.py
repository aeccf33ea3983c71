from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.page.drawing import mixed
from penstock.page.paper_figures import Figure, paper_figures
from penstock.page.report import report_view
from penstock.page.view import ReportView, Verdict
from penstock.store.reader import StoreReader
from tests.page.studies import run_study


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> ReportView:
    directory = run_study(tmp_path_factory.mktemp("figures"), report=False)
    with StoreReader(directory) as store:
        return report_view(store, store.study(), texts="none")


def colours(spec: Any) -> set[str]:
    text = json.dumps(spec)
    return {part for part in text.replace('"', " ").split() if part.startswith(("#", "var("))}


def test_every_figure_of_the_page_stands_alone_with_plain_colours(view: ReportView) -> None:
    found = {figure.name: figure.spec for figure in paper_figures(view)}

    assert [*found] == ["verdicts", "conditions", "problems", "time"]
    for spec in found.values():
        assert "container" not in json.dumps(spec), "a paper has no container to be as wide as"
        assert all(colour.startswith("#") for colour in colours(spec))


def test_conditions_are_named_beside_their_intervals(view: ReportView) -> None:
    (spec,) = (figure.spec for figure in paper_figures(view) if figure.name == "conditions")

    assert spec["layer"][0]["encoding"]["y"]["field"] == "name"
    assert [row["name"] for row in spec["data"]["values"]] == ["plain", "polite"]


def test_verdicts_of_another_measure_have_a_figure_with_an_axis_of_its_own(
    view: ReportView,
) -> None:
    seconds = Verdict(
        name="h2",
        word="inconclusive",
        sentence="",
        how="",
        estimate=12.0,
        low=-5.0,
        high=29.0,
        measure="latency, in s",
    )
    both = view.model_copy(update={"verdicts": (*view.verdicts, seconds)})

    found = {figure.name: figure.spec for figure in paper_figures(both)}

    assert len(found["verdicts"]["vconcat"]) == len(found["verdicts-2"]["vconcat"]) == 2
    axis = found["verdicts-2"]["vconcat"][-1]["encoding"]["x"]
    assert axis["axis"]["title"] == "difference in latency, in s"
    assert axis["scale"]["domain"][1] > 29


def test_a_notebook_is_given_the_specification(view: ReportView) -> None:
    figure = paper_figures(view)[0]

    bundle = figure._repr_mimebundle_()

    assert bundle["application/vnd.vegalite.v6+json"] == figure.spec
    assert bundle["text/plain"] == "figure 'verdicts'"


@pytest.mark.parametrize(
    ("form", "begin"), [("svg", b"<svg"), ("pdf", b"%PDF"), ("png", b"\x89PNG"), ("json", b"{")]
)
def test_a_figure_is_drawn_as_its_file_is_called(
    view: ReportView, tmp_path: Path, form: str, begin: bytes
) -> None:
    if form != "json":
        pytest.importorskip("vl_convert")

    path = paper_figures(view)[0].save(tmp_path / f"a.{form}")

    assert path.read_bytes().startswith(begin)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="figures are drawn as svg, pdf, png, json"):
        Figure("a", {}).save(tmp_path / "a.jpg")


def test_colours_are_mixed_as_a_browser_mixes_them() -> None:
    assert mixed("#ff0000", "#0000ff", 50) == "#800080"
    assert mixed("#1f5fae", "#eceef1", 0) == "#eceef1"
    assert mixed("var(--accent)", "var(--band)", 15) == (
        "color-mix(in srgb, var(--accent) 15%, var(--band))"
    )
