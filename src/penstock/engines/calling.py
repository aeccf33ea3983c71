"""The worker's side of calls of models: its agents' calls are made by the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import count
from typing import Any

import anyio

from penstock.agents.context import RunContext
from penstock.engines.call_errors import raised_again
from penstock.engines.messages import Answer, Ask, Drop, FromWorker, Turn
from penstock.models.calls.elsewhere import Endpoint
from penstock.models.calls.kept_call import LeftCall
from penstock.models.chat_model import Completion, CompletionRequest

__all__ = ["Calling"]


class Calling:
    """Has the calls of a worker's agents made by its driver.

    Args:
        endpoints: Caller -> whom it calls.
        say: Says something to the driver.
        answered_in_s: How long the driver has to say what came of a call that was dropped.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        say: Callable[[FromWorker], None],
        answered_in_s: float,
    ) -> None:
        self.endpoints = endpoints
        self._say = say
        self._answered_in_s = answered_in_s
        self._leases: dict[tuple[str, int], int] = {}
        self._calls: dict[int, _Asked] = {}
        self._numbers = count(1)

    def begin(self, lease: int, ctx: RunContext) -> None:
        """Know an attempt by its lease."""
        self._leases[ctx.spec.run_id, ctx.attempt] = lease

    def end(self, ctx: RunContext) -> None:
        """Forget an attempt."""
        self._leases.pop((ctx.spec.run_id, ctx.attempt), None)

    async def call(
        self, ctx: RunContext, caller: str, request: CompletionRequest, index: str | None
    ) -> Completion:
        """Have a call made; what it records is recorded here too."""
        number, lease = next(self._numbers), self._leases[ctx.spec.run_id, ctx.attempt]
        asked = self._calls[number] = _Asked(ctx)
        try:
            with asked.turn:
                who = {"caller": caller, "evaluator_id": ctx.calls.evaluator_id}
                self._say(Ask(lease=lease, call=number, **who, request=request, place=index))
                try:
                    await asked.is_answered.wait()
                except BaseException:
                    self._say(Drop(lease=lease, call=number))
                    with anyio.move_on_after(self._answered_in_s, shield=True):
                        await asked.is_answered.wait()

                    raise
                finally:
                    asked.record()
        finally:
            del self._calls[number]

        return asked.outcome()

    def hear(self, message: Turn | Answer) -> None:
        """Do what the driver says of a call."""
        asked = self._calls.get(message.call)
        if asked is None:
            return

        if isinstance(message, Answer):
            asked.answer = message
            asked.is_answered.set()
        elif message.waits:
            asked.wait()
        else:
            asked.turn.close()


class _Asked:
    """A call that the driver makes; while it waits there, the time of its agent does not pass."""

    def __init__(self, ctx: RunContext) -> None:
        self.is_answered = anyio.Event()
        self.answer: Answer | None = None
        self.turn = ExitStack()
        self._ctx = ctx

    def wait(self) -> None:
        """Let no time pass for the agent, until `turn` is closed."""
        self.turn.enter_context(self._ctx.waiting())

    def record(self) -> None:
        """Record here what the call has recorded there."""
        if self.answer is None:
            return

        for metrics in self.answer.recorded:
            self._ctx.record(**metrics)

        calls = self._ctx.calls
        calls.refused_before = self.answer.refused_before
        calls.has_failed_in_passing = self.answer.has_failed_in_passing
        if self.answer.left and calls.left is None:
            calls.left = {
                (str(place), 0): LeftCall("", messages, _NOTHING)
                for place, messages in enumerate(self.answer.left)
            }

    def outcome(self) -> Completion:
        """Return or raise what came of the call."""
        answer: Any = self.answer
        if answer.error is not None:
            raise raised_again(answer.error)

        completion: Completion = answer.completion
        return completion


_NOTHING = Completion(text="")
