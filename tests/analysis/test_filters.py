from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import penstock as ps
from penstock.analysis.analyze import analyze
from penstock.page.report import report_view
from penstock.store.reader import StoreReader
from penstock.study.policies import RunBudget
from tests.analysis.test_analyze import hypothesis, study_of

Made = dict[str, Any]


def is_scored(run: Made) -> bool:
    return not (run["at"] == 7 and run["tone"] == "plain" and run["replicate"] == 3)


FILTERS: list[tuple[dict[str, Any], Callable[[Made], bool]]] = [
    ({"family": "algebra"}, lambda run: run["at"] % 2 == 0),
    ({"problem_family": ["algebra", "logic"]}, lambda run: True),
    ({"payload.level": 3}, lambda run: run["at"] // 2 == 3),
    ({"level": ["1", 2]}, lambda run: run["at"] // 2 in (1, 2)),
    ({"length": "short"}, lambda run: run["length"] == "in few words"),
    ({"replicate": [1, 2]}, lambda run: run["replicate"] <= 2),
    ({"problem_id": ["p1", "p2", "p5"]}, lambda run: run["at"] in (1, 2, 5)),
    ({"agent_id": "b", "family": "logic"}, lambda run: run["agent"] == "b" and run["at"] % 2),
    ({"is_sure": True}, lambda run: run["sure"]),
    ({"status": "success"}, is_scored),
    ({"words": [2, "3.0"]}, lambda run: run["at"] in (2, 3)),
]
"""Filters of an analysis plan, and which runs they leave."""


def score_of(run: Made) -> float:
    gain = (0.1 + run["at"] / 50) * (run["tone"] == "polite") * (1 + (run["agent"] == "b"))
    return float(
        run["at"] / 10 + gain + run["replicate"] / 100 + 0.3 * (run["length"] != "at length")
    )


def made_of(ctx: ps.RunContext) -> Made:
    at, replicate = int(ctx.problem.problem_id[1:]), ctx.spec.replicate
    tone, length = ctx.condition["tone"], ctx.condition["length"]
    run = {"at": at, "replicate": replicate, "tone": tone, "length": length}
    return {**run, "agent": ctx.spec.agent_spec_ref, "sure": (at + replicate) % 3 > 0}


async def tells(ctx: ps.RunContext) -> str:
    run = made_of(ctx)
    ctx.record(score=score_of(run), is_sure=run["sure"], words=run["at"])
    if run["at"] == 7 and run["tone"] == "plain" and run["replicate"] == 3:
        raise ValueError("too hard")

    return "x"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> ps.Study:
    length = ps.Factor(
        name="length",
        levels=(
            ps.Level(name="short", value="in few words"),
            ps.Level(name="long", value="at length"),
        ),
    )
    made = study_of(
        tmp_path_factory.mktemp("filters"),
        factors=(ps.Factor(name="tone", levels=("plain", "polite")), length),
        problems=tuple(
            ps.Problem(
                problem_id=f"p{at}",
                family="logic" if at % 2 else "algebra",
                payload={"level": str(at // 2)},
            )
            for at in range(8)
        ),
        agent_specs=("a", "b"),
        run_budget=RunBudget(replicates=3),
        hypotheses=(hypothesis(), hypothesis(hypothesis_id="h2")),
    )
    ps.run_study(made, agent_bindings={"a": tells, "b": tells}, show_progress=False)
    return made


def store_of(study: ps.Study) -> StoreReader:
    assert study.output_dir is not None
    return StoreReader(study.output_dir)


def planned(study: ps.Study, filters: dict[str, Any], **fields: Any) -> ps.Study:
    plan = ps.AnalysisPlan(
        analysis_plan_id="m", hypothesis_ids=("h1",), tests=("t",), filters=filters, **fields
    )
    return study.model_copy(update={"analysis_plans": (plan,)})


def all_runs() -> Iterator[Made]:
    for tone in ("plain", "polite"):
        for length in ("in few words", "at length"):
            for agent in "ab":
                for at in range(8):
                    for replicate in (1, 2, 3):
                        run = {"at": at, "replicate": replicate, "tone": tone, "length": length}
                        yield {**run, "agent": agent, "sure": (at + replicate) % 3 > 0}


def difference_by_hand(runs: list[Made]) -> float:
    """The mean over problems of the difference of sides, each a mean over its conditions."""
    differences = []
    for at in sorted({run["at"] for run in runs}):
        sides = []
        for tone in ("polite", "plain"):
            cells: dict[Any, list[float]] = {}
            for run in runs:
                if (run["at"], run["tone"]) == (at, tone) and is_scored(run):
                    cells.setdefault((run["length"], run["agent"]), []).append(score_of(run))

            sides.append(np.mean([np.mean(cell) for cell in cells.values()]))

        differences.append(sides[0] - sides[1])

    return float(np.mean(differences))


@pytest.mark.parametrize(("filters", "passes"), FILTERS, ids=[str(each) for each, _ in FILTERS])
def test_a_plan_looks_at_the_runs_that_pass_its_filters_and_says_so(
    study: ps.Study, filters: dict[str, Any], passes: Callable[[Made], bool]
) -> None:
    asked = planned(study, filters)
    left = [run for run in all_runs() if passes(run)]

    with store_of(study) as store:
        found = analyze(store, asked, with_models=False)
        view = report_view(store, asked, analysis=found)
        assert found.hypotheses[0].contrast is not None
        rows = [*store.rows(found.hypotheses[0].contrast.rows)]

    first = found.hypotheses[0]
    assert first.contrast is not None
    assert first.contrast.difference == pytest.approx(difference_by_hand(left))
    told = f"{len(left):,} of 192 runs, those with "
    assert told in first.sentence
    assert told in first.contrast.how
    assert told in view.verdicts[0].how
    assert len(rows) == sum(map(is_scored, left))
    flow = found.outcomes["score"].flow
    assert sum(each.planned for each in flow) == 192
    assert sum(each.analysed for each in flow) == len(rows)
    assert len(view.runs) == 192


def test_a_run_that_a_filter_of_results_leaves_out_counts_as_one_without_a_value(
    study: ps.Study,
) -> None:
    with store_of(study) as store:
        found = analyze(store, planned(study, {"words": [6, 7], "is_sure": True}))

    (first, _) = found.hypotheses
    assert "is_sure True (known after a run only)" in first.sentence
    assert "runs have no value" in first.sentence


def test_plans_that_filter_otherwise_are_each_judged_on_their_own_runs(study: ps.Study) -> None:
    plans = [
        ps.AnalysisPlan(
            analysis_plan_id=name, hypothesis_ids=(name,), tests=("t",), filters={"family": family}
        )
        for name, family in (("h1", "algebra"), ("h2", "logic"))
    ]
    with store_of(study) as store:
        found = analyze(store, study.model_copy(update={"analysis_plans": tuple(plans)}))

    contrasts = [each.contrast for each in found.hypotheses]
    by_hand = [
        difference_by_hand([run for run in all_runs() if run["at"] % 2 == odd]) for odd in (0, 1)
    ]
    assert [each.difference for each in contrasts if each] == pytest.approx(by_hand)
    outcome = found.outcomes["score"]
    assert outcome.chosen == ""
    everything = difference_by_hand(list(all_runs()))
    assert outcome.contrasts["polite-plain"].difference == pytest.approx(everything)


def test_filters_that_leave_nothing_or_one_level_have_a_sentence(study: ps.Study) -> None:
    with store_of(study) as store:
        none = analyze(store, planned(study, {"family": "botany"}))
        one = analyze(store, planned(study, {"tone": "plain"}))
        report_view(store, planned(study, {"family": "botany"}))

    assert "its analysis plan leaves no run: 0 of 192 runs" in none.hypotheses[0].sentence
    assert "was varied in the runs" in one.hypotheses[0].sentence


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ({"famly": "algebra"}, "filter 'famly' is not a factor, a block, a field of the problems"),
        ({"tone": "polit"}, "filter 'tone' has no level 'polit'"),
        ({"tone": {"not": "plain"}}, "filter 'tone' is not a value or a list of values"),
        ({"tone": []}, "filter 'tone' is not a value or a list of values"),
    ],
)
def test_a_filter_that_names_nothing_is_refused(
    study: ps.Study, filters: dict[str, Any], told: str
) -> None:
    (error,) = ps.validate_study(planned(study, filters))

    assert told in error
    assert ps.validate_study(planned(study, {"score": 1, "tone": "plain", "level": 3})) == []
