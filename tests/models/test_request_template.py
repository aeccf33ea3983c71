"""Conversations that a study declares: few-shot examples, several turns, a begun answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.models.prompts.prompts import scope_of
from penstock.models.prompts.request_template import RequestTemplate
from penstock.study.chat import ChatOptions
from tests.builders import make_context
from tests.models.studies import chat, chat_study

URL = "http://127.0.0.1:9/v1"
EXAMPLES = [
    {"role": "user", "content": "2 + 2?"},
    {"role": "assistant", "content": "A: 4"},
    {"role": "user", "content": "{{ problem.brief }} ({{ condition.tone }})"},
    {"role": "assistant", "content": "A:"},
]


def sent(**fields: Any) -> list[tuple[str, str]]:
    """The messages that an agent's first run sends."""
    options = ChatOptions(base_url=URL, model="m", **fields)
    ctx = make_context()
    request = RequestTemplate("agent 'gpt'", options).fill_in(
        scope_of(ctx.spec, ctx.problem, ctx.condition), 0
    )
    return [(message.role, str(message.content)) for message in request.messages]


@pytest.mark.field("models-E8")
def test_a_conversation_is_sent_as_it_is_declared_its_texts_filled_in() -> None:
    assert sent(messages=EXAMPLES) == [
        ("user", "2 + 2?"),
        ("assistant", "A: 4"),
        ("user", "What is 6 x 7? (a)"),
        ("assistant", "A:"),
    ]


@pytest.mark.field("models-E8")
def test_a_system_prompt_stands_first_or_before_the_first_words_of_the_user() -> None:
    first, *others = sent(messages=EXAMPLES, system="Be brief.")
    assert (first, len(others)) == (("system", "Be brief."), 4)

    first, *others = sent(messages=EXAMPLES, system="Be brief.", system_as_user=True)
    assert (first, len(others)) == (("user", "Be brief.\n\n2 + 2?"), 3)


@pytest.mark.field("models-E8")
def test_a_developer_may_speak() -> None:
    messages = [{"role": "developer", "content": "Be brief."}, EXAMPLES[2]]
    assert sent(messages=messages)[0] == ("developer", "Be brief.")


def test_without_messages_the_prompt_is_sent_as_ever() -> None:
    assert sent() == [("user", "What is 6 x 7?")]
    assert sent(system="S", system_as_user=True) == [("user", "S\n\nWhat is 6 x 7?")]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"messages": EXAMPLES, "prompt": "Hi"}, "give the prompt as the last message"),
        (
            {"messages": EXAMPLES[1:], "system": "S", "system_as_user": True},
            "the first of messages must be the user's",
        ),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages\\[0\\].role: "),
        ({"messages": [{"role": "user"}]}, "messages\\[0\\].content: is required"),
    ],
)
def test_a_conversation_that_cannot_be_meant_is_an_error(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ps.ValidationError, match=said):
        ChatOptions(base_url=URL, model="m", **fields)


def test_what_a_message_cannot_be_filled_in_with_is_told_with_its_place(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "{{ problem.brif }}"}]
    agent = chat(URL, messages=messages)
    with pytest.raises(ps.ValidationError, match=r"messages\.0\.content: 'brif' is unknown"):
        ps.StudyRunner(chat_study(tmp_path, agent))


def test_a_study_without_messages_is_written_as_it_ever_was() -> None:
    assert "messages" not in ChatOptions(base_url=URL, model="m").model_dump()


def test_fields_that_are_the_same_in_every_run_need_nothing_of_it_but_its_seed() -> None:
    options = ChatOptions(
        base_url=URL, model="m", temperature=0.5, stop=["A"], extra={"top_k": 1}, seed=True
    )
    ctx = make_context()
    scope = scope_of(ctx.spec, ctx.problem, ctx.condition)
    filled = RequestTemplate("agent 'gpt'", options).fields(scope, 1)

    template = RequestTemplate("agent 'gpt'", options)
    assert template.has_fixed_fields
    assert [template.fields({}, seed) for seed in (1, 2)] == [filled, {**filled, "seed": 2}]
    template.fields({}, 3)["model"] = "other"
    assert template.fields({}, 1) == filled, "each run has its own"


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "{{ condition.tone }}"},
        {"model": "m", "temperature": "{{ run.replicate / 10 }}"},
        {"model": "m", "stop": ["{{ condition.tone }}"]},
        {"model": "m", "extra": {"user": "{{ run.run_id }}"}},
    ],
)
def test_a_field_that_a_run_fills_in_is_filled_in_for_each(fields: dict[str, Any]) -> None:
    template = RequestTemplate("agent 'gpt'", ChatOptions(base_url=URL, **fields))
    assert not template.has_fixed_fields
