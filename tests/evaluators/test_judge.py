"""Judges: chat models that score answers, apart from the agent in seed, cost and cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import penstock as ps
from penstock.errors import ValidationError
from penstock.evaluators.judge import judge_seed
from penstock.runner import StudyRunner
from penstock.simulator import SimulatedProvider, SimulatorOptions
from penstock.study.spending import Budget
from tests.builders import make_study
from tests.models.loopback import ANSWER, http_server
from tests.models.studies import PRICE, chat, chat_study, rows

pytestmark = pytest.mark.anyio


class Models:
    """An agent's model and a judge's behind one endpoint."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.verdicts: list[str] = []
        self.finish_reasons: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        text = "42"
        is_judge = body["model"] == "judge-model"
        if is_judge:
            text = self.verdicts.pop(0) if self.verdicts else "Good. Score: 7"

        ended = self.finish_reasons.pop(0) if is_judge and self.finish_reasons else "stop"
        choice = {"message": {"content": text}, "finish_reason": ended}
        return web.json_response(ANSWER | {"choices": [choice]})

    def asked(self, model: str) -> list[dict[str, Any]]:
        return [body for body in self.bodies if body["model"] == model]


def judged_study(tmp_path: Path, url: str, judge: dict[str, Any], **fields: Any) -> ps.Study:
    declared = {
        "base_url": url,
        "model": "judge-model",
        "max_tokens": 20,
        "prompt": "{{ problem.brief }} was answered with {{ answer }}. Score it.",
        **judge,
    }
    prices = {"some-model": PRICE, "judge-model": PRICE}
    evaluators = {"grade": {"judge": declared}}
    return chat_study(
        tmp_path, chat(url, seed=True), evaluators=evaluators, **({"prices": prices} | fields)
    )


async def run(study: ps.Study, **options: Any) -> ps.StudyResult:
    return await ps.arun_study(study, show_progress=False, **options)


async def test_a_judge_scores_an_answer_with_a_seed_and_a_cost_of_its_own(tmp_path: Path) -> None:
    models = Models()
    async with http_server(models.answer) as url:
        results = await run(judged_study(tmp_path, url, {"seed": True}))

    (score,) = results[0].evaluations
    assert (score.evaluator_id, score.metric_name, score.metric_value) == ("grade", "grade", 7.0)
    assert json.loads(score.notes_json)["reply"] == "Good. Score: 7"
    asked = models.asked("judge-model")
    assert asked[0]["messages"][0]["content"] == "What is 6 x 7? was answered with 42. Score it."
    seeds = {result.spec.seed for result in results}
    assert {body["seed"] for body in asked} == {judge_seed(seed, "grade") for seed in seeds}
    assert not {body["seed"] for body in asked} & seeds

    one_usd = pytest.approx((12 * 1000 + 3 * 2000) / 1e6)
    assert results[0].metrics["cost_usd"] == one_usd
    assert results[0].metrics["judge_cost_usd"] == one_usd
    assert results[0].metrics["judge_input_tokens"] == 12
    assert results.summary.cost_usd == pytest.approx(4 * 0.018)
    assert results[0].metrics["primary_outcome"] == 7.0


async def test_a_judge_asks_again_where_its_reply_holds_no_score(tmp_path: Path) -> None:
    models = Models()
    models.verdicts = ["I cannot say."]
    async with http_server(models.answer) as url:
        results = await run(judged_study(tmp_path, url, {}, run_budget={"parallelism": 1}))

    assert [result.evaluations[0].metric_value for result in results] == [7.0, 7.0]
    assert len(models.asked("judge-model")) == 3
    assert len(models.asked("some-model")) == 2, "the answer is not paid for twice"
    assert sum(result.metrics["judge_input_tokens"] for result in results) == 36


async def test_an_answer_whose_judge_fails_is_kept_and_scored_in_the_next_session(
    tmp_path: Path,
) -> None:
    models = Models()
    async with http_server(models.answer) as url:
        study = judged_study(tmp_path, url, {"pattern": "Score: (7)", "on_truncated": "fail"})
        models.verdicts = ["no"] * 10
        first = await run(study)
        assert first.summary.failed == 2
        second = await run(study)

    assert second.summary.succeeded == 2
    assert len(models.asked("some-model")) == 2
    assert [result.metrics["judge_input_tokens"] for result in second] == [72, 72]
    assert second.summary.session.cost_usd == pytest.approx(2 * 0.018), "what this session cost"
    assert second.summary.cost_usd == pytest.approx(2 * 0.018 + 12 * 0.018)
    (row,) = rows(study, "SELECT total(judge_cost_usd) AS judges FROM attempts")
    assert row["judges"] == pytest.approx(12 * 0.018)


async def test_a_budget_that_a_judge_exhausts_keeps_the_answers_already_paid_for(
    tmp_path: Path,
) -> None:
    models = Models()
    async with http_server(models.answer) as url:
        study = judged_study(
            tmp_path,
            url,
            {},
            budget={"max_cost_usd": 0.1},
            run_budget={"replicates": 10, "parallelism": 1},
        )
        first = await StudyRunner(study, show_progress=False).run()
        assert first.is_out_of_budget
        assert first.cost_usd <= 0.1
        larger = study.model_copy(update={"budget": Budget(max_cost_usd=10)})
        second = await StudyRunner(larger, show_progress=False).run()

    assert second.remaining == 0
    assert second.failed == 0
    assert len(models.asked("some-model")) == 20


async def test_a_judge_has_an_index_of_its_own_in_the_response_cache(tmp_path: Path) -> None:
    models = Models()
    async with http_server(models.answer) as url:
        study = judged_study(tmp_path, url, {}, response_cache="cache.sqlite")
        await run(study)
        asked = len(models.bodies)
        again = await run(study, fresh=True)

    assert len(models.bodies) == asked
    assert again.summary.cost_usd == 0
    assert {json.loads(each.evaluations[0].notes_json)["is_cached"] for each in again} == {True}


async def test_a_name_that_no_judge_may_use_is_an_error_before_any_call(tmp_path: Path) -> None:
    study = judged_study(tmp_path, "http://127.0.0.1:9/v1", {"prompt": "{{ anser }}"})
    with pytest.raises(ValidationError, match="evaluator 'grade': prompt: 'anser' is unknown"):
        StudyRunner(study)


async def test_a_judge_may_name_fields_of_outputs_that_nobody_knows_yet(tmp_path: Path) -> None:
    study = judged_study(
        tmp_path, "http://127.0.0.1:9/v1", {"prompt": "{{ outputs.why.first }}: {{ answer }}"}
    )
    StudyRunner(study)


@pytest.mark.field("models-F2", "studies-A11")
async def test_a_reply_off_the_scale_is_asked_again_and_then_fails_typed(tmp_path: Path) -> None:
    models = Models()
    models.verdicts = ["Score: 70"] * 5
    async with http_server(models.answer) as url:
        study = judged_study(tmp_path, url, {"scale": [1, 10]}, run_budget={"parallelism": 1})
        first, second = await run(study)

    assert first.error is not None
    assert (first.error.kind, first.error.stage) == ("UnclearVerdictError", "evaluator")
    assert "the reply says 70, which is not on the scale 1 to 10" in first.error.message
    assert first.outputs == {"text": "42"}, "the answer is kept"
    assert second.evaluations[0].metric_value == 7.0
    assert len(models.asked("judge-model")) == 6


@pytest.mark.field("models-F2")
async def test_a_reply_that_was_cut_off_is_not_a_score(tmp_path: Path) -> None:
    models = Models()
    models.verdicts = ["The answer covers 2 of the points. Score: 1"]
    models.finish_reasons = ["length"]
    async with http_server(models.answer) as url:
        results = await run(judged_study(tmp_path, url, {}, run_budget={"parallelism": 1}))

    assert [result.evaluations[0].metric_value for result in results] == [7.0, 7.0]
    assert len(models.asked("judge-model")) == 3
    assert json.loads(results[0].evaluations[0].notes_json)["finish_reason"] == "stop"


async def test_a_judge_is_told_the_answer_that_a_function_is_given(tmp_path: Path) -> None:
    models = Models()
    judge = {"prompt": "{{ answer }} {{ answer.text }} {{ answer.why }} {{ outputs.text }}"}

    async def agent(ctx: ps.RunContext) -> dict[str, str]:
        return {"text": "42", "why": "so"}

    async with http_server(models.answer) as url:
        study = judged_study(tmp_path, url, judge)
        await run(study, agent_bindings={"gpt": agent})

    assert models.asked("judge-model")[0]["messages"][0]["content"] == "42 42 so 42"


async def test_a_judge_of_json_must_say_which_property_is_the_score(tmp_path: Path) -> None:
    number = {"type": "number"}
    schema = {"type": "object", "properties": {"a": number, "b": number}}
    study = judged_study(tmp_path, "http://127.0.0.1:9/v1", {"json_schema": schema})
    with pytest.raises(ValidationError, match="evaluator 'grade': json_schema: say in `field`"):
        StudyRunner(study)


@pytest.mark.field("studies-B2")
@pytest.mark.virtual_time
@pytest.mark.parametrize(("limit_s", "succeeded"), [(8, 6), (3, 0)])
async def test_a_judge_s_time_is_that_of_its_provider_and_not_of_the_gate(
    tmp_path: Path, limit_s: float, succeeded: int
) -> None:
    async def answer(ctx: ps.RunContext) -> str:
        return "42"

    settings = SimulatorOptions(latency_s=5.0, latency_distribution="constant", answers=("7",))
    async with SimulatedProvider(settings) as provider:
        judge = {"base_url": provider.url, "model": "m", "max_tokens": 9, "prompt": "{{ answer }}?"}
        study = make_study(
            replicates=3,
            evaluators={"grade": {"judge": judge}},
            limits={provider.url: {"max_in_flight": 1}},  # the last one waits for 25 seconds
            execution={"concurrency": 6, "evaluator_timeout_s": limit_s},
            base_dir=tmp_path,
            output_dir="results",
        )
        summary = await StudyRunner(study, agent_bindings={"agent-a": answer}).run()

    assert summary.succeeded == succeeded
    kinds = rows(study, "SELECT error_kind FROM attempts WHERE error_kind IS NOT NULL")
    expected = set() if succeeded else {"EvaluatorTimeoutError"}
    assert {row["error_kind"] for row in kinds} == expected
