"""Chat agents that call tools: a declared chat model that is asked until it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.agents.context import RunContext
from penstock.models.chat_agent import Answer, ChatAgent, checked, describe
from penstock.models.chat_model import ChatMessage, Completion, CompletionRequest
from penstock.models.conversations.conversation import ConversationOutcome
from penstock.models.conversations.conversing import converse
from penstock.models.conversations.tool_servers import ToolServers
from penstock.models.conversations.tools import GivenTool, free_choice, tools_of
from penstock.models.model_errors import ModelError
from penstock.models.prompts.asking import Asked, Asking
from penstock.study.tool_server import McpServer

__all__ = ["ToolAgent"]


class ToolAgent(ChatAgent):
    """Answers the problem of a run by a conversation in which the model calls tools.

    The outputs are those of a chat agent, and ``outcome`` (``answered``, ``cut`` or
    ``max_turns``) and ``turns``.

    Args:
        asking: What each run asks with.
        tools: The tools, and the servers that have some.
        servers: Give the tools of those.
        max_turns: How often the model is asked at most.

    Raises:
        BindingError: two tools have one name, or a function cannot be a tool.
    """

    def __init__(
        self,
        asking: Asking,
        tools: Sequence[GivenTool],
        servers: ToolServers,
        max_turns: int,
    ) -> None:
        super().__init__(asking)
        self._servers = servers
        others = [each for each in tools if isinstance(each, McpServer)]
        functions = tools_of([each for each in tools if not isinstance(each, McpServer)])
        self._tools: tuple[GivenTool, ...] = (*functions.values(), *others)
        self._max_turns = max_turns

    async def _answer(self, ctx: RunContext, asked: Asked, request: CompletionRequest) -> Answer:
        answers: list[Completion] = []
        failures: list[ModelError] = []
        tools = await self._servers.tools_of(self._tools, ctx)
        told = tuple(tool.told for tool in tools.values())

        async def ask(history: tuple[ChatMessage, ...]) -> Completion:
            extra = free_choice(request.extra) if history[-1].role == "tool" else request.extra
            turn = request.model_copy(update={"messages": history, "tools": told, "extra": extra})
            try:
                completion = await asked.caller.complete(ctx, turn)
            except ModelError as error:
                failures.append(error)
                raise

            describe(ctx, completion)
            answers.append(completion)
            return completion

        images = asked.template.images
        most = self._max_turns
        talk = await converse(ctx, ask, request.messages, tools, max_turns=most, images=images)
        if failures:  # the model declined: that is told as it is of an agent without tools
            raise failures[0]

        fields: dict[str, Any] = {}
        if talk.outcome is not ConversationOutcome.MAX_TURNS:
            fields = checked(asked.template, answers[-1])

        ended = {"text": talk.text, "outcome": str(talk.outcome), "turns": talk.turns}
        return Answer(answers[-1], {**fields, **ended})
