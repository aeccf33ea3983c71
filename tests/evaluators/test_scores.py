from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from penstock.errors import BindingError
from penstock.evaluators.scores import ScoreReader
from penstock.results import Evaluation

MINE = ScoreReader("mine", metric_name="mine")
CONTRACT = ScoreReader("problem_evaluator", metric_name="score", drops_texts=True)


def scores(returned: Any, reader: ScoreReader = MINE) -> dict[str, Any]:
    """What an evaluator's return value becomes: metric -> value."""
    return {row.metric_name: row.metric_value for row in reader.rows(returned, "run-1")}


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (0.5, 0.5),
        (3, 3),
        (True, True),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.array(0.25), 0.25),
    ],
)
def test_a_number_is_the_metric_that_has_the_evaluator_s_name(returned: Any, expected: Any) -> None:
    found = scores(returned)

    assert found == {"mine": expected}
    assert type(found["mine"]) is type(expected)
    assert scores(returned, CONTRACT) == {"score": expected}


def test_no_score_is_no_row() -> None:
    assert scores(None) == {}
    assert scores([]) == {}


def test_a_mapping_gives_a_row_for_each_number_in_it() -> None:
    returned = {
        "accuracy": np.float64(0.5),
        "count": np.int32(2),
        "is_feasible": True,
        "unknown": None,
        "higher_is_better": True,
    }

    assert scores(returned) == {"accuracy": 0.5, "count": 2, "is_feasible": True, "unknown": None}


def test_the_evaluator_of_a_problem_may_have_texts_among_its_numbers() -> None:
    returned = {"accuracy": 0.5, "note": "text is not a score", "unknown": None}

    assert scores(returned, CONTRACT) == {"accuracy": 0.5}
    assert scores({"value": 0.5, "length": 7.0}, CONTRACT) == {"score": 0.5}


@pytest.mark.field("studies-A9")
@pytest.mark.parametrize(
    ("returned", "where"),
    [
        ({"correct": "1", "grade": "A"}, "correct is '1'"),
        ({"score": Decimal("0.5")}, r"score is Decimal\('0.5'\)"),
        ({"a": {"b": 1}}, "a is {'b': 1}"),
        ({"a": 1, "b": [1]}, r"b is \[1\]"),
        ({"metric_name": "m", "metric_value": Fraction(1, 2)}, r"its value is Fraction\(1, 2\)"),
        ({"metric_name": "m", "metric_value": 1, "length": 7}, "a row has no length"),
        ({1: 2}, "1 is not the name of a metric"),
        ({"": 2}, "'' is not the name of a metric"),
        ([1, 2], "mine has several scores"),
        ({"M": 1, "m": 2}, "m has several scores"),
        ([{"a": 1}, {"a": 2}], "a has several scores"),
    ],
)
def test_what_cannot_be_stored_beside_a_number_is_refused(returned: Any, where: str) -> None:
    refused = f"evaluator 'mine' returned .*, where {where}; return a number"
    with pytest.raises(BindingError, match=refused):
        scores(returned)


@pytest.mark.field("studies-A9")
def test_a_value_among_other_numbers_is_a_metric() -> None:
    assert scores({"value": 0.5, "length": 7.0}) == {"value": 0.5, "length": 7.0}


def test_a_row_may_be_given_in_full() -> None:
    returned = {
        "metric_name": "grade",
        "metric_value": "A",
        "metric_unit": "letter",
        "aggregation_level": "trial",
        "evaluator_id": "teacher",
        "notes_json": {"why": "good"},
    }

    assert [*MINE.rows(returned, "run-1")] == [
        Evaluation(
            run_id="run-1",
            evaluator_id="teacher",
            metric_name="grade",
            metric_value="A",
            metric_unit="letter",
            aggregation_level="trial",
            notes_json='{"why":"good"}',
        )
    ]


def test_a_row_may_be_given_in_short() -> None:
    assert scores({"value": np.int64(2)}) == {"mine": 2}
    assert scores({"value": 2, "notes_json": "{}"}) == {"mine": 2}
    assert scores({"metric_name": "m", "metric_value": None}) == {"m": None}


def test_a_sequence_gives_the_rows_of_each_of_its_items() -> None:
    own = Evaluation(run_id="somebody else's", metric_name="own", metric_value=1)

    assert scores([{"a": 1}, ({"b": 2.0}, None), own]) == {"a": 1, "b": 2.0, "own": 1}


def test_one_metric_may_have_a_score_at_each_level() -> None:
    rows = [{"metric_name": "m", "value": 1, "aggregation_level": each} for each in ("run", "step")]
    assert [row.aggregation_level for row in MINE.rows(rows, "run-1")] == ["run", "step"]
    assert len([*CONTRACT.rows([1, 2], "run-1")]) == 2


def test_a_row_made_elsewhere_is_given_the_id_of_this_run() -> None:
    (row,) = MINE.rows(Evaluation(run_id="another", metric_value=1), "run-1")

    assert row.run_id == "run-1"


@dataclass
class Scored:
    accuracy: float


class ScoredModel(BaseModel):
    accuracy: float


class ScoredToDict:
    def to_dict(self) -> dict[str, float]:
        return {"accuracy": 0.5}


class ScoredAttributes:
    def __init__(self) -> None:
        self.accuracy = 0.5
        self._cache: dict[str, Any] = {}


@pytest.mark.parametrize(
    "returned", [Scored(0.5), ScoredModel(accuracy=0.5), ScoredToDict(), ScoredAttributes()]
)
def test_an_object_is_read_as_a_mapping(returned: Any) -> None:
    assert scores(returned) == {"accuracy": 0.5}


@pytest.mark.parametrize("returned", ["great", {1, 2}, np.array([1, 2])])
def test_what_holds_no_score_is_refused(returned: Any) -> None:
    with pytest.raises(BindingError, match=r"evaluator 'mine' returned .*; return a number"):
        scores(returned)
