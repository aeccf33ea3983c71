"""What a plan's chat models will be asked, and what that may cost, before anything is asked."""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from penstock.models.anthropic.message_body import message_body_of
from penstock.models.chat_model import CompletionRequest, Usage
from penstock.models.endpoints import StudyEndpoints
from penstock.models.gate.prices import Prices
from penstock.models.openai.request_body import body_of
from penstock.models.prompts.images import data_of
from penstock.models.prompts.prompts import PromptError, scope_of, stand_in_answer
from penstock.models.prompts.request_template import RequestTemplate
from penstock.models.prompts.requests import Requests, requests_of
from penstock.models.prompts.tokens import prompt_tokens
from penstock.planning.plan import Plan, RunSpec
from penstock.study.chat import ChatOptions, choices
from penstock.study.model import Study
from penstock.study.model_options import ANTHROPIC, ModelOptions

__all__ = ["Forecast", "PlannedCall", "forecasts", "judging_cost_usd", "planned_calls"]

_MOST_SAMPLES = 1000
_Sample = tuple[RequestTemplate, CompletionRequest, int]
_Use = tuple[str, str, Usage]
"""A model, its endpoint, and tokens."""


class Forecast(NamedTuple):
    """What one agent or judge will use: from its prompts alone to answers as long as they may be.

    Args:
        who: The agent or evaluator.
        calls: How many calls, where none has to be made again.
        low_tokens: Tokens of all prompts, estimated.
        high_tokens: With answers of ``max_tokens`` each; None where they have no bound.
        low_usd: What the prompts cost; None where a price is not known.
        high_usd: What they cost with such answers; None where that is not known.
    """

    who: str
    calls: int
    low_tokens: int
    high_tokens: int | None
    low_usd: float | None
    high_usd: float | None


class PlannedCall(NamedTuple):
    """What an agent or judge will ask in one run, before anything is asked.

    Args:
        base_url: Where it is sent.
        body: The fields of the request's body, as they are sent; the data of an image is only
            described.
        is_judge: Whether it is a judge, whose prompt lacks the answer that there is not yet.
        forecast: What the call will use.
    """

    base_url: str
    body: Mapping[str, Any]
    is_judge: bool
    forecast: Forecast


def planned_calls(plan: Plan, position: int) -> Iterator[PlannedCall]:
    """Yield what the chat agent and the judges of one run will ask, filled in as they will be.

    Args:
        plan: The plan; its study declares the run's problem.
        position: The run's place in it.

    Raises:
        ValidationError: a template cannot be read, or an address is not known.
        PromptError: a template cannot be filled in for this run.
    """
    study, endpoints, spec = plan.study, StudyEndpoints(plan.study), plan.at(position)
    problem = next(each for each in study.problems if each.problem_id == spec.problem_id)
    declared = study.agents.get(spec.agent_id)
    asked = [(f"agent {spec.agent_id!r}", None if declared is None else declared.chat, False)]
    asked += [(f"evaluator {name!r}", each.judge, True) for name, each in study.evaluators.items()]
    for who, options, is_judge in asked:
        if options is None:
            continue

        requests = requests_of(study, who, options)
        others = stand_in_answer() if is_judge else {}
        scope = scope_of(spec, problem, plan.condition_of(spec), **others)
        template = requests.of(scope)
        request = template.fill_in(scope, spec.seed)
        yield PlannedCall(
            endpoints.clients.locate(template.options, request.model),
            _without_data(json.loads(_body_of(template.options, request))),
            is_judge,
            _forecast(plan, requests, endpoints, [position], is_judge=is_judge),
        )


def forecasts(
    plan: Plan, done: Sequence[int] = (), answered: Collection[int] = ()
) -> list[Forecast]:
    """Forecast each chat agent and judge of a plan, from up to 1,000 of its runs.

    Args:
        plan: The plan; of its problems those count that the study declares.
        done: For each position of the plan whether its run is done, and not counted.
        answered: Positions whose answer is kept, so that only judges are asked.

    Raises:
        ValidationError: a template cannot be read, or an address is not known.
    """
    study, endpoints = plan.study, StudyEndpoints(plan.study)
    found = []
    for name in plan.agents():
        declared = study.agents.get(name)
        if declared is not None and declared.chat is not None:
            requests = requests_of(study, f"agent {name!r}", declared.chat)
            left = [at for at in _positions(plan, name, done) if at not in answered]
            found.append(_forecast(plan, requests, endpoints, left))

    for name, evaluator in study.evaluators.items():
        if evaluator.judge is not None:
            requests = requests_of(study, f"evaluator {name!r}", evaluator.judge)
            unscored = _positions(plan, None, done)
            found.append(_forecast(plan, requests, endpoints, unscored, is_judge=True))

    return found


def judging_cost_usd(plan: Plan, name: str, judge: ChatOptions) -> float | None:
    """Return what one answer may cost a judge, by its prompts and, where bounded, longest replies.

    Args:
        plan: The plan whose answers it scores.
        name: The evaluator's name.
        judge: What is declared of it.

    Raises:
        ValidationError: a template cannot be read, or an address is not known.
    """
    requests = requests_of(plan.study, f"evaluator {name!r}", judge)
    positions = _positions(plan, None, ())
    found = _forecast(plan, requests, StudyEndpoints(plan.study), positions, is_judge=True)
    cost_usd = found.low_usd if found.high_usd is None else found.high_usd
    return None if cost_usd is None or not found.calls else cost_usd / found.calls


def _body_of(options: ModelOptions, request: CompletionRequest) -> bytes:
    return message_body_of(request) if options.provider == ANTHROPIC else body_of(request)


def _without_data(value: Any) -> Any:
    """Put what it is in place of the data of an image."""
    if isinstance(value, dict) and value.get("type") == "base64":
        return {**value, "data": f"... ({len(value['data']) * 3 // 4:,} bytes)"}

    if isinstance(value, dict):
        return {name: _without_data(each) for name, each in value.items()}

    if isinstance(value, list):
        return list(map(_without_data, value))

    found = data_of(value) if isinstance(value, str) and value.startswith("data:image/") else None
    if found is None:
        return value

    return f"data:{found.media_type};base64,... ({found.size_bytes:,} bytes)"


def _forecast(
    plan: Plan,
    requests: Requests,
    endpoints: StudyEndpoints,
    positions: Sequence[int],
    *,
    is_judge: bool = False,
) -> Forecast:
    calls = len(positions)
    if not calls:
        return Forecast(requests.who, 0, 0, 0, 0.0, 0.0)

    drawn = positions if calls <= _MOST_SAMPLES else Random(0).sample(positions, _MOST_SAMPLES)  # noqa: S311
    samples = list(_samples(plan, requests, map(plan.at, drawn), is_judge=is_judge))
    if not samples:
        return Forecast(requests.who, calls, 0, None, None, None)

    low, high = [], []
    for template, request, growth in samples:
        asked = prompt_tokens(request)
        answered = request.most_output_tokens or 0
        url = endpoints.clients.locate(template.options, request.model)
        low.append((request.model, url, Usage(input_tokens=asked)))
        grown = Usage(input_tokens=asked + growth, output_tokens=answered)
        high.append((request.model, url, grown))

    scale, prices = calls / len(samples), endpoints.prices
    is_bounded = all(template.is_bounded for template in requests.templates.values())
    return Forecast(
        requests.who,
        calls,
        _tokens(low, scale),
        _tokens(high, scale) if is_bounded else None,
        _cost_usd(low, scale, prices),
        _cost_usd(high, scale, prices) if is_bounded else None,
    )


def _positions(plan: Plan, agent_id: str | None, done: Sequence[int]) -> Sequence[int]:
    """List the positions of an agent's runs, or of all runs, that are not done."""
    positions = array("Q")
    for cell, start in zip(plan.cells, plan.starts, strict=False):
        stride = len(cell.agents) * len(cell.problems)
        if agent_id is None:
            positions.extend(range(start, start + cell.size))
        elif agent_id in cell.agents:
            first = start + cell.agents.index(agent_id) * len(cell.problems)
            for replicate in range(cell.replicates):
                at = first + replicate * stride
                positions.extend(range(at, at + len(cell.problems)))

    return array("Q", (at for at in positions if not done[at])) if done else positions


def _samples(
    plan: Plan, requests: Requests, specs: Iterable[RunSpec], *, is_judge: bool
) -> Iterator[_Sample]:
    """Fill in requests; each with how many tokens it may grow by: a judge's by the answer."""
    study = plan.study
    problems = {problem.problem_id: problem for problem in study.problems}
    others = stand_in_answer() if is_judge else {}
    growths = {name: _longest_answer(study, name) if is_judge else 0 for name in plan.agents()}
    for spec in specs:
        problem = problems.get(spec.problem_id)
        if problem is None:
            continue

        scope = scope_of(spec, problem, plan.condition_of(spec), **others)
        try:
            template = requests.of(scope)
            yield template, template.fill_in(scope, spec.seed), growths[spec.agent_id]
        except PromptError:
            continue  # `check` tells it


def _longest_answer(study: Study, agent_id: str) -> int:
    """Return how many tokens a chat agent may answer; 0 where that is not known."""
    agent = study.agents.get(agent_id)
    if agent is None or agent.chat is None:
        return 0

    most = [each.max_tokens for each in choices(agent.chat, study.models).values()]
    return max((each for each in most if isinstance(each, int)), default=0)


def _tokens(uses: Iterable[_Use], scale: float) -> int:
    return round(scale * sum(usage.input_tokens + usage.output_tokens for _, _, usage in uses))


def _cost_usd(uses: Iterable[_Use], scale: float, prices: Prices) -> float | None:
    total = 0.0
    for model, url, usage in uses:
        cost_usd = prices.cost_usd(model, usage, url)
        if cost_usd is None:
            return None

        total += cost_usd

    return scale * total
