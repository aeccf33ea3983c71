from __future__ import annotations

from typing import Any

from tests.command_line import StudyFolder, json_lines


def test_a_plan_is_counted_by_condition_agent_and_problem(folder: StudyFolder, cli: Any) -> None:
    shown = cli("plan", folder.file)
    assert shown.exit_code == 0
    assert shown.stdout == ""
    for part in ("40 runs planned", "tone=warm", "worker  40", "p1  20", "replicate 1"):
        assert part in shown.stderr

    (plan,) = json_lines(cli("plan", folder.file, "--json").stdout)
    assert plan["planned"] == 40
    assert [condition["runs"] for condition in plan["conditions"]] == [20, 20]
    assert (plan["agents"], plan["problems"]) == ({"worker": 40}, {"p1": 20, "p2": 20})
    assert [run["position"] for run in plan["first_runs"]] == [0, 1, 2, 3, 4]
    assert not folder.results.exists()


def test_a_plan_shows_the_first_of_many_rows(folder: StudyFolder, cli: Any) -> None:
    levels = ", ".join(f"l{number}" for number in range(20))
    folder.file.write_text(folder.file.read_text().replace("[warm, cold]", f"[{levels}]"))
    assert "... and 8 more" in cli("plan", folder.file).stderr


def test_a_plan_of_an_invalid_study_is_refused(folder: StudyFolder, cli: Any) -> None:
    folder.file.write_text(
        folder.file.read_text().replace("replicates: 10", "replicates: 10, max_runs: 1")
        + "agent_specs: [worker, worker]\n"
    )
    shown = cli("plan", folder.file)
    assert shown.exit_code == 3
    assert "max_runs" in shown.stderr
    assert "Duplicate" in shown.stderr
