from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.builders import stopping_after
from tests.page.studies import answer, run_study


def test_figures_are_written_as_files_and_named(tmp_path: Path, cli: Any) -> None:
    directory = run_study(tmp_path, report=False)
    to = tmp_path / "paper"

    told = cli("figures", directory, "--to", to, "--format", "json", "--json")

    assert told.exit_code == 0
    record = json.loads(told.stdout)
    assert record["event"] == "figures"
    assert [Path(path).name for path in record["paths"]] == [
        "verdicts.json",
        "conditions.json",
        "problems.json",
        "time.json",
    ]
    assert "vconcat" in json.loads((to / "verdicts.json").read_text())


def test_a_blind_study_has_no_figures_and_says_why(tmp_path: Path, cli: Any) -> None:
    directory = run_study(tmp_path, agent=stopping_after(20, answer), report=False)

    told = cli("figures", directory, "--format", "json")

    assert told.exit_code == 0
    assert "what each condition came to is withheld" in told.stderr
    assert not (directory / "figures").exists()
