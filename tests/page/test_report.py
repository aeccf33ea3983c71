from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.page.render import figures_of, render
from penstock.page.report import report_view, write_report
from penstock.page.view import ReportView
from penstock.store.reader import StoreReader
from penstock.store.unblinding import unblind
from tests.page.studies import HOSTILE, run_part, run_study


def view_of(results: Path, **options: Any) -> ReportView:
    with StoreReader(results) as store, store.snapshot():
        return report_view(store, store.study(), **options)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_study(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def view(results: Path) -> ReportView:
    return view_of(results)


def test_the_page_begins_with_a_verdict_for_each_hypothesis(view: ReportView) -> None:
    (verdict,) = view.verdicts

    assert verdict.word == "supported"
    assert verdict.sentence.startswith("polite lies ")
    assert "sign flips on 8 problems" in verdict.how
    assert verdict.low is not None
    assert verdict.estimate is not None
    assert verdict.low < verdict.estimate


def test_four_signals_say_how_far_the_numbers_can_be_trusted(view: ReportView) -> None:
    signals = {signal.word: signal for signal in view.signals}

    assert list(signals) == ["Reproducible", "Complete", "Provenance", "Comparable"]
    assert signals["Complete"].value == "47 of 48"
    assert signals["Complete"].warns
    assert not signals["Comparable"].warns


def test_runs_in_the_order_of_the_design_are_told_to_be_not_comparable(tmp_path: Path) -> None:
    found = view_of(run_study(tmp_path, run_order="as_designed"))

    assert found.signals[3].warns


def test_the_matrix_goes_from_hard_to_easy_and_knows_what_failed(view: ReportView) -> None:
    assert view.matrix.problems[0] == "p0"
    assert view.matrix.problems[-1] == "p7"
    assert sum(map(sum, view.matrix.failed)) == 1


def test_every_run_is_a_row_and_every_text_stands_once(view: ReportView) -> None:
    assert len(view.runs) == 48
    assert len(view.runs.texts) == len(set(view.runs.texts)) == 9
    assert "RuntimeError: the line broke" in view.runs.texts


@pytest.mark.parametrize(("texts", "count"), [("none", 0), ("failures", 1)])
def test_texts_can_be_kept_out_of_the_page(results: Path, texts: Any, count: int) -> None:
    found = view_of(results, texts=texts)

    assert len(found.runs.texts) == count
    assert len(found.runs) == 48


def test_texts_beyond_the_bytes_of_a_page_are_counted_and_failures_come_first(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.page.run_table._MOST_ANSWER_BYTES", 40)

    found = view_of(results)

    assert found.runs.texts == ("RuntimeError: the line broke",)
    assert found.runs.left_out == 47


def test_while_runs_are_left_nothing_by_condition_is_in_the_page(tmp_path: Path) -> None:
    results = run_part(tmp_path)
    blind = view_of(results)
    unblind(results, "the budget is cut")
    seen = view_of(results)

    assert blind.is_blind
    assert "18 of 48 planned runs have not ended" in blind.blind_note
    assert blind.conditions == ()
    assert blind.matrix.problems == ()
    assert set(blind.runs.columns["value"]) == {None}
    assert figures_of(blind) == {}
    assert not seen.is_blind
    assert seen.conditions
    assert "with 30 of 48 runs ended: the budget is cut" in render(seen)


def test_a_study_without_hypotheses_shows_its_effects_as_suggestions(tmp_path: Path) -> None:
    page = render(view_of(run_study(tmp_path, hypotheses=())))

    assert "No hypothesis was declared" in page
    assert "Exploratory" in page


def test_the_same_store_gives_the_same_bytes(results: Path, tmp_path: Path) -> None:
    for name in ("one.html", "two.html"):
        with StoreReader(results) as store:
            write_report(store, store.study(), tmp_path / name)

    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_what_models_answer_is_text_wherever_it_stands(tmp_path: Path) -> None:
    hostile = ps.Study.model_fields  # the names below come from a study as well
    assert "title" in hostile
    page = render(view_of(run_study(tmp_path, title=HOSTILE[0], description=HOSTILE[1])))

    scripts = re.findall(r"<script[^>]*>", page)
    assert len(scripts) == 5  # the data, three libraries, the page's own module
    assert "<img" not in page
    assert "<iframe" not in page
    assert page.count("<svg onload") == 0


def test_the_policy_allows_our_own_scripts_by_their_hashes_and_nothing_else(
    view: ReportView,
) -> None:
    page = render(view)

    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "default-src &#39;none&#39;" in policy[1] or "default-src 'none'" in policy[1]
    assert policy[1].count("sha256-") == 5
    assert "unsafe" not in policy[1]
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://example", "")[:9]


def test_an_installation_without_the_extra_has_counts_means_flow_and_runs(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ps.ValidationError(["an analysis needs the extra penstock[analysis]"])

    monkeypatch.setattr("penstock.page.report.analyze", missing)

    found = view_of(results)
    page = render(found)

    assert found.lacks_analysis
    assert found.verdicts == ()
    assert [row.mean for row in found.conditions] != [None, None]
    assert "penstock[analysis]" in page
    assert len(found.runs) == 48


def test_how_runs_vary_and_evaluators_agree_is_told(tmp_path: Path) -> None:
    def strict(answer: Any) -> float:
        return float("4" in str(answer))

    def lenient(answer: Any) -> float:
        return float("4" in str(answer) or "5" in str(answer))

    results = run_study(tmp_path, evaluators={"strict": strict, "lenient": lenient}, report=False)
    with StoreReader(results) as store:
        rows = {row.name: row.value for row in report_view(store, store.study()).design}

    assert rows["Agreement of strict with lenient"].startswith("the same on ")
    assert "bias \u2212" in rows["Agreement of strict with lenient"]


def test_the_page_s_own_script_stays_small(results: Path) -> None:
    page = (results / "report.html").read_text()
    module = page.rpartition('<script type="module">')[2].partition("</script>")[0]

    assert 5_000 < len(module.encode()) < 15_000
