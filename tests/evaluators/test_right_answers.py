"""Whatever a built-in evaluator accepts as the expected answer is right when it is the answer."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as some

from penstock.evaluators.builtin import bind_built_in, expected_errors
from penstock.study.declarations import EvaluatorDeclaration
from penstock.study.problem import Problem
from tests.builders import make_context

DECLARED: tuple[Any, ...] = (
    "exact",
    {"exact": {"case": "ignore", "whitespace": "ignore", "punctuation": "ignore"}},
    {"exact": {"whitespace": "keep"}},
    "contains",
    {"contains": {"whole_words": False}},
    "number",
    {"number": {"decimal": ","}},
    "json",
)
DIGITS = some.text(
    "0123456789.,'eE+-\u2212\u00d7^/%$\u20ac \u00a0\u202f\\{}ox#", min_size=1, max_size=12
)


@pytest.mark.parametrize("declared", DECLARED, ids=str)
@given(text=some.one_of(some.text(min_size=1, max_size=20), DIGITS))
def test_a_text_that_is_accepted_as_expected_is_right_as_the_answer(
    declared: Any, text: str
) -> None:
    evaluator = EvaluatorDeclaration.model_validate(declared)
    problem = Problem(problem_id="p", payload={"expected": text})
    if expected_errors("checked", evaluator, [problem]):
        return

    async def score() -> list[Any]:
        evaluate = bind_built_in("checked", evaluator, anyio.CapacityLimiter(1))
        rows = await evaluate(make_context(problem=problem), {"text": text})
        return [row.metric_value for row in rows]

    assert anyio.run(score) == [1.0]
