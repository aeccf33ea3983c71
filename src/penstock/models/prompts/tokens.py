"""How many tokens a text is, estimated without the model's tokenizer."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from penstock._base.json import encode
from penstock.models.chat_model import ChatMessage, CompletionRequest
from penstock.models.prompts.images import image_tokens

__all__ = ["estimate_tokens", "prompt_tokens"]

_ASCII_CHARACTERS_PER_TOKEN = 3
_OTHER_BYTES_PER_TOKEN = 2
_TOKENS_PER_MESSAGE = 4
_LONG = 4000
"""Longer texts are not remembered."""

_SHORT = 32
"""Shorter texts are settings, such as how much to reason."""


def estimate_tokens(text: str) -> int:
    """Estimate how many tokens a text is.

    A digit is a token, three other ASCII characters are one, and two bytes of UTF-8 of anything
    else. Current tokenizers need about a token for four characters of English and for one to
    three bytes of other scripts, so this is rather too many than too few: what is reserved by it
    is corrected by what the provider counts.
    """
    return _of_prompts(text) if len(text) <= _LONG else _estimate(text)


def _estimate(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    others = 0 if text.isascii() else len(data) - len(text.encode("ascii", "ignore"))
    digits = len(data) - len(data.translate(None, b"0123456789"))
    characters = len(data) - others - digits
    return (
        digits
        + -(-characters // _ASCII_CHARACTERS_PER_TOKEN)
        + -(-others // _OTHER_BYTES_PER_TOKEN)
    )


_of_prompts = lru_cache(1024)(_estimate)
"""Instructions, and often the whole prompt, are the same in many runs: 12 us less each."""


def prompt_tokens(request: CompletionRequest) -> int:
    """Estimate the tokens of a prompt: messages, and what else a provider makes part of it.

    Tools and JSON schemas are told to the model, and billed, as text.
    """
    tokens = sum(map(_message_tokens, request.messages))
    for other in (request.json_schema, request.tools, *request.extra.values()):
        if other and not _is_small(other):
            tokens += estimate_tokens(encode(other))

    return tokens


def _message_tokens(message: ChatMessage) -> int:
    tokens = _TOKENS_PER_MESSAGE + estimate_tokens(message.text)
    for said in (message.tool_call_id, message.sealed_reasoning):
        if said:
            tokens += estimate_tokens(said)

    for call in message.tool_calls:
        tokens += estimate_tokens(f"{call.id} {call.name} {call.arguments}")

    for image in message.images:
        tokens += image_tokens(image.url)

    return tokens


def _is_small(value: Any) -> bool:
    return isinstance(value, (int, float)) or (isinstance(value, str) and len(value) < _SHORT)
