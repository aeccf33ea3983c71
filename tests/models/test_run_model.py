"""Models in the hands of agents in Python: ``ctx.model("small")``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

import penstock as ps
from penstock.events import StudyStarted
from penstock.models.model_errors import RefusalError, UnboundedCallError
from penstock.simulator import SimulatedProvider, SimulatorOptions
from tests.builders import make_context, make_study
from tests.models.loopback import ANSWER, answers, http_server
from tests.models.studies import PRICE, rows

pytestmark = pytest.mark.anyio

Agent = Callable[[ps.RunContext], Awaitable[Any]]

_NAMES = ("small", "large")


def a_study(tmp_path: Path, agent: Agent, url: str = "", **fields: Any) -> ps.Study:
    """A study of one run, whose agent may ask the model ``small``."""
    at = {"base_url": url} if url else {"provider": "simulated", "simulator": {"latency_s": 0.0}}
    small = {**at, "model": "some-model", "max_tokens": 20, "price": PRICE}
    given: dict[str, Any] = {
        "models": {"small": small | fields.pop("small", {})},
        "agents": {"mine": agent},
        "agent_specs": ("mine",),
        "base_dir": tmp_path,
        "output_dir": "results",
    }
    return make_study(("a",), **(given | fields))


async def run(study: ps.Study, **options: Any) -> ps.StudyResult:
    return await ps.arun_study(study, show_progress=False, **options)


async def test_an_agent_asks_a_declared_model_and_its_run_adds_up(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        model = ctx.model("small")
        first = await model.chat(ctx.problem.brief)
        second = await model.chat(
            [
                {"role": "user", "content": ctx.problem.brief},
                {"role": "assistant", "content": first.text},
                {"role": "user", "content": "Are you sure?"},
            ],
            temperature=0.5,
        )
        assert (first.cost_usd or 0) + (second.cost_usd or 0) == ctx.metrics["cost_usd"]
        return second.text

    options = SimulatorOptions(latency_s=0.0, answers=("42",))
    async with SimulatedProvider(options) as provider:
        study = a_study(tmp_path, agent, provider.url)
        (result,) = await run(study)
        records = provider.records

    assert result.outputs == {"text": "42"}
    assert len(records) == 2
    assert result.metrics["input_tokens"] == sum(each.input_tokens for each in records)
    assert result.metrics["output_tokens"] == sum(each.output_tokens for each in records)
    assert result.cost_usd == pytest.approx(
        result.metrics["input_tokens"] * 0.001 + result.metrics["output_tokens"] * 0.002
    )
    (row,) = rows(study, "SELECT model_name, agent_kind FROM runs")
    assert row["model_name"] == "some-model"


@pytest.mark.parametrize(
    ("recorded", "is_told"),
    [
        (("cost_usd",), True),
        (("input_tokens", "output_tokens"), True),
        (("input_tokens",), False),
        ((), False),
    ],
)
async def test_an_agent_that_records_what_its_calls_cost_is_told_that_it_counts_twice(
    recorded: tuple[str, ...], is_told: bool, tmp_path: Path
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        for _ in range(2):
            answer = await ctx.model("small").chat(ctx.problem.brief)
            known = {
                "cost_usd": answer.cost_usd,
                "input_tokens": answer.usage.input_tokens,
                "output_tokens": answer.usage.output_tokens,
            }
            ctx.record(**{name: known[name] for name in recorded})

        return answer.text

    with capture_logs() as logs:
        (result,) = await run(a_study(tmp_path, agent))

    assert result.provenance.get("is_counted_twice", False) is is_told
    assert [each["event"] for each in logs].count("run.counted_twice") == is_told


async def test_what_a_call_says_comes_before_what_the_model_says(tmp_path: Path) -> None:
    bodies: list[Any] = []

    async def handler(request: Any) -> Any:
        bodies.append(await request.json())
        return await answers()(request)

    async def agent(ctx: ps.RunContext) -> str:
        model = ctx.model("small")
        await model.chat("one")
        await model.chat("two", temperature=0.9, max_completion_tokens=7, extra={"top_k": 3})
        return "done"

    async with http_server(handler) as url:
        small = {"temperature": "{{ 0.25 }}", "extra": {"user": "me"}}
        results = await run(a_study(tmp_path, agent, url, small=small))

    assert results.summary.succeeded == 1
    one, two = bodies
    assert (one["temperature"], one["max_tokens"], one["user"]) == (0.25, 20, "me")
    assert (two["temperature"], two["max_completion_tokens"]) == (0.9, 7)
    assert "max_tokens" not in two
    assert (two["user"], two["top_k"]) == ("me", 3)


async def test_an_agent_that_breaks_its_own_clock_keeps_no_turn_from_others(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        if ctx.spec.replicate == 1:
            ctx.waited_s = "long"  # type: ignore[assignment]

        return (await ctx.model("small").chat("?")).text

    async with SimulatedProvider(SimulatorOptions(latency_s=0.0)) as provider:
        limits = {provider.url: {"max_in_flight": 1}}
        study = a_study(tmp_path, agent, provider.url, limits=limits, replicates=3)
        results = await run(study, concurrency=1)

    assert (results.summary.succeeded, results.summary.failed) == (2, 1)


async def test_what_a_call_says_is_heard_in_whatever_way_it_was_said_before(tmp_path: Path) -> None:
    said: list[dict[str, Any]] = [
        *({}, {"temperature": 0.5}, {"temperature": 0.25}, {}, {"temperature": None}),
        *({"temperature": 1}, {"temperature": 1.0}, {"temperature": 0.0}, {"temperature": -0.0}),
        *({"stop": ["a"]}, {"stop": ["b"]}, {"seed": 1}, {"seed": 2}, {"logprobs": True}, {}),
        *({"temperature": 0.1, "seed": number} for number in range(200)),
        {"temperature": 0.5},
    ]
    bodies: list[Any] = []

    async def handler(request: Any) -> Any:
        bodies.append(await request.json())
        return await answers()(request)

    async def agent(ctx: ps.RunContext) -> str:
        for number, options in enumerate(said):
            await ctx.model("small").chat(f"{number}", **options)

        return "done"

    async with http_server(handler) as url:
        await run(a_study(tmp_path, agent, url))

    heard = [{k: v for k, v in body.items() if k not in _ALWAYS_SENT} for body in bodies]
    wanted = [{k: v for k, v in options.items() if v is not None} for options in said]
    for options in wanted:
        if "temperature" in options:
            options["temperature"] = float(options["temperature"])

    assert list(map(repr, heard)) == list(map(repr, wanted))
    assert [body["messages"][0]["content"] for body in bodies] == list(map(str, range(len(said))))


_ALWAYS_SENT = {"model", "messages", "max_tokens"}


async def test_the_fields_of_an_answer_in_json_are_read(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

    async def agent(ctx: ps.RunContext) -> dict[str, Any]:
        answer = await ctx.model("small").chat("A number, please", json_schema=schema)
        return dict(answer.fields)

    (result,) = await run(a_study(tmp_path, agent))
    assert isinstance(result.outputs["n"], int)


async def test_an_answer_that_breaks_the_schema_fails_as_a_declared_agents_does(
    tmp_path: Path,
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        await ctx.model("small").chat("?", json_schema={"type": "object"})
        return "never"

    async with http_server(answers()) as url:
        (result,) = await run(a_study(tmp_path, agent, url))

    assert result.error is not None
    assert result.error.kind == "MalformedResponseError"
    assert "model 'small': the answer does not follow json_schema" in result.error.message
    assert result.metrics["output_tokens"] == 3


async def test_a_refusal_is_the_agents_to_handle(tmp_path: Path) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I would rather not."}
    body = ANSWER | {"choices": [{"message": message, "finish_reason": "stop"}]}

    async def agent(ctx: ps.RunContext) -> str:
        try:
            await ctx.model("small").chat("?")
        except RefusalError as error:
            return (error.completion and error.completion.refusal) or ""

        return "never"

    async with http_server(answers(body)) as url:
        (result,) = await run(a_study(tmp_path, agent, url))

    assert result.outputs == {"text": "I would rather not."}


async def test_a_failure_that_may_pass_is_tried_again_by_the_study(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        return (await ctx.model("small").chat("?")).text

    options = SimulatorOptions(latency_s=0.0, faults_at={1: "server_error"})
    async with SimulatedProvider(options) as provider:
        study = a_study(tmp_path, agent, provider.url)
        (result,) = await run(study, retry=ps.Retry(attempts=2, wait_s=0.0))

    assert (result.status, result.attempt) == ("success", 2)
    (failed,) = rows(study, "SELECT error_kind, http_status FROM attempts WHERE NOT final")
    assert failed == {"error_kind": "OverloadedError", "http_status": 500}


@pytest.mark.virtual_time
async def test_waiting_at_the_gate_does_not_count_towards_the_timeout(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        return (await ctx.model("small").chat("?")).text

    options = SimulatorOptions(latency_s=0.5)
    async with SimulatedProvider(options) as provider:
        study = a_study(
            tmp_path, agent, provider.url, small={"limits": {"max_in_flight": 1}}, replicates=6
        )
        results = await run(study, concurrency=6, timeout_s=1.0)

    assert results.summary.succeeded == 6
    assert max(result.metrics["queued_s"] for result in results) > 1.0
    assert max(result.latency_s for result in results) < 1.0


async def test_an_agent_takes_no_answer_that_it_failed_with_from_the_cache(tmp_path: Path) -> None:
    told: list[tuple[str, bool]] = []

    async def agent(ctx: ps.RunContext) -> str:
        model = ctx.model("small")
        for question in ("plan", "plan", "solve"):
            answer = await model.chat(question)
            told.append((question, answer.is_cached))

        if ctx.attempt == 1:
            raise ValueError("I do not like this solution")

        return "done"

    async with SimulatedProvider(SimulatorOptions(latency_s=0.0)) as provider:
        study = a_study(tmp_path, agent, provider.url, response_cache="cache.sqlite")
        (result,) = await run(study, retry=ps.Retry(attempts=2, wait_s=0.0))
        asked = len(provider.records)
        (again,) = await run(study, output_dir=tmp_path / "again")

    assert (result.status, again.status) == ("success", "failed")
    assert told[:3] == [("plan", False), ("plan", False), ("solve", False)]
    assert told[3:6] == [("plan", True), ("plan", True), ("solve", False)]
    assert asked == 4
    assert [is_cached for _, is_cached in told[6:9]] == [True, True, True]


async def test_a_call_without_a_bound_stops_a_study_that_has_a_budget(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        return (await ctx.model("small").chat("?")).text

    fields: dict[str, Any] = {"budget": {"max_tokens": 10_000}, "replicates": 5}
    study = a_study(tmp_path, agent, small={"max_tokens": None}, **fields)
    results = await run(study)

    assert results.summary.succeeded == 0
    assert "has no max_tokens" in str(results.summary.stopped_because)
    assert UnboundedCallError.stops_study


async def test_a_spent_budget_ends_a_conversation_and_the_study(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        for _ in range(100):
            await ctx.model("small").chat("?")

        return "never"

    async with SimulatedProvider(SimulatorOptions(latency_s=0.0)) as provider:
        study = a_study(tmp_path, agent, provider.url, budget={"max_tokens": 200})
        results = await run(study)
        used = sum(each.input_tokens + each.output_tokens for each in provider.records)

    assert results.summary.is_out_of_budget
    assert 0 < used <= 200


async def test_several_calls_at_once_are_each_their_own(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> dict[str, Any]:
        model, found = ctx.model("small"), dict[str, str]()

        async def ask(question: str) -> None:
            found[question] = (await model.chat(question)).text

        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(ask, f"What is {number}?")

        return {"answers": sorted(found)}

    async with SimulatedProvider(SimulatorOptions(latency_s=0.01)) as provider:
        (result,) = await run(a_study(tmp_path, agent, provider.url))
        asked = len(provider.records)

    assert (result.status, asked) == ("success", 5)


@pytest.mark.parametrize(
    ("messages", "options", "said"),
    [
        ("?", {"temprature": 1}, "chat() has no option 'temprature'; did you mean `temperature`?"),
        ("?", {"temperature": "hot"}, "model 'small' cannot be asked so: temperature: "),
        ([], {}, "there are no messages"),
        ([{"role": "user"}], {}, "messages[0]: content: Field required"),
        ([{"role": "robot", "content": ""}], {}, "messages[0]: role: Input should be"),
    ],
)
async def test_a_call_that_cannot_be_made_says_what_is_wrong_with_it(
    tmp_path: Path, messages: Any, options: dict[str, Any], said: str
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        return (await ctx.model("small").chat(messages, **options)).text

    (result,) = await run(a_study(tmp_path, agent))

    assert result.error is not None
    assert result.error.kind == "TypeError"
    assert said in result.error.message


def test_a_model_that_is_not_declared_says_which_are() -> None:
    ctx = make_context(models={"small": lambda _: None})
    with pytest.raises(ps.PenstockError, match=r"no model is named 'large' \(models: small\)"):
        ctx.model("large")


def test_a_model_that_only_code_asks_for_is_checked_before_anything_runs(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        return "never"

    small = {"api_key_env": "PENSTOCK_NO_SUCH_KEY", "temperature": "{{ condition.heat }}"}
    study = a_study(tmp_path, agent, "http://127.0.0.1:9/v1", small=small)
    with pytest.raises(ps.ValidationError) as caught:
        ps.StudyRunner(study)

    assert "model 'small': there is no key: PENSTOCK_NO_SUCH_KEY" in str(caught.value)


async def clear(answer: str, ctx: ps.RunContext) -> float:
    """Score an answer by two equal requests to a model."""
    model = ctx.model("small")
    replies = [await model.chat("How clear is it?") for _ in range(2)]
    assert answer
    return float(len(replies[0].text))


async def asks_once(ctx: ps.RunContext) -> str:
    return (await ctx.model("small").chat("How clear is it?")).text


@pytest.mark.parametrize("cache", [None, "responses.sqlite"])
async def test_what_a_function_that_scores_asks_is_a_judges_and_not_the_agents(
    cache: str | None, tmp_path: Path
) -> None:
    async def answers_itself(_: ps.RunContext) -> str:
        return "42"

    evaluators = {"clear": {"call": clear}}
    async with SimulatedProvider(SimulatorOptions(latency_s=0.0)) as provider:
        study = a_study(
            tmp_path, asks_once, provider.url, evaluators=evaluators, response_cache=cache
        )
        summary = (await run(study)).summary
        asked = len(provider.records)
        again = (await run(study, rescore=True)).summary
        asked_again = len(provider.records) - asked
        other = a_study(tmp_path / "other", answers_itself, provider.url, evaluators=evaluators)
        (silent,) = await run(other)

    calls = rows(study, "SELECT role, evaluator_id, cost_usd, session_id FROM calls")
    first = [each for each in calls if each["session_id"] == 1]
    assert [(each["role"], each["evaluator_id"]) for each in first] == [
        ("agent", None),
        ("judge", "clear"),
        ("judge", "clear"),
    ]
    assert asked == 3, "a judge takes no answer of the agent's"
    assert asked_again == (2 if cache is None else 0)
    price = first[0]["cost_usd"]
    assert summary.agents.cost_usd == pytest.approx(price)
    assert summary.judges.cost_usd == pytest.approx(2 * price)
    (session,) = rows(study, "SELECT * FROM sessions WHERE session_id = 1")
    assert session["agent_cost_usd"] == summary.agents.cost_usd
    assert session["judge_cost_usd"] == summary.judges.cost_usd
    assert again.cost_usd == pytest.approx(sum(each["cost_usd"] for each in calls))
    (told,) = rows(study, "SELECT cost_usd, judge_cost_usd FROM attempts")
    assert told["cost_usd"] == pytest.approx(price)
    assert told["judge_cost_usd"] == pytest.approx(again.judges.cost_usd)
    assert "model_name" not in silent.provenance
    assert silent.metrics["cost_usd"] == 0.0
    assert silent.metrics["judge_cost_usd"] == pytest.approx(2 * price)


async def asks_small(ctx: ps.RunContext) -> str:
    return (await ctx.model("small").chat("6 x 7?")).text


async def asks_whichever(ctx: ps.RunContext) -> str:
    return (await ctx.model(ctx.spec.agent_id.removeprefix("asks_")).chat("6 x 7?")).text


@pytest.mark.parametrize(
    ("agent", "changed", "told"),
    [
        (asks_small, {"small": {"temperature": 0.5}}, "(the model 'small' changed)"),
        (asks_small, {"small": {"model": "another"}}, "(the model 'small' changed)"),
        (asks_small, {"small": {"timeout_s": 5}}, ""),
        (asks_small, {"large": {"temperature": 0.5}}, ""),
        (asks_whichever, {"large": {"temperature": 0.5}}, "(the model 'large' changed)"),
    ],
)
def test_an_agent_whose_model_was_changed_is_noticed_as_one_whose_code_was(
    agent: Agent, changed: dict[str, dict[str, Any]], told: str, tmp_path: Path
) -> None:
    def study(changed: dict[str, dict[str, Any]]) -> ps.Study:
        fake: dict[str, Any] = {"provider": "simulated", "simulator": {"latency_s": 0.0}}
        models = {name: {**fake, "model": name, **changed.get(name, {})} for name in _NAMES}
        return make_study(
            ("a",),
            models={name: ps.Model.model_validate(said) for name, said in models.items()},
            agents={"asks_small": agent},
            agent_specs=("asks_small",),
            base_dir=tmp_path,
            output_dir="results",
        )

    def warnings_of(study: ps.Study) -> str:
        said: list[str] = []
        runner = ps.StudyRunner(study)
        runner.on(StudyStarted)(lambda event: said.extend(event.warnings))
        anyio.run(runner.run)
        return " ".join(said)

    first, same, other, again = (warnings_of(study(each)) for each in ({}, {}, changed, changed))

    assert (first, same) == ("", "")
    assert told in other
    assert again == other, "as long as results of before are kept"
    assert bool(other) is bool(told)
