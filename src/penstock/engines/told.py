"""What a worker tells of a result, and the result as the driver reads it.

What the driver knows by itself is left out: the run, and the event that is its answer, which
together are more than half of a short result.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from penstock.planning.run_spec import RunSpec
from penstock.results import RunResult, answer_of, reported_in

__all__ = ["result_of", "told"]


def told(result: RunResult) -> dict[str, Any]:
    """Return what the driver is told of a result."""
    is_answer_alone = bool(result.observations) and not reported_in(result)
    return result.model_dump(exclude={"spec", "observations"} if is_answer_alone else {"spec"})


def result_of(said: Mapping[str, Any], spec: RunSpec, worker: str | None) -> RunResult:
    """Return the result that a worker has told of.

    Args:
        said: What `told` made, as it is read from JSON.
        spec: The run.
        worker: Who made it; None where another did before, and this one has scored it.
    """
    ended_at = datetime.fromisoformat(said["ended_at"])
    fields: dict[str, Any] = {
        **said,
        "spec": spec,
        "started_at": datetime.fromisoformat(said["started_at"]),
        "ended_at": ended_at,
    }
    if worker is not None:
        fields["provenance"] = {**said["provenance"], "worker": worker}

    if "observations" not in said:
        fields["observations"] = (answer_of(spec, said["outputs_json"], ended_at),)

    return RunResult.model_validate(fields)
