"""Runs and their results with the members they had; they may be made by hand under older names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import model_validator

from penstock import results
from penstock._base.json import encode
from penstock.compat.subclasses import InOrder
from penstock.planning import plan as planned
from penstock.study.identity import stable_json_dumps

__all__ = ["Observation", "RunResult", "RunSpec"]


class RunSpec(planned.RunSpec):
    """One planned run, which may be made by hand under the names that its fields had."""

    @model_validator(mode="before")
    @classmethod
    def _from_older_names(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "agent_id" in data:
            return data

        fields = dict(data)
        about = fields.pop("execution_metadata", None) or {}
        fields["agent_id"] = fields.pop("agent_spec_ref", None) or ""
        fields.pop("problem_spec_ref", None)
        fingerprint = about.get("condition_fingerprint", "")
        return {"position": 0, "condition_fingerprint": fingerprint, **fields}


class Observation(results.Observation, metaclass=InOrder):
    """Something an agent did inside a run, which may be made by hand with a mapping about it."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data

        nowhere = {"study_id": "", "run_id": "", "condition_id": ""}
        return {**nowhere, **data, "meta_json": _as_text(data.get("meta_json", {}))}

    def to_row(self) -> dict[str, Any]:
        """Return the row of ``events.csv``."""
        return self.model_dump(mode="json")


class RunResult(results.RunResult):
    """A run that is over, with what belongs to it under the names that it had.

    It may be made by hand under these names, for tests of what reads results.
    """

    @model_validator(mode="before")
    @classmethod
    def _from_older_names(cls, data: Any) -> Any:
        return _renamed(data) if isinstance(data, Mapping) and "spec" not in data else data

    @classmethod
    def of(cls, result: results.RunResult) -> RunResult:
        """Return a result of penstock's own as one that has these members."""
        return cls.model_construct(**{name: getattr(result, name) for name in cls.model_fields})

    @property
    def run_spec(self) -> planned.RunSpec:
        """The run as it was planned."""
        return self.spec

    @property
    def cost(self) -> float:
        """What the attempt cost, in US dollars."""
        return self.cost_usd

    @property
    def latency(self) -> float:
        """How long the attempt took, in seconds."""
        return self.latency_s

    @property
    def evaluator_outputs(self) -> list[dict[str, Any]]:
        """The evaluations as mappings: rows of ``evaluations.csv``."""
        return [evaluation.model_dump() for evaluation in self.evaluations]

    @property
    def provenance_info(self) -> dict[str, Any]:
        """Who answered what: agent, problem, model."""
        spec, ours = self.spec, results.OWN_OUTCOME
        said = {name: value for name, value in self.provenance.items() if name not in ours}
        if not spec.agent_id:
            return {"execution_mode": "condition_runner", **said}

        return {"agent_id": spec.agent_id, "problem_id": spec.problem_id, **said}

    @property
    def artifact_refs(self) -> list[str]:
        """Files of the run beside its traces; a run of penstock's has none."""
        return []


def _renamed(given: Mapping[str, Any]) -> dict[str, Any]:
    fields = dict(given)
    run_id, now = fields.pop("run_id", ""), datetime.now(UTC)
    nowhere = {"study_id": "", "condition_id": "", "problem_id": "", "replicate": 1, "seed": 0}
    latency_s = fields.pop("latency", 0.0)
    unmeasured = {"input_tokens": 0.0, "output_tokens": 0.0, "latency_s": latency_s}
    cost = {"cost_usd": fields.pop("cost", 0.0)}
    error = fields.pop("error_info", None)
    kind, _, message = (error or "").partition(": ")
    fields.pop("artifact_refs", None)
    return {
        "spec": fields.pop("run_spec", None) or RunSpec(run_id=run_id, **nowhere),
        "attempt": 1,
        "started_at": fields.pop("started_at", None) or now,
        "ended_at": fields.pop("ended_at", None) or now,
        "latency_s": latency_s,
        "outputs_json": encode(fields.pop("outputs", {})),
        "metrics": {**unmeasured, **cost, **fields.pop("metrics", {})},
        "evaluations": tuple(
            {"run_id": run_id, **row, "notes_json": _as_text(row.get("notes_json", {}))}
            for row in fields.pop("evaluator_outputs", ())
        ),
        "reported": tuple(
            each if isinstance(each, results.Observation) else _observed(run_id, each)
            for each in fields.pop("observations", ())
        ),
        "provenance": fields.pop("provenance_info", {}),
        "error": error and {"kind": kind, "message": message, "stage": results.RunStage.AGENT},
        **fields,
    }


def _observed(run_id: str, row: Mapping[str, Any]) -> Observation:
    unsaid = dict.fromkeys(("timestamp", "record_id", "text", "actor_id", "event_type"), "")
    return Observation(**{**unsaid, "session_id": run_id, "run_id": run_id, **row})


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else stable_json_dumps(value)
