"""Functions of the older modules do what they did, or say what takes their place."""

from __future__ import annotations

from typing import Any

import pytest

import penstock as ps
import penstock.compat
from penstock.results import RunStatus

compat: Any = penstock.compat


def test_a_mapping_is_made_a_fact_and_a_fact_stays_as_it_is() -> None:
    for coerce, fields in (
        (compat.coerce_design_spec, {"kind": "full"}),
        (compat.coerce_hypothesis, {"hypothesis_id": "h", "label": "l", "statement": "s"}),
        (
            compat.coerce_outcome,
            {"name": "n", "source_table": "runs", "column": "c", "aggregation": "mean"},
        ),
        (
            compat.coerce_analysis_plan,
            {"analysis_plan_id": "a", "hypothesis_ids": ("h",), "tests": ("t",)},
        ),
    ):
        made = coerce(fields)
        assert coerce(made) is made

    with pytest.raises(ps.ValidationError, match="Unsupported design kind"):
        compat.coerce_design_spec({"kind": "none of them"})


def test_variables_of_hypotheses_that_are_not_there_are_listed() -> None:
    hypothesis = compat.Hypothesis(
        "h", "l", "s", independent_vars=("x", "y"), dependent_vars=("z", "score")
    )
    assert compat.validate_hypothesis_bindings(
        [hypothesis], factor_names=["x"], outcome_names=["score"]
    ) == [
        "Hypothesis 'h' references unknown independent variable 'y'.",
        "Hypothesis 'h' references unknown dependent variable 'z'.",
    ]


def test_an_expression_is_evaluated_or_refused() -> None:
    assert compat.evaluate_constraint_expression("x + 1 == 3", {"x": 2})
    for wrong in ("y == 1", "sum(x) > 0", "1 is 1", "x"):
        with pytest.raises(ps.ValidationError):
            compat.evaluate_constraint_expression(wrong, {"x": 2})


def test_conditions_are_interleaved_with_their_reverse() -> None:
    made = compat.build_design(
        ps.Study(study_id="s", title="t", factors=(ps.Factor(name="x", levels=range(5)),)),
        {"kind": "full"},
    )
    assert [each["x"] for each in compat.counterbalance_conditions(made)] == [0, 2, 4, 3, 1]
    assert compat.counterbalance_conditions(made[:2]) == made[:2]


def test_metrics_are_put_together() -> None:
    seen = [
        compat.Observation("t", str(number), "", "s", actor, kind)
        for number, (kind, actor) in enumerate(
            [("assistant_output", "agent"), ("tool_call", "tool"), ("note", "agent")]
        )
    ]
    given: dict[str, Any] = {"observations": seen, "latency_s": 1.25, "cost_usd": 0.5}
    rows = compat.evaluation_rows_from_mapping(
        run_id="r", evaluator_id="judge", metrics={"score": 0.75}, notes_json={"by": "hand"}
    )
    assert rows[0]["metric_value"] == 0.75
    assert compat.compose_metrics(
        agent_metrics={"input_tokens": "bad"}, evaluation_rows=rows, **given
    ) == {
        "tool_call_count": 1,
        "step_event_count": 2,
        "unique_actor_count": 2,
        "latency_s": 1.25,
        "cost_usd": 0.5,
        "input_tokens": 0.0,
        "output_tokens": 0.0,
        "primary_outcome": 0.75,
    }
    own = compat.compose_metrics(
        agent_metrics={"primary_outcome": 0.9}, evaluation_rows=rows, **given
    )
    assert own["primary_outcome"] == 0.9


def test_a_function_is_imported_by_its_reference() -> None:
    assert compat.load_callable("os.path:join")("a", "b")
    for wrong in ("missingcolon", "os:sep", "os:nothing", "nowhere_at_all:f"):
        with pytest.raises(ps.ValidationError):
            compat.load_callable(wrong)


def test_values_are_plain_json_or_refused() -> None:
    assert compat.to_jsonable({"a": (1, RunStatus.SUCCESS)}) == {"a": [1, "success"]}
    with pytest.raises(ps.PenstockError, match="set"):
        compat.to_jsonable({"a": {1}})


def test_what_has_no_counterpart_says_what_takes_its_place() -> None:
    for name in ("checkpoint_run_result", "ProvenanceMetadata", "initialize_artifact_layout"):
        with pytest.raises(ps.PenstockError, match=f"{name} has no counterpart in penstock: "):
            getattr(compat, name)(1, two=2)
