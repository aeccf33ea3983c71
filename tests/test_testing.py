"""What third parties test their extensions with lets good ones pass and says what is wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import penstock as ps
from penstock.designs import Design
from penstock.errors import ValidationError
from penstock.events import StudyFinished
from penstock.models.chat_model import ChatMessage, ChatModel, Completion, CompletionRequest
from penstock.models.model_errors import OverloadedError
from penstock.testing import (
    FakeChatModel,
    check_agent,
    check_chat_model,
    check_design,
    check_evaluator,
    check_subscriber,
    small_study,
)

REQUEST = CompletionRequest(model="m", messages=(ChatMessage(role="user", content="6 x 7 ?"),))


@pytest.mark.anyio
async def test_a_fake_model_answers_and_fails_as_it_is_told() -> None:
    whole = Completion(text="whole")
    model: ChatModel = (fake := FakeChatModel("forty two", OverloadedError("busy"), whole))
    first = await model.complete(REQUEST)
    assert (first.text, first.model, first.finish_reason) == ("forty two", "m", "stop")
    assert (first.usage.input_tokens, first.usage.output_tokens) == (4, 2)
    with pytest.raises(OverloadedError, match="busy"):
        await model.complete(REQUEST)

    assert await model.complete(REQUEST) is whole
    with pytest.raises(AssertionError, match="has 3 answers"):
        await model.complete(REQUEST)

    assert fake.requests == [REQUEST] * 4


async def draws(ctx: ps.RunContext) -> str:
    await anyio.lowlevel.checkpoint()
    return f"{ctx.condition['tone']} {ctx.rng.random()}"


def test_a_good_agent_passes_and_its_results_are_returned() -> None:
    results = check_agent(draws)
    assert len({result.outputs["text"] for result in results}) == len(results) == 10
    study = small_study(agents={"one": draws, "two": draws})
    assert {result.spec.agent_id for result in check_agent(draws, study)} == {"one", "two"}


def test_an_agent_that_fails_or_returns_what_cannot_be_stored_does_not_pass() -> None:
    for agent, why in [
        (lambda ctx: 1 / 0, "ZeroDivisionError"),
        (lambda ctx: object(), "cannot be stored"),
        (lambda ctx: None, "return its answer"),
    ]:
        with pytest.raises(AssertionError, match=why):
            check_agent(agent)


def test_an_agent_that_answers_otherwise_beside_others_does_not_pass() -> None:
    calls = itertools.count()

    def counts(ctx: ps.RunContext) -> str:
        return str(next(calls))

    with pytest.raises(AssertionError, match="and beside others"):
        check_agent(counts)

    assert check_agent(counts, is_repeatable=False)


@pytest.mark.anyio
async def test_a_good_chat_model_passes_and_its_answer_is_returned() -> None:
    model = FakeChatModel(*["42"] * 11)
    assert (await check_chat_model(model, REQUEST)).text == "42"
    assert len(model.requests) == 11


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (OverloadedError("busy"), "raises OverloadedError: busy"),
        (Completion(text=""), "has no answer"),
        (Completion(text="42", finish_reason="enough"), "'enough' is not in"),
        (Completion(text="42", finish_reason="stop"), "are not counted"),
        ("", "has no answer"),
    ],
)
async def test_a_chat_model_whose_answer_says_too_little_does_not_pass(
    answer: Any, why: str
) -> None:
    with pytest.raises(AssertionError, match=why):
        await check_chat_model(FakeChatModel(answer), REQUEST)


@pytest.mark.anyio
async def test_a_chat_model_that_keeps_to_no_port_does_not_pass() -> None:
    class Texts:
        async def complete(self, request: CompletionRequest) -> Any:
            if request is not REQUEST:
                raise KeyError("text")

            return "42"

    with pytest.raises(AssertionError, match="returns a str, not a Completion"):
        await check_chat_model(Texts(), REQUEST)

    with pytest.raises(AssertionError, match="not a ModelError: KeyError"):
        await check_chat_model(Texts(), REQUEST.model_copy(update={"model": "other"}))


def test_a_good_evaluator_passes_and_its_scores_are_returned() -> None:
    def distance(answer: str, problem: ps.Problem) -> float:
        return float(problem.payload["expected"]) - float(answer)

    assert check_evaluator(distance, "40") == {"checked": 2.0}
    other = ps.Problem(problem_id="other", payload={"expected": 50})
    assert check_evaluator(distance, "40", other) == {"checked": 10.0}


def test_an_evaluator_that_raises_or_returns_no_score_does_not_pass() -> None:
    with pytest.raises(AssertionError, match="could not convert"):
        check_evaluator(float, "forty")

    with pytest.raises(AssertionError, match="the evaluator fails"):
        check_evaluator(lambda answer: "good", "40")


def test_an_evaluator_that_changes_its_mind_does_not_pass() -> None:
    scores = itertools.count()
    with pytest.raises(AssertionError, match="and the next time"):
        check_evaluator(lambda answer: next(scores), "40")


def rows(study: ps.Study, spec: ps.DesignSpec) -> Iterator[dict[str, Any]]:
    for factor in study.factors:
        yield {factor.name: factor.values()[0]}


def test_a_good_design_passes_and_its_conditions_are_returned() -> None:
    (condition,) = check_design(rows)
    assert condition["tone"] == "plain"
    assert check_design(Design(kind="first", rows=rows)) == [condition]


def test_a_design_without_rows_or_with_other_rows_the_next_time_does_not_pass() -> None:
    tones = itertools.cycle(["plain", "polite"])
    with pytest.raises(AssertionError, match="has no rows"):
        check_design(lambda study, spec: [])

    with pytest.raises(AssertionError, match="built again"):
        check_design(lambda study, spec: [{"tone": next(tones)}])

    with pytest.raises(ValidationError, match="colour"):
        check_design(lambda study, spec: [{"colour": "red"}])


def test_a_design_does_not_pass_with_what_it_does_not_honour() -> None:
    study = small_study(design_spec=ps.DesignSpec(center_points=1))
    with pytest.raises(AssertionError, match="center_points"):
        check_design(rows, study)


def test_a_good_subscriber_passes_and_hears_the_study_to_its_end() -> None:
    heard = []

    async def subscriber(stream: ps.EventStream) -> None:
        heard.extend([event async for event in stream])

    events = check_subscriber(subscriber)
    assert isinstance(heard[-1], StudyFinished)
    assert heard == events


def test_a_subscriber_that_raises_does_not_pass() -> None:
    async def subscriber(stream: ps.EventStream) -> None:
        async for _ in stream:
            raise ValueError("full")

    with pytest.raises(AssertionError, match="full"):
        check_subscriber(subscriber)
