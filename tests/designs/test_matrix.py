"""A matrix from a file: cells take the types of the declared levels, and nothing is guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.errors import ValidationError
from penstock.study.policies import DesignSpec
from tests.designs.studies import study_of


def _built(folder: Path, text: str, factors: Any, *, name: str = "m.csv", **spec: Any) -> Any:
    (folder / name).write_text(text, encoding="utf-8")
    blocks = spec.pop("blocks", None)
    study = study_of(factors, blocks=blocks, base_dir=folder)
    return ps.build_design(study, DesignSpec(kind="custom_matrix", matrix_path=name, **spec))


@pytest.mark.parametrize(
    ("levels", "cells"),
    [
        ([1, 2], ["1", "2"]),
        ([0.5, 1e-3], ["0.5", "0.001"]),
        (["no", "NA", "1e-3", "0x10", ""], ["no", "NA", "1e-3", "0x10", '""']),
        ([True, False], ["True", "false"]),
        ([None, "x"], ["null", "x"]),
        (["1", "2"], ["2", "1"]),
    ],
)
def test_a_cell_takes_the_type_of_the_level_it_spells(
    levels: list[Any], cells: list[str], tmp_path: Path
) -> None:
    text = "\r\n".join(["a,b", *(f"{cell},x" for cell in cells)])
    made = [c["a"] for c in _built(tmp_path, text, {"a": levels, "b": ["x"]})]

    assert sorted(map(repr, made)) == sorted(map(repr, levels))


def test_every_wrong_cell_and_name_is_said_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as caught:
        _built(tmp_path, "a,zzz\n7,1\n0,1\n", {"a": [0, 1], "b": ["x"]})

    text = str(caught.value)
    assert "row 1: a: '7' is not a declared level" in text
    assert text.count("no factor or block is named 'zzz'") == 2
    assert text.count("no value for 'b'") == 2


def test_rows_may_be_repeated_ordered_and_given_twice(tmp_path: Path) -> None:
    text = json.dumps([{"a": 0}, {"a": 1}, {"a": 0}, {"a": 2}])
    options: dict[str, Any] = {"name": "m.json", "replicates": 2}
    made = _built(tmp_path, text, {"a": [0, 1, 2]}, **options)
    assert [(c["a"], c.replicates) for c in made] == [(0, 4), (1, 2), (2, 2)]

    made = _built(tmp_path, text, {"a": [0, 1, 2]}, counterbalance=True, **options)
    assert [c["a"] for c in made] == [0, 2, 1]

    made = _built(tmp_path, text, {"a": [0, 1, 2]}, randomize=True, **options)
    assert sorted(c["a"] for c in made) == [0, 1, 2]


def test_inserting_a_row_changes_no_id(tmp_path: Path) -> None:
    factors = {"a": list(range(9))}
    six = _built(tmp_path, json.dumps([{"a": i} for i in range(6)]), factors, name="m.json")
    rows = [{"a": 8}, *({"a": i} for i in range(6))]
    seven = _built(tmp_path, json.dumps(rows), factors, name="m.json")

    assert [c.condition_id for c in seven][1:] == [c.condition_id for c in six]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("m.json", "{}", "Custom matrix JSON must contain a list of row objects."),
        ("m.json", "[1]", "Custom matrix JSON must contain a list of row objects."),
        ("m.json", "[", "cannot be read"),
        ("m.txt", "a=1", "Custom matrix format must be .json or .csv."),
    ],
)
def test_a_file_that_is_no_matrix_is_an_error(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValidationError, match=said):
        _built(tmp_path, text, {"a": [0, 1]}, name=name)


def test_a_matrix_that_is_not_named_or_not_there_is_an_error(tmp_path: Path) -> None:
    study = study_of({"a": [0, 1]}, base_dir=tmp_path)

    with pytest.raises(ValidationError, match="requires `matrix_path`"):
        ps.build_design(study, DesignSpec(kind="custom_matrix"))

    with pytest.raises(ValidationError, match=r"matrix file not found: .*absent\.csv"):
        ps.build_design(
            study, DesignSpec(kind="custom_matrix", options={"matrix_path": "absent.csv"})
        )


@pytest.mark.field("engine-G15")
@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("m.csv", "a,b,a\n0,x,1\n", "line 1: two columns are named 'a'"),
        ("m.csv", "a,b\n0,x,1\n", "line 2: 3 cells where the header names 2"),
        ("m.csv", "a,b\n0\n", "line 2: 1 cells where the header names 2"),
        ("m.json", '[{"a": 0, "b": "x", "a": 1}]', "cannot be read: duplicate key: 'a'"),
    ],
)
def test_nothing_of_a_matrix_is_dropped_without_a_word(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValidationError, match=said):
        _built(tmp_path, text, {"a": [0, 1], "b": ["x"]}, name=name)
