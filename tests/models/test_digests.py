"""Digests of requests: equal where everything that is asked is equal."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.models.calls import digests as module
from penstock.models.calls.digests import Digests, digest_of, digest_of_message
from penstock.models.chat_model import ChatMessage, CompletionRequest, ToolCall

USER = ChatMessage(role="user", content="6 x 7?")


def asked(*messages: ChatMessage, **fields: Any) -> CompletionRequest:
    return CompletionRequest(model="m", messages=messages or (USER,), **fields)


def test_a_request_is_known_by_all_that_is_asked_and_of_whom() -> None:
    others = [
        digest_of("here", asked()),
        digest_of("there", asked()),
        digest_of("here", asked(temperature=0.5)),
        digest_of("here", asked(ChatMessage(role="system", content="6 x 7?"))),
        digest_of("here", asked(USER, USER)),
        digest_of("here", asked(ChatMessage(role="user", content="6 x 7? "))),
        digest_of("here", asked(tools=({"type": "function"},))),
    ]

    assert len(set(others)) == len(others)
    assert digest_of("here", asked()) == others[0]


def test_a_history_gives_the_same_whether_it_was_seen_before_or_not() -> None:
    call = ToolCall(id="c", name="search", arguments="{}")
    history = (
        USER,
        ChatMessage(role="assistant", content="", tool_calls=(call,)),
        ChatMessage(role="tool", content="\ud83d bees", tool_call_id="c"),
    )
    known = Digests()
    known.of(history[:2])

    assert known.of(history) == tuple(map(digest_of_message, history))
    assert digest_of("here", asked(*history), known.of(history)) == digest_of(
        "here", asked(*history)
    )


def test_what_was_seen_is_forgotten_where_it_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def reading(message: ChatMessage) -> bytes:
        read.append(message.text)
        return digest_of_message(message)

    monkeypatch.setattr(module, "_MOST_CHARACTERS", 10)
    monkeypatch.setattr(module, "digest_of_message", reading)
    known = Digests()
    for text in ("a" * 6, "b" * 6, "b" * 6, "a" * 6):
        known.of([ChatMessage(role="user", content=text)])

    assert read == ["a" * 6, "b" * 6, "a" * 6]
