"""Requests as a study declares them: templates that are filled in for a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.errors import ValidationError
from penstock.models.chat_model import ChatMessage, CompletionRequest
from penstock.models.json_answers import JsonAnswers
from penstock.models.prompts import PromptError, Template
from penstock.study.chat import ChatOptions

__all__ = ["RequestTemplate"]


class RequestTemplate:
    """Makes the request of each run.

    Args:
        who: Whose it is, for errors: ``agent 'gpt'``.
        options: What the study declares.

    Raises:
        ValidationError: a field is no template, or ``json_schema`` cannot be used.
    """

    def __init__(self, who: str, options: ChatOptions) -> None:
        self.who = who
        self.options = options
        self._templates: dict[str, Template] = {}
        errors = []
        for field in ("model", "system", "prompt", "temperature"):
            source = getattr(options, field)
            if isinstance(source, str):
                try:
                    self._templates[field] = Template(source)
                except PromptError as error:
                    errors.append(f"{who}: {field}: {error}")

        self.answers: JsonAnswers | None = None
        if options.json_schema is not None:
            try:
                self.answers = JsonAnswers(options.json_schema)
            except ValidationError as error:
                errors += [f"{who}: {each}" for each in error.errors]

        if errors:
            raise ValidationError(errors)

        self._fixed: dict[str, Any] = {
            "top_p": options.top_p,
            "max_tokens": options.max_tokens,
            "stop": options.stop,
            "logprobs": options.logprobs,
            "json_schema": None if options.json_schema is None else dict(options.json_schema),
            "stream": options.stream,
            "extra": options.extra,
        }

    def faults(self, scope: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Find what cannot be filled in for a run: the field, and what is wrong with it."""
        for field, template in self._templates.items():
            unknown = template.unknown_names(scope)
            if unknown:
                known = ", ".join(scope)
                names = ", ".join(map(repr, unknown))
                yield field, f"{names} is unknown; there is: {known}"
                continue

            try:
                self._field(field, scope)
            except PromptError as error:
                yield field, str(error)

    def fill_in(self, scope: Mapping[str, Any], seed: int) -> CompletionRequest:
        """Make the request of a run.

        Args:
            scope: What the templates may name.
            seed: Sent where the study says so.

        Raises:
            PromptError: a template cannot be filled in.
        """
        try:
            messages = [ChatMessage(role="user", content=self._field("prompt", scope))]
            if "system" in self._templates:
                system = ChatMessage(role="system", content=self._field("system", scope))
                messages.insert(0, system)

            return CompletionRequest(
                model=self._field("model", scope),
                messages=tuple(messages),
                temperature=self._temperature(scope),
                seed=seed if self.options.seed else None,
                **self._fixed,
            )
        except PromptError as error:
            raise PromptError(f"{self.who}: {error}") from error

    def _temperature(self, scope: Mapping[str, Any]) -> float | None:
        given = self.options.temperature
        return self._field("temperature", scope) if isinstance(given, str) else given

    def _field(self, field: str, scope: Mapping[str, Any]) -> Any:
        text = self._templates[field].render(scope)
        if field == "model":
            return _name(text)

        return _number(text) if field == "temperature" else text


def _name(text: str) -> str:
    if not text.strip():
        raise PromptError("the model has no name")

    return text.strip()


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise PromptError(f"{text!r} is no number") from None

    if not math.isfinite(number):
        raise PromptError(f"{text!r} is no temperature")

    return number
