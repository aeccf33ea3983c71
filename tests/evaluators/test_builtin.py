from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import anyio
import numpy as np
import pytest
from pydantic import BaseModel

from penstock._base.threads import WorkerThreads
from penstock.errors import BindingError
from penstock.evaluators import builtin
from penstock.evaluators.builtin import bind_built_in, expected_errors, rule_version
from penstock.study.declarations import EvaluatorDeclaration
from penstock.study.problem import Problem
from tests.builders import make_context

pytestmark = pytest.mark.anyio

THREADS = WorkerThreads()


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


def errors(declared: Any, *expected: Any, **payload: Any) -> list[str]:
    problems = [
        Problem(problem_id=f"p{i}", payload={"expected": value, **payload})
        for i, value in enumerate(expected)
    ]
    return expected_errors("correct", EvaluatorDeclaration.model_validate(declared), problems)


@pytest.mark.field("studies-A5")
@pytest.mark.parametrize("declared", ["exact", "contains", "regex", "number", "choice", "json"])
@pytest.mark.parametrize("nothing", ["", " \n", None])
def test_an_empty_expected_answer_is_an_error_of_every_built_in(
    declared: str, nothing: Any
) -> None:
    (error,) = errors(declared, nothing)

    assert error == f"evaluator 'correct': problem 'p0': the expected answer {nothing!r} is empty"


@pytest.mark.field("studies-A5")
def test_a_missing_expected_answer_is_an_error_unless_the_evaluator_needs_none() -> None:
    problems = [Problem(problem_id="p")]

    def found(declared: Any) -> list[str]:
        return expected_errors("e", EvaluatorDeclaration.model_validate(declared), problems)

    (error,) = found("number")
    assert error.startswith("evaluator 'e': problem 'p' has no expected answer to compare with")
    assert found({"regex": {"pattern": "x"}}) == []
    assert found("agents.py:score") == []
    assert found({"labels": {"file": "labels.csv"}}) == []
    assert found({"judge": {"base_url": "http://j/v1", "model": "m", "prompt": "p"}}) == []


@pytest.mark.field("studies-A1", "studies-A5")
@pytest.mark.parametrize(
    ("declared", "expected", "reason"),
    [
        ("number", "2024-05-05", "is not a single number"),
        ("number", "10:30", "is not a single number"),
        ("number", "1,5", r"declare decimal: ','"),
        ("number", "3 or 7", "is not a single number"),
        ("number", "5-10", "is not a single number"),
        ("number", "many", "is not a single number"),
        ("number", True, "is not a single number"),
        ("number", ["2", "two"], "'two' is not a single number"),
        ("number", "2\u03c0", "is not a single number"),
        ("number", "> 5", "is not a single number"),
        ("number", "sqrt(2)", "is not a single number"),
        ("number", "5!", "is not a single number"),
        ("number", "5\u00b11", "is not a single number"),
        ("number", "1:2", "is not a single number"),
        ("number", "3+4i", "is not a single number"),
        ("number", float("nan"), "is not a single number"),
        ("exact", {"a": 1}, "is not a text, a number, true or false, or a list of them"),
        ("exact", [], "is empty"),
        ("exact", ["42", ""], "holds an empty text"),
        ("exact", [["42"]], "is not a text, a number"),
        ({"exact": {"punctuation": "ignore"}}, "...", "is empty without what these options leave"),
        ("choice", "Berlin", "is neither the letter nor the text of one option"),
        ("choice", 1, "say count_from: 0 or count_from: 1"),
        ({"choice": {"count_from": 1}}, 0, "is not the place of an option"),
        ("json", "Paris", "is not JSON with fields to compare"),
        ("json", {}, "is empty"),
        ({"json": {"fields": ["a", "b"]}}, {"a": 1}, "lacks b, which `fields` compares"),
        ({"json": {"fields": ["a", "b"]}}, "42", "is not JSON with fields to compare"),
    ],
)
def test_an_expected_answer_that_cannot_be_compared_with_is_an_error(
    declared: Any, expected: Any, reason: str
) -> None:
    (error,) = errors(declared, expected, options=["Paris", "London"])

    assert error.startswith("evaluator 'correct': problem 'p0': the expected answer ")
    assert reason in error


@pytest.mark.parametrize("options", ["Paris", 7, [{"label": "A"}] * 30])
def test_options_that_cannot_be_read_are_an_error(options: Any) -> None:
    (error,) = errors("choice", "A", options=options)

    assert "problem 'p0' has options that cannot be read; make payload.options a list" in error


def test_the_other_decimal_mark_is_hinted_at_where_the_text_has_it() -> None:
    (found,) = errors("number", "1,5 or so,")
    assert found.endswith("is not a single number (if decimals follow ',', declare decimal: ',')")


def test_errors_of_many_problems_are_counted_and_not_all_said() -> None:
    found = errors("number", *["1"] * 3, *["many"] * 1000, None)

    assert found == [
        (
            "evaluator 'correct': problem 'p3': the expected answer 'many' is not a single number "
            "(and so in 999 more problems: 'p4', 'p5', 'p6', ...)"
        ),
        "evaluator 'correct': problem 'p1003': the expected answer None is empty",
    ]


def test_a_long_expected_answer_is_cut_in_its_error() -> None:
    (error,) = errors("number", "x" * 10_000)

    assert len(error) < 300


def test_what_is_expected_is_read_once_for_each_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    rule = builtin._RULES["number"]

    def check(options: Any, problem: Problem) -> Any:
        read.append(problem.problem_id)
        return rule.check(options, problem)

    monkeypatch.setitem(builtin._RULES, "number", rule._replace(check=check))
    evaluate = bind_built_in("n", EvaluatorDeclaration.model_validate("number"), THREADS)

    async def score() -> None:
        for name in ("p", "q", "p", "q"):
            problem = Problem(problem_id=name, payload={"expected": "42"})
            await evaluate(make_context(problem=problem), {"text": "42"})

    anyio.run(score)
    assert read == ["p", "q"]


def test_an_answer_of_several_fields_is_not_a_number() -> None:
    with pytest.raises(BindingError, match="the answer has the fields a, b, and a number is one"):
        anyio.run(right, "number", {"a": 1, "b": 2})


class Colour(Enum):
    RED = "red"


@dataclass
class Answered:
    text: str


class Modelled(BaseModel):
    result: int


@pytest.mark.field("studies-A8")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, "red"),
        (Answered("red"), "red"),
        (Modelled(result=42), "42"),
        (np.int64(42), "42"),
        (None, "null"),
        ([1, 2], "[1,2]"),
    ],
)
async def test_a_value_of_python_is_compared_as_what_is_stored_of_it(
    value: Any, expected: str
) -> None:
    assert await right("exact", {"value": value}, expected)


def test_a_rule_has_a_version() -> None:
    def version(declared: Any) -> int:
        return rule_version(EvaluatorDeclaration.model_validate(declared))

    kinds = ("exact", "contains", "regex", "number", "choice", "json")
    assert all(version(kind) >= 1 for kind in kinds)
    assert version({"labels": {"file": "labels.csv"}}) >= 1
    assert version({"judge": {"base_url": "http://j/v1", "model": "m", "prompt": "p"}}) >= 1
    assert version("agents.py:score") == 0
