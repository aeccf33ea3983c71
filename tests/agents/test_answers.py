from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from penstock.agents.answers import AgentResult, as_agent_result
from penstock.errors import OutputError


@dataclass
class ExecutionResult:
    """What agents of the sibling package return."""

    output: Any
    success: bool = True
    metadata: dict[str, Any] = field(default_factory=dict)
    model_response: Any = None
    error: str | None = None


def test_text_is_the_answer_s_text() -> None:
    assert as_agent_result("42") == AgentResult(outputs={"text": "42"})


def test_an_agent_result_is_taken_as_it_is() -> None:
    result = AgentResult(outputs={"x": 1}, metrics={"cost_usd": 0.5})

    assert as_agent_result(result) is result


@pytest.mark.parametrize("answer", [3, 2.5, True, [1, 2], (1, 2)])
def test_any_other_value_is_kept_as_value(answer: Any) -> None:
    assert as_agent_result(answer).outputs == {"value": answer}


def test_none_is_no_answer() -> None:
    with pytest.raises(OutputError, match="the agent returned None; return its answer"):
        as_agent_result(None)


@pytest.mark.parametrize("mapping", [dict, OrderedDict, MappingProxyType])
def test_a_mapping_without_our_fields_is_the_answer(mapping: Callable[[Any], Any]) -> None:
    assert as_agent_result(mapping({"answer": 42, "success": False})) == AgentResult(
        outputs={"answer": 42, "success": False}
    )


def test_a_mapping_with_our_fields_is_read_as_a_result() -> None:
    answer = {
        "output": {"answer": 42},
        "metrics": {"cost_usd": 0.1},
        "events": [{"event_type": "tool_call"}, "not an event"],
        "metadata": {"model_name": "m"},
        "trace_refs": ["a.json", 7],
    }

    assert as_agent_result(answer) == AgentResult(
        outputs={"answer": 42},
        metrics={"cost_usd": 0.1},
        events=({"event_type": "tool_call"},),
        metadata={"model_name": "m"},
        trace_refs=("a.json", "7"),
    )


@pytest.mark.parametrize(
    ("answer", "outputs"),
    [
        ({"output": "42"}, {"text": "42"}),
        ({"outputs": 42}, {"value": 42}),
        ({"text": "42", "metrics": {}}, {"text": "42"}),
        ({"outputs": {"a": 1}, "output": {"b": 2}}, {"a": 1}),
        ({"output": {}, "extra": 1}, {}),
    ],
)
def test_the_outputs_of_a_mapping_are_found(
    answer: dict[str, Any], outputs: dict[str, Any]
) -> None:
    assert as_agent_result(answer).outputs == outputs


def test_a_mapping_that_says_it_failed_is_a_failure_and_keeps_what_it_carries() -> None:
    result = as_agent_result(
        {"outputs": {"draft": "half"}, "success": False, "error": 503, "metrics": {"cost_usd": 1.0}}
    )

    assert (result.success, result.error) == (False, "503")
    assert (result.outputs, result.metrics) == ({"draft": "half"}, {"cost_usd": 1.0})


@pytest.mark.parametrize("field_name", ["metrics", "metadata"])
def test_a_field_that_must_be_a_mapping_is_refused_by_its_name(field_name: str) -> None:
    with pytest.raises(OutputError, match=f"at {field_name} .* mapping was expected, not list"):
        as_agent_result({"output": "x", field_name: [1]})


def test_one_trace_may_be_given_as_text() -> None:
    assert as_agent_result({"output": "x", "trace_refs": "t.json"}).trace_refs == ("t.json",)


def test_an_execution_result_is_read_by_its_attributes() -> None:
    result = as_agent_result(
        ExecutionResult(
            output={
                "final_output": "42",
                "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
                "metrics": {"steps": 3},
                "events": [{"event_type": "step"}, None],
            },
            metadata={"trace_path": "trace.json", "request_id": "r1"},
            model_response=SimpleNamespace(model="m-1", provider="p-1"),
        )
    )

    assert result == AgentResult(
        outputs={"text": "42"},
        metrics={"input_tokens": 5, "output_tokens": 7, "total_tokens": 12, "steps": 3},
        events=({"event_type": "step"},),
        metadata={
            "model_name": "m-1",
            "model_provider": "p-1",
            "trace_path": "trace.json",
            "request_id": "r1",
        },
        trace_refs=("trace.json",),
    )


@pytest.mark.parametrize(
    ("output", "outputs"),
    [
        ({"final_output": {"a": 1}, "text": "no"}, {"a": 1}),
        ({"final_output": 7}, {"final_output": 7}),
        ({"text": "said"}, {"text": "said"}),
        ({"model_text": "said"}, {"text": "said"}),
        ({"candidate": 1, "metrics": {}, "events": []}, {"candidate": 1}),
        ("plain", {"text": "plain"}),
        (7, {"final_output": 7}),
    ],
)
def test_the_outputs_of_an_execution_result_are_found(output: Any, outputs: dict[str, Any]) -> None:
    assert as_agent_result(ExecutionResult(output)).outputs == outputs


def test_usage_and_model_are_found_in_mappings_and_objects_alike() -> None:
    of_mapping = as_agent_result(
        ExecutionResult(
            {"text": "x", "model_response": {"model_name": "m", "provider": 3}},
            metadata={"usage": {"input_tokens": 1, "output_tokens": True}},
        )
    )
    of_object = as_agent_result(
        ExecutionResult({"text": "x", "usage": SimpleNamespace(input_tokens=2, output_tokens="?")})
    )

    assert of_mapping.metadata["model_name"] == "m"
    assert "model_provider" not in of_mapping.metadata
    assert of_mapping.metrics["input_tokens"] == 1
    assert of_object.metrics == {"input_tokens": 2}


@pytest.mark.parametrize(
    "failed",
    [
        ExecutionResult(
            {"draft": "half", "metrics": {"cost_usd": 1.0}}, success=False, error="503"
        ),
        ExecutionResult(
            {"draft": "half", "error": "503", "metrics": {"cost_usd": 1.0}}, success=False
        ),
        ExecutionResult(
            {"draft": "half", "metrics": {"cost_usd": 1.0}},
            success=False,
            metadata={"error": "503"},
        ),
    ],
)
def test_a_result_that_says_it_failed_keeps_what_it_carries(failed: ExecutionResult) -> None:
    result = as_agent_result(failed)

    assert (result.success, result.error) == (False, "503")
    assert result.outputs["draft"] == "half"
    assert result.metrics == {"cost_usd": 1.0}


def test_metadata_that_is_no_mapping_is_passed_over() -> None:
    result = as_agent_result(SimpleNamespace(success=True, output="x", metadata=None))

    assert (result.outputs, result.metadata) == ({"text": "x"}, {})


class Agent:
    async def run(self, ctx: Any) -> None: ...


@pytest.mark.parametrize("answer", [Agent(), Agent, lambda ctx: None])
def test_an_agent_is_no_answer(answer: Any) -> None:
    with pytest.raises(OutputError, match=r"which is itself an agent.*per_condition"):
        as_agent_result(answer)
