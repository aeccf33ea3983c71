"""What one agent or judge asks with: the template of its request, and who sends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock.models.calls.elsewhere import ModelCaller
from penstock.models.chat_model import CompletionRequest
from penstock.models.prompts.images import ImageFile
from penstock.models.prompts.prompts import PromptError
from penstock.models.prompts.request_template import RequestTemplate
from penstock.models.prompts.requests import Requests

__all__ = ["Asked", "Asking"]


class Asked(NamedTuple):
    """What one run asks with."""

    template: RequestTemplate
    caller: ModelCaller


class Asking:
    """Gives what a run asks with, by the model that it asks.

    Args:
        requests: Give the template of a run's request.
        callers: Send it: one for each model that may be asked.

    Attributes:
        checked: Requests without messages that were found right, by what calls said themselves.
    """

    def __init__(self, requests: Requests, callers: Mapping[str, ModelCaller]) -> None:
        self.requests = requests
        self.checked: dict[tuple[str, ...], CompletionRequest] = {}
        self._callers = callers

    @property
    def who(self) -> str:
        """Whose requests they are, for errors: ``agent 'gpt'``."""
        return self.requests.who

    @property
    def shows_images(self) -> bool:
        """Whether any run may show an image."""
        return any(each.shows_images for each in self.requests.templates.values())

    def image_files(self, scope: Mapping[str, Any]) -> tuple[ImageFile, ...]:
        """Return the files of images that a run shows; none where that cannot be told."""
        try:
            return tuple(self.requests.of(scope).image_files(scope))
        except PromptError:
            return ()

    def of(self, scope: Mapping[str, Any]) -> Asked:
        """Return what a run asks with.

        Args:
            scope: What templates may name in the run.

        Raises:
            PromptError: the run chooses a model that the study does not declare.
        """
        template = self.requests.of(scope)
        return Asked(template, self._callers[template.name])
