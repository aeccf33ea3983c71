"""Answers as models and people write them, and whether a careful person takes them for right.

Each line of ``answers.jsonl`` was written by hand: the evaluator, what is expected, the answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from penstock._base.json import decode, encode
from penstock._base.threads import WorkerThreads
from penstock.evaluators.builtin import bind_built_in, expected_errors
from penstock.study.declarations import EvaluatorDeclaration
from penstock.study.problem import Problem
from tests.builders import make_context

pytestmark = pytest.mark.anyio

LINES = Path(__file__).with_name("answers.jsonl").read_text(encoding="utf-8").splitlines()
STYLES = [json.loads(line) for line in LINES]


@pytest.mark.field(
    "studies-A1",
    "studies-A2",
    "studies-A4",
    "studies-A8",
    "studies-A10",
    "studies-C12",
    "studies-C14",
)
@pytest.mark.parametrize("style", STYLES, ids=[str(line) for line in range(1, len(STYLES) + 1)])
async def test_an_answer_is_scored_as_a_careful_person_scores_it(style: Mapping[str, Any]) -> None:
    declared = EvaluatorDeclaration.model_validate(style["by"])
    payload = {"expected": style["expected"], **style.get("payload", {})}
    problem = Problem(problem_id="p", payload=payload)
    answer = style["answer"]
    if not isinstance(answer, dict):
        answer = {"text" if isinstance(answer, str) else "value": answer}

    evaluate = bind_built_in("checked", declared, WorkerThreads(1))
    ctx = make_context(problem=problem)
    (now,) = await evaluate(ctx, answer)
    (again,) = await evaluate(ctx, decode(encode(answer)))

    assert now.metric_value == (1.0 if style["right"] else 0.0)
    assert again == now, "an answer that was kept is scored as when it was given"
    assert expected_errors("checked", declared, [problem]) == []


def test_the_table_is_long_enough_and_says_nothing_twice() -> None:
    assert len(STYLES) >= 200
    assert len({*LINES}) == len(LINES)
    assert {EvaluatorDeclaration.model_validate(style["by"]).kind for style in STYLES} == {
        "choice",
        "contains",
        "exact",
        "json",
        "number",
        "regex",
    }
