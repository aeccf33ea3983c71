"""What those who extend penstock need in their tests: a fake model, a study, contracts (floor 7).

A check does with what it is given what a study would do with it, returns what came of that, and
raises AssertionError with what is wrong. Nothing else of penstock imports this module, and it
needs no test runner.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio

from penstock.designs.design import Design, RowsFunction, finish
from penstock.designs.registry import spec_errors
from penstock.events.bus import EventStream, Subscriber
from penstock.events.tree import Event, SubscriberFailed
from penstock.models.chat_model import ChatModel, Completion, CompletionRequest, Usage
from penstock.models.endings import ending_of, fault_of
from penstock.models.model_errors import ModelError
from penstock.results import RunResult, RunStatus
from penstock.run import run_study
from penstock.study.conditions import Condition, make_conditions
from penstock.study.factors import Factor, Level
from penstock.study.model import Study
from penstock.study.problem import Problem

__all__ = [
    "FakeChatModel",
    "check_agent",
    "check_chat_model",
    "check_design",
    "check_evaluator",
    "check_subscriber",
    "small_study",
]


class FakeChatModel:
    """A `ChatModel` that gives the answers it is told to, in order.

    Args:
        answers: For each call a text, a whole `Completion`, or a `ModelError` to raise.

    Attributes:
        requests: What it was asked, in order.
    """

    def __init__(self, *answers: str | Completion | ModelError) -> None:
        self.requests: list[CompletionRequest] = []
        self._answers = answers

    async def complete(self, request: CompletionRequest) -> Completion:
        """Return the next answer; a text counts one token a word.

        Raises:
            ModelError: the one that is due.
            AssertionError: there are no more answers.
        """
        self.requests.append(request)
        if len(self.requests) > len(self._answers):
            raise AssertionError(f"the fake model has {len(self._answers)} answers; give it more")

        answer = self._answers[len(self.requests) - 1]
        if isinstance(answer, ModelError):
            raise answer

        if isinstance(answer, Completion):
            return answer

        asked = sum(len(message.text.split()) for message in request.messages)
        usage = Usage(input_tokens=asked, output_tokens=len(answer.split()))
        return Completion(text=answer, model=request.model, finish_reason="stop", usage=usage)


def small_study(**fields: Any) -> Study:
    """Return a study of one factor (``tone``: plain, polite), one problem and one agent.

    Args:
        fields: Fields of the `Study` in place of these or beside them.
    """
    levels = tuple(Level(name=tone, value=tone) for tone in ("plain", "polite"))
    given: dict[str, Any] = {
        "study_id": "small",
        "title": "A small study",
        "factors": (Factor(name="tone", levels=levels),),
        "problems": (Problem(problem_id="p", brief="6 x 7?", payload={"expected": "42"}),),
        "agents": {"solver": _says("42")},
    }
    return Study(**(given | fields))


def check_agent(
    agent: Any, study: Study | None = None, *, is_repeatable: bool = True
) -> list[RunResult]:
    """Run an agent on every run of a study, one by one and again all at once.

    Args:
        agent: A function, an object, or what else a study can name as one; it stands for all
            agents of the study.
        study: The study to run; where not given, `small_study` with five replicates.
        is_repeatable: Whether the same run must be answered alike, as it is where an agent draws
            from the seed of its run; an agent that asks a real model says False.

    Returns:
        The results, in the order of the plan.

    Raises:
        AssertionError: it cannot be called, a run fails, its answer cannot be stored, or the same
            run is answered otherwise beside others.
    """
    study = study or small_study(replicates=5)
    study = study.model_copy(update={"agents": dict.fromkeys(study.agents, agent)})
    alone, beside_others = (_results(study, concurrency=most) for most in (1, 1000))
    for result in (*alone, *beside_others):
        _require(result.status is RunStatus.SUCCESS, f"the agent fails: {result.error}")

    for first, second in zip(alone, beside_others, strict=True):
        _require(
            not is_repeatable or first.outputs == second.outputs,
            f"alone the agent answers {first.outputs}, and beside others {second.outputs}, in the "
            f"run with the seed {first.spec.seed}",
        )

    return alone


async def check_chat_model(model: ChatModel, request: CompletionRequest) -> Completion:
    """Ask a chat model once, and then ten times at once, and return its first answer.

    Args:
        model: The `ChatModel`, open where it is a context manager.
        request: What to ask, for which an answer is expected.

    Raises:
        AssertionError: it raises, or returns what a study would not take for an answer, or whose
            end or tokens it could not tell.
    """
    first = await _completion(model, request)
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(_completion, model, request)

    return first


async def _completion(model: ChatModel, request: CompletionRequest) -> Completion:
    try:
        completion = await model.complete(request)
    except Exception as error:
        kind = "raises" if isinstance(error, ModelError) else "raises what is not a ModelError:"
        raise AssertionError(f"the model {kind} {type(error).__name__}: {error}") from error

    is_one = isinstance(completion, Completion)
    _require(is_one, f"the model returns a {type(completion).__name__}, not a Completion")
    fault = fault_of(completion, request, "the model")
    _require(fault is None, f"the model has no answer: {fault}")
    word = completion.finish_reason
    _require(
        ending_of(word).is_known,
        f"a study cannot tell why the answer ended: finish_reason={word!r} is not in "
        "penstock.models.endings",
    )
    usage = completion.usage
    _require(
        usage.is_estimated or min(usage.input_tokens, usage.output_tokens) > 0,
        f"the tokens of a call are not counted: {usage}; where the provider does not say, "
        "estimate them and say is_estimated",
    )
    return completion


def check_evaluator(
    evaluator: Any, answer: Any, problem: Problem | None = None
) -> dict[str, float | str | None]:
    """Score an answer as a study would, twice, and return the scores by metric.

    Args:
        evaluator: A function, or what else a study can name as one.
        answer: What an agent returned.
        problem: The problem that it answers; where not given, 6 x 7, which expects ``"42"``.

    Raises:
        AssertionError: it cannot be called, it raises, it returns what is not a score, or the
            same answer of the same run is scored otherwise the second time.
    """
    study = small_study(
        factors=(), agents={"solver": _says(answer)}, evaluators={"checked": evaluator}
    )
    if problem is not None:
        study = study.model_copy(
            update={"problems": (problem,), "problem_ids": (problem.problem_id,)}
        )

    first, second = (_scores(*_results(study)) for _ in range(2))
    _require(first == second, f"the same answer is scored {first}, and the next time {second}")
    return first


def check_design(design: Design | RowsFunction, study: Study | None = None) -> list[Condition]:
    """Build a design as a study would, twice, and return its conditions.

    Args:
        design: A `Design`, or a function of rows.
        study: The study with the factors and the `DesignSpec` to build it with; `small_study`,
            where not given.

    Raises:
        AssertionError: there are no rows, or others when it is built again.
        ValidationError: rows that do not name the study's factors, or a `DesignSpec` that the
            design does not honour.
    """
    study = study or small_study()
    made = design if isinstance(design, Design) else Design(kind="checked", rows=design)
    spec = study.design_spec.model_copy(update=dict(made.implies))
    errors = list(spec_errors(study, spec, made))
    _require(not errors, "; ".join(errors))
    first, second = (
        make_conditions(study, finish(study, spec, made, made.rows(study, spec))) for _ in range(2)
    )
    _require(bool(first), "the design has no rows")
    _require(first == second, "the design has other rows, or another order, when it is built again")
    return first


def check_subscriber(subscriber: Subscriber, study: Study | None = None) -> list[Event]:
    """Run a subscriber on a study from its start to its end, and return the events there were.

    Args:
        subscriber: The coroutine function.
        study: The study to run; `small_study`, where not given.

    Raises:
        AssertionError: it raised, and was switched off.
    """
    heard: list[Event] = []

    async def listen(stream: EventStream) -> None:
        heard.extend([event async for event in stream])

    with TemporaryDirectory() as folder:
        run_study(
            study or small_study(),
            output_dir=Path(folder) / "out",
            subscribers=[subscriber, listen],
            show_progress=False,
        )

    failed = [event for event in heard if isinstance(event, SubscriberFailed)]
    _require(not failed, f"the subscriber failed: {failed}")
    return heard


def _require(holds: bool, message: str) -> None:  # noqa: FBT001 - as assert, which -O leaves out
    if not holds:
        raise AssertionError(message)


def _says(answer: Any) -> Any:
    async def solver(ctx: Any) -> Any:  # noqa: ARG001 - the shape of an agent
        return answer

    return solver


def _results(study: Study, *, concurrency: int = 1) -> list[RunResult]:
    with TemporaryDirectory() as folder:
        return [
            *run_study(
                study,
                output_dir=Path(folder) / "out",
                concurrency=concurrency,
                show_progress=False,
                report=False,
            )
        ]


def _scores(result: RunResult) -> dict[str, float | str | None]:
    _require(result.status is RunStatus.SUCCESS, f"the evaluator fails: {result.error}")
    return {row.metric_name: row.metric_value for row in result.evaluations}
