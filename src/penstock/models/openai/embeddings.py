"""Embeddings over HTTP: texts are asked, and their vectors are the text of the answer, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock._base.frozen import FrozenDict
from penstock._base.json import encode
from penstock.models.chat_model import CompletionRequest
from penstock.models.openai.complaints import complaint_in
from penstock.models.openai.request_body import written
from penstock.models.openai.streaming import StreamedAnswer
from penstock.models.openai.wire_format import WireFormat

__all__ = ["EMBEDDINGS"]


def _body_of(request: CompletionRequest) -> bytes:
    texts = [message.text for message in request.messages]
    return written({"model": request.model, "input": texts, **request.extra})


def _completion_in(payload: Any) -> Any:
    """Convert vectors to a chat completion; what holds none is left as it is."""
    data = payload.get("data") if isinstance(payload, Mapping) else None
    if not isinstance(data, list) or not all(isinstance(each, Mapping) for each in data):
        return payload

    ordered = sorted(data, key=lambda each: each.get("index") or 0)
    message = {"content": encode([each.get("embedding") for each in ordered])}
    usage = payload.get("usage")
    return {
        "model": payload.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {**usage, "completion_tokens": 0} if isinstance(usage, Mapping) else None,
    }


EMBEDDINGS = WireFormat(
    "/embeddings", _body_of, _completion_in, complaint_in, StreamedAnswer, FrozenDict()
)
