"""Agents: what shapes they may have, and how each is called.

An agent is ``async def agent(ctx)``. These shapes are accepted too, and which one an agent has is
decided once, from its signature, before the first run:

- ``def agent(ctx)``: runs in a worker thread;
- parameters by name, any of `PARAMETERS`: ``async def agent(problem, seed)``;
- an object with a ``run`` method of either shape; a class, of which each run gets an instance;
- ``per_condition(builder)``: a function from a condition to an agent, called for each run;
- ``in_worker_process(function)``: a plain function that runs in a worker process.

What runs in the event loop is isolated: its run has global random generators of its own.

A plain function with one parameter of another name, or with ``condition`` alone, could be an agent
or a builder: it is refused until `agent` or `per_condition` says which it is.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import nullcontext
from functools import partial
from types import FunctionType, MethodType
from typing import Any, NamedTuple

import anyio

from penstock._base.threads import WorkerThreads
from penstock.agents.context import RunContext
from penstock.agents.isolation import isolated
from penstock.agents.parameters import asked_for, required
from penstock.agents.thread_draws import ThreadDraws
from penstock.agents.workers import WorkerFunction, bind_worker
from penstock.errors import BindingError
from penstock.study.problem import Problem

__all__ = ["PARAMETERS", "BoundAgent", "agent", "bind_agent", "is_async", "per_condition"]

BoundAgent = Callable[[RunContext], Awaitable[Any]]


class _Marked:
    """A function whose author said what it is."""

    def __init__(self, function: Callable[..., Any], *, is_builder: bool) -> None:
        self.function = function
        self.is_builder = is_builder

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def agent(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function of one parameter as an agent that takes the `RunContext`."""
    return _Marked(function, is_builder=False)


def per_condition(builder: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function that takes a `Condition` and returns an agent; it is called for each run."""
    return _Marked(builder, is_builder=True)


def _native(problem: Problem) -> Any:
    return problem.payload.get("problem_object", problem)


PARAMETERS: Mapping[str, Callable[[RunContext], Any]] = {
    "ctx": lambda ctx: ctx,
    "context": lambda ctx: ctx,
    "problem": lambda ctx: _native(ctx.problem),
    "problem_packet": lambda ctx: ctx.problem,
    "brief": lambda ctx: ctx.problem.brief,
    "condition": lambda ctx: ctx.condition,
    "run_spec": lambda ctx: ctx.spec,
    "seed": lambda ctx: ctx.seed,
    "rng": lambda ctx: ctx.rng,
    "prompt": lambda ctx: ctx.problem.payload.get("problem_object", ctx.problem.brief),
    "input": lambda ctx: ctx.problem.payload.get("problem_object", ctx.problem.brief),
    "request_id": lambda ctx: ctx.spec.run_id,
    "dependencies": lambda ctx: {
        "problem_packet": ctx.problem,
        "run_spec": ctx.spec,
        "condition": ctx.condition,
        "seed": ctx.seed,
        "problem": _native(ctx.problem),
    },
}
"""Parameters an agent may ask for by name, and what each receives."""


def bind_agent(
    name: str,
    target: Any,
    threads: WorkerThreads,
    processes: anyio.CapacityLimiter | None = None,
    *,
    isolate_random: bool = True,
    draws: ThreadDraws | None = None,
) -> BoundAgent:
    """Decide how an agent is called.

    Args:
        name: The agent's name in the study, for errors.
        target: The agent, in one of the shapes of this module.
        threads: Where agents run that are plain functions.
        processes: Bounds the worker processes of agents that are to run in one.
        isolate_random: Whether runs have global random generators of their own.
        draws: Says where a plain function draws from those of the process.

    Raises:
        BindingError: it has no shape that can be called, or could have two.
    """
    isolate = isolated if isolate_random else _as_it_is
    processes = processes or anyio.CapacityLimiter(os.cpu_count() or 1)

    def built(builder: Callable[..., Any]) -> BoundAgent:
        return isolate(_built_per_run(name, builder, threads, processes, draws))

    is_marked = isinstance(target, _Marked)
    if is_marked and target.is_builder:
        return built(target.function)

    if isinstance(target, WorkerFunction):
        return bind_worker(name, target.function, PARAMETERS, processes)

    function = target.function if is_marked else target
    if inspect.isclass(function):
        _check_class(name, function)
        return built(lambda _: function())

    has_run = callable(getattr(function, "run", None))
    function = function.run if has_run else function
    if not callable(function):
        raise BindingError(
            f"agent {name!r} is {function!r}, which can neither be called nor has a `run` method"
        )

    arguments = _arguments(name, function, is_agent=is_marked or has_run)
    if is_async(function):
        return isolate(function if arguments == _CONTEXT_ALONE else _called(function, arguments))

    answered = isolate(_answered)

    async def call_in_thread(ctx: RunContext) -> Any:
        ready = partial(function, *arguments.by_position(ctx), **arguments.by_name(ctx))
        with nullcontext() if draws is None else draws.watched(name, ctx):
            answer = await threads.call(ready, ctx.waiting)

        return await answered(ctx, answer) if inspect.isawaitable(answer) else answer

    return call_in_thread


_AsyncFunction = Callable[..., Coroutine[Any, Any, Any]]


def _as_it_is(call: _AsyncFunction) -> _AsyncFunction:
    return call


async def _answered(_: RunContext, answer: Awaitable[Any]) -> Any:
    return await answer


class _Arguments(NamedTuple):
    """What an agent asked for, by position and by name."""

    positional: tuple[Callable[[RunContext], Any], ...] = ()
    named: tuple[tuple[str, Callable[[RunContext], Any]], ...] = ()

    def by_position(self, ctx: RunContext) -> list[Any]:
        return [get(ctx) for get in self.positional]

    def by_name(self, ctx: RunContext) -> dict[str, Any]:
        return {name: get(ctx) for name, get in self.named}


def _called(function: _AsyncFunction, arguments: _Arguments) -> _AsyncFunction:
    return lambda ctx: function(*arguments.by_position(ctx), **arguments.by_name(ctx))


_CONTEXT_ALONE = _Arguments(positional=(PARAMETERS["ctx"],))


def _arguments(name: str, function: Callable[..., Any], *, is_agent: bool) -> _Arguments:
    parameters = _parameters(name, function)
    needed = required(parameters)
    if len(needed) == 1 and not (is_agent or is_async(function)):
        _check_is_no_builder(name, function, needed[0])

    unknown = [p for p in needed if p.name not in PARAMETERS]
    takes_context = len(needed) == 1 and needed[0].kind is not needed[0].KEYWORD_ONLY
    if unknown and not takes_context:
        raise BindingError(
            f"agent {name!r}: `{_signature(function)}` asks for "
            f"{', '.join(p.name for p in unknown)}; an agent may ask for: {', '.join(PARAMETERS)}"
        )

    asked = asked_for(function, parameters, PARAMETERS, offered=PARAMETERS)
    leading = ("ctx",) if unknown else asked.positional
    return _Arguments(
        tuple(PARAMETERS[each] for each in leading),
        tuple((each, PARAMETERS[each]) for each in asked.named),
    )


def _check_is_no_builder(name: str, function: Callable[..., Any], only: inspect.Parameter) -> None:
    is_typed = only.annotation in (RunContext, "RunContext", "ps.RunContext", "penstock.RunContext")
    if is_typed or (only.name in PARAMETERS and only.name != "condition"):
        return

    raise BindingError(
        f"agent {name!r}: `{_signature(function)}` could be an agent or a builder of agents; name "
        "the parameter `ctx` if it is an agent, or say which it is with agent(...) or "
        "per_condition(...)"
    )


def _built_per_run(
    name: str,
    builder: Callable[..., Any],
    threads: WorkerThreads,
    processes: anyio.CapacityLimiter,
    draws: ThreadDraws | None,
) -> _AsyncFunction:
    async def call(ctx: RunContext) -> Any:
        built = builder(ctx.condition)
        made = await built if inspect.isawaitable(built) else built
        # What was built is an agent, whatever the name of its parameter.
        target = made if isinstance(made, (_Marked, WorkerFunction)) else agent(made)
        options: dict[str, Any] = {"isolate_random": False, "draws": draws}  # with its builder
        return await bind_agent(name, target, threads, processes, **options)(ctx)

    return call


def _check_class(name: str, target: type) -> None:
    """Check, before any run, that a class can be instantiated without arguments and called."""
    needed = [p.name for p in required(_parameters(name, target))]
    if needed:
        raise BindingError(
            f"agent {name!r} is the class {target.__qualname__}, which needs "
            f"{', '.join(needed)}; bind an instance, or per_condition(builder)"
        )

    for method in ("run", "__call__"):
        found = next((vars(each)[method] for each in target.__mro__ if method in vars(each)), None)
        if isinstance(found, FunctionType):
            _arguments(name, MethodType(found, target), is_agent=True)

        if found is not None:
            return

    raise BindingError(
        f"agent {name!r} is the class {target.__qualname__}, whose instances can neither be "
        "called nor have a `run` method"
    )


def _parameters(name: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise BindingError(
            f"agent {name!r}: the signature of {function!r} cannot be read; "
            "wrap it in a function of your own"
        ) from error


def _signature(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__name__', type(function).__name__)}{inspect.signature(function)}"


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether calling a function, or an object, gives something to await."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object whose __call__ is async
    )
