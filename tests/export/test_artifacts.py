from __future__ import annotations

import json
from pathlib import Path

import pytest

import penstock as ps
from tests.builders import make_study


@pytest.mark.parametrize("policy", [None, "none", "holm"])
def test_a_study_in_its_results_declares_what_was_declared(
    tmp_path: Path, policy: str | None
) -> None:
    claim = ps.Hypothesis(hypothesis_id="h1", label="l", statement="s", independent_vars=("tone",))
    said = {} if policy is None else {"multiple_comparison_policy": policy}
    plan = ps.AnalysisPlan(analysis_plan_id="main", hypothesis_ids=("h1",), tests=("t",), **said)
    study = make_study(("warm", "cold"), hypotheses=(claim,), analysis_plans=(plan,))
    ps.run_study(
        study,
        agent_bindings={"agent-a": lambda ctx: "42"},
        output_dir=tmp_path,
        show_progress=False,
        report=False,
    )

    (kept,) = ps.load_study(tmp_path / "study.yaml").analysis_plans
    assert kept.multiple_comparison_policy == policy
    (written,) = json.loads((tmp_path / "analysis_plan.json").read_text())
    assert written["multiple_comparison_policy"] == (policy or "none")
