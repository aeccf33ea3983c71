from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.from_thread
import pytest

import penstock as ps
from penstock._base.threads import WorkerThreads
from penstock.agents import per_condition
from penstock.agents.shapes import PARAMETERS, bind_agent
from penstock.errors import BindingError
from penstock.study.problem import Problem
from tests.builders import make_context

pytestmark = pytest.mark.anyio


async def ask(target: Any, ctx: ps.RunContext | None = None) -> Any:
    return await bind_agent("a", target, WorkerThreads())(ctx or make_context())


async def test_an_async_function_of_the_context_is_an_agent() -> None:
    async def agent(ctx: ps.RunContext) -> str:
        return ctx.problem.brief

    assert await ask(agent) == "What is 6 x 7?"


async def test_a_plain_function_runs_in_a_thread_of_its_own() -> None:
    assert await ask(lambda ctx: threading.get_ident()) != threading.get_ident()


async def test_plain_functions_share_the_threads_they_are_given() -> None:
    threads = WorkerThreads(1)
    started, release = anyio.Event(), threading.Event()

    at_work = most = 0

    def agent(ctx: ps.RunContext) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        anyio.from_thread.run_sync(started.set)
        release.wait(10)
        at_work -= 1

    async def call() -> None:
        await bind_agent("a", agent, threads)(make_context())

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        group.start_soon(call)
        await started.wait()
        await anyio.wait_all_tasks_blocked()
        release.set()

    assert most == 1


async def test_every_parameter_an_agent_may_ask_for_by_name_is_given() -> None:
    ctx = make_context()

    async def agent(  # noqa: PLR0917
        context: Any, problem: Any, problem_packet: Any, brief: Any, condition: Any, run_spec: Any,
        seed: Any, rng: Any, prompt: Any, input: Any, request_id: Any, dependencies: Any,  # noqa: A002
    ) -> dict[str, Any]:  # fmt: skip
        return locals()

    given = await ask(agent, ctx)

    assert {*given, "ctx"} == {*PARAMETERS}
    assert given == {
        "context": ctx,
        "problem": ctx.problem,
        "problem_packet": ctx.problem,
        "brief": "What is 6 x 7?",
        "condition": ctx.condition,
        "run_spec": ctx.spec,
        "seed": ctx.spec.seed,
        "rng": ctx.rng,
        "prompt": "What is 6 x 7?",
        "input": "What is 6 x 7?",
        "request_id": ctx.spec.run_id,
        "dependencies": {
            "problem_packet": ctx.problem,
            "run_spec": ctx.spec,
            "condition": ctx.condition,
            "seed": ctx.spec.seed,
            "problem": ctx.problem,
        },
    }


async def test_a_native_problem_object_goes_to_those_who_ask_for_the_problem() -> None:
    native = object()
    ctx = make_context(
        problem=Problem(problem_id="p", brief="b", payload={"problem_object": native})
    )

    async def agent(problem: Any, problem_packet: Any, prompt: Any, brief: Any) -> tuple[Any, ...]:
        return problem, problem_packet, prompt, brief

    assert await ask(agent, ctx) == (native, ctx.problem, native, "b")


async def test_parameters_with_a_default_are_given_where_they_are_known() -> None:
    async def agent(problem: Any, seed: int = -1, temperature: float = 0.5) -> tuple[int, float]:
        return seed, temperature

    ctx = make_context()

    assert await ask(agent, ctx) == (ctx.seed, 0.5)


async def test_a_first_parameter_of_any_name_is_the_context_and_known_ones_are_still_given() -> (
    None
):
    async def agent(task: Any, seed: int = -1, *, brief: str = "") -> tuple[Any, int, str]:
        return task, seed, brief

    ctx = make_context()

    assert await ask(agent, ctx) == (ctx, ctx.seed, "What is 6 x 7?")


async def test_an_agent_may_take_nothing() -> None:
    async def agent() -> str:
        return "always this"

    assert await ask(agent) == "always this"
    assert await ask(lambda: "and this") == "and this"


async def test_an_agent_with_open_keywords_gets_everything() -> None:
    async def agent(**given: Any) -> set[str]:
        return set(given)

    assert await ask(agent) == set(PARAMETERS)


async def test_positional_only_parameters_are_given_by_position() -> None:
    async def agent(problem: Any, seed: int, /, brief: str) -> tuple[Any, int, str]:
        return problem, seed, brief

    ctx = make_context()

    assert await ask(agent, ctx) == (ctx.problem, ctx.seed, ctx.problem.brief)


async def test_a_positional_only_default_of_the_authors_own_shifts_nothing() -> None:
    async def agent(temperature: float = 0.5, problem: Any = None, /, seed: int = -1) -> Any:
        return temperature, problem, seed

    ctx = make_context()

    assert await ask(agent, ctx) == (0.5, None, ctx.seed)


async def test_a_parameter_may_be_called_name() -> None:
    """The name of an agent and the names of its parameters are two things."""

    async def agent(ctx: Any, name: str = "mine") -> str:
        return name

    assert await ask(agent) == "mine"


class WithRun:
    def __init__(self, mark: str = "run") -> None:
        self.mark = mark

    async def run(self, task: Any) -> tuple[str, Any]:
        return self.mark, task


class WithPlainRun:
    def run(self, brief: str, seed: int) -> tuple[str, int]:
        return brief, seed


class WithAsyncCall:
    async def __call__(self, ctx: Any) -> tuple[str, Any]:
        return "called", ctx


class WithCallOfAnyName:
    def __call__(self, task: Any) -> tuple[str, Any]:
        return "called", task


async def test_an_object_with_a_run_method_is_an_agent() -> None:
    ctx = make_context()

    assert await ask(WithRun("mine"), ctx) == ("mine", ctx)
    assert await ask(WithPlainRun(), ctx) == (ctx.problem.brief, ctx.seed)


async def test_an_object_whose_call_is_async_is_awaited_in_the_event_loop() -> None:
    class Agent:
        async def __call__(self, ctx: Any) -> int:
            return threading.get_ident()

    assert await ask(Agent()) == threading.get_ident()


async def test_a_class_gives_each_run_an_instance_of_its_own() -> None:
    class Counting:
        def __init__(self) -> None:
            self.calls = 0

        async def run(self, ctx: Any) -> int:
            self.calls += 1
            return self.calls

    bound = bind_agent("a", Counting, WorkerThreads())

    assert [await bound(make_context()) for _ in range(3)] == [1, 1, 1]


async def test_instances_of_a_class_may_be_called_with_a_parameter_of_any_name() -> None:
    ctx = make_context()

    assert await ask(WithCallOfAnyName, ctx) == ("called", ctx)
    assert await ask(WithAsyncCall, ctx) == ("called", ctx)
    assert await ask(ps.agent(WithRun), ctx) == ("run", ctx)


async def test_a_class_method_or_static_method_named_run_is_called_as_it_is() -> None:
    class Static:
        @staticmethod
        def run(seed: int) -> int:
            return seed

    class OfClass:
        @classmethod
        async def run(cls, seed: int) -> tuple[type, int]:
            return cls, seed

    ctx = make_context()

    assert await ask(Static, ctx) == ctx.seed
    assert await ask(OfClass, ctx) == (OfClass, ctx.seed)


async def test_a_builder_makes_an_agent_of_each_run_s_condition() -> None:
    def builder(condition: ps.Condition) -> WithRun:
        return WithRun(condition["tone"])

    ctx = make_context(levels=("polite",))

    assert await ask(per_condition(builder), ctx) == ("polite", ctx)


async def test_a_builder_may_be_async_and_return_any_shape() -> None:
    async def builder(condition: ps.Condition) -> Callable[[Any], Any]:
        return lambda task: (condition["tone"], task)

    ctx = make_context(levels=("curt",))

    assert await ask(per_condition(builder), ctx) == ("curt", ctx)
    assert await ask(per_condition(lambda condition: WithRun), ctx) == ("run", ctx)
    assert await ask(per_condition(lambda condition: ps.agent(lambda task: task)), ctx) is ctx


async def test_agent_says_that_a_function_of_one_parameter_is_an_agent() -> None:
    ctx = make_context()

    assert await ask(ps.agent(lambda task: task), ctx) is ctx
    assert await ask(ps.agent(lambda condition: condition), ctx) is ctx.condition


async def test_a_marked_function_can_still_be_called() -> None:
    assert ps.agent(lambda task: task * 2)(21) == 42
    assert per_condition(lambda condition: condition)("c") == "c"


async def test_a_parameter_annotated_as_the_context_needs_no_mark() -> None:
    def agent(task: ps.RunContext) -> ps.RunContext:
        return task

    ctx = make_context()

    assert await ask(agent, ctx) is ctx


@pytest.mark.parametrize("parameter", ["task", "condition", "model"])
async def test_a_function_that_could_be_an_agent_or_a_builder_is_refused(parameter: str) -> None:
    ambiguous = eval(f"lambda {parameter}: None")

    with pytest.raises(BindingError, match=r"agent 'a'.*could be an agent or a builder") as caught:
        bind_agent("a", ambiguous, WorkerThreads(1))

    assert "per_condition" in str(caught.value)


async def test_a_callable_object_that_could_be_a_builder_is_refused() -> None:
    with pytest.raises(BindingError, match="could be an agent or a builder"):
        bind_agent("a", WithCallOfAnyName(), WorkerThreads(1))


async def test_an_async_function_of_a_condition_is_no_builder() -> None:
    async def agent(condition: ps.Condition) -> Any:
        return condition["tone"]

    assert await ask(agent) == "a"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (42, "42, which can neither be called"),
        (ps.agent("text"), "'text', which can neither be called"),  # type: ignore[arg-type]
        (lambda ctx, model: None, "asks for model; an agent may ask for: ctx"),
        (lambda *, task, model: None, "asks for task, model"),
        (partial(lambda a, b: None), "asks for a, b"),
        (dict.fromkeys, "cannot be read|asks for|could be"),
    ],
)
async def test_what_cannot_be_called_is_refused_before_the_first_run(
    target: Any, said: str
) -> None:
    with pytest.raises(BindingError, match=said):
        bind_agent("a", target, WorkerThreads(1))


async def test_a_single_keyword_only_parameter_of_another_name_is_refused() -> None:
    async def agent(*, task: Any) -> None: ...

    with pytest.raises(BindingError, match="asks for task"):
        bind_agent("a", agent, WorkerThreads(1))


async def test_a_signature_that_cannot_be_read_is_refused() -> None:
    class Unreadable:
        __signature__ = "not a signature"

        def __call__(self) -> None: ...

    with pytest.raises(BindingError, match=r"signature of .* cannot be read"):
        bind_agent("a", Unreadable(), WorkerThreads(1))


async def test_a_class_that_cannot_serve_is_refused_before_the_first_run() -> None:
    class NeedsModel:
        def __init__(self, model: str, **options: Any) -> None: ...

        async def run(self, ctx: Any) -> None: ...

    class AsksForTooMuch:
        async def run(self, ctx: Any, model: str) -> None: ...

    class Idle: ...

    for target, said in (
        (NeedsModel, "is the class .*NeedsModel, which needs model; bind an instance"),
        (AsksForTooMuch, "asks for model"),
        (Idle, "whose instances can neither be called"),
    ):
        with pytest.raises(BindingError, match=said):
            bind_agent("a", target, WorkerThreads(1))


async def test_a_class_that_only_takes_open_arguments_needs_nothing() -> None:
    class Open:
        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

        async def run(self, ctx: Any) -> str:
            return "made"

    assert await ask(Open) == "made"


async def test_a_partial_keeps_what_its_author_bound() -> None:
    async def agent(model: str, ctx: Any, seed: int, prompt: str) -> tuple[Any, ...]:
        return model, ctx, seed, prompt

    ctx = make_context()

    assert await ask(partial(agent, "m", seed=7, prompt="mine"), ctx) == ("m", ctx, 7, "mine")


async def test_a_partial_of_open_keywords_keeps_what_its_author_bound() -> None:
    async def agent(**given: Any) -> tuple[Any, Any]:
        return given["seed"], given["ctx"]

    ctx = make_context()

    assert await ask(partial(agent, seed=7), ctx) == (7, ctx)


async def test_a_partial_of_a_plain_function_runs_in_a_thread() -> None:
    def agent(model: str, ctx: Any) -> tuple[str, int]:
        return model, threading.get_ident()

    model, thread = await ask(partial(agent, "m"))

    assert model == "m"
    assert thread != threading.get_ident()


async def test_a_plain_function_that_returns_an_awaitable_is_awaited() -> None:
    async def answer() -> str:
        return "late"

    assert await ask(lambda ctx: answer()) == "late"


@pytest.mark.parametrize("shape", ["async", "plain", "run"])
async def test_a_type_error_inside_an_agent_is_raised_as_itself_after_one_call(shape: str) -> None:
    calls = []

    def fail(ctx: Any) -> None:
        calls.append(ctx)
        raise TypeError("unsupported operand")

    async def fail_async(ctx: Any) -> None:
        fail(ctx)

    class Failing:
        async def run(self, ctx: Any) -> None:
            fail(ctx)

    target = {"async": fail_async, "plain": fail, "run": Failing()}[shape]

    with pytest.raises(TypeError, match="unsupported operand"):
        await ask(target)

    assert len(calls) == 1
