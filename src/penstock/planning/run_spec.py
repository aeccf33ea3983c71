"""One planned run, as it is handed on through a study."""

from __future__ import annotations

from typing import Any

from penstock._base.fact import Fact

__all__ = ["RunSpec"]


class RunSpec(Fact):
    """One planned run: condition x agent x problem x replicate.

    Args:
        position: Its place in the plan, from 0.
        replicate: Which repetition, from 1.
        seed: The run's own seed, in [0, 2**31 - 1).
        condition_fingerprint: The condition's assignments as canonical JSON.
    """

    position: int
    run_id: str
    study_id: str
    condition_id: str
    problem_id: str
    agent_id: str
    replicate: int
    seed: int
    condition_fingerprint: str = ""

    @property
    def agent_spec_ref(self) -> str | None:
        """The agent's name in the study; None where a condition runner does the run."""
        return self.agent_id or None

    @property
    def problem_spec_ref(self) -> str | None:
        """The problem's name in the study; None where a condition runner does the run."""
        return self.problem_id or None

    @property
    def execution_metadata(self) -> dict[str, Any]:
        """What the run is made of, as a mapping."""
        return {
            "agent_id": self.agent_spec_ref,
            "problem_id": self.problem_spec_ref,
            "condition_fingerprint": self.condition_fingerprint,
        }
