"""The columns of ``runs.csv``, whose names nothing else that is told of a run may take."""

from __future__ import annotations

__all__ = ["BEFORE_A_RUN", "EVERY_RUN", "READ_OF_A_RUN", "RUN_COLUMNS"]

RUN_COLUMNS = (
    "study_id",
    "condition_id",
    "run_id",
    "problem_id",
    "problem_family",
    "agent_id",
    "agent_kind",
    "pattern_name",
    "model_name",
    "seed",
    "replicate",
    "status",
    "start_time",
    "end_time",
    "latency_s",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "primary_outcome",
    "trace_path",
    "manifest_path",
    "error_info",
)
"""The columns of ``runs.csv``."""

EVERY_RUN = ("tool_call_count", "step_event_count", "unique_actor_count")
"""Metrics that every run has, beside those that are columns of ``runs.csv``."""

BEFORE_A_RUN = ("condition_id", "agent_id", "problem_id", "replicate", "started_order")
"""What a run is, whatever it comes to."""

READ_OF_A_RUN = (
    *BEFORE_A_RUN,
    "status",
    "latency_s",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "primary_outcome",
)
"""What an analysis plan may name of a run, whatever its agent recorded."""
