"""Embeddings that are made up: of one text always the same."""

from __future__ import annotations

import base64
import struct
from typing import Any

import orjson

from penstock.simulator.draws import Draws

__all__ = ["vectors_body"]

_DIMENSIONS = 8


def vectors_body(body: bytes, tokens: int, draws: Draws) -> bytes:
    """Write the body of an answer.

    Args:
        body: The request, which is known to be one.
        tokens: How many tokens its texts are.
        draws: Where the vectors are drawn from.
    """
    fields = orjson.loads(body)
    texts = [fields["input"]] if isinstance(fields["input"], str) else fields["input"]
    size = fields.get("dimensions") or _DIMENSIONS
    is_packed = fields.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(draws, text, size, is_packed)}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return orjson.dumps({"object": "list", "data": data, "model": fields["model"], "usage": usage})


def _vector(draws: Draws, text: str, size: int, is_packed: bool) -> Any:  # noqa: FBT001
    numbers = [2 * draws.uniform("vector", text, place) - 1 for place in range(size)]
    if not is_packed:
        return numbers

    return base64.b64encode(struct.pack(f"<{size}f", *numbers)).decode()
