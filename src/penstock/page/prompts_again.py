"""Prompts again: what chat agents were asked first, filled in anew where calls were not kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from penstock._base.extras import load_extra
from penstock.errors import ValidationError
from penstock.planning.plan import Plan

if TYPE_CHECKING:
    from penstock.models.prompts.requests import Requests

__all__ = ["PromptsAgain"]


class PromptsAgain:
    """The prompts of a study's chat agents, by position in its plan.

    An agent in Python asks what it likes, so of its runs there are none.

    Args:
        plan: The plan; None where it is not known.
    """

    def __init__(self, plan: Plan | None) -> None:
        self._plan = plan
        self._requests: dict[str, Requests | None] = {}
        study = None if plan is None else plan.study
        self._problems = {each.problem_id: each for each in study.problems} if study else {}

    def of(self, position: int) -> Iterator[tuple[str, str]]:
        """Yield the role and the text of each message that a run begins with."""
        if self._plan is None:
            return

        spec = self._plan.at(position)
        requests, problem = self._of_agent(spec.agent_id), self._problems.get(spec.problem_id)
        if requests is None or problem is None:
            return

        prompts = _module("prompts")
        scope = prompts.scope_of(spec, problem, self._plan.condition_of(spec))
        with suppress(prompts.PromptError):
            for message in requests.of(scope).fill_in(scope, spec.seed).messages:
                yield message.role, _told(message.content)

    def _of_agent(self, name: str) -> Requests | None:
        """Return the requests of an agent; None where it has no templates that can be read."""
        if name not in self._requests:
            self._requests[name] = None
            study = self._plan.study if self._plan is not None else None
            declared = None if study is None else study.agents.get(name)
            if study is not None and declared is not None and declared.chat is not None:
                with suppress(ValidationError):
                    module = load_extra(
                        "penstock.models.prompts.requests", extra="models", what="a prompt"
                    )
                    self._requests[name] = module.requests_of(
                        study, f"agent {name!r}", declared.chat
                    )

        return self._requests[name]


def _module(name: str) -> Any:
    return load_extra(f"penstock.models.prompts.{name}", extra="models", what="a prompt")


def _told(content: Any) -> str:
    if isinstance(content, str):
        return content

    return "\n".join(each if isinstance(each, str) else "[image]" for each in content or ())
