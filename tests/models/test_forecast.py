"""What a plan may cost: from its prompts alone to answers as long as they may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.models.chat_model import ChatMessage, CompletionRequest
from penstock.models.prompts.forecast import forecasts
from penstock.models.prompts.tokens import prompt_tokens
from penstock.planning.plan import plan
from penstock.running.checking import prepare
from penstock.study.problem import Problem
from tests.models.studies import chat, chat_study

URL = "http://127.0.0.1:9/v1"


def tokens(text: str) -> int:
    return prompt_tokens(
        CompletionRequest(model="m", messages=(ChatMessage(role="user", content=text),))
    )


def test_a_small_plan_is_forecast_from_all_of_its_prompts(tmp_path: Path) -> None:
    problems = (Problem(problem_id="p", brief="short"), Problem(problem_id="q", brief="long " * 50))
    study = chat_study(tmp_path, chat(URL, max_tokens=20), problems=problems)
    (found,) = forecasts(plan(study))

    asked = 2 * (tokens("short") + tokens("long " * 50))
    assert (found.who, found.calls) == ("agent 'gpt'", 4)
    assert (found.low_tokens, found.high_tokens) == (asked, asked + 4 * 20)
    assert found.low_usd == pytest.approx(asked * 1000 / 1e6)
    assert found.high_usd == pytest.approx((asked * 1000 + 80 * 2000) / 1e6)


def test_a_large_plan_is_forecast_from_some_of_its_runs_the_same_each_time(tmp_path: Path) -> None:
    problems = tuple(Problem(problem_id=f"p{n}", brief="x" * (n % 7)) for n in range(700))
    agents = {"one": chat(URL), "two": chat(URL, prompt="Always the same.")}
    study = chat_study(
        tmp_path,
        agents["one"],
        agents=agents,
        agent_specs=("one", "two"),
        problems=problems,
        replicates=3,
    )
    one, two = forecasts(plan(study))

    assert (one, two) == tuple(forecasts(plan(study)))
    assert one.calls == two.calls == 4200
    assert two.low_tokens == 4200 * tokens("Always the same.")


def test_without_max_tokens_or_a_price_there_is_no_upper_bound(tmp_path: Path) -> None:
    study = chat_study(tmp_path, chat(URL, max_tokens=None, model="unheard-of"), prices={})
    (found,) = forecasts(plan(study))

    assert found.high_tokens is None
    assert found.low_usd is None
    assert found.high_usd is None


def test_a_judge_reads_answers_as_long_as_they_may_be(tmp_path: Path) -> None:
    judge = {
        "base_url": URL,
        "model": "some-model",
        "prompt": "Score {{ answer }}",
        "max_tokens": 5,
    }
    study = chat_study(tmp_path, chat(URL, max_tokens=20), evaluators={"grade": {"judge": judge}})
    _, found = forecasts(plan(study))

    assert found.who == "evaluator 'grade'"
    assert found.low_tokens == 2 * tokens("Score ")
    assert found.high_tokens == found.low_tokens + 2 * (20 + 5)


@pytest.mark.field("studies-N11")
def test_what_is_done_is_not_asked_again_and_what_is_answered_is_only_judged(
    tmp_path: Path,
) -> None:
    judge = {
        "base_url": URL,
        "model": "some-model",
        "prompt": "Score {{ answer }}",
        "max_tokens": 5,
    }
    agents = {"one": chat(URL, max_tokens=20), "two": chat(URL, max_tokens=20)}
    study = chat_study(
        tmp_path,
        agents["one"],
        agents=agents,
        agent_specs=("one", "two"),
        evaluators={"grade": {"judge": judge}},
        replicates=3,
    )
    made = plan(study)
    done = bytearray(made[at].agent_id == "one" for at in range(len(made)))
    (waiting, *_) = (at for at in range(len(made)) if not done[at])
    one, two, grade = forecasts(made, done, {waiting})

    assert (one.calls, one.low_tokens, one.high_tokens, one.high_usd) == (0, 0, 0, 0.0)
    assert (two.calls, grade.calls) == (5, 6)
    whole = forecasts(made)
    assert [each.calls for each in whole] == [6, 6, 12]
    assert two.low_tokens == round(whole[1].low_tokens * 5 / 6)


@pytest.mark.field("models-E12", "models-F17")
def test_a_published_price_is_found_at_an_address_that_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("genai_prices")
    monkeypatch.setenv("SOME_ENDPOINT", "https://api.openai.com/v1")
    agent = chat("${SOME_ENDPOINT}", model="gpt-4o-mini", max_tokens=20)
    study = chat_study(tmp_path, agent, prices={}, budget={"max_cost_usd": 1})
    (found,) = forecasts(plan(study))
    assert found.high_usd is not None
    prepare(study).ready()  # and the budget knows what its calls cost
