"""What agents return, brought to one form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field

from penstock._base.fact import Fact, nothing, unchecked
from penstock.errors import OutputError

__all__ = ["AgentResult", "as_agent_result"]


class AgentResult(Fact):
    """An agent's answer with what belongs to it; plain text or a mapping is a short form.

    Args:
        outputs: The answer.
        metrics: What the agent measured; ``cost_usd``, ``input_tokens`` and ``output_tokens``
            have columns of their own.
        events: What happened inside, as mappings with the columns of ``events.csv``.
        metadata: Who answered: ``model_name``, ``model_provider``, ``request_id``, ...
        trace_refs: Files with the agent's own traces.
        success: False where the agent says that it failed; what it carries is kept.
        error: What it says went wrong.
    """

    outputs: dict[Any, Any] = Field(default_factory=nothing)
    metrics: dict[str, Any] = Field(default_factory=nothing)
    events: tuple[dict[str, Any], ...] = ()
    metadata: dict[str, Any] = Field(default_factory=nothing)
    trace_refs: tuple[str, ...] = ()
    success: bool = True
    error: str | None = None


_answered = unchecked(AgentResult)
_FIELDS = frozenset({"output", "outputs", "metrics", "events", "metadata", "trace_refs"})
_USAGE = {
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "output_tokens": ("output_tokens", "completion_tokens"),
    "total_tokens": ("total_tokens",),
}


def _raise(error: OutputError) -> None:
    raise error


Refuse = Callable[[OutputError], None]


def as_agent_result(answer: Any, refuse: Refuse = _raise) -> AgentResult:
    """Convert what an agent returned to an `AgentResult`.

    Text becomes ``{"text": ...}``. A mapping that has any of the fields of `AgentResult` is read
    as one; any other mapping is the outputs. An object with ``success``, ``output`` and
    ``metadata`` is read by its attributes.

    Args:
        answer: What the agent returned.
        refuse: Called for each part beside the answer that is not what it should be, and is left
            out; without it, that is raised.

    Raises:
        OutputError: it is none of these.
    """
    if isinstance(answer, AgentResult):
        return answer

    if isinstance(answer, str):
        return _answered(outputs={"text": answer})

    if isinstance(answer, Mapping):
        if _FIELDS & answer.keys():
            return _from_mapping(answer, refuse)

        return AgentResult(outputs=answer)

    if hasattr(answer, "success") and hasattr(answer, "output") and hasattr(answer, "metadata"):
        return _from_execution_result(answer, refuse)

    if answer is None:
        raise OutputError("output", "the agent returned None; return its answer")

    if callable(answer) or callable(getattr(answer, "run", None)):
        raise OutputError(
            "output",
            f"the agent returned {answer!r}, which is itself an agent; "
            "if its function builds agents, bind per_condition(function)",
        )

    return AgentResult(outputs={"value": answer})


def _from_mapping(answer: Mapping[str, Any], refuse: Refuse) -> AgentResult:
    outputs = answer.get("outputs", answer.get("output"))
    if outputs is None:
        outputs = {key: value for key, value in answer.items() if key not in _FIELDS}
    elif not isinstance(outputs, Mapping):
        outputs = {"text": outputs} if isinstance(outputs, str) else {"value": outputs}

    error = answer.get("error")
    return AgentResult(
        outputs=outputs,
        metrics=_mapping(answer, "metrics", refuse),
        events=_events(answer.get("events"), refuse),
        metadata=_mapping(answer, "metadata", refuse),
        trace_refs=_refs(answer.get("trace_refs"), refuse),
        success=answer.get("success") is not False,
        error=None if error is None else str(error),
    )


def _mapping(answer: Mapping[str, Any], field: str, refuse: Refuse) -> Mapping[str, Any]:
    value = answer.get(field) or {}
    if not isinstance(value, Mapping):
        refuse(OutputError(field, f"a mapping was expected, not {type(value).__name__}"))
        return {}

    return _with_text_keys(value)


def _events(events: Any, refuse: Refuse) -> tuple[dict[str, Any], ...]:
    return tuple(
        _with_text_keys(event)
        for event in _items(events, "events", refuse)
        if isinstance(event, Mapping)
    )


def _items(value: Any, field: str, refuse: Refuse) -> Sequence[Any]:
    """Return the items of a field that is a list; it may be any iterable but a text."""
    if value is None:
        return ()

    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        refuse(OutputError(field, f"a list was expected, not {type(value).__name__}"))
        return ()

    return tuple(value)


def _with_text_keys(mapping: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in mapping.items()}


def _refs(refs: Any, refuse: Refuse) -> tuple[str, ...]:
    if isinstance(refs, str):
        return (refs,)

    return tuple(str(ref) for ref in _items(refs, "trace_refs", refuse))


def _from_execution_result(answer: Any, refuse: Refuse) -> AgentResult:
    output = (
        answer.output if isinstance(answer.output, Mapping) else {"final_output": answer.output}
    )
    metadata = _with_text_keys(answer.metadata) if isinstance(answer.metadata, Mapping) else {}
    responses = _responses(answer, output)
    metadata = {**_model(responses), **metadata}
    trace_refs = _refs(metadata.get("trace_refs") or metadata.get("trace_path"), refuse)
    error = getattr(answer, "error", None) or output.get("error") or metadata.get("error")
    usage = output.get("usage") or metadata.get("usage")
    return AgentResult(
        outputs=_final_output(output),
        metrics={
            **(_usage(usage) if usage else _usage_of(responses)),
            **_mapping(output, "metrics", refuse),
        },
        events=_events(output.get("events"), refuse),
        metadata=metadata,
        trace_refs=trace_refs,
        success=bool(answer.success),
        error=_errors_of_steps(answer, output) if error is None else str(error),
    )


def _final_output(output: Mapping[str, Any]) -> Mapping[str, Any]:
    final = output.get("final_output")
    if isinstance(final, Mapping):
        return final

    if isinstance(final, str):
        return {"text": final}

    if final is not None:
        return {"final_output": final}

    for key in ("text", "model_text"):
        if isinstance(output.get(key), str):
            return {"text": output[key]}

    return {key: value for key, value in output.items() if key not in {"metrics", "events"}}


def _steps(answer: Any, output: Mapping[str, Any]) -> Mapping[str, Any]:
    steps = getattr(answer, "step_results", None)
    steps = steps or _attribute(output.get("workflow"), "step_results")
    return steps if isinstance(steps, Mapping) else {}


def _errors_of_steps(answer: Any, output: Mapping[str, Any]) -> str | None:
    """Return what went wrong where a workflow says it of its steps alone."""
    errors = {name: _attribute(step, "error") for name, step in _steps(answer, output).items()}
    return "; ".join(f"{name}: {error}" for name, error in errors.items() if error) or None


def _responses(answer: Any, output: Mapping[str, Any]) -> list[Any]:
    """List the model's responses: the one that made the answer, or those of a workflow's steps."""
    response = getattr(answer, "model_response", None) or output.get("model_response")
    if response is not None:
        return [response]

    held = (_attribute(step, "output") for step in _steps(answer, output).values())
    found = (_attribute(each, "model_response") for each in held)
    return [response for response in found if response is not None]


def _model(responses: list[Any]) -> dict[str, str]:
    """Return which model answered: the last one that was asked."""
    found: dict[str, str] = {}
    for response in responses:
        said = {
            "model_name": _attribute(response, "model") or _attribute(response, "model_name"),
            "model_provider": _attribute(response, "provider"),
        }
        found |= {name: value for name, value in said.items() if isinstance(value, str)}

    return found


def _usage_of(responses: list[Any]) -> dict[str, Any]:
    """Add up what responses say of their tokens."""
    total: dict[str, Any] = {}
    for response in responses:
        for name, value in _usage(_attribute(response, "usage")).items():
            total[name] = total.get(name, 0) + value

    return total


def _usage(usage: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, keys in _USAGE.items():
        for key in keys:
            value = _attribute(usage, key)
            if isinstance(value, (int, float)):
                found.setdefault(name, value)

    return found


def _attribute(source: Any, name: str) -> Any:
    return source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
