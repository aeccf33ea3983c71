"""Agents and problems called one at a time, outside a study."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

import penstock as ps
import penstock.compat
from penstock.compat.studies import as_they_were
from penstock.errors import AgentReportedFailure
from penstock.study.fingerprints import code_fingerprint

compat: Any = penstock.compat  # facts take positions and older names that types know nothing of

CONDITION = compat.Condition("cond-1", {"tone": "warm"}, {})
PACKET = compat.ProblemPacket("p", "sums", "6 x 7?")
SPEC = compat.RunSpec(
    run_id="run-1", study_id="s", condition_id="cond-1", problem_id="p", replicate=1, seed=5,
    agent_spec_ref="a", problem_spec_ref="p",
)  # fmt: skip


def execute(agent: Any, **bindings: Any) -> Any:
    return compat.execute_agent(
        agent_spec_ref=agent,
        run_spec=SPEC,
        condition=CONDITION,
        problem_packet=PACKET,
        agent_bindings=bindings,
    )


def by_position(packet: Any, number: int) -> str:
    return f"{packet.problem_id}:{number}"


async def in_a_loop(ctx: ps.RunContext) -> dict[str, Any]:
    ctx.observe("tool_call", "asked", tool_name="sum")
    return {
        "output": {"text": "42"},
        "metrics": {"cost_usd": 0.5},
        "metadata": {"model_name": "m"},
        "trace_refs": ["trace.json"],
    }


@pytest.mark.parametrize(
    ("agent", "text"),
    [
        (lambda _problem, _seed: "raw", "raw"),
        (by_position, "p:5"),
        (lambda problem, brief: {"text": f"{problem.problem_id} {brief}"}, "p 6 x 7?"),
        (in_a_loop, "42"),
    ],
)
def test_an_agent_is_called_once_as_a_run_calls_it(agent: Any, text: str) -> None:
    assert execute(agent).output == {"text": text}


def test_what_an_agent_reports_comes_with_its_answer() -> None:
    made = execute(in_a_loop)
    assert made.metrics == {"cost_usd": 0.5}
    assert [(each.event_type, each.text) for each in made.events] == [("tool_call", "asked")]
    assert made.trace_refs == ["trace.json"]
    assert made.metadata == {"model_name": "m"}
    (only,) = execute(by_position).events
    assert (only.event_type, only.text, only.run_id) == ("assistant_output", "p:5", "run-1")


def test_a_binding_is_the_agent_or_builds_it_for_the_condition() -> None:
    built = execute("a", a=lambda _about: lambda condition, seed: str(condition["tone"]))
    assert built.output == {"text": "warm"}
    assert compat.resolve_agent(by_position, condition=CONDITION) is by_position
    held = compat.resolve_agent("a", condition=CONDITION, agent_bindings={"a": by_position})
    assert held is by_position


def test_an_agent_that_is_not_there_or_cannot_be_called_is_a_validation_error() -> None:
    for wrong in ("nobody", object(), lambda one, two, three: ""):
        with pytest.raises(ps.ValidationError):
            execute(wrong)


def test_a_result_that_says_it_failed_is_raised() -> None:
    said = SimpleNamespace(success=False, output={}, metadata={}, error="no money")
    with pytest.raises(AgentReportedFailure, match="no money"):
        execute(lambda problem, seed: said)


def test_an_agent_of_two_other_parameters_runs_in_a_study(tmp_path: Any) -> None:
    study = compat.Study(
        study_id="moved", title="t", output_dir=tmp_path, problem_ids=("p",), agent_specs=("a",)
    )
    (result,) = compat.run_study(
        study, agent_bindings={"a": by_position}, problem_registry={"p": PACKET}
    )
    assert result.outputs["text"] == f"p:{result.spec.seed}"


def test_an_edit_of_an_agent_of_two_other_parameters_is_noticed() -> None:
    def edited(packet: Any, number: int) -> str:
        return f"{packet.problem_id}:{number + 1}"

    made = as_they_were({"before": by_position, "after": edited})
    assert code_fingerprint(made["before"]) == code_fingerprint(by_position)
    assert code_fingerprint(made["before"]) != code_fingerprint(made["after"])


def test_an_output_is_scored_by_the_evaluator_of_its_problem() -> None:
    @dataclass
    class Scored:
        score: float
        candidate: Any

    def score(candidate: Any) -> Any:
        return Scored(0.5, MappingProxyType({"x": candidate}))

    row = {
        "evaluator_id": "problem_evaluator",
        "metric_name": "score",
        "metric_value": 0.5,
        "metric_unit": "unitless",
        "aggregation_level": "run",
        "notes_json": {},
    }
    packet = compat.ProblemPacket("p", "sums", "", evaluator=score)
    assert compat.evaluate_problem(packet, {"candidate": 1}) == [row]
    assert compat.evaluate_problem(PACKET, {"text": "42"}) == []
    named = compat.ProblemPacket("p", "sums", "", evaluator="scores:score")
    with pytest.raises(ps.ValidationError, match="pass the function itself"):
        compat.evaluate_problem(named, {})


def test_problems_are_drawn_by_seed_and_families_take_turns() -> None:
    packets = [
        compat.ProblemPacket(f"{family}{number}", family, "")
        for family, count in (("a", 6), ("b", 2))
        for number in range(count)
    ]
    assert compat.sample_problem_packets(packets) == packets
    drawn = compat.sample_problem_packets(packets, sample_size=3, seed=1)
    assert len({each.problem_id for each in drawn}) == 3
    assert compat.sample_problem_packets(packets, sample_size=3, seed=1) == drawn
    balanced = compat.sample_problem_packets(packets, sample_size=5, balanced_by_family=True)
    assert [each.family for each in balanced] == ["a", "b", "a", "b", "a"]
    with pytest.raises(ps.ValidationError, match="no problem is named 'nope'"):
        compat.sample_problem_packets(["nope"], registry={"p": PACKET})
