"""Tables and JSON that people write: nothing is dropped without a word."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest

from penstock._base.parsing import RowError, csv_rows, json_items, json_rows, read_json


def test_each_row_has_the_line_that_it_ends_on() -> None:
    text = 'a,b\n1,"x\ny"\n\n2,z\n'
    assert list(csv_rows(StringIO(text))) == [
        (3, {"a": "1", "b": "x\ny"}),
        (5, {"a": "2", "b": "z"}),
    ]
    assert list(json_rows(StringIO('\n{"a": 1}\n'))) == [(2, {"a": 1})]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a,a\n", 1, "two columns are named 'a'"),
        ("a,,\n1,2,3\n", 2, "3 cells where the header names 1"),
        ("a,,b\n", 1, "no name"),
        ("a;b\n", 1, "delimiter: ';'"),
        ("a\tb\n", 1, "delimiter: '.t'"),
        ("a,b\n1\n", 2, "1 cells where the header names 2"),
        ('a\n"1\n', 2, "not CSV"),
    ],
)
def test_a_table_that_is_not_one_says_where(text: str, line: int, reason: str) -> None:
    with pytest.raises(RowError, match=reason) as caught:
        list(csv_rows(StringIO(text)))

    assert caught.value.line == line


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("NaN", "NaN is not JSON"),
        ("-Infinity", "-Infinity is not JSON"),
        ("1e999", "1e999 is larger than any number that is kept"),
        ("9" * 5000, "a whole number of 5,000 digits is too long; write it as a text"),
    ],
    ids=["nan", "infinity", "overflow", "digits"],
)
@pytest.mark.parametrize("read", [json_rows, json_items])
def test_a_number_that_could_not_be_kept_is_an_error(read: Any, number: str, reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        list(read(StringIO(f'{{"a": [{{"b": {number}}}]}}')))

    (row,) = json_rows(StringIO('{"a": 1e308, "b": ' + "9" * 400 + "}"))
    assert row[1] == {"a": 1e308, "b": int("9" * 400)}


def test_a_key_that_is_there_twice_is_an_error_at_any_depth() -> None:
    assert read_json('{"a": [{"b": 1}]}') == {"a": [{"b": 1}]}
    with pytest.raises(ValueError, match="duplicate key: 'b'"):
        read_json('{"a": [{"b": 1, "b": 2}]}')
