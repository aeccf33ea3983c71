"""What agents return is stored faithfully, or refused with the place inside it."""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from threading import Lock
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from penstock._base.json import decode, encode, encode_parts, is_plain_json
from penstock.errors import OutputError

any_text = st.text() | st.sampled_from(["\ud83d", "\x00", "null", "NaN"])
any_parts = st.dictionaries(
    any_text | st.just("text"), any_text | st.integers() | st.floats() | st.none(), max_size=4
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=20,
)


class Grade(Enum):
    A = "a"


@dataclass
class Move:
    x: int
    _from: str = "here"


class Answer(BaseModel):
    text: str
    moves: list[int] = []


@given(any_json)
def test_what_is_written_is_read_back_as_it_was(value: Any) -> None:
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "number", [2**53 + 1, 2**63, 2**64 + 1, -(2**70) - 1, 10**400 + 1, 1234567890123456789012]
)
def test_whole_numbers_keep_every_digit(number: int) -> None:
    read = decode(encode({"n": number}))["n"]
    assert read == number
    assert type(read) is int


@given(st.floats())
def test_numbers_keep_every_bit_nan_and_infinities_too(number: float) -> None:
    (read,) = decode(encode([number]))
    assert type(read) is float
    assert math.copysign(1, read) == math.copysign(1, number) or math.isnan(number)
    assert read == number or (math.isnan(read) and math.isnan(number))


def test_none_is_not_taken_for_nan_nor_nan_for_none() -> None:
    none, nan, text = decode(encode([None, float("nan"), "null"]))
    assert none is None
    assert math.isnan(nan)
    assert text == "null"


def test_a_nan_inside_a_numpy_array_is_kept() -> None:
    read = decode(encode({"x": np.array([1.0, np.nan, np.inf])}))["x"]
    assert read[::2] == [1.0, np.inf]
    assert math.isnan(read[1])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(5), 5),
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float64(1.5), 1.5),
        (np.bool_(True), True),
        (np.arange(2_000), list(range(2_000))),
        (Move(1), {"x": 1, "_from": "here"}),
        (Answer(text="x", moves=[1]), {"text": "x", "moves": [1]}),
        (Grade.A, "a"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ((1, (2,)), [1, [2]]),
        ({1: "a", 2.5: "b"}, {"1": "a", "2.5": "b"}),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("beside", ["text", None, math.inf])
def test_what_a_value_becomes_does_not_depend_on_what_stands_beside_it(
    value: Any, expected: Any, beside: Any
) -> None:
    read = decode(encode([value, beside]))
    assert read == [expected, beside]
    assert type(read[0]) is type(expected)


@pytest.mark.parametrize(
    "value",
    [
        b"\xff\x00",
        {1, 2},
        frozenset({1}),
        object(),
        Lock(),
        1j,
        10**5_000,
        datetime(2020, 1, 1, tzinfo=UTC),
        np.datetime64("2020-01-01"),
        (item for item in [1]),
        {(1, 2): 3},
        {1: "a", "1": "b"},
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("beside", ["text", None])
def test_what_cannot_be_stored_is_refused_with_its_place_in_the_output(
    value: Any, beside: Any
) -> None:
    with pytest.raises(OutputError, match=r"the value at output\.steps\[1\].* cannot be stored"):
        encode({"steps": [beside, value]})


def test_the_error_names_the_class_of_what_cannot_be_stored() -> None:
    with pytest.raises(OutputError, match=r"metrics\.tags cannot be stored: .*\(set\)"):
        encode({"tags": {"x"}}, "metrics")


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    with pytest.raises(OutputError, match="contains itself or is nested too deep"):
        encode(loop)


def test_lone_surrogates_are_stored_as_escapes_that_any_file_can_hold() -> None:
    text = encode({"said": "half an emoji: \ud83d"})
    assert text.encode()
    assert decode(text) == {"said": "half an emoji: \ud83d"}


def test_deep_nesting_is_stored_or_refused_never_a_crash() -> None:
    deep: Any = 0
    for _ in range(300):
        deep = [deep]

    assert decode(encode(deep)) == deep
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(OutputError, match="nested too deep"):
        encode(deep)


@pytest.mark.parametrize("beside", ["text", None])
def test_plain_values_are_written_as_compact_json(beside: Any) -> None:
    value = {"text": "né 漢", "n": [1, 2.5, True], "beside": beside}
    assert encode(value) == json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a":1234567890123456789012}', {"a": 1234567890123456789012}),
        ('{"é":12345678901234567890}', {"é": 12345678901234567890}),
        ('{"a":[1,-18446744073709551617]}', {"a": [1, -18446744073709551617]}),
        ('{"a":"\ud800","b":18446744073709551617}', {"a": "\ud800", "b": 18446744073709551617}),
    ],
)
def test_a_long_whole_number_is_read_to_the_last_digit_wherever_it_stands(
    text: str, value: object
) -> None:
    assert decode(text) == value


@given(any_parts, any_text)
def test_what_is_known_to_be_plain_is_read_by_sql_as_it_was_said(
    parts: dict[str, Any], text: str
) -> None:
    said = {**parts, "text": text * 300}
    written = encode_parts(said, "output")
    with closing(sqlite3.connect(":memory:")) as sql:
        if written.is_plain:
            ((read,),) = sql.execute("SELECT ? ->> '$.text'", (written.text,))
            assert read == said["text"]


def test_a_long_text_is_known_to_be_plain_and_nothing_is_that_sql_cannot_read() -> None:
    long = "the answer — and why. " * 20
    assert encode_parts({"text": long}, "output").is_plain
    for hard in ("\x00", "\ud83d"):
        written = encode_parts({"text": long + hard}, "output")
        assert not written.is_plain
        assert not is_plain_json(written.text)

    assert not encode_parts({"text": long, "loss": math.nan}, "output").is_plain
