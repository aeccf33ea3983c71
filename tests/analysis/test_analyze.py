from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.analysis.analysis_facts import Analysis
from penstock.errors import StopStudy
from penstock.planning.selection import Selection
from penstock.study.hypotheses import Contrast
from penstock.study.policies import RunBudget
from tests.builders import stopping_after

SCORE = ps.Outcome(
    name="score", source_table="runs", column="score", aggregation="mean", primary=True
)


def hypothesis(**fields: Any) -> ps.Hypothesis:
    stated: dict[str, Any] = {
        "hypothesis_id": "h1",
        "label": "polite against plain",
        "statement": "polite is better",
        "independent_vars": ("tone",),
        "dependent_vars": ("score",),
        "contrast": Contrast(label="polite - plain", left="polite", right="plain"),
        "direction": "greater",
    }
    return ps.Hypothesis(**stated | fields)


def study_of(tmp_path: Path, **fields: Any) -> ps.Study:
    stated: dict[str, Any] = {
        "study_id": "analysed",
        "title": "t",
        "factors": (ps.Factor(name="tone", levels=("plain", "polite")),),
        "problems": tuple(ps.Problem(problem_id=f"p{at}") for at in range(8)),
        "agent_specs": ("a",),
        "outcomes": (SCORE,),
        "run_budget": RunBudget(replicates=2),
        "output_dir": tmp_path / "results",
    }
    return ps.Study(**stated | fields)


async def helped(ctx: Any) -> str:
    """An agent whose score rises by a tenth or a bit more where it is asked politely."""
    at = int(ctx.problem.problem_id[1:])
    gain = 0.1 + at / 100 if ctx.condition["tone"] == "polite" else 0.0
    ctx.record(score=at / 10 + gain)
    return "x"


def analysed(study: ps.Study, agent: Any = helped, **options: Any) -> Analysis:
    results = ps.run_study(study, agent_bindings={"a": agent}, show_progress=False)
    return results.analyze(**options)


def test_a_declared_hypothesis_has_a_verdict_in_its_own_terms(tmp_path: Path) -> None:
    found = analysed(study_of(tmp_path, hypotheses=(hypothesis(),)))

    (judged,) = found.hypotheses
    assert judged.verdict == "supported"
    assert judged.p_adjusted == pytest.approx(2 / 2**8)
    assert judged.sentence.startswith("Supported: polite-plain = 0.135 [")
    assert "8 problems" in judged.sentence


def test_an_effect_the_other_way_is_not_supported(tmp_path: Path) -> None:
    found = analysed(study_of(tmp_path, hypotheses=(hypothesis(direction="less"),)))

    assert found.hypotheses[0].verdict == "not supported"


def test_a_smallest_effect_says_how_large_the_effect_is_shown_to_be(tmp_path: Path) -> None:
    asked = hypothesis(minimum_effect_of_interest=0.12)

    found = analysed(study_of(tmp_path, hypotheses=(asked,)))

    assert (found.hypotheses[0].verdict, found.hypotheses[0].size) == ("supported", "unsure")
    assert "not shown to exceed" in found.hypotheses[0].sentence


def test_an_equivalence_is_shown_where_the_difference_is_small(tmp_path: Path) -> None:
    async def alike(ctx: Any) -> str:
        at = int(ctx.problem.problem_id[1:])
        ctx.record(score=at / 10 + (at % 2) / 1000 * (ctx.condition["tone"] == "polite"))
        return "x"

    asked = hypothesis(kind="equivalence", direction="equivalent", minimum_effect_of_interest=0.05)

    found = analysed(study_of(tmp_path, hypotheses=(asked,)), alike)

    assert found.hypotheses[0].verdict == "equivalent"


def test_without_hypotheses_every_effect_is_exploratory(tmp_path: Path) -> None:
    found = analysed(study_of(tmp_path))

    assert found.is_exploratory
    assert found.hypotheses == ()
    assert found.outcomes["score"].contrasts["polite-plain"].difference == pytest.approx(0.135)


def test_nothing_by_condition_is_shown_until_every_planned_run_has_ended(tmp_path: Path) -> None:
    study = study_of(tmp_path, hypotheses=(hypothesis(),))

    blind = analysed(study, stopping_after(20, helped))
    told = blind.model_dump_json()
    seen = ps.StudyResult.open(tmp_path / "results").analyze(unblind="the budget is cut")

    assert blind.is_blind
    assert (blind.ended, blind.planned) == (20, 32)
    assert blind.outcomes["score"].conditions == ()
    assert "polite-plain" not in told
    assert 'mean"' not in told
    assert not seen.is_blind
    assert seen.outcomes["score"].contrasts
    (sentence,) = seen.unblinded
    assert "with 20 of 32 runs ended: the budget is cut" in sentence
    assert ps.StudyResult.open(tmp_path / "results").analyze().unblinded == (sentence,)


def test_a_look_that_came_before_the_end_stands_in_what_is_found_at_the_end(tmp_path: Path) -> None:
    study = study_of(tmp_path, hypotheses=(hypothesis(),))
    analysed(study.model_copy(update={"run_budget": RunBudget(replicates=1)}), helped)
    results = ps.run_study(study, agent_bindings={"a": helped}, only=Selection(limit=18))
    assert results.analyze().is_blind

    results.analyze(unblind="to see")
    results.analyze(unblind="again: it is shown by now, so there is nothing to keep")
    found = analysed(study)

    assert (found.ended, found.planned) == (32, 32)
    assert [each.rpartition(": ")[2] for each in found.unblinded] == ["to see"]


def test_a_study_can_say_that_it_is_not_blind(tmp_path: Path) -> None:
    study = study_of(tmp_path, hypotheses=(hypothesis(),), blind=False)

    results = ps.run_study(study, agent_bindings={"a": helped}, only=Selection(limit=4))

    assert not results.analyze().is_blind
    assert ps.Study(**study.to_dict()).blind is False
    assert "blind" not in study_of(tmp_path).to_dict()


def test_values_that_are_missing_more_often_on_one_side_are_told_with_the_finding(
    tmp_path: Path,
) -> None:
    async def fails_where_it_is_hard(ctx: Any) -> str:
        if ctx.condition["tone"] == "plain" and ctx.problem.problem_id not in {"p0", "p1"}:
            raise RuntimeError("too hard")

        return await helped(ctx)

    found = analysed(study_of(tmp_path, hypotheses=(hypothesis(),)), fails_where_it_is_hard)

    contrast = found.outcomes["score"].contrasts["polite-plain"]
    assert (contrast.n_problems, contrast.n_unpaired) == (2, 6)
    (polite, _) = sorted(found.outcomes["score"].conditions, key=lambda each: each.name)[::-1]
    assert contrast.left_mean != pytest.approx(polite.mean)
    sentence = found.hypotheses[0].sentence
    assert "2 problems (6 more were scored on one side only)" in sentence
    assert "runs have no value, more of them under plain (p = 0.031)" in sentence


def test_a_text_among_numbers_is_no_value_and_is_told(tmp_path: Path) -> None:
    async def does_not_know(ctx: Any) -> str:
        answer = await helped(ctx)
        if ctx.spec.replicate == 1:
            ctx.record(score="n/a")

        return answer

    found = analysed(study_of(tmp_path, hypotheses=(hypothesis(),)), does_not_know)

    flow = found.outcomes["score"].flow[0]
    assert flow.failures == {"'n/a' is not a number": flow.planned - flow.scored}
    assert "runs have no value" in found.hypotheses[0].sentence
    assert "more of them" not in found.hypotheses[0].sentence


def test_unblinding_needs_a_reason(tmp_path: Path) -> None:
    study = study_of(tmp_path, hypotheses=(hypothesis(),))
    results = ps.run_study(study, agent_bindings={"a": helped}, only=Selection(limit=4))

    with pytest.raises(ps.PenstockError, match="say why"):
        results.analyze(unblind=" ")

    assert results.analyze().is_blind


def test_a_study_without_hypotheses_has_nothing_to_be_blind_to(tmp_path: Path) -> None:
    async def first_only(ctx: Any) -> str:
        if ctx.problem.problem_id != "p0":
            raise StopStudy("enough")

        return await helped(ctx)

    assert not analysed(study_of(tmp_path), first_only).is_blind


def test_several_agents_are_compared_as_levels(tmp_path: Path) -> None:
    async def worse(ctx: Any) -> str:
        await helped(ctx)
        ctx.record(score=-0.05)
        return "x"

    study = study_of(tmp_path, factors=(), agent_specs=("good", "bad"))

    async def good(ctx: Any) -> str:
        ctx.record(score=int(ctx.problem.problem_id[1:]) / 10)
        return "x"

    async def bad(ctx: Any) -> str:
        ctx.record(score=int(ctx.problem.problem_id[1:]) / 10 - 0.05)
        return "x"

    found = ps.run_study(study, agent_bindings={"good": good, "bad": bad}).analyze()

    contrast = found.outcomes["score"].contrasts["bad-good"]
    assert contrast.factor == "agent"
    assert contrast.difference == pytest.approx(-0.05)


def test_what_nothing_can_answer_is_a_sentence(tmp_path: Path) -> None:
    async def fails(ctx: Any) -> str:
        raise RuntimeError("no")

    asked = (
        hypothesis(),
        hypothesis(hypothesis_id="h2", kind="mediation", mediators=({"name": "m"},)),
    )

    # The first 20 runs that fail alike end the study; what has no answer withholds none.
    found = analysed(study_of(tmp_path, hypotheses=asked), fails)

    assert [each.verdict for each in found.hypotheses] == ["inconclusive", "inconclusive"]
    assert "mediation is not analysed" in found.hypotheses[1].sentence
    assert "all 10 runs failed" in found.outcomes["score"].conditions[0].undefined["mean"]


def test_the_same_store_gives_the_same_bytes_and_no_number_is_nan(tmp_path: Path) -> None:
    study = study_of(tmp_path, hypotheses=(hypothesis(),))

    first = analysed(study).model_dump_json()
    again = ps.StudyResult.open(tmp_path / "results").analyze().model_dump_json()

    assert first == again
    json.loads(first, parse_constant=lambda name: pytest.fail(f"{name} in the analysis"))


def three_levels(tmp_path: Path, policy: str | None, **fields: Any) -> Analysis:
    """Two hypotheses of one plan, each of a level against the same control."""

    async def answers(ctx: Any) -> str:
        at = int(ctx.problem.problem_id[1:])
        gain = {"plain": 0.0, "polite": 0.03, "rude": -0.01}[ctx.condition["tone"]]
        ctx.record(score=at / 10 + gain * (1 + at % 3) + 0.01 * (at * 7 % 5))
        return "x"

    claims = tuple(
        hypothesis(
            hypothesis_id=name,
            direction="different",
            contrast=Contrast(left=level, right="plain"),
            **fields,
        )
        for name, level in (("h1", "polite"), ("h2", "rude"))
    )
    said = {} if policy is None else {"multiple_comparison_policy": policy}
    plan = ps.AnalysisPlan(
        analysis_plan_id="main", hypothesis_ids=("h1", "h2"), tests=("t",), **said
    )
    factor = ps.Factor(name="tone", levels=("plain", "polite", "rude"))
    study = study_of(tmp_path, factors=(factor,), hypotheses=claims, analysis_plans=(plan,))
    return analysed(study, answers)


def test_a_plan_that_names_no_policy_adjusts_by_holm_and_a_written_none_does_not(
    tmp_path: Path,
) -> None:
    unsaid, written = three_levels(tmp_path / "a", None), three_levels(tmp_path / "b", "none")

    (by_holm,), (unadjusted,) = unsaid.families, written.families
    assert (by_holm.policy, by_holm.is_declared) == ("holm", False)
    assert by_holm.adjusted["h1"] == pytest.approx(2 * by_holm.p["h1"])
    assert (unadjusted.policy, unadjusted.is_declared) == ("none", True)
    assert unadjusted.adjusted == unadjusted.p
    assert "not adjusted" in written.hypotheses[0].sentence


def test_dunnett_adjusts_comparisons_with_one_control(tmp_path: Path) -> None:
    found = three_levels(tmp_path, "dunnett")

    (family,) = found.families
    outcome = found.outcomes["score"]
    assert family.adjusted == {
        "h1": outcome.dunnett["polite"].p,
        "h2": outcome.dunnett["rude"].p,
    }
    interval = outcome.dunnett["polite"].interval
    assert outcome.contrasts["polite-plain"].simultaneous == interval
    assert f"[{interval.low:.4g}, {interval.high:.4g}]" in found.hypotheses[0].sentence
    assert "Dunnett's test, adjusted for 2 comparisons" in found.hypotheses[0].sentence


def test_dunnett_gives_way_to_holm_where_there_is_no_one_control(tmp_path: Path) -> None:
    found = three_levels(tmp_path, "dunnett", kind="equivalence", minimum_effect_of_interest=0.5)

    (family,) = found.families
    assert (family.policy, family.is_declared) == ("holm", False)
    assert "Dunnett's test is for levels of one factor with one control" in (
        found.hypotheses[0].sentence
    )


def test_a_hypothesis_that_names_no_variable_compares_agents_by_name(tmp_path: Path) -> None:
    async def better(ctx: Any) -> str:
        ctx.record(score=1.0 + int(ctx.problem.problem_id[1:]) / 10)
        return "x"

    claim = hypothesis(independent_vars=(), contrast=Contrast(left="b", right="a"))
    study = study_of(tmp_path, agent_specs=("a", "b"), hypotheses=(claim,))
    results = ps.run_study(
        study, agent_bindings={"a": helped, "b": better}, show_progress=False, report=False
    )

    (judged,) = results.analyze().hypotheses

    assert judged.verdict == "supported"
    assert judged.contrast is not None
    assert (judged.contrast.factor, judged.contrast.name) == ("agent", "b-a")


def two_level(*names: str) -> tuple[ps.Factor, ...]:
    return tuple(ps.Factor(name=name, levels=("-", "+")) for name in names)


async def of_first(ctx: Any) -> str:
    at = int(ctx.problem.problem_id[1:])
    first = next(iter(ctx.condition.factor_assignments.values()))
    ctx.record(score=at / 10 + 0.1 * (first == "+") + 0.01 * (at % 3))
    return "x"


def test_factors_whose_levels_are_called_alike_are_each_compared(tmp_path: Path) -> None:
    found = analysed(study_of(tmp_path, factors=two_level("A", "B")), of_first)

    contrasts = found.outcomes["score"].contrasts
    assert {name: each.factor for name, each in contrasts.items()} == {
        "+--": "A",
        "+-- (B)": "B",
    }
    assert contrasts["+--"].difference == pytest.approx(0.1)
    assert contrasts["+-- (B)"].difference == pytest.approx(0.0)


def test_effects_that_a_design_cannot_tell_apart_are_named(tmp_path: Path) -> None:
    half = ps.DesignSpec(kind="fractional_factorial_2level")
    study = study_of(tmp_path, factors=two_level("A", "B", "C", "D"), design_spec=half)

    aliases = analysed(study, of_first).outcomes["score"].aliases

    assert aliases["A:B"] == ("C:D",)
    assert "A" not in aliases


def test_names_of_factors_may_hold_colons(tmp_path: Path) -> None:
    found = analysed(study_of(tmp_path, factors=two_level("a:b", "c")), of_first)

    assert found.outcomes["score"].effects["a:b:c"].between == "c + and -"


@pytest.mark.parametrize(
    ("value", "said"),
    [("good", "the outcome is a text ('good')"), (1e300, "no problem was scored on both sides")],
)
def test_what_has_no_mean_has_a_sentence(tmp_path: Path, value: Any, said: str) -> None:
    async def answers(ctx: Any) -> str:
        ctx.record(score=value)
        return "x"

    found = analysed(study_of(tmp_path, hypotheses=(hypothesis(),)), answers)

    assert said in found.hypotheses[0].sentence
    assert "nan" not in found.model_dump_json().lower()


def test_one_problem_tried_once_shows_nothing_and_says_so(tmp_path: Path) -> None:
    once = study_of(
        tmp_path,
        problems=(ps.Problem(problem_id="p1"),),
        run_budget=RunBudget(replicates=1),
        hypotheses=(hypothesis(),),
    )

    sentence = analysed(once).hypotheses[0].sentence

    assert "fewer than two scored replicates on a side shows nothing" in sentence


def test_an_exploratory_hypothesis_has_no_verdict_and_no_family(tmp_path: Path) -> None:
    claims = (hypothesis(), hypothesis(hypothesis_id="h2", kind="exploratory"))

    found = analysed(study_of(tmp_path, hypotheses=claims))

    assert [each.verdict for each in found.hypotheses] == ["supported", "exploratory"]
    assert [*found.families[0].p] == ["h1"]


def test_texts_whose_order_is_declared_count_as_their_places(tmp_path: Path) -> None:
    async def grades(ctx: Any) -> str:
        at = int(ctx.problem.problem_id[1:])
        better = at % 2 + (ctx.condition["tone"] == "polite")
        ctx.record(score=("bad", "fair", "good")[better])
        return "x"

    ordered = SCORE.model_copy(update={"order": ("bad", "fair", "good")})

    found = analysed(study_of(tmp_path, outcomes=(ordered,)), grades).outcomes["score"]

    assert found.order == ("bad", "fair", "good")
    assert found.contrasts["polite-plain"].difference == 1.0
    assert [each.mean for each in found.conditions] == [0.5, 1.5]


def test_what_runs_cost_and_took_stands_beside_what_they_came_to(tmp_path: Path) -> None:
    async def costs(ctx: Any) -> str:
        ctx.record(cost_usd=0.01 if ctx.condition["tone"] == "plain" else 0.03)
        return await helped(ctx)

    found = analysed(study_of(tmp_path), costs)

    assert [each.mean for each in found.costs["cost_usd"]] == pytest.approx([0.01, 0.03])
    assert all(each.interval is not None for each in found.costs["latency_s"])
    assert {each.quantity for each in found.drift} <= {"score", "latency_s"}


def test_an_analysis_is_the_same_at_any_concurrency_but_for_times(tmp_path: Path) -> None:
    found = [
        analysed(
            study_of(
                tmp_path / str(many),
                hypotheses=(hypothesis(),),
                run_budget=RunBudget(replicates=2, parallelism=many),
            )
        )
        for many in (1, 16)
    ]

    one, many = (each.model_copy(update={"costs": {}, "drift": ()}) for each in found)
    assert one.model_dump_json() == many.model_dump_json()


@pytest.mark.parametrize("sides", [("kind", "bare"), ("polite", "plain"), ("Kindly", "Barely")])
def test_a_hypothesis_names_levels_by_name_value_or_label_and_sees_their_names(
    tmp_path: Path, sides: tuple[str, str]
) -> None:
    levels = (
        ps.Level(name="bare", value="plain", label="Barely"),
        ps.Level(name="kind", value="polite", label="Kindly"),
    )
    left, right = sides
    claim = hypothesis(contrast=Contrast(label="c", left=left, right=right))
    found = analysed(
        study_of(tmp_path, factors=(ps.Factor(name="tone", levels=levels),), hypotheses=(claim,))
    )

    (verdict,) = found.hypotheses
    assert verdict.verdict == "supported"
    assert "kind-bare" in verdict.sentence
    assert [each.name for each in found.outcomes["score"].conditions] == ["bare", "kind"]


def test_a_level_that_is_a_number_is_named_and_stays_a_number(tmp_path: Path) -> None:
    async def scored(ctx: Any) -> str:
        ctx.record(score=int(ctx.problem.problem_id[1:]) / 10 + ctx.condition["heat"])
        return "x"

    levels = (ps.Level(name="cold", value=0), ps.Level(name="hot", value=1.5))
    claim = hypothesis(
        independent_vars=("heat",), contrast=Contrast(label="c", left="hot", right="cold")
    )
    factor = ps.Factor(name="heat", levels=levels)
    found = analysed(study_of(tmp_path, factors=(factor,), hypotheses=(claim,)), scored)

    assert "1.5-0" in found.hypotheses[0].sentence
