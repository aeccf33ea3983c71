from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from penstock.errors import BindingError
from penstock.evaluators import bind_evaluator, built_in_evaluator
from penstock.results import Evaluation
from penstock.study.declarations import EvaluatorDeclaration
from penstock.study.problem import Problem
from tests.builders import make_context

pytestmark = pytest.mark.anyio


async def right(declared: Any, answer: Any, expected: Any = "42") -> bool:
    """Whether a built-in evaluator takes an answer for right."""
    evaluate = built_in_evaluator("checked", EvaluatorDeclaration.model_validate(declared))
    ctx = make_context(problem=Problem(problem_id="p", payload={"expected": expected}))
    outputs = answer if isinstance(answer, Mapping) else {"text": answer}
    (row,) = await evaluate(ctx, outputs)
    assert (row.run_id, row.evaluator_id, row.metric_name) == (ctx.spec.run_id, *["checked"] * 2)
    assert type(row.metric_value) is float
    return row.metric_value == 1.0


async def scores(returned: Any, outputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a custom evaluator's return value becomes: metric -> value."""
    evaluate = bind_evaluator("mine", lambda answer: returned)
    return {
        row.metric_name: row.metric_value for row in await evaluate(make_context(), outputs or {})
    }


async def test_exact_wants_the_whole_text_less_white_space_at_its_ends() -> None:
    assert await right("exact", " 42\n")
    assert not await right("exact", "The answer is 42")
    assert not await right("exact", "PARIS", "Paris")
    assert await right({"exact": {"ignore_case": True}}, "PARIS", "Paris")


async def test_contains_finds_the_text_anywhere() -> None:
    assert await right("contains", "The answer is 42.")
    assert not await right("contains", "It is paris", "Paris")
    assert await right({"contains": {"ignore_case": True}}, "It is paris", "Paris")


async def test_regex_searches_for_its_pattern_or_for_the_expected_one() -> None:
    assert await right({"regex": {"pattern": r"^\d+$"}}, "17")
    assert not await right({"regex": {"pattern": r"^\d+$"}}, "x17")
    assert await right("regex", "about 42 or so", r"4\d")
    assert await right({"regex": {"ignore_case": True}}, "YES", "yes")
    assert not await right("regex", "YES", "yes")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("42", "42"),
        ("It is 41, no: 42.", "42"),
        ("we have 42 of them", "42"),
        ("See above. 42", "42"),
        ("the 42", 42),
        ("$1,234.50", "1234.5"),
        ("1,234,567", "1234567"),
        ("costs -$1,234.50 in all", "$-1,234.50"),
        ("€ 1 000", "1 000 EUR"),
        ("in 2024 it was 15", "15"),
        ("In 2024 15 apples", "15"),
        ("1_000", "1000"),
        ("-3", "-3"),
        ("a loss of \u22123", "-3"),
        ("it is +3", "3"),
        (".5", "0.5"),
        ("6.02e23", "6.02E+23"),
        ("42.0000000001", "42"),
    ],
)
async def test_number_reads_the_last_number_as_people_write_it(answer: str, expected: Any) -> None:
    assert await right("number", answer, expected)


@pytest.mark.parametrize("answer", ["41", "no number at all", "", "-42", "42 and then 43", "4.2"])
async def test_number_takes_no_other_number_for_right(answer: str) -> None:
    assert not await right("number", answer)


async def test_number_compares_within_its_tolerance() -> None:
    assert await right({"number": {"tolerance": 0.5}}, "41.5")
    assert not await right({"number": {"tolerance": 0.5}}, "41.4")


async def test_number_means_the_group_of_its_pattern() -> None:
    marked = {"number": {"pattern": r"#### (-?[\d,.]+)"}}

    assert await right(marked, "6 x 7 = 40\n#### 42\nsome 99 more")
    assert not await right(marked, "42 without a mark")


async def test_a_group_that_took_no_part_in_the_match_is_no_number() -> None:
    assert not await right({"number": {"pattern": r"none|is (\d+)"}}, "none")


async def test_an_answer_that_is_no_text_is_compared_as_json() -> None:
    assert await right("exact", {"answer": 42})
    assert await right("number", {"value": 42})
    assert await right("exact", {"answer": {"text": "42"}})


async def test_a_problem_without_an_expected_answer_says_what_to_do() -> None:
    evaluate = built_in_evaluator("exact", EvaluatorDeclaration.model_validate("exact"))
    ctx = make_context(problem=Problem(problem_id="lonely"))

    with pytest.raises(BindingError, match=r"'lonely' has no expected answer.*payload\.expected"):
        await evaluate(ctx, {"text": "42"})


async def test_an_expected_answer_that_is_no_number_is_said() -> None:
    with pytest.raises(BindingError, match="expected answer 'many' is not a number"):
        await right("number", "42", "many")


@pytest.mark.parametrize("key", ["candidate", "state", "answer", "solution", "final_answer", "x"])
async def test_an_evaluator_is_given_the_answer_within_the_outputs(key: str) -> None:
    given: list[Any] = []
    evaluate = bind_evaluator("mine", given.append)

    await evaluate(make_context(), {"note": "n", key: 7})
    await evaluate(make_context(), {"text": "t"})

    assert given == [7, {"text": "t"}]


async def test_an_evaluator_may_ask_for_more_by_name() -> None:
    ctx = make_context()
    asked: dict[str, Any] = {}

    def some(answer: Any, problem: Any, *, seed: int, weight: float = 2.0) -> None:
        asked.update(problem=problem, seed=seed, weight=weight)

    def everything(answer: Any, **given: Any) -> None:
        asked.update(given)

    await bind_evaluator("some", some)(ctx, {})
    assert asked == {"problem": ctx.problem, "seed": ctx.seed, "weight": 2.0}

    await bind_evaluator("everything", everything)(ctx, {"text": "t"})
    assert asked["outputs"] == {"text": "t"}
    assert (asked["condition"], asked["run_spec"]) == (ctx.condition, ctx.spec)


async def test_an_evaluator_may_be_async() -> None:
    async def evaluate(answer: Any) -> float:
        return 0.5

    (row,) = await bind_evaluator("mine", evaluate)(make_context(), {})

    assert row == Evaluation(run_id=row.run_id, evaluator_id="mine", metric_value=0.5)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (42, "42, which cannot be called"),
        (lambda: 1, "must take the answer as its first parameter"),
        (lambda answer, model: 1, "asks for model; after the answer an evaluator may ask for"),
    ],
)
async def test_what_cannot_be_an_evaluator_is_refused(function: Any, said: str) -> None:
    with pytest.raises(BindingError, match=f"evaluator 'mine'.*{said}"):
        bind_evaluator("mine", function)


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
async def test_a_number_is_the_score(returned: Any, expected: Any) -> None:
    found = await scores(returned)

    assert found == {"score": expected}
    assert type(found["score"]) is type(expected)


async def test_no_score_is_no_row() -> None:
    assert await scores(None) == {}
    assert await scores([]) == {}


async def test_a_mapping_gives_a_row_for_each_number_in_it() -> None:
    returned = {
        "accuracy": np.float64(0.5),
        "count": np.int32(2),
        "is_feasible": True,
        "note": "text is no score",
        "higher_is_better": True,
    }

    assert await scores(returned) == {"accuracy": 0.5, "count": 2, "is_feasible": True}


async def test_a_row_may_be_given_in_full() -> None:
    evaluate = bind_evaluator(
        "mine",
        lambda answer: {
            "metric_name": "grade",
            "metric_value": "A",
            "metric_unit": "letter",
            "aggregation_level": "trial",
            "evaluator_id": "teacher",
            "notes_json": {"why": "good"},
        },
    )
    ctx = make_context()

    assert await evaluate(ctx, {}) == (
        Evaluation(
            run_id=ctx.spec.run_id,
            evaluator_id="teacher",
            metric_name="grade",
            metric_value="A",
            metric_unit="letter",
            aggregation_level="trial",
            notes_json='{"why":"good"}',
        ),
    )


async def test_a_row_may_be_given_in_short() -> None:
    assert await scores({"value": np.int64(2)}) == {"score": 2}
    assert await scores({"metric_name": "m", "metric_value": None}) == {"m": None}


async def test_a_sequence_gives_the_rows_of_each_of_its_items() -> None:
    own = Evaluation(run_id="somebody else's", metric_name="own", metric_value=1)

    assert await scores([{"a": 1}, ({"b": 2.0}, None), own]) == {"a": 1, "b": 2.0, "own": 1}


async def test_a_row_made_elsewhere_is_given_the_id_of_this_run() -> None:
    ctx = make_context()
    evaluate = bind_evaluator("mine", lambda answer: Evaluation(run_id="another", metric_value=1))

    (row,) = await evaluate(ctx, {})

    assert row.run_id == ctx.spec.run_id


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


@pytest.mark.parametrize(
    "returned", [Scored(0.5), ScoredModel(accuracy=0.5), ScoredToDict(), ScoredAttributes()]
)
async def test_an_object_is_read_as_a_mapping(returned: Any) -> None:
    assert await scores(returned) == {"accuracy": 0.5}


@pytest.mark.parametrize("returned", ["great", {1, 2}, np.array([1, 2])])
async def test_what_holds_no_score_is_refused(returned: Any) -> None:
    with pytest.raises(BindingError, match=r"an evaluator returned .*; return a number"):
        await scores(returned)
