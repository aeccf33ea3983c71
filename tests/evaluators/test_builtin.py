from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from penstock.errors import BindingError
from penstock.evaluators.builtin import bind_built_in
from penstock.study.declarations import EvaluatorDeclaration
from penstock.study.problem import Problem
from tests.builders import make_context

pytestmark = pytest.mark.anyio

THREADS = anyio.CapacityLimiter(4)


async def right(declared: Any, answer: Any, expected: Any = "42") -> bool:
    """Whether a built-in evaluator takes an answer for right."""
    evaluate = bind_built_in("checked", EvaluatorDeclaration.model_validate(declared), THREADS)
    ctx = make_context(problem=Problem(problem_id="p", payload={"expected": expected}))
    outputs = answer if isinstance(answer, Mapping) else {"text": answer}
    (row,) = await evaluate(ctx, outputs)
    assert (row.run_id, row.evaluator_id, row.metric_name) == (ctx.spec.run_id, *["checked"] * 2)
    assert type(row.metric_value) is float
    return row.metric_value == 1.0


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
    evaluate = bind_built_in("exact", EvaluatorDeclaration.model_validate("exact"), THREADS)
    ctx = make_context(problem=Problem(problem_id="lonely"))

    with pytest.raises(BindingError, match=r"'lonely' has no expected answer.*payload\.expected"):
        await evaluate(ctx, {"text": "42"})


async def test_an_expected_answer_that_is_no_number_is_said() -> None:
    with pytest.raises(BindingError, match="expected answer 'many' is not a single number"):
        await right("number", "42", "many")
