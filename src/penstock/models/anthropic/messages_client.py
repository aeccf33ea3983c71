"""A chat model behind an endpoint that speaks Anthropic's messages (extra ``penstock[models]``)."""

from __future__ import annotations

from penstock._base.frozen import FrozenDict
from penstock.models.anthropic.message_body import message_body_of
from penstock.models.anthropic.message_reading import (
    StreamedMessage,
    chat_completion_in,
    complaint_in_event,
)
from penstock.models.openai.client import OpenAIChatModel
from penstock.models.openai.wire_format import WireFormat

__all__ = ["AnthropicChatModel"]


class AnthropicChatModel(OpenAIChatModel):
    """Completes conversations at one endpoint as `OpenAIChatModel` does, by another format.

    An answer has the parts of its reasoning in ``sealed_reasoning``, as the provider wants them
    back in a conversation that goes on after a call of a tool.
    """

    embeddings = None
    wire = WireFormat(
        "/messages",
        message_body_of,
        chat_completion_in,
        complaint_in_event,
        StreamedMessage,
        FrozenDict({"anthropic-version": "2023-06-01"}),
        "x-api-key",
    )
