from __future__ import annotations

import threading
from functools import partial
from typing import Any

import anyio
import pytest

from penstock._base.threads import WorkerThreads
from penstock.agents.context import RunContext
from penstock.errors import BindingError
from penstock.evaluators.functions import bind_evaluator, bind_problem_evaluator
from penstock.evaluators.port import Evaluator, Scores
from penstock.results import Evaluation
from tests.builders import make_context

pytestmark = pytest.mark.anyio

THREADS = WorkerThreads()


async def first(function: Any, outputs: dict[str, Any]) -> Any:
    """The first score that a function gives."""
    row, *_ = await bind_evaluator("mine", function, THREADS)(make_context(), outputs)
    return row.metric_value


@pytest.mark.parametrize("key", ["candidate", "state", "answer", "solution", "final_answer", "x"])
async def test_an_evaluator_is_given_the_answer_within_the_outputs(key: str) -> None:
    given: list[Any] = []
    evaluate = bind_evaluator("mine", given.append, THREADS)

    await evaluate(make_context(), {"note": "n", key: 7})
    await evaluate(make_context(), {"text": "t"})

    await evaluate(make_context(), {"value": 42})
    await evaluate(make_context(), {"a": 1, "b": 2})

    assert given == [7, "t", 42, {"a": 1, "b": 2}]


async def test_an_answer_that_is_text_gives_the_other_outputs_as_items() -> None:
    def evaluate(answer: Any) -> dict[str, Any]:
        return {"length": len(answer), "steps": answer["steps"], "none": answer.get("absent", 0)}

    outputs = {"text": "four", "steps": 3}
    rows = await bind_evaluator("mine", evaluate, THREADS)(make_context(), outputs)

    assert {row.metric_name: row.metric_value for row in rows} == {
        "length": 4,
        "steps": 3,
        "none": 0,
    }
    assert await first(lambda answer: answer[0] == "f", outputs) is True


async def test_several_fields_are_a_mapping_that_reads_as_json() -> None:
    assert await first(lambda answer: str(answer) == '{"a":1,"b":null}', {"a": 1, "b": None})
    assert await first(lambda answer: answer["a"], {"a": 1, "b": None}) == 1


async def test_the_order_of_parameters_does_not_matter_where_each_has_a_known_name() -> None:
    def evaluate(problem: Any, answer: Any) -> bool:
        return bool(answer == problem.payload["expected"])

    assert await first(evaluate, {"text": "42"}) is True


async def test_an_evaluator_may_take_the_context_and_the_answer() -> None:
    class Mine:
        async def __call__(self, ctx: RunContext, answer: Any) -> Scores:
            ctx.record(judged=1)
            return {"length": len(answer)}

    evaluator: Evaluator = Mine()
    ctx = make_context()
    (row,) = await bind_evaluator("mine", evaluator, THREADS)(ctx, {"text": "42"})

    assert (row.metric_name, row.metric_value) == ("length", 2)
    assert ctx.metrics["judged"] == 1


async def test_a_function_of_python_s_own_may_be_an_evaluator() -> None:
    assert await first(len, {"text": "four"}) == 4
    assert await first(float, {"text": "0.5"}) == 0.5


async def test_what_a_partial_holds_is_not_asked_for() -> None:
    def evaluate(answer: Any, seed: int) -> int:
        return seed

    assert await first(partial(evaluate, seed=7), {"text": "42"}) == 7


async def test_the_answer_may_be_taken_by_position_alone_or_among_all() -> None:
    def by_position(candidate: Any, /) -> bool:
        return bool(candidate == "42")

    def among_all(*answers: Any) -> bool:
        return answers == ("42",)

    assert await first(by_position, {"text": "42"}) is True
    assert await first(among_all, {"text": "42"}) is True


@pytest.mark.field("studies-B2")
async def test_plain_functions_run_in_threads_and_side_by_side() -> None:
    both = threading.Barrier(2)

    def evaluate(answer: Any) -> float:
        both.wait(10)
        return threading.get_ident() != loop_thread

    loop_thread = threading.get_ident()
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(see_that_it_is_true, evaluate)


async def see_that_it_is_true(evaluate: Any) -> None:
    assert await first(evaluate, {"text": "42"}) is True


async def test_an_async_function_runs_in_the_event_loop() -> None:
    loop_thread = threading.get_ident()

    async def evaluate(answer: Any) -> bool:
        return threading.get_ident() == loop_thread

    assert await first(evaluate, {"text": "42"}) is True
    assert await first(lambda answer, **_: evaluate(answer), {"text": "42"}) is True


async def test_the_evaluator_of_a_problem_is_called_as_its_contract_says() -> None:
    given: list[Any] = []
    evaluate = bind_problem_evaluator(given.append, THREADS)

    await evaluate(make_context(), {"text": "t"})
    await evaluate(make_context(), {"state": 7})
    (row,) = await bind_problem_evaluator(lambda problem: 0.5, THREADS)(make_context(), {})

    assert given == [{"text": "t"}, 7]
    assert (row.evaluator_id, row.metric_name, row.metric_value) == (
        "problem_evaluator",
        "score",
        0.5,
    )


async def test_an_evaluator_may_ask_for_more_by_name() -> None:
    ctx = make_context()
    asked: dict[str, Any] = {}

    def some(answer: Any, problem: Any, *, seed: int, weight: float = 2.0) -> None:
        asked.update(problem=problem, seed=seed, weight=weight)

    def everything(answer: Any, **given: Any) -> None:
        asked.update(given)

    await bind_evaluator("some", some, THREADS)(ctx, {})
    assert asked == {"problem": ctx.problem, "seed": ctx.seed, "weight": 2.0}

    await bind_evaluator("everything", everything, THREADS)(ctx, {"text": "t"})
    assert asked["outputs"] == {"text": "t"}
    assert (asked["condition"], asked["run_spec"]) == (ctx.condition, ctx.spec)


async def test_an_evaluator_may_be_async() -> None:
    async def evaluate(answer: Any) -> float:
        return 0.5

    (row,) = await bind_evaluator("mine", evaluate, THREADS)(make_context(), {})

    assert row == Evaluation(
        run_id=row.run_id, evaluator_id="mine", metric_name="mine", metric_value=0.5
    )


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (42, "42, which cannot be called"),
        (lambda: 1, "must take the answer as its first parameter"),
        (lambda model, answer: 1, "asks for model;"),
        (lambda answer, model: 1, "asks for model; after the answer an evaluator may ask for"),
    ],
)
async def test_what_cannot_be_an_evaluator_is_refused(function: Any, said: str) -> None:
    with pytest.raises(BindingError, match=f"evaluator 'mine'.*{said}"):
        bind_evaluator("mine", function, THREADS)
