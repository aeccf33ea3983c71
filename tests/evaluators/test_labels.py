from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from penstock.errors import BindingError
from penstock.evaluators.labels import bind_labels
from penstock.study.scoring import LabelsOptions
from tests.builders import make_context

pytestmark = pytest.mark.anyio


async def score(path: Path, text: str, **options: Any) -> Any:
    await anyio.Path(path).write_text(text)
    declared = LabelsOptions(file=path.name, **options)
    rows = await bind_labels("quality", declared, path)(make_context(), {"text": "42"})
    assert {(row.evaluator_id, row.metric_name) for row in rows} <= {("quality", "quality")}
    return [row.metric_value for row in rows]


async def test_a_run_has_the_score_that_stands_beside_its_id(tmp_path: Path) -> None:
    run_id = make_context().spec.run_id
    table = f"run_id,score,by\nrun-other,1,Ann\n{run_id},0.5,Ann\n"

    assert await score(tmp_path / "labels.csv", table) == [0.5]


async def test_all_runs_of_a_problem_have_the_score_of_the_problem(tmp_path: Path) -> None:
    lines = '{"problem_id": "p1", "quality": 3}\n{"problem_id": "p2", "quality": 5}\n'
    options = {"key": "problem_id", "score": "quality"}

    assert await score(tmp_path / "labels.jsonl", lines, **options) == [3.0]


async def test_a_run_that_nobody_scored_has_no_score(tmp_path: Path) -> None:
    run_id = make_context().spec.run_id

    assert await score(tmp_path / "a.csv", "run_id,score\nrun-other,1\n") == []
    assert await score(tmp_path / "b.csv", f"run_id,score\nrun-other,1\n{run_id},\n") == []


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("run_id,grade\nr,1\n", "line 2: no column score; columns: run_id, grade"),
        ("run_id,score\nr,good\n", "line 2: the score 'good' is not a number"),
        ("run_id,score\nr,nan\n", "line 2: the score 'nan' is not a number"),
        ("run_id,score\nr,1\nr,2\n", "line 3: 'r' was given another score before"),
        ("run_id,score\nr,\n", "holds no score in its column score"),
    ],
)
async def test_a_file_that_cannot_be_read_as_scores_is_refused(
    tmp_path: Path, table: str, said: str
) -> None:
    with pytest.raises(BindingError, match=f"evaluator 'quality': .*{said}"):
        await score(tmp_path / "labels.csv", table)


async def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BindingError, match=r"evaluator .quality.: .*absent"):
        bind_labels("quality", LabelsOptions(file="absent.csv"), tmp_path / "absent.csv")
