"""One call inside a run: what becomes of refusals, of broken connections, and of the money."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog
from aiohttp import web
from anyio.abc import SocketStream

import penstock as ps
from penstock.simulator import SimulatedProvider, SimulatorOptions
from penstock.study.execution import Retry
from tests.models.loopback import ANSWER, answers, http_server, tcp_server
from tests.models.studies import chat, chat_study, rows

pytestmark = pytest.mark.anyio

DOLLAR_A_TOKEN = {
    "some-model": {"input_usd_per_million": 0.0, "output_usd_per_million": 1_000_000.0}
}


async def run(study: ps.Study, **options: Any) -> ps.StudyResult:
    return await ps.arun_study(study, show_progress=False, **options)


def problems(count: int) -> list[ps.Problem]:
    return [ps.Problem(problem_id=f"p{index:03d}", brief=f"{index}?") for index in range(count)]


def said(text: str, **choice: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return ANSWER | {"choices": [{"message": message, "finish_reason": "stop", **choice}]}


def many(count: int, **fields: Any) -> dict[str, Any]:
    """A study of one condition and so many problems."""
    return {"factors": (), "problems": problems(count), **fields}


@pytest.mark.field("models-F9", "models-E16")
@pytest.mark.virtual_time
async def test_a_rate_limit_is_waited_for_and_costs_no_attempt(tmp_path: Path) -> None:
    options = SimulatorOptions(latency_s=0.1, requests_per_minute=10, window_s=3.0)
    async with SimulatedProvider(options) as provider:
        study = chat_study(tmp_path, chat(provider.url), **many(60))
        results = await run(study, concurrency=30)
        refused = [record for record in provider.records if record.status == 429]

    assert results.summary.succeeded == 60
    assert refused
    attempts = rows(study, "SELECT attempt, metrics FROM attempt JOIN attempts USING (run_id)")
    assert {each["attempt"] for each in attempts} == {1}
    assert sum(result.metrics.get("refusals", 0) for result in results) == len(refused)


@pytest.mark.field("models-F9", "models-F14")
@pytest.mark.virtual_time
async def test_a_wait_that_only_a_body_tells_is_kept_to(tmp_path: Path) -> None:
    came: list[float] = []

    async def handler(_: web.Request) -> web.Response:
        came.append(anyio.current_time())
        if len(came) == 1:
            error = {"message": "Please try again in 4.2s."}
            return web.json_response({"error": error}, status=429)

        return web.json_response(ANSWER)

    async with http_server(handler) as url:
        results = await run(chat_study(tmp_path, chat(url), **many(1)))

    assert results[0].status == "success"
    assert came[1] - came[0] >= 4.2
    assert results[0].metrics["refused_s"] >= 4.2
    assert results[0].latency_s < 1, "waiting is not latency"


@pytest.mark.field("models-F9")
@pytest.mark.virtual_time
async def test_an_endpoint_that_refuses_everything_is_waited_for_only_so_long(
    tmp_path: Path,
) -> None:
    async with http_server(answers({"error": "busy"}, status=503)) as url:
        began_at = anyio.current_time()
        results = await run(
            chat_study(tmp_path, chat(url), **many(50)), concurrency=50, refused_for_s=60
        )

    assert results.summary.failed == 50
    assert 60 <= anyio.current_time() - began_at < 150
    assert {result.error.kind for result in results if result.error} == {"OverloadedError"}


@pytest.mark.field("models-F9")
@pytest.mark.virtual_time
async def test_a_refusal_that_may_not_be_waited_for_fails_at_once(tmp_path: Path) -> None:
    busy = answers({"error": "busy"}, status=429, headers={"Retry-After": "301"})
    async with http_server(busy) as url:
        (result,) = await run(chat_study(tmp_path, chat(url), **many(1)))

    assert result.error is not None
    assert result.error.kind == "RetryAfterTooLongError"


@pytest.mark.field("studies-P11")
@pytest.mark.virtual_time
async def test_one_stray_refusal_in_a_hundred_hardly_slows_a_study(tmp_path: Path) -> None:
    lasted_s = {}
    for retry_after, share in (("none", 0.0), ("none", 0.01), ("seconds", 0.01)):
        options = SimulatorOptions.model_validate(
            {
                "latency_s": 1.0,
                "faults": {"rate_limited": share},
                "retry_after": retry_after,
                "retry_after_s": 1.0,
            }
        )
        async with SimulatedProvider(options) as provider:
            agent = chat(provider.url, timeout_s=600)
            limits = {provider.url: {"max_in_flight": 250}}
            folder = tmp_path / f"{retry_after}-{share}"
            study = chat_study(folder, agent, **many(650, limits=limits))
            began_at = anyio.current_time()
            results = await run(study, concurrency=250)
            lasted_s[retry_after, share] = anyio.current_time() - began_at

        assert results.summary.succeeded == 650

    most_s = 1.3 * lasted_s.pop(("none", 0.0)) + 1.0  # the last of them waits a second
    assert max(lasted_s.values()) < most_s, lasted_s


@pytest.mark.field("models-F8")
async def test_a_403_about_one_prompt_fails_that_run_alone(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        asked = (await request.json())["messages"][0]["content"]
        if asked == "3?":
            error = {"error": "Content violates usage guidelines."}
            return web.json_response(error, status=403)

        return web.json_response(ANSWER)

    async with http_server(handler) as url:
        results = await run(chat_study(tmp_path, chat(url), **many(20)))

    assert (results.summary.succeeded, results.summary.failed) == (19, 1)
    assert results.summary.stopped_because is None


@pytest.mark.field("models-F8")
async def test_a_403_about_a_model_fails_its_runs_alone(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        if (await request.json())["model"] == "m2":
            error = {"code": "model_not_found", "message": "does not have access to model m2"}
            return web.json_response({"error": error}, status=403)

        return web.json_response(ANSWER)

    async with http_server(handler) as url:
        agents = {"one": chat(url), "two": chat(url, model="m2")}
        study = chat_study(
            tmp_path, chat(url), **many(10, agents=agents, agent_specs=("one", "two"))
        )
        results = await run(study)

    assert (results.summary.succeeded, results.summary.failed) == (10, 10)


@pytest.mark.field("models-F13")
async def test_an_account_without_credit_stops_the_study_also_under_400(tmp_path: Path) -> None:
    error = {"error": {"message": "Your credit balance is too low to access the Anthropic API"}}
    async with http_server(answers(error, status=400)) as url:
        results = await run(chat_study(tmp_path, chat(url), **many(20)))

    assert results.summary.failed == 1
    assert "credit" in (results.summary.stopped_because or "")


@pytest.mark.field("models-F12", "models-F11", "models-E6", "models-E7")
async def test_calls_of_tools_and_reasoning_are_outputs_of_their_own(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    message = {"content": None, "reasoning_content": "hm", "tool_calls": [call]}
    choice = {"message": message, "finish_reason": "tool_calls"}
    async with http_server(answers(ANSWER | {"choices": [choice]})) as url:
        extra = {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}
        (result,) = await run(chat_study(tmp_path, chat(url, extra=extra), **many(1)))

    assert result.outputs == {
        "text": "",
        "reasoning": "hm",
        "tool_calls": [{"id": "c1", "name": "f", "arguments": {"a": 1}}],
    }


async def test_the_text_of_a_refusal_is_kept_whole_and_may_be_the_answer(tmp_path: Path) -> None:
    refusal = "I will not do that. " * 100
    choice = {"message": {"content": None, "refusal": refusal}, "finish_reason": "stop"}
    async with http_server(answers(ANSWER | {"choices": [choice]})) as url:
        (failed,) = await run(chat_study(tmp_path / "a", chat(url), **many(1)))
        kept = chat_study(tmp_path / "b", chat(url, on_refusal="keep"), **many(1))
        (answered,) = await run(kept)

    assert failed.error is not None
    assert failed.error.kind == "RefusalError"
    assert failed.provenance["refusal"] == refusal
    assert answered.outputs == {"text": refusal, "is_refusal": True}


@pytest.mark.field("models-F3")
async def test_an_answer_of_an_unknown_ending_is_kept_flagged_counted_and_not_cached(
    tmp_path: Path,
) -> None:
    async with http_server(answers(said("4", finish_reason="gone fishing"))) as url:
        study = chat_study(tmp_path, chat(url), **many(1, response_cache="cache.sqlite"))
        (first,) = await run(study)
        (again,) = await run(study, fresh=True)

    assert (first.status, first.outputs["text"]) == ("success", "4")
    assert first.provenance["is_ending_unknown"] is True
    assert first.metrics["unknown_endings"] == 1
    assert again.provenance["is_cached"] is False


@pytest.mark.field("models-F3")
async def test_how_often_an_answer_ended_in_an_unknown_word_is_told_at_the_end(
    tmp_path: Path,
) -> None:
    async with http_server(answers(said("4", finish_reason="gone fishing"))) as url:
        with structlog.testing.capture_logs() as logs:
            await run(chat_study(tmp_path, chat(url), **many(3)))

    told = [each for each in logs if each["event"] == "model.unknown_ending"]
    assert [(each["finish_reason"], each.get("times")) for each in told] == [
        ("gone fishing", None),
        ("gone fishing", 3),
    ]


@pytest.mark.field("models-F3")
@pytest.mark.parametrize("word", ["abort", "error", "insufficient_system_resource"])
async def test_a_broken_answer_fails_is_paid_and_is_not_cached(word: str, tmp_path: Path) -> None:
    async with http_server(answers(said("The answer is, aft", finish_reason=word))) as url:
        study = chat_study(tmp_path, chat(url), **many(1, response_cache="cache.sqlite"))
        (result,) = await run(study)

    assert result.error is not None
    assert result.error.kind == "OverloadedError"
    assert result.metrics["output_tokens"] == 3
    assert result.provenance["finish_reason"] == word
    assert result.provenance["unused_text"] == "The answer is, aft"


@pytest.mark.field("models-F3")
@pytest.mark.parametrize("word", ["MAX_TOKENS", "model_length", "max_tokens"])
async def test_an_answer_cut_in_any_word_fails_where_that_is_declared(
    word: str, tmp_path: Path
) -> None:
    async with http_server(answers(said("4", finish_reason=word))) as url:
        study = chat_study(tmp_path, chat(url, on_truncated="fail"), **many(1))
        (result,) = await run(study)

    assert result.error is not None
    assert result.error.kind == "TruncatedError"


@pytest.mark.field("models-F7")
@pytest.mark.parametrize("key", ["whatever", "placeholder", "lm-studio", "not-needed"])
async def test_a_placeholder_for_a_key_is_left_in_answers(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALKEY", key)
    async with http_server(answers(said(f"You can do {key} you like."))) as url:
        (result,) = await run(chat_study(tmp_path, chat(url, api_key_env="LOCALKEY"), **many(1)))

    assert result.outputs["text"] == f"You can do {key} you like."
    assert "is_redacted" not in result.provenance


@pytest.mark.field("models-F7")
async def test_a_run_says_that_a_key_was_taken_out_of_its_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REALKEY", "sk-0123456789abcdef0123")
    async with http_server(answers(said("It is sk-0123456789abcdef0123."))) as url:
        (result,) = await run(chat_study(tmp_path, chat(url, api_key_env="REALKEY"), **many(1)))

    assert result.outputs["text"] == "It is [redacted]."
    assert result.provenance["is_redacted"] is True


@pytest.mark.field("models-F5")
async def test_a_budget_counts_the_reasoning_that_is_billed_beside_the_answer(
    tmp_path: Path,
) -> None:
    usage = {
        "prompt_tokens": 36,
        "completion_tokens": 10,
        "total_tokens": 736,
        "completion_tokens_details": {"reasoning_tokens": 690},
    }
    served = 0

    async def handler(_: web.Request) -> web.Response:
        nonlocal served
        served += 1
        return web.json_response(ANSWER | {"usage": usage})

    async with http_server(handler) as url:
        study = chat_study(
            tmp_path,
            chat(url, max_tokens=50),
            **many(20, prices=DOLLAR_A_TOKEN, budget={"max_cost_usd": 120}),
        )
        results = await run(study)

    assert served == 1, "the first answer shows what a call costs"
    assert results.summary.cost_usd == 700
    assert results.summary.is_out_of_budget
    said = results.summary.stopped_because or ""
    assert "580 more than they could be, or it was lowered" in said


@pytest.mark.field("models-F5")
async def test_what_a_provider_bills_beyond_max_tokens_is_expected_from_then_on(
    tmp_path: Path,
) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 90}
    async with http_server(answers(ANSWER | {"usage": usage})) as url:
        study = chat_study(
            tmp_path,
            chat(url, max_tokens=50),
            **many(20, prices=DOLLAR_A_TOKEN, budget={"max_cost_usd": 200}),
        )
        results = await run(study, concurrency=1)

    assert results.summary.cost_usd == 180, "a third call might have cost 90 more"


@pytest.mark.field("models-F15")
async def test_a_page_under_200_is_no_money(tmp_path: Path) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="<html>Log in to the network</html>", content_type="text/html")

    async with http_server(handler) as url:
        study = chat_study(
            tmp_path,
            chat(url, max_tokens=50),
            **many(20, prices=DOLLAR_A_TOKEN, budget={"max_cost_usd": 120}),
        )
        results = await run(study, retry=Retry(attempts=3, wait_s=0))

    assert not results.summary.is_out_of_budget
    assert results.summary.failed == 20
    assert "Log in to the network" in str(results[0].error)
    assert not any("uncounted_cost_usd" in result.metrics for result in results)


@pytest.mark.field("models-E10")
async def test_what_the_provider_says_that_it_charged_comes_first(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "cost": 0.0123}
    async with http_server(answers(ANSWER | {"usage": usage})) as url:
        priced = await run(chat_study(tmp_path / "a", chat(url), **many(1)))
        unpriced = await run(chat_study(tmp_path / "b", chat(url, model="x"), **many(1)))

    assert [results.summary.cost_usd for results in (priced, unpriced)] == [0.0123, 0.0123]


def billed(results: ps.StudyResult, study: ps.Study) -> dict[str, float]:
    """What a study has told of its money, over all attempts."""
    said = rows(study, "SELECT metrics ->> '$.uncounted_cost_usd' AS uncounted FROM attempt")
    return {
        "counted": results.summary.cost_usd,
        "uncounted": sum(row["uncounted"] or 0 for row in said),
    }


@pytest.mark.field("studies-M1", "engine-K1")
@pytest.mark.virtual_time
async def test_a_call_that_a_timeout_of_the_run_cuts_off_is_set_against_the_budget(
    tmp_path: Path,
) -> None:
    options = SimulatorOptions(latency_s=1.0, answers=("x" * 80,), output_usd_per_million=1e6)
    async with SimulatedProvider(options) as provider:
        study = chat_study(
            tmp_path,
            chat(provider.url, max_tokens=20, timeout_s=30),
            **many(50, prices=DOLLAR_A_TOKEN, budget={"max_cost_usd": 200}),
        )
        results = await run(study, timeout_s=0.5, concurrency=5, retry=Retry(attempts=3))
        sent = len(provider.records)

    assert sent * 20 <= 200, "the server may bill each of them"
    assert sent == 10
    assert results.summary.is_out_of_budget
    assert billed(results, study) == {"counted": 0, "uncounted": 200}


@pytest.mark.field("studies-M2")
async def test_a_call_whose_connection_closes_after_it_was_sent_is_set_against_the_budget(
    tmp_path: Path,
) -> None:
    received = 0

    async def read_and_leave(_: SocketStream) -> None:
        nonlocal received
        received += 1

    async with tcp_server(read_and_leave) as url:
        study = chat_study(
            tmp_path,
            chat(url, max_tokens=20),
            **many(50, prices=DOLLAR_A_TOKEN, budget={"max_cost_usd": 200}),
        )
        results = await run(study, concurrency=5, retry=Retry(attempts=2, wait_s=0))

    assert received == 10
    assert results.summary.is_out_of_budget
    assert billed(results, study) == {"counted": 0, "uncounted": 200}


async def test_a_call_that_was_never_sent_costs_nothing(tmp_path: Path) -> None:
    study = chat_study(
        tmp_path,
        chat("http://127.0.0.1:9/v1", max_tokens=20),
        **many(50, prices=DOLLAR_A_TOKEN, budget={"max_cost_usd": 30}),
    )
    results = await run(study, concurrency=5, stop_alike=0)
    assert results.summary.failed == 50
    assert billed(results, study) == {"counted": 0, "uncounted": 0}


def closing_after(delay_s: float, served: Counter[str]) -> Callable[..., Any]:
    """Answer one request on each connection, and close it a little later without a word."""
    body = b'{"choices":[{"message":{"content":"42"},"finish_reason":"stop"}]}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"

    async def answer(stream: SocketStream) -> None:
        served["answered"] += 1
        await stream.send(head % len(body) + body)
        await anyio.sleep(delay_s)

    return answer


@pytest.mark.field("models-F20")
@pytest.mark.parametrize("delay_s", [0.0, 0.002, 0.02])
async def test_a_connection_that_its_server_closed_loses_no_run(
    delay_s: float, tmp_path: Path
) -> None:
    served: Counter[str] = Counter()
    async with tcp_server(closing_after(delay_s, served)) as url:
        study = chat_study(tmp_path, chat(url), **many(100))
        results = await run(study, concurrency=2)

    assert results.summary.succeeded == 100
    assert served["answered"] == 100
    assert {row["attempt"] for row in rows(study, "SELECT attempt FROM attempts")} == {1}


@pytest.mark.field("models-F1", "models-E3", "models-E11")
async def test_any_option_may_be_a_factor_and_null_leaves_it_out(tmp_path: Path) -> None:
    bodies: list[dict[str, Any]] = []

    async def handler(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return web.json_response(ANSWER)

    levels = [{"name": "default", "value": None}, {"name": "low", "value": 1}]
    async with http_server(handler) as url:
        agent = chat(
            url,
            max_tokens="{{ 10 * (condition.effort or 2) }}",
            temperature="{{ condition.effort }}",
            top_p="{{ condition.effort }}",
            reasoning_effort="{{ 'low' if condition.effort else none }}",
            stop=["{{ condition.effort }}.", "END"],
            extra={
                "thinking": {"budget": "{{ condition.effort }}", "note": "{{ condition.effort }}!"},
                "tags": ["{{ condition.effort }}"],
                "flag": "{{ condition.effort is none }}",
            },
        )
        factor = {"name": "effort", "levels": levels}
        await run(chat_study(tmp_path, agent, factors=[factor]))

    low, default = sorted(bodies, key=lambda body: body["max_tokens"])
    assert low["temperature"] == low["top_p"] == 1
    assert (low["max_tokens"], low["reasoning_effort"]) == (10, "low")
    assert low["stop"] == ["1.", "END"]
    assert low["thinking"] == {"budget": 1, "note": "1!"}
    assert (low["tags"], low["flag"]) == ([1], False)
    assert not {"temperature", "top_p", "reasoning_effort"} & default.keys()
    assert default["thinking"] == {"note": "None!"}
    assert (default["tags"], default["flag"]) == ([None], True)


@pytest.mark.field("models-E2")
async def test_a_budget_holds_with_max_completion_tokens(tmp_path: Path) -> None:
    bodies: list[dict[str, Any]] = []

    async def handler(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return web.json_response(ANSWER | {"usage": {"prompt_tokens": 1, "completion_tokens": 50}})

    async with http_server(handler) as url:
        study = chat_study(
            tmp_path,
            chat(url, max_tokens=None, max_completion_tokens=50),
            **many(20, prices=DOLLAR_A_TOKEN, budget={"max_cost_usd": 160}),
        )
        results = await run(study)

    assert results.summary.cost_usd == 150
    assert {body.get("max_completion_tokens") for body in bodies} == {50}
    assert not any("max_tokens" in body for body in bodies)


@pytest.mark.field("models-F17")
async def test_a_cost_that_is_not_known_is_empty_and_told_and_no_zero(tmp_path: Path) -> None:
    async with http_server(answers()) as url:
        agents = {"priced": chat(url), "unpriced": chat(url, model="who-knows")}
        study = chat_study(
            tmp_path, chat(url), **many(2, agents=agents, agent_specs=("priced", "unpriced"))
        )
        with structlog.testing.capture_logs() as logs:
            results = await run(study)

    told = [log["model"] for log in logs if log["event"] == "model.price_unknown"]
    assert told == ["who-knows"], "once"
    costs = {
        row["agent_id"]: row["cost_usd"]
        for row in rows(study, "SELECT agent_id, cost_usd FROM runs")
    }
    assert costs["unpriced"] is None
    assert costs["priced"] == pytest.approx(results.summary.cost_usd / 2)
    assert results.summary.unpriced == 2
    directory = study.resolve("results")
    with (directory / "runs.csv").open(newline="") as file:
        written = {row["agent_id"]: row["cost_usd"] for row in csv.DictReader(file)}

    assert written["unpriced"] == "0"
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["unpriced_models"] == [ANSWER["model"]]


@pytest.mark.field("models-F17")
async def test_a_judge_whose_price_is_not_known_is_told_too(tmp_path: Path) -> None:
    async with http_server(answers(said("Score: 7"))) as url:
        judge = {"base_url": url, "model": "who-knows", "prompt": "{{ answer }}?"}
        study = chat_study(tmp_path, chat(url), **many(1, evaluators={"grade": {"judge": judge}}))
        results = await run(study)

    (row,) = rows(study, "SELECT cost_usd, judge_cost_usd FROM attempts")
    assert row["cost_usd"] > 0
    assert row["judge_cost_usd"] is None
    assert results.summary.unpriced == 1


@pytest.mark.field("models-F22", "models-F3")
async def test_what_a_cost_is_made_of_and_why_an_answer_ended_are_columns(tmp_path: Path) -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }
    body = said("4", finish_reason="length") | {"usage": usage}
    async with http_server(answers(body)) as url:
        study = chat_study(tmp_path, chat(url), **many(1))
        await run(study)

    (attempt,) = rows(
        study, "SELECT finish_reason, cached_input_tokens, reasoning_tokens FROM attempts"
    )
    assert attempt == {
        "finish_reason": "length",
        "cached_input_tokens": 60,
        "reasoning_tokens": 40,
    }
    assert rows(study, "SELECT finish_reason FROM runs") == [{"finish_reason": "length"}]


@pytest.mark.field("models-F22")
async def test_a_prompt_of_which_the_provider_counts_a_fraction_is_told(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 2048, "completion_tokens": 3}
    async with http_server(answers(ANSWER | {"usage": usage})) as url:
        long = chat(url, prompt="many words " * 20_000)
        with structlog.testing.capture_logs() as logs:
            (cut,) = await run(chat_study(tmp_path / "a", long, **many(1)))
            (whole,) = await run(chat_study(tmp_path / "b", chat(url), **many(1)))

    assert [log["event"] for log in logs].count("model.prompt_cut") == 1
    assert cut.metrics["prompts_cut"] == 1
    assert "prompts_cut" not in whole.metrics


@pytest.mark.field("engine-K15")
@pytest.mark.parametrize(
    "bound",
    [
        {"limits": {"URL": {"max_in_flight": 1}}},
        {"limits": {"URL": {"requests_per_minute": 4}}},
        {"budget": {"max_cost_usd": 0.3}},
    ],
    ids=["slots", "rate", "budget"],
)
async def test_runs_that_only_wait_begin_no_call_after_a_stop(
    tmp_path: Path, bound: dict[str, Any]
) -> None:
    calls = 0
    runner: ps.StudyRunner

    async def answer(_: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        if calls == 4:
            runner.stop("enough")

        return web.json_response(ANSWER)

    async with http_server(answer) as url:
        fields = {
            section: {url if name == "URL" else name: value for name, value in said.items()}
            for section, said in bound.items()
        }
        study = chat_study(tmp_path, chat(url), **many(100, **fields))
        runner = ps.StudyRunner(study, concurrency=50, show_progress=False)
        stopped = await runner.run()
        assert (stopped.stopped_because, stopped.is_out_of_budget) == ("enough", False)
        assert (stopped.lost_calls, stopped.failed) == (0, 0)
        assert stopped.succeeded == calls
        assert calls <= 4 + 6  # what was under way

        again = await ps.StudyRunner(
            chat_study(tmp_path, chat(url), **many(100)), show_progress=False
        ).run()

    assert (again.succeeded, calls) == (100, 100)


@pytest.mark.field("engine-K15")
@pytest.mark.virtual_time
async def test_a_run_that_waits_for_a_refusal_asks_no_more_after_a_stop(tmp_path: Path) -> None:
    calls, asked = 0, anyio.Event()

    async def refuse(_: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        asked.set()
        return web.json_response({}, status=429, headers={"Retry-After": "60"})

    async with http_server(refuse) as url, anyio.create_task_group() as tasks:
        study = chat_study(tmp_path, chat(url), **many(3))
        runner = ps.StudyRunner(study, show_progress=False)

        async def stop() -> None:
            await asked.wait()
            await anyio.sleep(1)
            runner.stop("enough")

        tasks.start_soon(stop)
        summary = await runner.run()

    assert (summary.stopped_because, summary.failed, summary.remaining) == ("enough", 0, 3)
    assert calls <= 3


async def test_a_judge_still_scores_an_answer_that_was_paid_when_the_study_stops(
    tmp_path: Path,
) -> None:
    runner: ps.StudyRunner

    async def answer(request: web.Request) -> web.Response:
        is_judge = (await request.json())["model"] == "judge-model"
        if not is_judge:
            runner.stop("enough")

        return web.json_response(said("Score: 7" if is_judge else "42"))

    async with http_server(answer) as url:
        judge = {
            "base_url": url,
            "model": "judge-model",
            "max_tokens": 20,
            "prompt": "{{ answer }}",
        }
        evaluators = {"grade": {"judge": judge}}
        study = chat_study(tmp_path, chat(url), **many(9, evaluators=evaluators))
        runner = ps.StudyRunner(study, concurrency=1, show_progress=False)
        summary = await runner.run()

    assert (summary.succeeded, summary.remaining) == (1, 8)
