"""What `check` doubts of prompts; every study here can be run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.models.prompts.prompts import Template
from penstock.study.factors import Constraint
from tests.models.studies import chat, chat_study

URL = "http://127.0.0.1:9/v1"
BOTH = "{{ problem.brief }} Be {{ condition.tone }}."


def doubts(tmp_path: Path, agent: Any = None, **fields: Any) -> list[str]:
    study = chat_study(tmp_path, agent or chat(URL, prompt=BOTH), **fields)
    report = ps.check(study)
    assert report.errors == ()
    return list(report.warnings)


def judged(prompt: str) -> dict[str, Any]:
    return {"clear": {"judge": {"base_url": URL, "model": "some-model", "prompt": prompt}}}


def problems(count: int) -> tuple[ps.Problem, ...]:
    return tuple(ps.Problem(problem_id=f"p{at}", brief=f"{at} + 1?") for at in range(count))


def test_a_study_that_says_what_it_varies_and_asks_raises_no_doubt(tmp_path: Path) -> None:
    assert doubts(tmp_path, evaluators=judged("Is it clear? {{ answer }}")) == []


@pytest.mark.field("studies-N12")
def test_a_factor_that_no_prompt_names_is_told_with_what_to_write(tmp_path: Path) -> None:
    (doubt,) = doubts(tmp_path, chat(URL, prompt="{{ problem.brief }}"))

    assert "Factor 'tone' changes nothing" in doubt
    assert "its 2 levels are asked the same; write {{ condition.tone }}" in doubt


@pytest.mark.parametrize(
    "fields",
    [
        {"system": "Be {{ condition['tone'] }}."},
        {"system": "{% if run.replicate > 9 %}{{ condition.tone }}{% endif %}"},
        {"system": "{% for name in condition %}{{ condition[name] }}{% endfor %}"},
        {"system": "{{ run.condition_id }}"},
        {"reasoning_effort": "{{ condition.tone }}"},
        {"extra": {"nested": [{"style": "{{ condition.tone }}"}]}},
    ],
)
def test_a_factor_may_be_named_in_any_text_of_a_request(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    assert doubts(tmp_path, chat(URL, **fields)) == []


def test_a_factor_that_a_judge_a_constraint_or_code_may_use_is_not_doubted(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        return str(ctx.condition["tone"])

    untold = chat(URL)
    constraint = Constraint(constraint_id="c", description="c", expression="tone != 'b'")
    judge = judged("Is it {{ condition.tone }}? {{ answer }}")

    assert doubts(tmp_path, untold, evaluators=judge) == []
    assert doubts(tmp_path, untold, constraints=(constraint,)) == []
    mixed = {"gpt": untold, "mine": agent}
    assert doubts(tmp_path, untold, agents=mixed, agent_specs=("gpt", "mine")) == []


@pytest.mark.field("studies-N12")
def test_a_prompt_without_the_problem_is_told_with_how_many_are_asked_alike(tmp_path: Path) -> None:
    agent = chat(URL, prompt="Be {{ condition.tone }}.")
    several, one = doubts(tmp_path, agent, problems=problems(3)), doubts(tmp_path, agent)

    assert [each.partition(": ")[2] for each in (*several, *one)] == [
        f"its prompts do not name the problem, so {said}; write {{{{ problem.brief }}}} where it "
        "belongs"
        for said in ("all 3 problems are asked the same", "the problem is not asked")
    ]
    nothing = ps.Problem(problem_id="write a poem", payload={"expected": "x"})
    assert doubts(tmp_path, agent, problems=(nothing,)) == []
    assert doubts(tmp_path, chat(URL, prompt=BOTH.replace("brief", "payload['expected']"))) == []


@pytest.mark.field("studies-N12")
def test_a_name_in_single_braces_is_told_with_how_it_is_written(tmp_path: Path) -> None:
    agent = chat(URL, prompt='{brief} {tone} {{ problem.brief }} {"a": 1} {x} {{ condition.tone }}')
    judge = judged("{answer} {{ answer }}")
    said = [
        f"agent 'gpt': prompt: {name} is sent as it stands; for its value write {place}"
        for name, place in (
            ("{brief}", "{{ problem.brief }}"),
            ("{tone}", "{{ condition.tone }}"),
        )
    ]

    assert doubts(tmp_path, agent) == said
    *_, judged_so = doubts(tmp_path, agent, evaluators=judge)
    assert "evaluator 'clear': prompt: {answer} is sent as it stands" in judged_so


def test_a_judge_that_is_not_shown_the_answer_is_told(tmp_path: Path) -> None:
    (doubt,) = doubts(tmp_path, evaluators=judged("Rate {{ problem.brief }}"))

    assert doubt.startswith("evaluator 'clear': its prompts do not name the answer")
    assert doubts(tmp_path, evaluators=judged("Rate {{ outputs.text }}")) == []


def test_a_provider_that_asks_for_a_key_is_told_where_none_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "made-up")
    url = "https://api.openai.com/v1"
    (doubt,) = doubts(tmp_path, chat(url, prompt=BOTH))

    assert doubt == (
        "agent 'gpt': api.openai.com asks for a key, and none is declared; say `api_key_env: NAME`"
    )
    for way in (
        {"api_key_env": "MY_KEY"},
        {"headers": {"api-key": "${MY_KEY}"}},
        {"proxy": "http://127.0.0.1:9"},
    ):
        assert doubts(tmp_path, chat(url, prompt=BOTH, **way)) == []

    assert doubts(tmp_path, chat("https://llm.example.org/v1", prompt=BOTH)) == []


@pytest.mark.field("studies-SEC12")
def test_an_address_whose_path_may_hold_a_key_is_told(tmp_path: Path) -> None:
    held = "https://llm.example.org/0123456789abcdef01234567/v1"
    (doubt,) = doubts(tmp_path, chat(held, prompt=BOTH))

    assert "the path of base_url may hold a key" in doubt
    assert (
        doubts(tmp_path, chat("https://h.example/openai/gpt-4o-2024-07-18/v1", prompt=BOTH)) == []
    )


def test_a_template_tells_what_it_reads_of_a_name_unless_it_takes_it_whole() -> None:
    assert Template("plain").reads("problem") == frozenset()
    assert Template("{{ problem.a }}{{ problem['b'] }}").reads("problem") == frozenset("ab")
    assert Template("{{ problem.a }}{{ problem }}").reads("problem") is None
    assert Template("{{ problem[run.x] }}").reads("problem") is None
    assert Template("{{ problem[run.x] }}").reads("run") == frozenset("x")


def test_a_model_in_the_hands_of_an_agent_is_asked_what_the_agent_likes(tmp_path: Path) -> None:
    async def mine(ctx: ps.RunContext) -> str:
        return (await ctx.model("small").chat("Say something.")).text

    small = {"base_url": URL, "model": "some-model"}

    assert doubts(tmp_path, mine, models={"small": small}) == []
