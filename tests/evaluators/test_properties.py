"""What holds of every built-in evaluator, whatever a problem expects."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock._base.threads import WorkerThreads
from penstock.errors import BindingError
from penstock.evaluators.builtin import bind_built_in, expected_errors
from penstock.study.declarations import EvaluatorDeclaration
from penstock.study.problem import Problem
from tests.builders import make_context

DECLARED: list[Any] = [
    "exact",
    {"exact": {"case": "ignore", "whitespace": "collapse", "punctuation": "ends"}},
    {"exact": {"case": "ignore", "whitespace": "ignore", "punctuation": "ignore"}},
    {"exact": {"whitespace": "keep"}},
    "contains",
    {"contains": {"case": "ignore", "whole_words": False}},
    "number",
    {"number": {"decimal": ","}},
    {"number": {"tolerance": 0.5, "relative_tolerance": 0.01}},
    "choice",
    "json",
    {"json": {"fields": ["answer"]}},
]

CONTEXT = make_context()


def scored(declared: Any, expected: Any, answer: Any) -> float | None:
    """The score of an answer; None where the evaluator does not take what is expected."""
    problem = Problem(
        problem_id="p", payload={"expected": expected, "options": ["Paris", "London", "Rome, IT"]}
    )
    evaluate = bind_built_in(
        "checked", EvaluatorDeclaration.model_validate(declared), WorkerThreads(1)
    )
    try:
        CONTEXT.problem = problem
        (row,) = at_once(evaluate(CONTEXT, {"text": answer}))
    except BindingError:
        return None

    return float(row.metric_value)


def at_once(awaitable: Any) -> Any:
    """What a coroutine returns that never waits; thousands of them need no event loop."""
    with pytest.raises(StopIteration) as ended:
        awaitable.send(None)

    return ended.value.value


SIGNS = ["", "-", "+", "\u2212", "- ", "\u2212 ", "\u2013", "(", "~"]
CURRENCIES = ["", "$", "\u20ac", "\xa3 ", "US$", "$ ", "EUR "]
NUMBERS = [
    "5", "0.5", ".5", "42.", "1234", "1,234", "1 234", "1\u00a0234", "1\u2009234", "1\u202f234",
    "1'234", "1\u2019234.50", "1_000", "1/2", "1 1/2", "\u00bd", "3.0 \u00d7 10^8", "3e8",
    "1.602e-19", "10\u2078", "12,34,567", "9007199254740993", "007",
]  # fmt: skip
TAILS = ["", ".", "%", " apples", "\u00a0km", " m\u00b2", "\n"]


@pytest.mark.field("studies-A3")
def test_a_number_written_in_any_way_is_itself() -> None:
    triples = product(SIGNS, CURRENCIES, NUMBERS, TAILS)
    texts = ["".join(parts) for parts in triples]
    wrong = [text for text in texts if scored("number", text, text) != 1.0]

    assert not wrong
    assert len(texts) > 5000


numbers = st.builds(
    "".join,
    st.tuples(*map(st.sampled_from, (SIGNS, CURRENCIES, NUMBERS, TAILS))),
)
digits = st.text(
    "0123456789.,'eE+-\u2212\u00d7^/%$\u20ac \u00a0\u202f\\{}ox#\u00bda-c", max_size=20
)
texts = st.text() | numbers | digits


@pytest.mark.parametrize("declared", DECLARED)
@given(texts)
@example("Paris")
@example("B")
@example("(b)")
@example('{"answer": 42}')
@example("NaN")
@example("... #### 72")
@example("Answer: 3")
@example("\\boxed{5}")
@example("\xad\u200b")
@example("<think>42</think>")
@example("<think>1</think>2")
@example("not B")
@example("A and B")
def test_a_text_that_is_expected_is_right_and_no_answer_is_not(declared: Any, text: str) -> None:
    assert scored(declared, text, text) in (None, 1.0)
    assert scored(declared, text, "") in (None, 0.0)
    assert (scored(declared, text, text) is None) == bool(
        expected_errors(
            "e",
            EvaluatorDeclaration.model_validate(declared),
            [
                Problem(
                    problem_id="p",
                    payload={"expected": text, "options": ["Paris", "London", "Rome, IT"]},
                )
            ],
        )
    )
