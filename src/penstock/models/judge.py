"""Judges: chat models that score answers, apart from the agent in seed, cost and cache."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from random import Random
from typing import Any

import anyio
import jinja2

from penstock._base.json import encode
from penstock.agents.context import RunContext
from penstock.models.calls import Caller
from penstock.models.chat_agent import checked
from penstock.models.chat_model import Completion, CompletionRequest
from penstock.models.model_errors import MalformedResponseError, ModelError
from penstock.models.prompts import scope_of
from penstock.models.request_template import RequestTemplate
from penstock.results import Evaluation
from penstock.study.chat import JudgeOptions
from penstock.study.execution import Retry

__all__ = ["Judge", "judge_seed", "stand_in_answer"]

_RETRY = Retry(attempts=5, wait_s=1.0, max_wait_s=30.0)


class Judge:
    """Scores the answer of a run by a call of a chat model: the last number of the reply.

    The scheduler tries a run again whose agent failed; an answer that is there must not be paid
    for twice, so a judge tries its own calls again, up to five times.

    Args:
        name: The evaluator's name.
        template: Makes the request of each run.
        options: How the score is found in the reply.
        caller: Calls the model.
    """

    def __init__(
        self, name: str, template: RequestTemplate, options: JudgeOptions, caller: Caller
    ) -> None:
        self._name = name
        self._metric = options.metric_name or name
        self._template = template
        self._pattern = re.compile(options.pattern)
        self._caller = caller

    async def __call__(self, ctx: RunContext, outputs: Mapping[str, Any]) -> tuple[Evaluation, ...]:
        """Score.

        Raises:
            ModelError: there is no score.
            BudgetExhaustedError: the study's budget does not allow the call.
        """
        scope = scope_of(ctx.spec, ctx.problem, ctx.condition, ctx.attempt, **_judged(outputs))
        seed = judge_seed(ctx.seed, self._name)
        request = self._template.fill_in(scope, seed)
        jitter = Random(seed)  # noqa: S311 - spreads waits, hides nothing
        for tries in range(1, _RETRY.attempts + 1):
            try:
                completion = await self._caller.complete(ctx, request, f"{self._name}:{tries}")
                score = self._score(completion)
                break
            except ModelError as error:
                if not error.retryable or tries == _RETRY.attempts:
                    raise

                if isinstance(error, MalformedResponseError):
                    continue  # the provider is well, its reply was not

                with ctx.waiting():
                    await anyio.sleep(_RETRY.backoff_s(tries, jitter.random(), error.retry_after_s))

        return (self._evaluation(ctx, request, completion, score),)

    def _score(self, completion: Completion) -> float:
        """Find the score in a reply.

        Raises:
            MalformedResponseError: there is none.
        """
        checked(self._template, completion)
        found = list(self._pattern.finditer(completion.text))
        try:
            return float(found[-1][found[-1].lastindex or 0])
        except (IndexError, ValueError, TypeError):
            raise MalformedResponseError(
                f"{self._template.who}: there is no score in the reply {completion.text[-80:]!r}"
            ) from None

    def _evaluation(
        self, ctx: RunContext, request: CompletionRequest, completion: Completion, score: float
    ) -> Evaluation:
        notes = {
            "model_name": completion.model or request.model,
            "model_provider": self._caller.provider,
            "request_id": completion.request_id,
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


def _judged(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a judge's templates may name beside those of an agent."""
    text = outputs.get("text")
    return {"answer": text if isinstance(text, str) else encode(dict(outputs)), "outputs": outputs}


def stand_in_answer() -> dict[str, Any]:
    """Give what stands for an answer while a study is checked: whatever is read of it is empty."""
    return {"answer": "", "outputs": jinja2.ChainableUndefined()}


def judge_seed(seed: int, name: str) -> int:
    """Derive the seed of a judge from the run's: each judge draws apart from agent and others."""
    digest = sha256(f"judge:{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % (2**31 - 1)
