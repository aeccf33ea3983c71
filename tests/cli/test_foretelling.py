from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

DOUBTED = """\
study_id: doubted
title: t
agents: {a: agents.py:a}
factors: [{name: lr, levels: [1e-3, 1e-4]}]
problems: [{problem_id: p}]
"""


def test_what_check_warns_about_is_said_once_by_a_run_and_not_where_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Any
) -> None:
    (tmp_path / "study.yaml").write_text(DOUBTED)
    (tmp_path / "agents.py").write_text("async def a(ctx):\n    return 'x'\n")
    monkeypatch.chdir(tmp_path)

    checked = cli("check").stderr
    dry = cli("run", "--dry-run").stderr
    first = cli("run", "--no-report").stderr
    again = cli("run", "--no-report").stderr

    (doubt,) = [line for line in checked.splitlines() if line.startswith("warning: ")]
    assert "These levels are texts" in doubt
    assert [each.splitlines().count(doubt) for each in (dry, first, again)] == [1, 1, 0]
