"""Agents: what a run gives them, which shapes they have, what they return (floor 2)."""

from __future__ import annotations

from penstock.agents.answers import AgentResult
from penstock.agents.condition_runner import ConditionRunner, RunOutput
from penstock.agents.context import RunContext
from penstock.agents.shapes import agent, per_condition
from penstock.agents.workers import in_worker_process

__all__ = [
    "AgentResult",
    "ConditionRunner",
    "RunContext",
    "RunOutput",
    "agent",
    "in_worker_process",
    "per_condition",
]
