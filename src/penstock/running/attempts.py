"""Where attempts are made: the port of it, and the plain way, which is here and now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from penstock.evaluators.rules import RuledEvaluator
from penstock.events.tree import Event
from penstock.results import RunResult
from penstock.running.attempt import Attempt
from penstock.running.binding import Bindings
from penstock.running.rescoring import rescore
from penstock.study.hypotheses import Outcome

__all__ = ["Attempts", "AttemptsHere", "Task"]


class Task(NamedTuple):
    """What is to be done in an attempt.

    Args:
        timeout_s: How long the agent may take, in seconds; None for any time.
        on_answer: Told what there is when the answer is, where its evaluators may take long.
        earlier: The attempt whose answer is scored, where no agent is to be called.
        has_scored: The evaluators whose scores of that answer stay.
    """

    timeout_s: float | None = None
    on_answer: Callable[[Attempt, RunResult], None] | None = None
    earlier: RunResult | None = None
    has_scored: frozenset[str] = frozenset()


class Attempts(Protocol):
    """Makes attempts."""

    async def __call__(self, attempt: Attempt, task: Task) -> RunResult:
        """Do what is to be done in an attempt; return what came of it, whatever that is.

        No cancellation is pending or counted afterwards, whoever asked for it.
        """
        ...

    def gate(self) -> Awaitable[None] | None:
        """Return None where there is room for another attempt, else what to wait for."""
        ...

    def note_saved(self, events: Iterable[Event]) -> None:
        """Note that the attempts that events tell of survive a crash."""
        ...


class AttemptsHere:
    """Makes attempts in this event loop.

    Args:
        bindings: What the names of the study stand for.
        outcomes: The study's outcomes.
    """

    def __init__(self, bindings: Bindings, outcomes: Sequence[Outcome]) -> None:
        self._bindings = bindings
        self._outcomes = outcomes

    def __call__(self, attempt: Attempt, task: Task) -> Coroutine[Any, Any, RunResult]:
        """Call the agent and the evaluators, or, where there is an answer, the evaluators alone."""
        spec, bindings = attempt.ctx.spec, self._bindings
        evaluators = bindings.evaluators[spec.problem_id]
        if task.earlier is None:
            return attempt.execute(
                bindings.agents[spec.agent_id],
                evaluators,
                timeout_s=task.timeout_s,
                on_answer=task.on_answer if spec.problem_id in bindings.take_long else None,
            )

        return rescore(
            attempt,
            task.earlier,
            [
                evaluate
                for evaluate in evaluators
                if not (
                    isinstance(evaluate, RuledEvaluator) and evaluate.rule[0] in task.has_scored
                )
            ],
            order=[rule.evaluator_id for rule in bindings.rules(spec.problem_id)],
            outcomes=self._outcomes,
        )

    def gate(self) -> None:
        """Return None: there is room for whatever the scheduler starts."""

    def note_saved(self, events: Iterable[Event]) -> None:
        """Do nothing: nobody else has what was saved."""
