"""Judges: chat models that score answers, apart from the agent in seed, cost and cache."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from random import Random
from typing import Any

import anyio

from penstock._base.json import encode
from penstock._base.threads import WorkerThreads
from penstock.agents.context import RunContext
from penstock.errors import ValidationError
from penstock.evaluators.judge_replies import NoScoreError, read_score
from penstock.evaluators.patterns import PATIENT_S, QUICK_S
from penstock.evaluators.port import answer_of
from penstock.models.calls.elsewhere import ModelCaller
from penstock.models.chat_agent import checked
from penstock.models.chat_model import Completion, CompletionRequest
from penstock.models.declared import DeclaredModels
from penstock.models.endings import Ending, ending_of
from penstock.models.model_errors import MalformedResponseError, ModelError
from penstock.models.prompts.asking import Asking
from penstock.models.prompts.images import ImageFile
from penstock.models.prompts.prompts import scope_of, stand_in_answer
from penstock.models.prompts.request_template import RequestTemplate
from penstock.planning.plan import RunSpec
from penstock.results import Evaluation
from penstock.study.chat import JudgeOptions
from penstock.study.conditions import Condition
from penstock.study.execution import Retry
from penstock.study.problem import Problem

__all__ = ["Judge", "UnclearVerdictError", "bind_judge", "judge_seed"]

_ATTEMPTS = 5
_WAITS = Retry(wait_s=1.0, max_wait_s=30.0)


class UnclearVerdictError(MalformedResponseError):
    """A judge's reply gives no score, several, or one that is not on the scale, or was cut off."""


def bind_judge(
    name: str, options: JudgeOptions, models: DeclaredModels, threads: WorkerThreads
) -> Judge:
    """Make a judge of a study.

    Args:
        name: The evaluator's name.
        options: What the study declares.
        models: The study's chat models, whose connections and budget it shares.
        threads: Where patterns are finished that take long.

    Raises:
        ValidationError: it cannot be called as declared, or does not say which property of its
            ``json_schema`` is the score.
    """
    has_fields = options.json_schema is not None and options.pattern is None
    if has_fields and options.score_field is None:
        said = "json_schema: say in `field` which of its properties is the score"
        raise ValidationError([f"evaluator {name!r}: {said}"])

    asking = models.declare(
        f"evaluator {name!r}", options, evaluator_id=name, others=stand_in_answer()
    )
    return Judge(name, asking, options, threads)


class Judge:
    """Scores the answer of a run by a call of a chat model: the score that the reply gives.

    The scheduler tries a run again whose agent failed; an answer that is there must not be paid
    for twice, so a judge tries its own calls again, up to five times.

    Args:
        name: The evaluator's name.
        asking: What each run asks with.
        options: How the score is found in the reply.
        threads: Where patterns are finished that take long.
    """

    def __init__(
        self,
        name: str,
        asking: Asking,
        options: JudgeOptions,
        threads: WorkerThreads,
    ) -> None:
        self._name = name
        self._metric = options.metric_name or name
        self._asking = asking
        self._options = options
        self._threads = threads

    @property
    def shows_images(self) -> bool:
        """Whether it may show an image in any run."""
        return self._asking.shows_images

    def images_of(
        self, spec: RunSpec, problem: Problem, condition: Condition
    ) -> tuple[ImageFile, ...]:
        """Return the files of images that it shows of a run, whatever its answer."""
        return self._asking.image_files(scope_of(spec, problem, condition, **stand_in_answer()))

    async def __call__(self, ctx: RunContext, outputs: Mapping[str, Any]) -> tuple[Evaluation, ...]:
        """Score.

        Raises:
            ModelError: there is no score.
            BudgetExhaustedError: the study's budget does not allow the call.
            PatternTimeoutError: the declared pattern found no end.
        """
        seed = judge_seed(ctx.seed, self._name)
        scope = _scope(ctx, outputs)
        template, caller = self._asking.of(scope)
        request = template.fill_in(scope, seed)
        jitter = Random(seed)  # noqa: S311 - spreads waits, hides nothing
        for tries in range(1, _ATTEMPTS + 1):
            try:
                completion = await caller.complete(ctx, request, f"{self._name}:{tries}")
                score = await self._score(template, completion)
                break
            except ModelError as error:
                if not error.retryable or tries == _ATTEMPTS:
                    raise

                if isinstance(error, MalformedResponseError):
                    continue  # the provider is well, its reply was not

                with ctx.waiting():
                    await anyio.sleep(_WAITS.backoff_s(tries, jitter.random(), error.retry_after_s))

        return (self._evaluation(ctx, caller, request, completion, score),)

    async def _score(self, template: RequestTemplate, completion: Completion) -> float:
        """Read the score in a reply.

        Raises:
            UnclearVerdictError: there is none.
            PatternTimeoutError: the declared pattern found no end.
        """
        checked(template, completion)
        who, reply = self._asking.who, completion.text
        if ending_of(completion.finish_reason) is Ending.CUT:
            raise UnclearVerdictError(
                f"{who}: the reply was cut off at max_tokens={template.options.max_tokens}: "
                f"{reply[-80:]!r}; raise it, or ask for a shorter reply"
            )

        read = partial(read_score, reply, self._options, self._metric)
        try:
            try:
                return read(timeout_s=QUICK_S)
            except TimeoutError:
                patient = partial(read, timeout_s=PATIENT_S)
                score: float = await self._threads.call(patient)
                return score
        except NoScoreError as error:
            raise UnclearVerdictError(f"{who}: the reply {error}") from None

    def _evaluation(
        self,
        ctx: RunContext,
        caller: ModelCaller,
        request: CompletionRequest,
        completion: Completion,
        score: float,
    ) -> Evaluation:
        notes = {
            "model_name": completion.model or request.model,
            "model_provider": caller.provider,
            "request_id": completion.request_id,
            "finish_reason": completion.finish_reason,
            "system_fingerprint": completion.system_fingerprint,
            "is_cached": completion.is_cached,
            "reply": completion.text,
        }
        return Evaluation(
            run_id=ctx.spec.run_id,
            evaluator_id=self._name,
            metric_name=self._metric,
            metric_value=score,
            notes_json=encode({name: value for name, value in notes.items() if value is not None}),
        )


def _scope(ctx: RunContext, outputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Gather what a judge's templates may name in a run."""
    answer = answer_of(outputs)
    return scope_of(
        ctx.spec,
        ctx.problem,
        ctx.condition,
        ctx.attempt,
        answer=answer if isinstance(answer, (str, dict)) else encode(answer),
        outputs=outputs,
    )


def judge_seed(seed: int, name: str) -> int:
    """Derive the seed of a judge from the run's: each judge draws apart from agent and others."""
    digest = sha256(f"judge:{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % (2**31 - 1)
