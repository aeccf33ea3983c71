from __future__ import annotations

import csv
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.export.artifacts import export_artifacts
from penstock.export.tables import quote_formulas
from tests.builders import make_study


def agent(ctx: ps.RunContext) -> str:
    if ctx.spec.replicate == 2:
        raise ValueError("no")

    ctx.record(cost_usd=0.5, input_tokens=3)
    return "=42"


def run(folder: Path, **fields: Any) -> ps.StudyResult:
    study = make_study(("warm", [1, 2]), replicates=2, **fields)
    return ps.run_study(
        study, agent_bindings={"agent-a": agent}, output_dir=folder, show_progress=False
    )


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.field("studies-N10")
def test_a_run_is_a_row_with_its_levels_its_answer_and_its_scores(tmp_path: Path) -> None:
    scores = {"short": lambda answer: True, "length": lambda answer: {"letters": 3, "words": 1}}
    run(tmp_path, evaluators=scores)
    rows = read(tmp_path / "results.csv")

    assert [(row["tone"], row["replicate"], row["status"]) for row in rows] == [
        ("warm", "1", "success"),
        ("warm", "2", "failed"),
        ("[1, 2]", "1", "success"),
        ("[1, 2]", "2", "failed"),
    ]
    answered, failed, *_ = rows
    assert list(answered)[2:11] == [
        "tone", "agent_id", "problem_id", "replicate", "status", "answer", "short", "letters",
        "words",
    ]  # fmt: skip
    assert (answered["answer"], answered["short"], answered["letters"]) == ("=42", "True", "3")
    assert (answered["cost_usd"], answered["input_tokens"]) == ("0.5", "3")
    assert (failed["answer"], failed["short"]) == ("", "")
    assert "ValueError: no" in failed["error_info"]


def test_names_mean_what_they_mean_in_frames(tmp_path: Path) -> None:
    factor = ps.Factor(name="status", levels=[ps.Level(name="a", value="on")])
    results = run(tmp_path, factors=(factor,), evaluators={"answer": lambda answer: 1})
    (row, _), (wide, _) = read(tmp_path / "results.csv"), results.to_rows()

    assert {name for name in row if row[name]} <= set(wide)
    assert (row["status"], row["run_status"]) == (wide["status"], wide["run_status"])
    assert (row["answer"], row["answer.answer"]) == ("=42", "1")


def test_an_edited_evaluator_leaves_one_column(tmp_path: Path) -> None:
    run(tmp_path, evaluators={"score": lambda answer: 1})
    run(tmp_path, evaluators={"score": lambda answer: 2, "other": lambda answer: 3})
    (row, *_) = read(tmp_path / "results.csv")

    assert (row["score"], row["other"]) == ("2", "3")


def test_the_table_is_written_as_parquet_with_types(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    run(tmp_path, evaluators={"short": lambda answer: True})
    export_artifacts(tmp_path, parquet=True)
    rows = parquet.read_table(tmp_path / "results.parquet").to_pylist()

    assert [row["short"] for row in rows] == [1.0, None, 1.0, None]
    assert [row["short_text"] for row in rows] == ["True", None, "True", None]
    assert [row["cost_usd"] for row in rows] == [0.5, 0.0, 0.5, 0.0]
    assert rows[2]["tone"] == "[1,2]"


def test_blocks_have_columns_in_both_files(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    run(tmp_path, blocks=(ps.Block(name="shift", levels=(1, 2)),))
    export_artifacts(tmp_path, parquet=True)

    assert {row["shift"] for row in read(tmp_path / "results.csv")} == {"1", "2"}
    rows = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert {row["shift"] for row in rows} == {1, 2}


def test_what_a_spreadsheet_could_run_is_quoted_in_a_copy(tmp_path: Path) -> None:
    run(tmp_path / "results")
    to = export_artifacts(tmp_path / "results", tmp_path / "copy")
    quote_formulas(to)

    assert read(to / "results.csv")[0]["answer"] == "'=42"


PAGE = Path(__file__).parents[2] / "docs" / "artifacts.md"
SNIPPETS = dict(re.findall(r"^\| (pandas|polars|DuckDB|R) \| `(.+)` \|$", PAGE.read_text(), re.M))


@pytest.mark.parametrize("tool", ["pandas", "polars", "DuckDB", "R"])
def test_the_table_is_read_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    run(tmp_path, evaluators={"correct": lambda answer: 0.5})
    monkeypatch.chdir(tmp_path)
    snippet = SNIPPETS[tool]
    if tool == "R":
        if shutil.which("Rscript") is None:
            pytest.skip("R is not installed")

        finished = subprocess.run(
            ["Rscript", "-e", snippet], capture_output=True, text=True, check=True
        )
        assert finished.stdout.count("0.5") == 2
        return

    library = pytest.importorskip(tool.lower())
    if tool == "DuckDB":
        assert dict(library.sql(snippet).fetchall()) == {"warm": 0.5, "[1, 2]": 0.5}
        return

    means = eval(snippet, {tool: library})
    found = means.to_dict() if tool == "pandas" else dict(means.iter_rows())
    assert found == {"warm": 0.5, "[1, 2]": 0.5}
