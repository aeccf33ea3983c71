"""The driver's side of calls of models: it makes those that its workers ask for.

Gates, the budget, the response cache and the calls that are kept are those of a study without
workers, and hold for all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from penstock._base.loop import OwnTask
from penstock.agents.context import RunContext
from penstock.engines.call_errors import told_of
from penstock.engines.leased import Leased, Worker
from penstock.engines.messages import Answer, Ask, Turn
from penstock.errors import StudyCancelled
from penstock.models.calls.elsewhere import ModelCaller

__all__ = ["Answering"]


class Answering:
    """Makes calls of models for workers.

    Args:
        callers: Who calls, by the names that workers use too.
    """

    def __init__(self, callers: Mapping[str, ModelCaller]) -> None:
        self._callers = callers
        self._calls: dict[int, dict[int, _Call]] = {}

    def ask(self, worker: Worker, leased: Leased, ask: Ask) -> None:
        """Make a call, and tell the worker what comes of it."""
        call = _Call(worker, leased, ask)
        self._calls.setdefault(leased.number, {})[ask.call] = call
        work = call.make(self._callers[ask.caller])
        call.task = OwnTask(
            work, name=f"call {ask.call}", on_end=partial(self._ended, leased, ask.call)
        )

    def drop(self, leased: Leased, number: int) -> None:
        """Cancel a call: its agent does not wait for it any more."""
        call = self._calls.get(leased.number, {}).get(number)
        if call is not None:
            call.task.cancel()

    def lose(self, leased: Leased) -> bool:
        """Cancel the calls of a lost attempt that are not sent; return whether others are.

        What is sent is paid for: its answer is waited for, and given to the next attempt.
        """
        calls = self._calls.get(leased.number, {})
        for call in list(calls.values()):
            if call.ctx.waits:
                call.task.cancel()

        return any(not call.ctx.waits for call in calls.values())

    def cancel(self, leased: Leased) -> None:
        """Cancel every call of an attempt."""
        for call in list(self._calls.get(leased.number, {}).values()):
            call.task.cancel()

    def _ended(self, leased: Leased, number: int) -> None:
        calls = self._calls[leased.number]
        del calls[number]
        if not calls:
            del self._calls[leased.number]

        if leased.lost is not None and all(call.ctx.waits for call in calls.values()):
            leased.is_over.set()


class _Call:
    """A call under way."""

    task: OwnTask

    def __init__(self, worker: Worker, leased: Leased, ask: Ask) -> None:
        self.ctx = _CallContext(leased.attempt.ctx, self._say_turn)
        self._worker = worker
        self._numbers: dict[str, Any] = {"lease": leased.number, "call": ask.call}
        self._ask = ask

    async def make(self, caller: ModelCaller) -> None:
        """Make the call, and say what came of it."""
        ctx, counts = self.ctx, self.ctx.calls
        counts.evaluator_id = self._ask.evaluator_id
        answer: dict[str, Any] = {}
        try:
            answer["completion"] = await caller.complete(ctx, self._ask.request, self._ask.place)
        except BaseException as error:  # noqa: BLE001 - raised where the agent is
            is_cancelled = not isinstance(error, Exception)
            answer["error"] = told_of(StudyCancelled() if is_cancelled else error)

        self._worker.say(
            Answer(
                **self._numbers,
                **answer,
                recorded=tuple(ctx.recorded),
                left=tuple(each.messages for each in (counts.left or {}).values()),
                refused_before=counts.refused_before,
                has_failed_in_passing=counts.has_failed_in_passing,
            )
        )

    def _say_turn(self, waits: bool) -> None:  # noqa: FBT001 - one flag is all that it says
        self._worker.say(Turn(**self._numbers, waits=waits))


class _CallContext(RunContext):
    """A run as one of its calls sees it: what it records goes to the run, and to the worker too.

    Attributes:
        recorded: What the call has recorded.
        waits: Whether it waits, for its turn or for its answer to be saved, and nothing is sent.
    """

    __slots__ = ("_of", "_say_turn", "recorded", "waits")

    def __init__(self, of: RunContext, say_turn: Callable[[bool], None]) -> None:
        super().__init__(of.spec, of.problem, of.condition, of.attempt, calls=of.calls)
        self.metrics = of.metrics
        self.recorded: list[dict[str, Any]] = []
        self.waits = False
        self._of = of
        self._say_turn = say_turn

    def record(self, /, **metrics: Any) -> None:
        """Add to the run's metrics, and note what is to be added where its agent is."""
        self.recorded.append(metrics)
        self._of.record(**metrics)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for a turn; the agent's time does not pass meanwhile."""
        self._turn(waits=True)
        with super().waiting():
            yield

        self._turn(waits=False)

    def _turn(self, *, waits: bool) -> None:
        if waits is not self.waits:
            self.waits = waits
            self._say_turn(waits)
