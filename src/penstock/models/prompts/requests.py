"""The requests of one agent or judge: of the model that it names, or that each run chooses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.errors import ValidationError
from penstock.models.prompts.images import ImageFiles
from penstock.models.prompts.prompts import PromptError, Template
from penstock.models.prompts.request_template import RequestTemplate
from penstock.study.chat import ChatOptions, choices
from penstock.study.model import Study
from penstock.study.request_fields import is_template

__all__ = ["Requests", "requests_of"]


def requests_of(study: Study, who: str, options: ChatOptions) -> Requests:
    """Return the requests of an agent or judge of a study.

    Args:
        study: The study, whose models and images they may be of.
        who: Whose requests they are, for errors.
        options: What is declared of it.

    Raises:
        ValidationError: a field is not a template, or ``json_schema`` cannot be used.
    """
    chosen = choices(options, study.models)
    return Requests(who, options.model, chosen, ImageFiles(study.resolve))


class Requests:
    """Gives the template of a run's request.

    Args:
        who: Whose requests they are, for errors: ``agent 'gpt'``.
        model: What the agent or judge says of its model: a name, or a template that chooses one.
        options: What is declared, for each model that may be asked, by its name; under an empty
            name for one that is declared in place.
        images: Reads the images that are asked about.

    Raises:
        ValidationError: a field is not a template, or ``json_schema`` cannot be used.

    Attributes:
        templates: The template for each model that may be asked.
    """

    def __init__(
        self,
        who: str,
        model: str,
        options: Mapping[str, ChatOptions],
        images: ImageFiles | None = None,
    ) -> None:
        self.who = who
        self.templates: dict[str, RequestTemplate] = {}
        self._choice: Template | None = None
        errors: list[str] = []
        if "" not in options and is_template(model):
            try:
                self._choice = Template(model)
            except PromptError as error:
                errors.append(f"{who}: model: {error}")

        for name, asked in options.items():
            try:
                self.templates[name] = RequestTemplate(who, asked, name, images)
            except ValidationError as error:
                errors += error.errors

        if errors:
            raise ValidationError(errors)

    def of(self, scope: Mapping[str, Any]) -> RequestTemplate:
        """Return the template of a run.

        Args:
            scope: What templates may name in the run.

        Raises:
            PromptError: the run chooses a model that the study does not declare.
        """
        if self._choice is None:
            (only,) = self.templates.values()
            return only

        name = self._choice.value(scope)
        try:
            return self.templates[name]
        except (KeyError, TypeError):
            known = ", ".join(self.templates)
            raise PromptError(f"{name!r} is not a model of this study (models: {known})") from None

    def texts(self) -> Iterator[tuple[str, Template]]:
        """Yield every text that is filled in for a run, with the field that it stands in."""
        if self._choice is not None:
            yield "model", self._choice

        for template in self.templates.values():
            yield from template.texts()

    @property
    def fixed_model(self) -> str | None:
        """The model's name, where it is the same in every run."""
        if self._choice is not None:
            return None

        (only,) = self.templates.values()
        return only.name or only.fixed_model

    def model(self, scope: Mapping[str, Any]) -> str | None:
        """Return the name of a run's model; None where it cannot be told."""
        try:
            template = self.of(scope)
            return template.name or template.model(scope)
        except PromptError:
            return None

    def faults(self, scope: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Find what cannot be filled in for a run: the field, and what is wrong with it."""
        if self._choice is not None and (unknown := self._choice.unknown_names(scope)):
            yield (
                "model",
                f"{', '.join(map(repr, unknown))} is unknown; there is: {', '.join(scope)}",
            )
            return

        try:
            template = self.of(scope)
        except PromptError as error:
            yield "model", str(error)
        else:
            yield from template.faults(scope)
