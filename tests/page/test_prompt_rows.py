from __future__ import annotations

from pathlib import Path

import pytest

import penstock as ps
from penstock.page.report import report_view
from penstock.page.sentences import money_told
from penstock.page.view import SAID, TITLE
from penstock.store.reader import StoreReader
from tests.page.studies import run_asking_study, run_study


def design(results: Path) -> dict[str, str]:
    with StoreReader(results) as store:
        return {row.name: row.value for row in report_view(store, store.study()).design}


def test_the_design_shows_what_the_first_run_of_each_condition_was_asked(tmp_path: Path) -> None:
    tones = (ps.Factor(name="tone", levels=("plain", "polite")),)

    shown = design(run_asking_study(tmp_path, factors=tones))

    assert shown["Prompt, plain"] == "system: You add.\nuser: Add 0"
    assert shown["Prompt, polite"] == "system: You add.\nuser: Add 0"


@pytest.mark.parametrize("keep_calls", ["full", "usage", "none"])
def test_a_prompt_is_filled_in_again_where_calls_were_not_kept(
    tmp_path: Path, keep_calls: str
) -> None:
    chat = {
        "provider": "simulated",
        "model": "m",
        "system": "Be {{ condition.tone }}.",
        "prompt": "{{ problem.brief }}?",
        "simulator": {"answers": ("4",), "latency_s": 0.0},
    }
    study = ps.Study(
        study_id="asked",
        title="t",
        factors=(ps.Factor(name="tone", levels=("plain", "polite")),),
        problems=tuple(ps.Problem(problem_id=f"p{at}", brief=f"Add {at}") for at in range(2)),
        agents={"a": {"chat": chat}},
        execution={"keep_calls": keep_calls},
        output_dir=tmp_path / "results",
    )
    ps.run_study(study, show_progress=False)

    with StoreReader(tmp_path / "results") as store:
        view = report_view(store, store.study())

    shown = {row.name: row.value for row in view.design}
    assert shown["Prompt, polite"] == "system: Be polite.\nuser: Add 0?"
    for items in view.runs.details.runs.values():
        texts = [view.runs.texts[each[2]] for each in items if each[0] == SAID]
        assert texts[0].startswith("Be ")
        assert texts[1] in ("Add 0?", "Add 1?")
        titles = [each[1] for each in items if each[0] == TITLE]
        assert ("Prompt" in titles) == (keep_calls != "full")


def test_a_study_without_calls_shows_no_prompts(tmp_path: Path) -> None:
    assert not [name for name in design(run_study(tmp_path)) if name.startswith("Prompt")]


def test_a_verdict_says_what_was_claimed_and_a_figure_what_its_colours_mean(
    tmp_path: Path,
) -> None:
    page = (run_study(tmp_path) / "report.html").read_text()

    assert "polite is better" in page
    assert "The stronger its colour, the higher a cell; a mark at the bottom" in page


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "\u2013"),
        (0.0, "$0.0000"),
        (0.0000146, "$0.000015"),
        (0.02, "$0.0200"),
        (12.5, "$12.5000"),
    ],
)
def test_a_small_sum_is_not_told_as_nothing(value: float | None, told: str) -> None:
    assert money_told(value) == told
