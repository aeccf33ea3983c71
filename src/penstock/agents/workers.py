"""Agents that run in worker processes, where the global random generators are theirs alone.

A plain function runs in a worker thread, and threads share the process's generators: nothing in
this process can tell their draws apart. In a process of its own a function draws as if it were
alone: both generators are seeded there with the run's seed, before every run.
"""

from __future__ import annotations

import importlib
import inspect
import random
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import partial, reduce, update_wrapper
from importlib.machinery import PathFinder
from typing import Any

import anyio
import anyio.to_process

from penstock._base.crew import not_of_a_person
from penstock.agents.context import RunContext
from penstock.errors import BindingError
from penstock.study.references import load_reference

__all__ = ["SENDABLE", "WorkerFunction", "bind_worker", "in_worker_process"]

SENDABLE = (
    "problem_packet",
    "problem",
    "brief",
    "condition",
    "run_spec",
    "seed",
    "prompt",
    "input",
    "request_id",
)
"""What a function may ask for that runs in another process."""

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class WorkerFunction:
    """A plain function whose author wants it to run in a worker process."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function here, as if it were not marked."""
        return self.function(*args, **kwargs)


def in_worker_process(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a plain function as an agent that runs in a worker process.

    Use it for blocking agents that draw from the global ``random`` or ``numpy.random``, or that
    keep the processor busy: there both generators are seeded with the run's seed before each run.
    There are as many workers as processors. A run that times out or is cancelled ends its worker.

    The function must be importable by name, and may ask by name for any of `SENDABLE`; ``ctx``,
    ``rng`` and ``dependencies`` cannot be sent. What it receives and returns must be picklable.

    Raises:
        BindingError: when the study is bound, if the function is none of this.
    """
    return WorkerFunction(function)


def bind_worker(
    name: str,
    function: Callable[..., Any],
    parameters: Mapping[str, Callable[[RunContext], Any]],
    processes: anyio.CapacityLimiter,
) -> Callable[[RunContext], Coroutine[Any, Any, Any]]:
    """Decide how an agent is called in a worker process.

    Args:
        name: The agent's name in the study, for errors.
        function: The agent.
        parameters: What an agent may ask for, and how it is made.
        processes: Bounds the worker processes.

    Raises:
        BindingError: the function cannot be found, or be given what it asks for, over there.
    """
    place = _place(name, function)
    asked = _asked_for(name, function)

    async def call_in_process(ctx: RunContext) -> Any:
        named = {parameter: parameters[parameter](ctx) for parameter in asked}
        ready = partial(_run, place, ctx.seed, named)
        try:
            return await anyio.to_process.run_sync(ready, cancellable=True, limiter=processes)
        except KeyboardInterrupt as error:
            raise not_of_a_person(error) from None

    return call_in_process


def _asked_for(name: str, function: Callable[..., Any]) -> tuple[str, ...]:
    found = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in found):
        return SENDABLE

    named = [p for p in found if p.kind not in _VARIADIC]
    refused = [
        p.name
        for p in named
        if p.kind is p.POSITIONAL_ONLY or (p.name not in SENDABLE and p.default is p.empty)
    ]
    if refused:
        raise BindingError(
            f"agent {name!r} asks for {', '.join(refused)}, which cannot be sent to a worker "
            f"process; it may ask by name for: {', '.join(SENDABLE)}"
        )

    return tuple(p.name for p in named if p.name in SENDABLE)


def _place(name: str, function: Callable[..., Any]) -> tuple[str, str]:
    """Return where a worker finds the function: its module, or the module's file, and its name."""
    if not inspect.isfunction(function) or inspect.iscoroutinefunction(function):
        raise BindingError(
            f"agent {name!r} is {function!r}, which is not a plain function; in_worker_process is "
            f"for those only (async functions need no process to be isolated)"
        )

    module, attribute = function.__module__, function.__qualname__
    found: Any
    try:
        found = reduce(getattr, attribute.split("."), sys.modules[module])
    except (AttributeError, KeyError):
        found = None

    if found is not function and getattr(found, "function", None) is not function:
        raise BindingError(
            f"agent {name!r}: a worker process cannot import {attribute!r} from {module!r}; "
            f"in_worker_process needs a function defined at the top of a module"
        )

    file = getattr(sys.modules[module], "__file__", None) or ""
    is_importable = module == "__main__" or "." in module
    is_importable = is_importable or PathFinder.find_spec(module) is not None
    return (module if is_importable else file), attribute


def _run(place: tuple[str, str], seed: int, named: Mapping[str, Any]) -> Any:
    """Run a function as an agent; this happens in the worker."""
    import numpy as np  # noqa: PLC0415 - it is the worker that needs it

    # Ctrl-C in a terminal goes to all processes there; what it means is decided by the first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    module, attribute = place
    if module.endswith(".py"):
        function = load_reference(f"{module}:{attribute}")
    else:
        function = reduce(getattr, attribute.split("."), importlib.import_module(module))

    random.seed(seed)
    np.random.seed(seed % 2**32)
    return function(**named)
