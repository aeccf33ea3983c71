"""Files of problems as people have them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from penstock.study.problem import Problem
from penstock.study.problem_files import ProblemFile, read_problems
from penstock.study.row_files import read_rows

ROWS: list[dict[str, Any]] = [
    {"id": "a", "q": "1 + 1?", "answer": {"value": "2"}},
    {"id": "b", "q": "2 + 2?"},
]


def rows(path: Path, **options: Any) -> list[tuple[int, dict[str, Any]]]:
    return list(read_rows(path, **options))


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def lines(items: list[Any]) -> str:
    return "".join(f"{json.dumps(item)}\n" for item in items)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.jsonl", lines(ROWS)),
        ("q.jsonl.gz", lines(ROWS)),
        ("q.json", json.dumps(ROWS, indent=1)),
        ("q.JSON.gz", json.dumps({"version": "1", "data": ROWS})),
    ],
)
def test_rows_are_read_from_json_in_its_forms(name: str, text: str, tmp_path: Path) -> None:
    assert [row for _, row in rows(written(tmp_path / name, text))] == ROWS


@pytest.mark.parametrize(
    ("name", "text", "encoding", "options"),
    [
        ("q.csv", "id,q\na,Wie groß?\n", "utf-8-sig", {}),
        ("q.csv.gz", "id,q\na,Wie groß?\n", "utf-8", {}),
        ("q.tsv", "id\tq\na\tWie groß?\n", "utf-8", {}),
        ("q.csv", "sep=;\r\nid;q\r\na;Wie groß?\r\n", "utf-8-sig", {}),
        ("q.csv", "id;q;;\na;Wie groß?;;\n;;;\n", "cp1252", {"encoding": "cp1252"}),
        ("q.csv", "id,q\na,Wie groß?\n", "utf-16", {"encoding": "utf-16"}),
    ],
)
def test_rows_are_read_from_tables_as_programs_write_them(
    name: str, text: str, encoding: str, options: dict[str, Any], tmp_path: Path
) -> None:
    path = written(tmp_path / name, text, encoding)
    if ";" in text and "sep=" not in text:
        options = {**options, "delimiter": ";"}

    ((_, row),) = rows(path, **options)
    assert row == {"id": "a", "q": "Wie groß?"}


def test_a_fault_below_a_line_that_names_the_separator_is_told_with_its_line(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "q.csv", "sep=;\nid;q\na;b\na;b;c\n")
    with pytest.raises(ValueError, match="line 4: 3 cells where the header names 2"):
        rows(path)


def test_rows_are_read_from_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist(ROWS), tmp_path / "q.parquet")
    (tmp_path / "broken.parquet").write_text("no")

    (one, first), (two, second) = rows(tmp_path / "q.parquet")
    assert (one, two) == (1, 2)
    assert first == ROWS[0]
    assert second == {**ROWS[1], "answer": None}
    with pytest.raises(ValueError, match="is not Parquet"):
        rows(tmp_path / "broken.parquet")


def test_a_folder_is_read_as_data_set_hubs_lay_one_out(tmp_path: Path) -> None:
    for part, row in enumerate(ROWS):
        written(tmp_path / "data" / f"test-0000{part}-of-00002.jsonl", lines([row]))

    written(tmp_path / "data" / "train-00000-of-00001.jsonl", lines(ROWS * 2))
    written(tmp_path / ".cache" / "test.jsonl", "broken")
    written(tmp_path / "dataset_infos.json", "{}")

    assert [row for _, row in rows(tmp_path, split="test")] == ROWS
    for split, said in (
        (None, r"several sets: say `split:` \['test', 'train'\]"),
        ("x", "no split"),
    ):
        with pytest.raises(ValueError, match=said):
            rows(tmp_path, split=split)

    with pytest.raises(ValueError, match="holds no file that ends with"):
        rows(written(tmp_path / "empty" / "notes.txt", "").parent)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("q.json", "[1]", "item 1 is not a JSON object"),
        ("q.json", '{"a": 1}\n{"a": 2}', "several objects, a line each, are a .jsonl file"),
        ("q.json", '{"a": [1], "b": [2]}', "not an array of objects, nor an object with one"),
        ("q.json", "[{", "line 1: not JSON"),
        ("q.json", '[{"a": 1, "a": 2}]', "duplicate key: 'a'"),
        ("q.xlsx", "", "must end with .jsonl or .csv, or with .tsv, .json, .parquet"),
        ("q.parquet.gz", "", "must end with"),
    ],
)
def test_what_is_something_else_is_told(name: str, text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        rows(written(tmp_path / name, text))


def test_a_file_that_was_cut_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl.gz"
    path.write_bytes(gzip.compress(lines(ROWS).encode())[:-9])
    with pytest.raises(ValueError, match=r"is not a whole \.gz file"):
        rows(path)


def problems(path: Path, text: str, **options: Any) -> list[Problem]:
    return read_problems(written(path, text), ProblemFile(file=path.name, **options))


def test_a_column_may_be_a_field_in_a_field(tmp_path: Path) -> None:
    row = {"item": {"id": 7, "q": "1 + 1?"}, "answer": {"value": "2", "aliases": ["two"]}}
    (problem,) = problems(
        tmp_path / "q.jsonl", lines([row]), id="item.id", brief="item.q", expected="answer.value"
    )

    assert (problem.problem_id, problem.brief) == ("7", "1 + 1?")
    assert problem.payload == {**row, "expected": "2"}


def test_ids_are_made_from_the_content_or_the_line_where_none_are_there(tmp_path: Path) -> None:
    text = "q,answer\n1 + 1?,2\n2 + 2?,4\n"
    named = {"brief": "q", "expected": "answer"}
    by_content = problems(tmp_path / "q.csv", text, id_from="content", **named)
    moved = problems(
        tmp_path / "q.csv", "q,answer\n2 + 2?,4\n1 + 1?,2\n", id_from="content", **named
    )
    by_line = problems(tmp_path / "q.csv", text, id_from="line", **named)

    assert {each.problem_id for each in by_content} == {each.problem_id for each in moved}
    assert by_content[0].problem_id == moved[1].problem_id
    assert by_content[0].problem_id.startswith("p-")
    assert [each.problem_id for each in by_line] == ["2", "3"]
    with pytest.raises(ValueError, match=r"no column problem_id.*\(without ids say `id_from"):
        problems(tmp_path / "q.csv", text, **named)


def test_a_column_that_is_written_otherwise_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no column question; .* did you mean ' Question'"):
        problems(tmp_path / "q.csv", "problem_id, Question\n1,x\n", brief="question")


def test_numbers_with_a_decimal_comma_get_a_point(tmp_path: Path) -> None:
    text = "problem_id;brief;answer;note\n1,5;a, b;1.234,5;about 1,5\n"
    (problem,) = problems(tmp_path / "q.csv", text, delimiter=";", decimal=",", expected="answer")

    assert (problem.problem_id, problem.brief) == ("1,5", "a, b")
    assert problem.payload == {"expected": "1234.5", "note": "about 1,5"}
