"""Chat agents: declared models that answer runs, and what is recorded of each call."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import penstock as ps
from penstock.errors import ForeignDirectoryError, ValidationError
from penstock.runner import StudyRunner
from penstock.simulator import SimulatedProvider, SimulatorOptions
from penstock.study.execution import Retry
from penstock.study.spending import Budget
from tests.conftest import ROOT
from tests.models.loopback import ANSWER, answers, http_server
from tests.models.studies import chat, chat_study, rows

pytestmark = pytest.mark.anyio


def simulated(**options: Any) -> SimulatedProvider:
    return SimulatedProvider(SimulatorOptions(**({"latency_s": 0.0, "answers": ("42",)} | options)))


async def run(study: ps.Study, **options: Any) -> ps.StudyResult:
    return await ps.arun_study(study, show_progress=False, **options)


async def test_a_declared_chat_model_answers_and_every_call_is_accounted_for(
    tmp_path: Path,
) -> None:
    async with http_server(answers()) as url:
        study = chat_study(tmp_path, chat(url))
        results = await run(study)

    (first, _) = results
    assert first.outputs == {"text": "42"}
    assert first.metrics["input_tokens"] == 12
    assert first.metrics["output_tokens"] == 3
    assert first.metrics["cost_usd"] == pytest.approx((12 * 1000 + 3 * 2000) / 1e6)
    assert first.metrics["http_status"] == 200
    assert 0 < first.metrics["provider_s"] <= first.latency_s + 0.001
    assert first.metrics["queued_s"] >= 0
    assert first.provenance["model_name"] == "some-model-2026"
    assert first.provenance["model_provider"] == "127.0.0.1"
    assert first.provenance["system_fingerprint"] == "fp_1"
    assert first.provenance["finish_reason"] == "stop"
    assert first.provenance["is_cached"] is False
    assert results.summary.cost_usd == pytest.approx(2 * 0.018)


async def test_a_request_is_filled_in_from_the_condition_the_problem_and_the_run(
    tmp_path: Path,
) -> None:
    bodies: list[dict[str, Any]] = []

    async def handler(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return web.json_response(ANSWER)

    async with http_server(handler) as url:
        declared = chat(
            url,
            model="model-{{ condition.tone }}",
            system="Be {{ condition.tone }}.",
            prompt="{{ problem.brief }} ({{ run.replicate }})",
            temperature="{{ 0.5 if condition.tone == 'a' else 1 }}",
            seed=True,
            stop=["END"],
        )
        study = chat_study(tmp_path, declared)
        results = await run(study)

    by_model = {body["model"]: body for body in bodies}
    body = by_model["model-a"]
    assert [message["content"] for message in body["messages"]] == ["Be a.", "What is 6 x 7? (1)"]
    assert (body["temperature"], body["max_tokens"], body["stop"]) == (0.5, 20, ["END"])
    assert body["seed"] in {result.spec.seed for result in results}
    assert by_model["model-b"]["temperature"] == 1.0


async def test_the_fields_of_a_json_answer_are_outputs_and_a_wrong_form_is_tried_again(
    tmp_path: Path,
) -> None:
    said = iter(['{"score": "many"}', '{"score": 3}', '{"score": 4}'])

    async def handler(_: web.Request) -> web.Response:
        message = {"role": "assistant", "content": next(said)}
        return web.json_response(ANSWER | {"choices": [{"message": message}]})

    schema = {
        "type": "object",
        "properties": {"score": {"type": "integer"}},
        "required": ["score"],
        "additionalProperties": False,
    }
    async with http_server(handler) as url:
        study = chat_study(tmp_path, chat(url, json_schema=schema))
        results = await run(study, retry=Retry(attempts=2, wait_s=0))

    assert sorted(result.outputs["score"] for result in results) == [3, 4]
    assert {result.outputs["text"] for result in results} == {'{"score": 3}', '{"score": 4}'}
    attempts = rows(study, "SELECT * FROM attempts")
    failed = [attempt for attempt in attempts if attempt["status_class"] != "ok"]
    assert [attempt["status_class"] for attempt in failed] == ["MalformedResponseError"]
    assert failed[0]["input_tokens"] == 12, "the provider billed it"
    assert failed[0]["http_status"] == 200


@pytest.mark.parametrize(("on_truncated", "status"), [("keep", "success"), ("fail", "failed")])
async def test_an_answer_cut_at_max_tokens_is_kept_or_fails_as_declared(
    on_truncated: str, status: str, tmp_path: Path
) -> None:
    choice = {"message": {"content": "4"}, "finish_reason": "length"}
    async with http_server(answers(ANSWER | {"choices": [choice]})) as url:
        study = chat_study(tmp_path, chat(url, on_truncated=on_truncated))
        results = await run(study)

    assert {result.status for result in results} == {status}
    assert {result.provenance["finish_reason"] for result in results} == {"length"}
    assert results[0].metrics["output_tokens"] == 3
    if status == "failed":
        assert results[0].error_info is not None
        assert results[0].error_info.startswith("TruncatedError: agent 'gpt': ")


async def test_the_attempts_view_shows_failures_with_their_status_and_who_failed(
    tmp_path: Path,
) -> None:
    async with simulated(faults_at={1: "server_error"}) as provider:
        study = chat_study(tmp_path, chat(provider.url), run_budget={"parallelism": 1})
        await run(study, retry=Retry(attempts=2, wait_s=0))

    attempts = rows(study, "SELECT * FROM attempts ORDER BY started_at")
    assert [each["status_class"] for each in attempts] == ["OverloadedError", "ok", "ok"]
    assert [each["http_status"] for each in attempts] == [500, 200, 200]
    assert [each["model_name"] for each in attempts] == ["some-model"] * 3
    assert [each["is_cached"] for each in attempts] == [None, 0, 0]
    assert all(each["queued_s"] >= 0 and each["provider_s"] > 0 for each in attempts)


@pytest.mark.virtual_time
async def test_time_waited_at_the_gate_is_neither_latency_nor_timeout(tmp_path: Path) -> None:
    async with simulated(latency_s=0.1) as provider:
        study = chat_study(
            tmp_path,
            chat(provider.url),
            limits={provider.url: {"max_in_flight": 1}},
            run_budget={"parallelism": 8, "replicates": 4},
        )
        results = await run(study, timeout_s=0.4)

    assert results.summary.succeeded == 8
    assert max(result.metrics["queued_s"] for result in results) > 0.5
    assert max(result.latency_s for result in results) < 0.4


async def test_a_budget_stops_the_study_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    async with simulated(input_usd_per_million=1000.0, output_usd_per_million=2000.0) as provider:
        given: dict[str, Any] = {"run_budget": {"parallelism": 50, "replicates": 50}}
        study = chat_study(tmp_path, chat(provider.url), budget={"max_cost_usd": 0.3}, **given)
        runner = StudyRunner(study, show_progress=False)
        first = await runner.run()
        assert first.is_out_of_budget
        assert "budget.max_cost_usd is exhausted" in (first.stopped_because or "")
        assert 0 < first.succeeded < 100
        assert first.failed == 0, "a run that was not paid for is left undone"
        assert 0.2 < first.cost_usd <= 0.3

        again = await StudyRunner(study, show_progress=False).run()
        assert first.cost_usd <= again.cost_usd <= 0.3, "what earlier sessions spent counts"

        larger = study.model_copy(update={"budget": Budget(max_cost_usd=100.0)})
        last = await StudyRunner(larger, show_progress=False).run()

    assert last.remaining == 0
    assert (last.succeeded, last.session.restored) == (100, again.succeeded)


async def test_a_call_that_broke_off_counts_at_its_worst_case_in_the_next_session_too(
    tmp_path: Path,
) -> None:
    async with simulated(faults={"cut_off": 1.0}) as provider:
        study = chat_study(tmp_path, chat(provider.url), budget={"max_cost_usd": 100.0})
        (result, *_) = await run(study)
        assert result.error_info is not None
        assert result.cost_usd == 0.0, "what nobody counted is no cost of the run"
        uncounted = result.metrics["uncounted_cost_usd"]
        assert uncounted > 0

        poorer = study.model_copy(update={"budget": Budget(max_cost_usd=2.5 * uncounted)})
        again = await StudyRunner(poorer, show_progress=False).run()

    assert again.is_out_of_budget, "both calls of the first session count"
    assert again.session.failed == 0


async def test_a_session_ends_when_its_time_is_over(tmp_path: Path) -> None:
    async with simulated(latency_s=0.05) as provider:
        study = chat_study(
            tmp_path,
            chat(provider.url),
            budget={"max_duration_s": 0.3},
            run_budget={"replicates": 100},
        )
        summary = await StudyRunner(study, show_progress=False).run()

    assert summary.is_out_of_budget
    assert "max_duration_s" in (summary.stopped_because or "")
    assert 0 < summary.remaining < 200


async def test_a_wrong_key_stops_the_study_and_names_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_TEST_KEY", "sk-canary-0123456789")
    async with simulated(faults={"unauthorized": 1.0}) as provider:
        study = chat_study(
            tmp_path,
            chat(provider.url, api_key_env="PENSTOCK_TEST_KEY"),
            run_budget={"replicates": 20},
        )
        summary = await StudyRunner(study, show_progress=False).run()

    assert summary.failed == 1
    assert "PENSTOCK_TEST_KEY" in (summary.stopped_because or "")
    assert "canary" not in (summary.stopped_because or "")


async def test_answers_are_kept_in_a_cache_and_cost_nothing_the_second_time(
    tmp_path: Path,
) -> None:
    async with simulated() as provider:
        study = chat_study(
            tmp_path, chat(provider.url), response_cache="cache.sqlite", replicates=3
        )
        first = await run(study)
        second = await run(study, fresh=True)

    assert first.summary.cost_usd > 0
    assert second.summary.cost_usd == 0
    assert [each.outputs for each in second] == [each.outputs for each in first]
    assert {each.provenance["is_cached"] for each in second} == {True}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"prompt": "{{ problem.breef }}"}, "agent 'gpt': prompt: 'breef' is unknown"),
        ({"system": "{{ condition.tune }}"}, r"agent 'gpt': system: 'tune' .*\(in condition cond-"),
        ({"prompt": "{% if 1 == 2 %}{{ typo }}{% endif %}"}, "agent 'gpt': prompt: 'typo'"),
        ({"temperature": "{{ condition.tone }}"}, "agent 'gpt': temperature: 'a' is not a number"),
        ({"prompt": "{{ problem.brief"}, "agent 'gpt': prompt: is not a template"),
        ({"api_key_env": "PENSTOCK_NO_SUCH_KEY"}, "agent 'gpt': there is no key: PENSTOCK_NO_SUCH"),
        ({"json_schema": {"type": "nope"}}, "agent 'gpt': json_schema: cannot be read"),
        ({"json_schema": {"properties": {"text": {}}}}, "would hide the answer's text"),
    ],
)
async def test_what_would_fail_in_a_run_is_an_error_before_any(
    fields: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValidationError, match=said):
        StudyRunner(chat_study(tmp_path, chat("http://127.0.0.1:9/v1", **fields)))


async def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    agents = {
        "one": chat("http://127.0.0.1:9/v1", prompt="{{ typo }}", max_tokens=None),
        "two": chat("http://127.0.0.1:9/v1", model="unpriced", system="{{ condition.typo }}"),
    }
    study = chat_study(
        tmp_path,
        agents["one"],
        agents=agents,
        agent_specs=("one", "two"),
        budget={"max_cost_usd": 1},
        limits={"http://localhost:1/v1": {"max_in_flight": 1}},
    )
    with pytest.raises(ValidationError) as caught:
        StudyRunner(study)

    said = "\n".join(caught.value.errors)
    for part in (
        "agent 'one': prompt: 'typo' is unknown",
        "agent 'one': budget.max_cost_usd needs its max_tokens",
        "agent 'two': system: 'typo' is unknown",
        "limits: 'http://localhost:1/v1' is not an endpoint",
    ):
        assert part in said


async def test_a_budget_needs_the_price_of_every_model(tmp_path: Path) -> None:
    study = chat_study(
        tmp_path,
        chat("http://127.0.0.1:9/v1", model="unheard-of-{{ condition.tone }}"),
        budget={"max_cost_usd": 1},
    )
    with pytest.raises(ValidationError) as caught:
        StudyRunner(study)

    assert len(caught.value.errors) == 2
    assert "price of model 'unheard-of-a'" in caught.value.errors[0]


async def test_no_key_is_in_any_file_of_a_study_whatever_its_provider_repeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "canary-5f2e8c1b9d-not-a-usual-form"
    monkeypatch.setenv("PENSTOCK_TEST_KEY", key)
    turns = iter(range(1000))

    async def handler(request: web.Request) -> web.Response:
        sent = request.headers["Authorization"]
        headers = {"x-request-id": f"req {sent}", "x-echo": sent}
        turn = next(turns) % 4
        if turn == 0:
            return web.json_response(
                {"error": {"message": f"bad {sent}"}}, status=400, headers=headers
            )

        if turn == 1:
            return web.Response(status=500, text=f"<b>{sent}</b>", headers=headers)

        if turn == 2:
            return web.Response(text=f"no JSON {sent}", content_type="application/json")

        message = {"content": f"your key is {sent}"}
        said = ANSWER | {"choices": [{"message": message}], "model": sent, "id": sent}
        return web.json_response(said | {"system_fingerprint": sent}, headers=headers)

    async with http_server(handler) as url:
        study = chat_study(
            tmp_path, chat(url, api_key_env="PENSTOCK_TEST_KEY"), run_budget={"replicates": 8}
        )
        runner = StudyRunner(study, show_progress=False, retry=Retry(attempts=2, wait_s=0))
        heard: list[str] = []
        runner.on()(lambda event: heard.append(repr(event) + event.model_dump_json()))
        await runner.run()

    assert any("RunFailed" in each for each in heard)
    assert not [each for each in heard if key in each]
    assert key not in repr(vars(runner)) + repr(study)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]  # noqa: ASYNC240
    assert files
    for path in files:
        assert key.encode() not in path.read_bytes(), path


async def test_a_key_may_stand_in_a_dotenv_file_beside_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PENSTOCK_TEST_KEY", raising=False)
    (tmp_path / ".env").write_text("# keys\nexport PENSTOCK_TEST_KEY='from-the-file' # mine\n")
    sent: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        sent.append(request.headers["Authorization"])
        return web.Response(text=json.dumps(ANSWER), content_type="application/json")

    async with http_server(handler) as url:
        await run(chat_study(tmp_path, chat(url, api_key_env="PENSTOCK_TEST_KEY")))

    assert set(sent) == {"Bearer from-the-file"}


@pytest.mark.parametrize(
    "fields",
    [
        {"base_url": "https://me:sk-canary-0123456789@host/v1"},
        {"base_url": "https://host/v1?key=sk-canary-0123456789"},
        {"api_key": "sk-canary-0123456789"},
        {"api_key_env": "sk-canary-0123456789"},
        {"extra": {"api_key": "sk-canary-0123456789"}},
        {"extra": {"user": "sk-canary-0123456789"}},
    ],
)
def test_a_key_in_a_study_file_is_refused_and_not_repeated(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    agent = chat("http://127.0.0.1:9/v1", **fields)
    text = {
        "study_id": "s",
        "title": "S",
        "agents": {"gpt": agent},
        "problems": [{"problem_id": "p"}],
    }
    path = tmp_path / "study.json"
    path.write_text(json.dumps(text))
    with pytest.raises(ValidationError) as caught:
        ps.load_study(path)

    assert "canary" not in str(caught.value)


async def test_results_of_another_prompt_are_not_mixed_and_a_longer_timeout_changes_nothing(
    tmp_path: Path,
) -> None:
    async with simulated() as provider:
        await run(chat_study(tmp_path, chat(provider.url)))
        patient = await run(chat_study(tmp_path, chat(provider.url, timeout_s=90)))
        assert patient.summary.session.restored == 2
        with pytest.raises(
            ForeignDirectoryError, match="agent 'gpt' has another max_tokens, prompt"
        ):
            await run(chat_study(tmp_path, chat(provider.url, prompt="Why?", max_tokens=30)))


async def test_a_directory_from_before_an_option_was_there_is_gone_on_with(tmp_path: Path) -> None:
    async with simulated() as provider:
        study = chat_study(tmp_path, chat(provider.url))
        await run(study)
        with closing(sqlite3.connect(tmp_path / "results" / "study.sqlite")) as store, store:
            ((text,),) = store.execute("SELECT definition FROM study").fetchall()
            definition = json.loads(text)
            for name in ("headers", "think_tags", "verify_tls", "max_completion_tokens"):
                del definition["agents"]["gpt"]["chat"][name]

            store.execute("UPDATE study SET definition = ?", (json.dumps(definition),))

        assert (await run(study)).summary.session.restored == 2


async def test_the_quickstarts_chat_study_runs_as_it_is_written(tmp_path: Path) -> None:
    text = (ROOT / "docs/examples/quickstart/chat.yaml").read_text()
    async with simulated(answers=("It is 42.", "It is 41.")) as provider:
        path = tmp_path / "chat.yaml"
        path.write_text(text.replace("http://127.0.0.1:8000/v1", provider.url))
        results = await run(ps.load_study(path))

    assert results.summary.succeeded == len(results) == 160
    assert {result.evaluations[0].metric_value for result in results} == {0.0, 1.0}
