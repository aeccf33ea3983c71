"""Problems from a file: columns by name, and faults with the number of their line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from penstock.study.problem import Problem
from penstock.study.problem_files import ProblemFile, find_problems, read_problems


def read(folder: Path, name: str, text: str, **columns: Any) -> list[Problem]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_problems(path, ProblemFile(file=name, **columns))


def test_each_row_of_a_csv_is_a_problem_with_the_columns_that_were_named(tmp_path: Path) -> None:
    text = 'n,question,topic,answer,hint\n1,"2, or 3?",sums,5,none\n2,What?,other,NA,\n'
    first, second = read(
        tmp_path, "q.csv", text, id="n", brief="question", family="topic", expected="answer"
    )
    assert (first.problem_id, first.brief, first.family) == ("1", "2, or 3?", "sums")
    assert first.payload == {"hint": "none", "expected": "5"}
    assert second.payload == {"hint": "", "expected": "NA"}


def test_each_line_of_a_jsonl_keeps_its_types_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    lines = [{"id": 7, "text": None, "answer": 5.0, "tags": ["a"]}, {"id": "b", "text": "é"}]
    text = "\n\n".join(json.dumps(line) for line in lines) + "\n"
    first, second = read(tmp_path, "q.jsonl", text, id="id", brief="text")
    assert (first.problem_id, first.brief, first.family) == ("7", "", "unknown")
    assert first.payload == {"answer": 5.0, "tags": ["a"]}
    assert (second.brief, second.payload) == ("é", {})


def test_columns_have_the_names_of_a_problems_fields_where_none_are_given(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, "q.csv", "problem_id,brief,family\np,b,f\n")
    assert (problem.problem_id, problem.brief, problem.family) == ("p", "b", "f")
    assert problem.payload == {}


def test_a_column_called_expected_beside_the_declared_one_is_not_hidden(tmp_path: Path) -> None:
    text = "problem_id,brief,answer,expected\np,b,4,5\n"
    with pytest.raises(ValueError, match="line 2: the column answer is declared as what is exp"):
        read(tmp_path, "q.csv", text, expected="answer")

    (problem,) = read(tmp_path, "q.csv", text, expected="expected")
    assert problem.payload == {"answer": "4", "expected": "5"}


def test_a_row_with_a_mapping_as_payload_is_a_problem_as_it_stands(tmp_path: Path) -> None:
    row = {"problem_id": "p", "payload": {"expected": 1}, "metadata": {"m": 1}}
    (problem,) = read(tmp_path, "q.jsonl", json.dumps(row))
    assert problem == Problem(problem_id="p", payload={"expected": 1}, metadata={"m": 1})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("q.csv", "id,text\n1,a\n", "line 2: no column problem_id, brief; columns: id, text"),
        ("q.csv", "problem_id,brief\n1,a\n2\n", "line 3: 1 cells where the header names 2"),
        ("q.csv", "problem_id,brief\n1,a,b\n", "line 2: 3 cells where the header names 2"),
        ("q.csv", "problem_id,brief,brief\n1,a,b\n", "line 1: two columns are named 'brief'"),
        ("q.csv", 'problem_id,brief\n1,"a\n', "line 2: not CSV"),
        ("q.csv", "problem_id,brief\n1,a\n ,b\n", "line 3: .*problem_id must be non-empty"),
        ("q.csv", "problem_id,brief\n", "q.csv holds no problem"),
        ("q.csv", "", "q.csv holds no problem"),
        ("q.jsonl", '{"problem_id": 1, "brief": ""}\n\n{', "line 3: not JSON"),
        ("q.jsonl", "[1]", "line 1: not a JSON object"),
        ("q.jsonl", '{"problem_id": null, "brief": ""}', "line 1: .* names the problem, is null"),
        ("q.jsonl", '{"payload": {}}', "line 1: problem_id: is required"),
        (
            "q.jsonl",
            '{"problem_id": "p", "payload": {}, "breif": 1}',
            "line 1: breif: unknown key",
        ),
        ("q.txt", "", "must end with .jsonl or .csv"),
    ],
)
def test_a_fault_is_told_with_its_file_and_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, name, text)

    assert name in str(caught.value)


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_bytes(b"problem_id,brief\n1,\xe9\n")
    with pytest.raises(ValueError, match=r"q\.csv is not UTF-8"):
        read_problems(path, ProblemFile(file="q.csv"))


def test_a_file_that_breaks_off_is_told_of_in_the_encoding_that_it_was_read_as(
    tmp_path: Path,
) -> None:
    path = tmp_path / "q.csv"
    path.write_bytes("problem_id,brief\n1,what\n".encode("utf-16-le")[:-1])
    with pytest.raises(ValueError, match=r"q\.csv is not utf-16-le: .*truncated"):
        read_problems(path, ProblemFile(file="q.csv"))


def test_texts_longer_than_the_csv_modules_limit_are_read_and_the_limit_is_put_back(
    tmp_path: Path,
) -> None:
    limit = csv.field_size_limit()
    (problem,) = read(tmp_path, "q.csv", f"problem_id,brief\np,{'x' * 200_000}\n")
    assert len(problem.brief) == 200_000
    assert csv.field_size_limit() == limit


def test_a_file_may_be_named_through_an_environment_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PENSTOCK_TEST_FOLDER", "/data")
    assert find_problems(ProblemFile(file="${PENSTOCK_TEST_FOLDER}/q.csv")) == "/data/q.csv"
    assert find_problems(ProblemFile(file="costs $5.csv")) == "costs $5.csv"


def test_an_environment_variable_that_is_not_set_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PENSTOCK_TEST_FOLDER", raising=False)
    with pytest.raises(ValueError, match="PENSTOCK_TEST_FOLDER, which is not set; set it first"):
        find_problems(ProblemFile(file="${PENSTOCK_TEST_FOLDER}/q.csv"))


@pytest.mark.field("studies-C1")
def test_one_column_may_have_several_uses(tmp_path: Path) -> None:
    row = json.dumps({"question": "2 + 2?", "level": 1})
    columns = {"id": "question", "brief": "question", "family": "question", "expected": "question"}
    (problem,) = read(tmp_path, "q.jsonl", row, **columns)
    assert (problem.problem_id, problem.brief, problem.family) == ("2 + 2?",) * 3
    assert problem.payload == {"level": 1, "expected": "2 + 2?"}


@pytest.mark.field("studies-C5")
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[" * 200_000 + "]" * 200_000, "line 1: nested too deep"),
        ('{"a": 1, "a": 2}', "duplicate key"),
    ],
)
def test_a_line_that_is_nested_too_deep_or_has_a_key_twice_is_refused(
    tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, "q.jsonl", line)


@pytest.mark.field("studies-C7")
def test_a_column_called_payload_is_a_column_where_others_are_named(tmp_path: Path) -> None:
    row = json.dumps({"id": "p", "question": "?", "payload": {"a": 1}})
    (problem,) = read(tmp_path, "q.jsonl", row, id="id", brief="question")
    assert problem == Problem(problem_id="p", brief="?", payload={"payload": {"a": 1}})
