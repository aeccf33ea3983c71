"""Whatever a study is of: what is found never contradicts itself, and totals add up."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import penstock as ps
from penstock.analysis.analysis_facts import Analysis
from penstock.analysis.analyze import analyze
from penstock.analysis.finding import finding_lines
from penstock.analysis.studies_compared import compare_studies
from penstock.cli.analyze import _told
from penstock.page.report import report_view
from penstock.page.view import ReportView
from penstock.store.reader import StoreReader
from penstock.study.hypotheses import Contrast
from tests.analysis.samples import numbers_in
from tests.analysis.test_analyze import SCORE

VALUES: dict[str, Any] = {
    "flags": lambda draw: draw.random() < 0.6,
    "shares at the ceiling": lambda draw: int(draw.random() < 0.97),
    "words": lambda draw: draw.choice(["yes", "no"]),
    "texts in an order": lambda draw: draw.choice(["bad", "fair", "good", "odd"]),
    "numbers": lambda draw: draw.gauss(0, 1),
    "ties": lambda draw: draw.choice([1, 2, 3]),
    "a constant": lambda draw: 5,
    "negative zero": lambda draw: -0.0,
    "huge numbers": lambda draw: draw.choice([1e300, -1e300, 1]),
    "large numbers": lambda draw: 1e149 * draw.random(),
    "tiny numbers": lambda draw: 1e-300 * draw.random(),
    "numbers as texts": lambda draw: draw.choice(["1", "2.5", "x"]),
    "nothing": lambda draw: None,
    "sometimes nothing": lambda draw: draw.choice([None, 1, 2.5]),
}
FAULTS = re.compile(r"(?<![a-zA-Z])(nan|inf|None|[-\u2212]0(\.0*)?(?![\d.]))(?![a-zA-Z_])")


def made(seed: int, folder: Path) -> tuple[ps.Study, Any]:
    """A study of its own kind: factors, agents, problems, outcome, claims and plan are drawn."""
    draw = random.Random(seed)
    kinds = sorted(VALUES)
    value = VALUES[kinds[seed % len(kinds)]]
    pools = [("tone", ("plain", "polite", "rude")), ("size", (1, 2, 3.5)), ("a:b", ("x.y", "x"))]
    factors = [
        ps.Factor(name=name, levels=levels[: draw.choice([2, 2, 3])])
        for name, levels in draw.sample(pools, draw.choice([1, 2, 2]))
    ]
    first = factors[0]
    claims = [
        ps.Hypothesis(
            hypothesis_id=f"h{at}",
            label="l",
            statement="s",
            independent_vars=(first.name,),
            dependent_vars=("score",),
            kind=kind,
            direction="equivalent" if kind == "equivalence" else draw.choice(["greater", "less"]),
            minimum_effect_of_interest=0.5,
            contrast=Contrast(label="c", left=first.levels[1].name, right=first.levels[0].name),
        )
        for at, kind in enumerate(draw.sample(["effect", "equivalence", "exploratory"], 2))
    ]
    plan = ps.AnalysisPlan(
        analysis_plan_id="m",
        hypothesis_ids=("h0", "h1"),
        tests=("t",),
        multiple_comparison_policy=draw.choice([None, "none", "bonferroni", "fdr_bh", "dunnett"]),
        generalize_to=draw.choice(["population", "population", "these_problems"]),
        random_effects=draw.choice([(), ("problem_id",)]),
        covariates=draw.choice([(), ("level",)]),
        filters=draw.choice([{}, {}, {"family": "f"}, {"status": "success"}]),
    )
    fails = draw.choice([0, 0, 0.3, 1])

    async def agent(ctx: ps.RunContext) -> str:
        own = random.Random(ctx.seed)
        if own.random() < fails and ctx.condition[first.name] == first.levels[0].value:
            raise RuntimeError("too hard")

        ctx.record(score=value(own))
        return "x"

    study = ps.Study(
        study_id="drawn",
        title="t",
        factors=tuple(factors),
        problems=tuple(
            ps.Problem(problem_id=f"p{at}", family="fg"[at % 2], payload={"level": at % 3})
            for at in range(draw.choice([1, 2, 5, 8]))
        ),
        agent_specs=draw.choice([("a",), ("a", "b")]),
        outcomes=(SCORE.model_copy(update={"order": ("bad", "fair", "good")}),)
        if kinds[seed % len(kinds)] == "texts in an order"
        else (SCORE,),
        hypotheses=tuple(claims) if draw.random() < 0.8 else (),
        analysis_plans=(plan,) if draw.random() < 0.6 else (),
        replicates=draw.choice([1, 2]),
        blind=False,
        output_dir=folder,
    )
    if not study.hypotheses:
        study = study.model_copy(update={"analysis_plans": ()})

    return study, agent


@pytest.mark.parametrize("seed", range(len(VALUES)))
def test_what_is_found_of_any_study_holds_together(seed: int, tmp_path: Path) -> None:
    study, agent = made(seed, tmp_path / "results")
    agents = dict.fromkeys(study.agent_specs, agent)
    ps.run_study(study, agent_bindings=agents, show_progress=False, report=False)

    with StoreReader(tmp_path / "results") as store:
        found = analyze(store, study)
        view = report_view(store, study, analysis=found)
        same = compare_studies({"one": store, "other": store})

    numbers = [*numbers_in(json.loads(found.model_dump_json()))]
    numbers += numbers_in(json.loads(same.model_dump_json()))
    assert all(math.isfinite(each) for each in numbers)
    assert not [each for each in numbers if each == 0 and math.copysign(1, each) < 0]
    assert not [line for line in said(found, view) if FAULTS.search(line)]
    for each in found.hypotheses:
        agrees(each)

    for outcome in found.outcomes.values():
        assert sum(each.planned for each in outcome.flow) == found.planned
        assert sum(each.ended for each in outcome.flow) == found.ended
        runs = {each.name: each.n_runs for each in outcome.conditions}
        for flow in outcome.flow:
            assert flow.planned >= flow.started >= flow.ended >= flow.scored >= flow.analysed
            assert flow.ended >= flow.failed + flow.skipped + flow.scored
            assert runs.get(flow.name, 0) == flow.analysed


def agrees(found: Any) -> None:
    """A verdict agrees with its p value, its estimate and its interval."""
    contrast, interval, p = found.contrast, found.interval, found.p_adjusted
    assert re.fullmatch(r"[A-Z].*[^ ,:]\.", found.sentence)
    assert (found.verdict == "equivalent") <= (p is not None and p <= 0.05 and found.is_equivalence)
    assert (found.verdict == "supported") <= (p is not None and p <= 0.05)
    if contrast is not None and contrast.difference is None:
        assert found.verdict == "inconclusive"
        assert contrast.undefined

    if contrast is not None and interval is not None:
        assert interval.low <= contrast.difference <= interval.high
        holds_zero = interval.low <= 0 <= interval.high
        assert holds_zero == (found.size == "null")


def said(found: Analysis, view: ReportView) -> Iterator[str]:
    yield from finding_lines(found)
    yield from _told(found)
    yield from (f"{each.sentence} {each.how}" for each in view.verdicts)
    yield from (view.conditions_finding, view.flow_finding, view.matrix_finding, view.methods)
    yield from (f"{each.name}: {each.value}" for each in view.design)


def test_arms_are_told_apart_by_their_levels_and_not_by_how_they_are_written(
    tmp_path: Path,
) -> None:
    async def scores(ctx: ps.RunContext) -> str:
        at = int(ctx.problem.problem_id[1:])
        old, small = ctx.condition["model"] == "gpt-4", ctx.condition["size"] == "1.5"
        ctx.record(score=at * at / 7 + 3 * old + 5 * small + at * old / 10)
        return "x"

    study = ps.Study(
        study_id="dots",
        title="t",
        factors=(
            ps.Factor(name="model", levels=("gpt-4", "gpt-4.1")),
            ps.Factor(name="size", levels=("1.5", "5")),
        ),
        problems=tuple(ps.Problem(problem_id=f"p{at}") for at in range(7)),
        agent_specs=("a",),
        outcomes=(SCORE,),
        output_dir=tmp_path / "results",
    )
    results = ps.run_study(study, agent_bindings={"a": scores}, show_progress=False)

    outcome = results.analyze().outcomes["score"]

    assert len({each.name for each in outcome.conditions}) == 4
    contrast = outcome.contrasts["gpt-4.1-gpt-4"]
    by_hand = [-3 - at / 10 for at in range(7)]
    assert contrast.difference == pytest.approx(np.mean(by_hand))
    assert contrast.p_t == pytest.approx(stats.ttest_1samp(by_hand, 0).pvalue)


def test_agents_that_a_factor_names_are_varied_once(tmp_path: Path) -> None:
    async def scores(ctx: ps.RunContext) -> str:
        at = int(ctx.problem.problem_id[1:])
        ctx.record(score=at + (ctx.spec.agent_spec_ref == "b") * (1 + at / 10))
        return "x"

    study = ps.Study(
        study_id="agents",
        title="t",
        factors=(ps.Factor(name="agent_id", levels=("a", "b")),),
        problems=tuple(ps.Problem(problem_id=f"p{at}") for at in range(7)),
        agent_specs=("a", "b"),
        outcomes=(SCORE,),
        output_dir=tmp_path / "results",
    )
    results = ps.run_study(study, agent_bindings={"a": scores, "b": scores}, show_progress=False)

    outcome = results.analyze().outcomes["score"]

    assert [each.name for each in outcome.conditions] == ["a", "b"]
    assert list(outcome.contrasts) == ["b-a"]
    assert outcome.aliases == {}
