"""What is declared cannot be edited, and still is an ordinary dict or list to its reader."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from enum import Enum, IntEnum, StrEnum
from pathlib import PurePosixPath
from threading import Lock
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from pydantic import BaseModel, field_serializer

from penstock._base.frozen import FrozenDict, FrozenList, frozen_json
from penstock.errors import UnstableValueError
from penstock.study.conditions import Condition
from penstock.study.problem import Problem

PLAIN = {"a": [1, {"b": 2.5}], "c": None, "d": "text", "e": True}


class Colour(StrEnum):
    RED = "red"


class Count(IntEnum):
    ONE = 1


class Pair(Enum):
    BOTH = (1, 2)


@dataclass
class Point:
    x: int
    _hidden: list[int] = field(default_factory=list)


class Model(BaseModel):
    name: str
    points: list[int] = []


class Undumpable(BaseModel):
    name: str = "x"

    @field_serializer("name")
    def _fail(self, _name: str) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.__setitem__("a", 1),
        lambda d: d.__delitem__("a"),
        lambda d: d.__ior__({"a": 1}),
        lambda d: d.update(a=1),
        lambda d: d.pop("a"),
        lambda d: d.popitem(),
        lambda d: d.setdefault("z", 1),
        lambda d: d.clear(),
        lambda d: d["a"].append(1),
        lambda d: d["a"].extend([1]),
        lambda d: d["a"].insert(0, 1),
        lambda d: d["a"].pop(),
        lambda d: d["a"].remove(1),
        lambda d: d["a"].reverse(),
        lambda d: d["a"].sort(),
        lambda d: d["a"].clear(),
        lambda d: d["a"].__setitem__(0, 1),
        lambda d: d["a"].__delitem__(0),
        lambda d: d["a"].__iadd__([1]),
        lambda d: d["a"].__imul__(2),
        lambda d: d["a"][1].update(b=3),
    ],
)
def test_every_edit_is_refused_and_changes_nothing(edit: Callable[[Any], object]) -> None:
    frozen = frozen_json(PLAIN)
    with pytest.raises(TypeError, match="work on a copy of your own"):
        edit(frozen)

    assert frozen == PLAIN


def test_frozen_values_are_equal_to_plain_ones_and_json_writes_them_alike() -> None:
    frozen = frozen_json(PLAIN)
    assert frozen == PLAIN
    assert isinstance(frozen, dict)
    assert isinstance(frozen["a"], list)
    assert json.dumps(frozen) == json.dumps(PLAIN)


def test_frozen_values_can_be_pickled_and_stay_frozen() -> None:
    thawed = pickle.loads(pickle.dumps(frozen_json(PLAIN)))
    assert thawed == PLAIN
    assert type(thawed) is FrozenDict
    assert type(thawed["a"]) is FrozenList


def test_frozen_values_can_be_copied_deeply() -> None:
    assert copy.deepcopy(frozen_json(PLAIN)) == PLAIN
    assert copy.copy(frozen_json([1, 2])) == [1, 2]


def test_a_copy_of_ones_own_can_be_edited() -> None:
    frozen = frozen_json(PLAIN)
    own, longer = dict(frozen), list(frozen["a"])
    own["a"] = 1
    longer.append(3)
    assert (own["a"], len(longer)) == (1, 3)
    assert frozen == PLAIN


def test_freezing_copies_so_that_later_edits_of_the_original_do_not_show() -> None:
    original = {"a": [1]}
    frozen = frozen_json(original)
    original["a"].append(2)
    assert frozen == {"a": [1]}


def test_an_agent_cannot_edit_the_condition_it_shares_with_other_runs() -> None:
    condition = Condition(
        condition_id="c",
        factor_assignments=frozen_json({"tone": ["a"]}),
        metadata=frozen_json({"fingerprint": "f"}),
    )
    with pytest.raises(TypeError, match="belongs to the study"):
        condition.factor_assignments["tone"] = "HACKED"  # type: ignore[index]

    with pytest.raises(TypeError, match="belongs to the study"):
        condition["tone"].append("HACKED")

    with pytest.raises(ValueError, match="frozen"):
        condition.condition_id = "other"  # type: ignore[misc]

    assert condition["tone"] == ["a"]


def test_a_condition_made_from_a_plain_mapping_is_frozen_as_well() -> None:
    condition = Condition(condition_id="c", factor_assignments={"tone": "a"})
    with pytest.raises(TypeError, match="belongs to the study"):
        condition.factor_assignments["tone"] = "HACKED"  # type: ignore[index]


def test_an_agent_cannot_edit_a_problems_payload() -> None:
    problem = Problem(problem_id="p", payload={"cities": [1, 2]})
    with pytest.raises(TypeError, match="belongs to the study"):
        problem.payload["cities"].append(3)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(5), 5),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(7), 7),
        (np.array([1, "a", None], dtype=object), [1, "a", None]),
        (Colour.RED, "red"),
        (Count.ONE, 1),
        (Pair.BOTH, [1, 2]),
        (PurePosixPath("a/b"), "a/b"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Point(1, [2]), {"x": 1, "_hidden": [2]}),
        (Model(name="m", points=[1]), {"name": "m", "points": [1]}),
        (MappingProxyType({"a": (1, 2)}), {"a": [1, 2]}),
        ({1: "a", None: "b", 1.5: "d"}, {"1": "a", "None": "b", "1.5": "d"}),
        ({Colour.RED: 1, Count.ONE: 2}, {"red": 1, "1": 2}),
    ],
    ids=repr,
)
def test_values_with_one_obvious_json_form_take_it(value: Any, expected: Any) -> None:
    frozen = frozen_json(value)
    assert frozen == expected
    assert json.loads(json.dumps(frozen)) == expected


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        frozenset("a"),
        b"bytes",
        bytearray(b"x"),
        object(),
        1j,
        date(2020, 1, 1),
        Lock(),
        (item for item in [1]),
        np.datetime64("2020-01-01", "ns"),
        np.longdouble(1.5),
        np.array([b"x"]),
        np.array([1j]),
        Undumpable(),
        Point(Lock()),  # type: ignore[arg-type]
        Point,
        10**5000,
        {(1, 2): "a tuple as a key"},
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_without_a_stable_json_form_are_refused_with_their_place(value: Any) -> None:
    with pytest.raises(UnstableValueError, match=r"\$\.deep\[0\]"):
        frozen_json({"deep": [value]})


def test_two_keys_that_are_the_same_text_are_refused() -> None:
    with pytest.raises(UnstableValueError, match="two keys of the mapping are the text '1'"):
        frozen_json({1: "a", "1": "b"})


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    point = Point(1)
    point._hidden = [point]  # type: ignore[list-item]
    for value in (loop, point):
        with pytest.raises(UnstableValueError, match="contains itself or is nested too deep"):
            frozen_json(value)
