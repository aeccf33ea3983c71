"""Functions as evaluators: what they may ask for, and how each is called.

Which parameters a function has is read once, before the first run. A plain function runs in a
worker thread, so that one that takes long holds nobody up; ``async def`` runs in the event loop.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from penstock._base.threads import WorkerThreads
from penstock.agents.context import RunContext
from penstock.agents.parameters import asked_for, required
from penstock.agents.shapes import is_async
from penstock.errors import BindingError
from penstock.evaluators.port import ANSWER_KEYS, BoundEvaluator, answer_of
from penstock.evaluators.scores import ScoreReader
from penstock.results import Evaluation

__all__ = ["PARAMETERS", "bind_evaluator", "bind_problem_evaluator"]

Outputs = Mapping[str, Any]
Argument = Callable[[RunContext, Outputs], Any]

PARAMETERS: Mapping[str, Argument] = {
    "answer": lambda _, outputs: answer_of(outputs),
    "outputs": lambda _, outputs: outputs,
    "problem": lambda ctx, _: ctx.problem,
    "condition": lambda ctx, _: ctx.condition,
    "run_spec": lambda ctx, _: ctx.spec,
    "seed": lambda ctx, _: ctx.seed,
    "rng": lambda ctx, _: ctx.stream("evaluator"),
    "ctx": lambda ctx, _: ctx,
}
"""What an evaluator may ask for by name. A first parameter of any other name is the answer."""


def bind_evaluator(
    name: str, function: Callable[..., Any], threads: WorkerThreads
) -> BoundEvaluator:
    """Decide how a function that a study declares is called.

    Args:
        name: The evaluator's name; a number that it returns is the metric of that name.
        function: The function, or an `penstock.evaluators.port.Evaluator`.
        threads: Where plain functions run.

    Raises:
        BindingError: it cannot be called with what an evaluator may ask for.
    """
    reader = ScoreReader(name, metric_name=name)
    return _bound(function, _arguments(name, function, PARAMETERS["answer"]), reader, threads)


def bind_problem_evaluator(function: Callable[..., Any], threads: WorkerThreads) -> BoundEvaluator:
    """Decide how the evaluator that comes with a problem is called.

    It is given the output that is the answer, or all outputs; a number that it returns is the
    metric ``score``, and in a mapping what is not a number is left out.

    Raises:
        BindingError: it cannot be called with what an evaluator may ask for.
    """
    name = "problem_evaluator"
    reader = ScoreReader(name, metric_name="score", drops_texts=True)
    arguments = _arguments(name, function, _answer_or_outputs, is_first=True)
    return _bound(function, arguments, reader, threads)


def _answer_or_outputs(_: RunContext, outputs: Outputs) -> Any:
    return next((outputs[key] for key in ANSWER_KEYS if key in outputs), outputs)


class _Arguments(NamedTuple):
    """What a function asks for, by position and by name."""

    positional: tuple[Argument, ...]
    named: tuple[tuple[str, Argument], ...]

    def call(
        self, function: Callable[..., Any], ctx: RunContext, outputs: Outputs
    ) -> Callable[[], Any]:
        """Fill in the arguments for a run."""
        given = [argument(ctx, outputs) for argument in self.positional]
        return partial(
            function, *given, **{name: argument(ctx, outputs) for name, argument in self.named}
        )


def _bound(
    function: Callable[..., Any],
    arguments: _Arguments,
    reader: ScoreReader,
    threads: WorkerThreads,
) -> BoundEvaluator:
    runs_in_loop = is_async(function)

    async def evaluate(ctx: RunContext, outputs: Outputs) -> Sequence[Evaluation]:
        call = arguments.call(function, ctx, outputs)
        scores = await (call() if runs_in_loop else threads.call(call, ctx.waiting))
        if not runs_in_loop and inspect.isawaitable(scores):
            scores = await scores

        return tuple(reader.rows(scores, ctx.spec.run_id))

    return evaluate


def _arguments(
    name: str, function: Callable[..., Any], answer: Argument, *, is_first: bool = False
) -> _Arguments:
    """Read what a function asks for; ``is_first`` says that its first parameter is the answer."""
    parameters = _parameters(name, function)
    known: dict[str, Argument] = {**PARAMETERS, "answer": answer}
    first = parameters[0]
    if is_first or (first.name not in known and all(p.name != "answer" for p in parameters)):
        known[first.name] = answer

    unknown = [p.name for p in required(parameters) if p.name not in known]
    if unknown:
        raise BindingError(
            f"evaluator {name!r} asks for {', '.join(unknown)}; after the answer an evaluator "
            f"may ask for: {', '.join(PARAMETERS)}"
        )

    asked = asked_for(function, parameters, known, offered=PARAMETERS)
    positional = tuple(known[each] for each in asked.positional)
    if first.kind is first.VAR_POSITIONAL:
        positional = (answer,)

    return _Arguments(positional, tuple((each, known[each]) for each in asked.named))


def _parameters(name: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    if not callable(function):
        raise BindingError(f"evaluator {name!r} is {function!r}, which cannot be called")

    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # some of those that are written in C do not tell
        parameters = [inspect.Parameter("answer", inspect.Parameter.POSITIONAL_ONLY)]

    if not parameters:
        raise BindingError(f"evaluator {name!r} must take the answer as its first parameter")

    return parameters
