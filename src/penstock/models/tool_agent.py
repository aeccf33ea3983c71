"""Chat agents that call tools: a declared chat model that is asked until it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.agents.context import RunContext
from penstock.models.asking import Asked, Asking
from penstock.models.chat_agent import Answer, ChatAgent, checked, describe
from penstock.models.chat_model import ChatMessage, Completion, CompletionRequest
from penstock.models.conversation import Outcome
from penstock.models.conversing import converse
from penstock.models.model_errors import ModelError
from penstock.models.tools import Tool

__all__ = ["ToolAgent"]


class ToolAgent(ChatAgent):
    """Answers the problem of a run by a conversation in which the model calls tools.

    The outputs are those of a chat agent, and ``outcome`` (``answered``, ``cut`` or
    ``max_turns``) and ``turns``.

    Args:
        asking: What each run asks with.
        tools: The tools by name.
        max_turns: How often the model is asked at most.
    """

    def __init__(self, asking: Asking, tools: Mapping[str, Tool], max_turns: int) -> None:
        super().__init__(asking)
        self._tools = tools
        self._told = tuple(tool.told for tool in tools.values())
        self._max_turns = max_turns

    async def _answer(self, ctx: RunContext, asked: Asked, request: CompletionRequest) -> Answer:
        answers: list[Completion] = []
        failures: list[ModelError] = []

        async def ask(history: tuple[ChatMessage, ...]) -> Completion:
            turn = request.model_copy(update={"messages": history, "tools": self._told})
            try:
                completion = await asked.caller.complete(ctx, turn)
            except ModelError as error:
                failures.append(error)
                raise

            describe(ctx, completion)
            answers.append(completion)
            return completion

        talk = await converse(ctx, ask, request.messages, self._tools, self._max_turns)
        if failures:  # the model declined: that is told as it is of an agent without tools
            raise failures[0]

        fields: dict[str, Any] = {}
        if talk.outcome is not Outcome.MAX_TURNS:
            fields = checked(asked.template, answers[-1])

        ended = {"text": talk.text, "outcome": str(talk.outcome), "turns": talk.turns}
        return Answer(answers[-1], {**fields, **ended})
