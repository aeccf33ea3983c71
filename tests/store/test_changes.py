from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.errors import ForeignDirectoryError
from tests.command_line import cli

__all__ = ["cli"]

STUDY = """\
study_id: s
title: t
agents: {a: agents.py:a}
problems: {file: q.jsonl, id: id, brief: q}
"""


def write_problems(folder: Path, **hints: str) -> None:
    rows = [{"id": f"p{at}", "q": f"{at} + 1?", "hint": "none"} for at in range(30)]
    for row in rows:
        row["hint"] = hints.get(str(row["id"]), "none")

    (folder / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Any) -> Path:
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "agents.py").write_text("async def a(ctx):\n    return 'x'\n")
    write_problems(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert cli("run", "--no-report").exit_code == 0
    return tmp_path


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_changed_problem_is_named_with_its_field_old_and_new_before_anything_is_spent(
    begun: Path, cli: Any, command: str
) -> None:
    write_problems(begun, p3="think " * 40)

    told = cli(command)

    assert told.exit_code == 3
    assert (
        'problem \'p3\' has another payload (1 results): payload.hint was "none" and is "think '
        in told.stderr
    )
    assert "…" in told.stderr
    assert len(told.stderr) < 1_000


def test_of_many_changed_problems_some_are_named_and_all_are_counted(begun: Path) -> None:
    write_problems(begun, **{f"p{at}": "other" for at in range(25)})

    with pytest.raises(ForeignDirectoryError) as refused:
        ps.run_study(ps.load_study(begun / "study.yaml"), show_progress=False)

    assert str(refused.value).count("has another payload") == 10
    assert "and 15 more problems" in str(refused.value)


def test_a_plan_has_a_hash_of_what_each_problem_holds(begun: Path, cli: Any) -> None:
    before = json.loads(cli("plan", "--json").stdout)["problem_hashes"]
    (begun / "artifacts").rename(begun / "moved")
    write_problems(begun, p3="other")

    after = json.loads(cli("plan", "--json").stdout)["problem_hashes"]

    assert len(set(before.values())) == 30
    assert [name for name in before if before[name] != after[name]] == ["p3"]
