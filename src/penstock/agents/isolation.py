"""Isolation: each run has global random generators of its own, and the host keeps its own.

Agents draw from ``random`` and ``numpy.random``, or libraries do that they call. Shared by all that
runs, these would give every run different numbers at every concurrency. So an agent is stepped by
hand: around each step, from one ``await`` to the next, the run's states are put in place and the
host's put back. Steps of one thread never overlap, so a swap is all it takes; loops in several
threads take turns. Where one cannot have its turn, for the other's step does not end, it makes its
step with the generators as they are, and the run says so.

A run starts as ``random.seed(ctx.seed)`` and ``numpy.random.seed(ctx.seed)`` would let it. Tasks
that an agent starts share the states of its run.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - it makes the tasks an agent starts, whoever is asked for them
from abc import abstractmethod
from asyncio import AbstractEventLoop, Task, _get_running_loop  # noqa: TID251
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any, TypeVar

from penstock.agents.context import RunContext
from penstock.agents.global_random import GlobalRandom, global_random

__all__ = ["isolated"]

Answer = TypeVar("Answer")


def isolated(call: Callable[..., Coroutine[Any, Any, Answer]]) -> Callable[..., Awaitable[Answer]]:
    """Return an async function whose every call has global random states of its own.

    Args:
        call: An async function whose first argument is the `RunContext`.
    """
    generators = global_random()  # looked at now, not within the first run

    def call_isolated(ctx: RunContext, *others: Any) -> Awaitable[Answer]:
        return _Run(call(ctx, *others), ctx, generators)

    return call_isolated


_SHARED = (
    "An agent in another thread did not end its step, so this run has not had the global random "
    "generators to itself: what it drew from them is not repeatable. An agent that waits for "
    "another study must await it."
)


class _Stepped(Coroutine[Any, Any, Answer]):
    """A coroutine whose every step is made within the random states of its run.

    It is a coroutine in all else: what is sent, thrown, awaited, returned and raised passes
    through as it is, and whoever inspects it sees the coroutine within.
    """

    __slots__ = ("__weakref__", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, Answer]) -> None:
        self._coroutine = coroutine

    @abstractmethod
    def step(self, move: Callable[..., Any], *arguments: Any) -> Any:
        """Make a step: ``move`` is the send, throw or close of a coroutine."""

    def send(self, value: Any, /) -> Any:
        return self.step(self._coroutine.send, value)

    def throw(self, kind: Any, value: Any = None, traceback: Any = None, /) -> Any:
        if value is None and traceback is None:
            return self.step(self._coroutine.throw, kind)

        return self.step(self._coroutine.throw, kind, value, traceback)

    def close(self) -> None:
        self.step(self._coroutine.close)

    def __await__(self) -> Generator[Any, Any, Answer]:
        return self  # it has what `await` asks for

    def __next__(self) -> Any:
        return self.step(self._coroutine.send, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)  # cr_frame, cr_running, __qualname__, ...


class _Run(_Stepped[Answer]):
    """The coroutine of an agent; the states of its run are in place only while it makes a step."""

    __slots__ = (
        "_ctx",
        "_generators",
        "_has_shared",
        "_host_factory",
        "_is_at_it",
        "_loop",
        "_own",
        "_seed",
    )

    def __init__(
        self, coroutine: Coroutine[Any, Any, Answer], ctx: RunContext, generators: GlobalRandom
    ) -> None:
        self._coroutine = coroutine
        self._ctx = ctx
        self._generators = generators
        self._seed = ctx.seed
        self._has_shared = False
        self._own: Any = None
        self._is_at_it = False
        self._loop: AbstractEventLoop | None = None
        self._host_factory: Any = None

    def step(self, move: Callable[..., Any], *arguments: Any) -> Any:
        if self._is_at_it:  # a task that begins within the step of the task that starts it
            return move(*arguments)

        if self._loop is None:  # or closed by the garbage collector, when the loop is gone
            self._loop = _get_running_loop()

        _, lend, take_back, turn = self._generators
        if not turn.take():
            self._say_shared(turn.patience_s)
            return self._move(move, arguments)

        outer = turn.host
        try:
            lent = lend(self._seed, self._own)
            turn.host = lent.host if outer is None else outer
            try:
                return self._move(move, arguments)
            finally:
                self._own = take_back(lent)
                turn.host = outer

        finally:
            turn.give_back()

    def _move(self, move: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Make a step, in which the agent may start tasks."""
        loop = self._loop
        if loop is None:
            return move(*arguments)

        factory = self._host_factory = loop.get_task_factory()
        start: Any = self._start
        if factory is not None and (construct := _eager_constructor(factory)) is not None:
            start = _create_eager_factory(partial(self._construct, construct))

        loop.set_task_factory(start)
        self._is_at_it = True
        try:
            return move(*arguments)
        finally:
            self._is_at_it = False
            if loop.get_task_factory() is start:  # else the agent has set its own
                loop.set_task_factory(factory)

    def _say_shared(self, waited_s: float) -> None:
        """Warn once that what the run draws from now on may not be its own."""
        if not self._has_shared:
            self._has_shared = True
            self._ctx.log.warning("agent.random_not_isolated", waited_s=waited_s)
            self._ctx.observe("random_not_isolated", _SHARED, level="run", actor_id="penstock")

    def _start(self, loop: AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
        """Start a task that the agent starts: it is part of the run."""
        coroutine = self._part_of(coroutine)
        if self._host_factory is None:
            return Task(coroutine, loop=loop, **options)

        return self._host_factory(loop, coroutine, **options)

    def _construct(self, construct: Callable[..., Any], coroutine: Any, **options: Any) -> Any:
        return construct(self._part_of(coroutine), **options)

    def _part_of(self, coroutine: Any) -> Any:
        if isinstance(coroutine, Coroutine) and not isinstance(coroutine, _Stepped):
            return _Part(coroutine, self)

        return coroutine


_eager_factory: Any = getattr(asyncio, "eager_task_factory", None)  # from Python 3.12 on
_create_eager_factory: Any = getattr(asyncio, "create_eager_task_factory", None)


def _eager_constructor(factory: Any) -> Callable[..., Any] | None:
    """Return what makes the tasks of an eager factory of asyncio's; None for any other.

    anyio knows such a factory by the same signs, and starts no task of a group at once: so what
    takes a factory's place must bear them too.
    """
    if _eager_factory is None or getattr(factory, "__code__", None) is not _eager_factory.__code__:
        return None

    construct: Callable[..., Any] = factory.__closure__[0].cell_contents
    return construct


class _Part(_Stepped[Answer]):
    """The coroutine of a task that an agent starts: it draws from the states of the run."""

    __slots__ = ("_run",)

    def __init__(self, coroutine: Coroutine[Any, Any, Answer], run: _Run[Any]) -> None:
        super().__init__(coroutine)
        self._run = run

    def step(self, move: Callable[..., Any], *arguments: Any) -> Any:
        return self._run.step(move, *arguments)
