"""Embeddings as an SDK asks for them: each text a message, the vectors the answer's text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock._base.json import decode
from penstock.models.chat_model import ChatMessage, Completion, CompletionRequest
from penstock.models.sdk.chat_wire import openai_error
from penstock.models.sdk.wire import Declared, SdkFormat, UnreadableRequestError, only_known

__all__ = ["EMBEDDINGS"]

_OTHERS = ("dimensions", "encoding_format", "user")


def _read(body: Mapping[str, Any], declared: Declared) -> CompletionRequest:
    only_known(body, frozenset({*_OTHERS, "model", "input"}), "embeddings")
    given = body.get("input") or ()
    texts = [given] if isinstance(given, str) else given
    if not all(isinstance(text, str) for text in texts):
        raise UnreadableRequestError("input: tokens cannot be sent; give texts")

    messages = [ChatMessage(role="user", content=text) for text in texts]
    # What else is declared is of conversations.
    plain = declared._replace(fields={"model": declared.fields["model"], "extra": {}})
    others = {name: body.get(name) for name in _OTHERS}
    return plain.request(body, messages, {"is_embedding": True}, others)


def _answer(completion: Completion, body: Mapping[str, Any]) -> dict[str, Any]:
    data = [
        {"object": "embedding", "index": place, "embedding": vector}
        for place, vector in enumerate(decode(completion.text))
    ]
    counted = completion.usage.input_tokens
    return {
        "object": "list",
        "data": data,
        "model": completion.model or body["model"],
        "usage": {"prompt_tokens": counted, "total_tokens": counted},
    }


EMBEDDINGS = SdkFormat("/embeddings", _read, _answer, None, openai_error)
