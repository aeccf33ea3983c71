"""Models that a study declares by name, and agents and judges that ask for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.errors import ValidationError
from penstock.study.chat import ChatOptions, Model, choices, spelled_out
from tests.builders import make_study

URL = "http://127.0.0.1:9/v1"
SMALL = Model(base_url=URL, model="small-2026", temperature=0.5, max_tokens=100)


def study(**fields: Any) -> ps.Study:
    given: dict[str, Any] = {"models": {"small": SMALL, "fake": Model(provider="simulated")}}
    return make_study(**(given | fields), agent_specs=())


def test_an_agent_that_names_a_model_has_all_that_is_said_of_it() -> None:
    options = ChatOptions(model="small", prompt="Hi", temperature=0.9)
    (asked,) = choices(options, {"small": SMALL}).values()

    assert asked == ChatOptions(
        base_url=URL, model="small-2026", prompt="Hi", temperature=0.9, max_tokens=100
    )


def test_a_limit_of_tokens_under_its_other_name_takes_the_place_of_the_models() -> None:
    options = ChatOptions(model="small", max_completion_tokens=7)
    (asked,) = choices(options, {"small": SMALL}).values()

    assert (asked.max_tokens, asked.max_completion_tokens) == (None, 7)


def test_naming_a_model_and_writing_it_in_place_declare_the_same_agent() -> None:
    in_place = ChatOptions(
        base_url=URL, model="small-2026", temperature=0.5, max_tokens=100, prompt="Hi"
    )
    named = ChatOptions(model="small", prompt="Hi")

    assert spelled_out(named, {"small": SMALL}) == spelled_out(in_place, {})


def test_a_model_without_a_name_at_its_provider_has_the_one_that_the_study_gives() -> None:
    models = {"fake": Model(provider="simulated")}
    (asked,) = choices(ChatOptions(model="fake"), models).values()

    assert (asked.model, asked.provider) == ("fake", "simulated")


def test_a_template_may_choose_among_all_models() -> None:
    models = {"small": SMALL, "fake": Model(provider="simulated")}
    chosen = choices(ChatOptions(model="{{ condition.model }}"), models)

    assert {name: each.model for name, each in chosen.items()} == {
        "small": "small-2026",
        "fake": "fake",
    }


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ({"model": "smal"}, "'smal' is not a model of this study \\(models: small, fake\\)"),
        ({"model": "small", "api_key_env": "KEY"}, "api_key_env: said where the model is declared"),
        ({"model": "{{ condition.tone }}", "price": None}, "price: said where the model is"),
    ],
)
def test_what_an_agent_cannot_say_beside_a_name_is_told_with_its_place(
    agent: dict[str, Any], said: str
) -> None:
    with pytest.raises(ps.ValidationError, match=f"agents.gpt.chat.model: {said}"):
        study(agents={"gpt": {"chat": agent}})


def test_without_models_there_is_nothing_to_choose_from() -> None:
    agents = {"gpt": {"chat": {"model": "{{ condition.tone }}"}}}
    with pytest.raises(ps.ValidationError, match="declares no models to choose from"):
        study(agents=agents, models={})

    with pytest.raises(ps.ValidationError, match="models: none"):
        study(agents={"gpt": {"chat": {"model": "gpt-4o"}}}, models={})


def test_a_judge_names_a_model_as_an_agent_does() -> None:
    judge = {"model": "other", "prompt": "Score {{ answer }}"}
    with pytest.raises(ps.ValidationError, match=r"evaluators.grade.judge.model: 'other' is not"):
        study(evaluators={"grade": {"judge": judge}})


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({}, "give its base_url, or a provider such as `simulated`"),
        ({"provider": "simulated", "base_url": URL}, "a simulated provider has no base_url"),
        ({"base_url": URL, "simulator": {"seed": 1}}, "is of `provider: simulated` alone"),
        ({"base_url": URL, "model": "{{ x }}"}, "declare each model, and let `model:`"),
        ({"base_url": URL, "provider_options": {"a": 1}}, "makes no use of it"),
    ],
)
def test_a_model_that_is_nowhere_or_in_two_places_is_an_error(
    model: dict[str, Any], said: str
) -> None:
    with pytest.raises(ps.ValidationError, match=said):
        study(models={"m": model})


def test_a_study_with_models_is_the_same_when_it_is_written_out_and_read_back() -> None:
    agents = {"gpt": {"chat": {"model": "small", "prompt": "Hi"}}}
    declared = study(agents=agents)
    again = ps.Study(**declared.to_dict())

    assert again.models == declared.models
    assert spelled_out(again.agents["gpt"].chat or SMALL_ASKED, again.models) == spelled_out(
        declared.agents["gpt"].chat or SMALL_ASKED, declared.models
    )


SMALL_ASKED = ChatOptions(model="small")


def test_a_study_without_models_is_written_as_it_ever_was() -> None:
    agents = {"gpt": {"chat": {"base_url": URL, "model": "m"}}}
    written = study(agents=agents, models={}).to_dict()

    assert "models" not in written
    assert (
        not {"provider", "simulator", "price", "limits"} & written["agents"]["gpt"]["chat"].keys()
    )


def test_a_study_file_declares_models(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        "study_id: s\ntitle: S\n"
        "models:\n  fake: {provider: simulated, simulator: {latency_s: 0}}\n"
        "agents:\n  solver: {chat: {model: fake}}\n"
    )
    read = ps.load_study(path)

    assert read.models["fake"] == ps.Model(provider="simulated", simulator={"latency_s": 0})


KEY = "ghp_" + "a1B2" * 9


@pytest.mark.field("studies-SEC12")
@pytest.mark.parametrize(
    "said",
    [
        {"extra": {"token": KEY}},
        {"extra": {"token": "a word"}},
        {"extra": {"a": {"b": [{"api_key": "a word"}]}}},
        {"extra": {"a": [[{"authorization": "Basic a"}]]}},
        {"extra": {"access_token": "a word"}},
        {"base_url": f"https://llm.example.org/{KEY}/v1"},
        {"base_url": f"${{HOST}}/{KEY}/v1"},
    ],
)
def test_a_key_is_refused_wherever_it_is_written_and_not_repeated(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        ChatOptions(**{"base_url": "https://llm.example.org/v1", "model": "m", **said})

    assert "key" in str(refused.value)
    assert KEY not in str(refused.value)


def test_a_mark_that_is_called_a_token_is_not_a_key() -> None:
    extra = {"eos_token": "</s>", "nested": [{"pad_token": "<pad>"}]}
    options = ChatOptions(base_url="https://llm.example.org/v1", model="m", extra=extra)

    assert options.extra["eos_token"] == "</s>"
