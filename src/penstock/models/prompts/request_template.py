"""Requests as a study declares them: templates that are filled in for a run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from penstock.errors import ValidationError
from penstock.models.chat_model import ChatMessage, CompletionRequest, Image
from penstock.models.prompts.images import ImageError, ImageFile, ImageFiles
from penstock.models.prompts.json_answers import JsonAnswers
from penstock.models.prompts.prompts import PromptError, Template
from penstock.study.chat import ChatOptions

__all__ = ["RequestTemplate"]

_NUMBERS = ("temperature", "top_p")
_COUNTS = ("max_tokens", "max_completion_tokens")
_TEXTS = ("model", "system", "prompt", "reasoning_effort")


class RequestTemplate:
    """Makes the request of each run.

    Args:
        who: Whose it is, for errors: ``agent 'gpt'``.
        options: What the study declares, with all that is said of the model.
        name: The name under which the study declares the model; empty where it does not.
        images: Reads the images that are asked about.

    Raises:
        ValidationError: a field is not a template, or ``json_schema`` cannot be used.

    Attributes:
        has_fixed_fields: Whether all of a request but its messages and its seed is the same in
            every run.
    """

    def __init__(
        self, who: str, options: ChatOptions, name: str = "", images: ImageFiles | None = None
    ) -> None:
        self.who = who
        self.options = options
        self.name = name
        self.images = images or ImageFiles()
        self._templates: dict[str, Template] = {}
        errors = []
        for field, source in _sources(options):
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

        self.has_fixed_fields = all(
            template.is_fixed or _is_told(field) for field, template in self._templates.items()
        )
        self._always: dict[str, Any] | None = None
        self._is_extra_fixed = not any(field.startswith("extra.") for field in self._templates)
        self._fixed: dict[str, Any] = {
            "logprobs": options.logprobs,
            "json_schema": None if options.json_schema is None else dict(options.json_schema),
            "stream": options.stream,
        }

    @property
    def is_bounded(self) -> bool:
        """Whether the answer's length has a bound."""
        return any(getattr(self.options, name) is not None for name in _COUNTS)

    @property
    def fixed_model(self) -> str | None:
        """The model's name, where it is the same in every run."""
        template = self._templates["model"]
        return template.source.strip() if template.is_fixed else None

    @property
    def shows_images(self) -> bool:
        """Whether any run may show an image."""
        return any(map(_is_image, self._templates))

    def model(self, scope: Mapping[str, Any]) -> str:
        """Return the model's name in a run.

        Raises:
            PromptError: it cannot be filled in.
        """
        return str(self._field("model", scope))

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
                if _is_image(field):
                    for source in self._image_sources(field, scope):
                        self.images.check(source)
                else:
                    self._field(field, scope)
            except (PromptError, ImageError) as error:
                yield field, str(error)

    def image_files(self, scope: Mapping[str, Any]) -> Iterator[ImageFile]:
        """Yield the files of images that a run shows; none where that cannot be told."""
        for field in filter(_is_image, self._templates):
            with suppress(PromptError):
                found = map(self.images.file, self._image_sources(field, scope))
                yield from (each for each in found if each is not None)

    def texts(self) -> Iterator[tuple[str, Template]]:
        """Yield every text that is filled in for a run, with the field that it stands in."""
        yield from self._templates.items()

    def fill_in(self, scope: Mapping[str, Any], seed: int) -> CompletionRequest:
        """Make the request of a run.

        Args:
            scope: What the templates may name.
            seed: Sent where the study says so.

        Raises:
            PromptError: a template cannot be filled in.
        """
        try:
            return CompletionRequest(messages=self._messages(scope), **self.fields(scope, seed))
        except (PromptError, ImageError) as error:
            raise PromptError(f"{self.who}: {error}") from error

    def fields(self, scope: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Return all fields of the request of a run but for its messages.

        Args:
            scope: What the templates may name.
            seed: Sent where the study says so.

        Raises:
            PromptError: a template cannot be filled in.
        """
        fields = self._always or self._fields(scope)
        if self.has_fixed_fields:
            self._always = fields

        return {**fields, "seed": seed if self.options.seed else None}

    def _fields(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        options = self.options
        stop = [self._field(f"stop.{place}", scope) for place in range(len(options.stop))]
        return {
            "model": self._field("model", scope),
            "reasoning_effort": self._value("reasoning_effort", scope),
            "stop": tuple(text for text in stop if text is not None),
            "extra": options.extra if self._is_extra_fixed else self._extra(scope),
            **{name: self._value(name, scope) for name in (*_NUMBERS, *_COUNTS)},
            **self._fixed,
        }

    def _messages(self, scope: Mapping[str, Any]) -> tuple[ChatMessage, ...]:
        system = self._field("system", scope) if "system" in self._templates else None
        messages = [
            self._message(each.role, f"messages.{place}.", "content", len(each.image), scope)
            for place, each in enumerate(self.options.messages)
        ] or [self._message("user", "", "prompt", len(self.options.image), scope)]
        if system is None:
            return tuple(messages)

        if self.options.system_as_user:
            first, *others = messages
            merged = (*first.images, f"{system}\n\n{first.text}")
            return (ChatMessage(role="user", content=merged), *others)

        return (ChatMessage(role="system", content=system), *messages)

    def _message(
        self, role: Any, path: str, text_field: str, images: int, scope: Mapping[str, Any]
    ) -> ChatMessage:
        text = self._field(f"{path}{text_field}", scope)
        if not images:
            return ChatMessage(role=role, content=text)

        shown = [
            Image(url=self.images.url(source))
            for place in range(images)
            for source in self._image_sources(f"{path}image.{place}", scope)
        ]
        return ChatMessage(role=role, content=(*shown, text) if text else tuple(shown))

    def _image_sources(self, field: str, scope: Mapping[str, Any]) -> Iterator[str]:
        """Yield the images that a template gives in a run: one, several, or none."""
        value = self._templates[field].value(scope)
        for source in value if isinstance(value, (list, tuple)) else (value,):
            if source is not None and not isinstance(source, str):
                raise PromptError(f"{type(source).__name__} is not a path, an address or data")

            if source is not None:
                yield source

    def _extra(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        filled: dict[str, Any] = self._filled(self.options.extra, "extra", scope)
        return filled

    def _filled(self, value: Any, path: str, scope: Mapping[str, Any]) -> Any:
        if isinstance(value, str):
            return self._field(path, scope) if path in self._templates else value

        if isinstance(value, Mapping):
            fields = {
                name: (item, self._filled(item, f"{path}.{name}", scope))
                for name, item in value.items()
            }
            # What is null in this run is left out; what is null in all of them was meant.
            return {
                name: made
                for name, (item, made) in fields.items()
                if made is not None or item is None
            }

        if isinstance(value, (list, tuple)):
            return [self._filled(item, f"{path}.{at}", scope) for at, item in enumerate(value)]

        return value

    def _value(self, name: str, scope: Mapping[str, Any]) -> Any:
        return self._field(name, scope) if name in self._templates else getattr(self.options, name)

    def _field(self, field: str, scope: Mapping[str, Any]) -> Any:
        template = self._templates[field]
        value = template.value(scope)
        if field in {"model", "prompt"} or field.startswith("messages."):
            return _text(field, value)

        if value is None:
            return None

        if field in _NUMBERS:
            return _number(value)

        if field in _COUNTS:
            return _count(value)

        return value if field.startswith("extra.") or isinstance(value, str) else str(value)


def _sources(options: ChatOptions) -> Iterator[tuple[str, str]]:
    """Yield every text of what is asked that may be a template, and its path."""
    for field in (*_TEXTS, *_NUMBERS, *_COUNTS):
        source = getattr(options, field)
        is_asked = field != "prompt" or not options.messages
        if isinstance(source, str) and is_asked:
            yield field, source

    for place, source in enumerate(options.image):
        yield f"image.{place}", source

    for place, source in enumerate(options.stop):
        yield f"stop.{place}", source

    for place, message in enumerate(options.messages):
        yield f"messages.{place}.content", message.content
        for at, source in enumerate(message.image):
            yield f"messages.{place}.image.{at}", source

    for path, source in _texts(options.extra, "extra"):
        if "{{" in source or "{%" in source or "{#" in source:
            yield path, source


def _is_told(field: str) -> bool:
    """Return whether a field is a part of the messages."""
    return field in {"system", "prompt"} or field.startswith("messages.") or _is_image(field)


def _is_image(field: str) -> bool:
    return re.fullmatch(r"(?:messages\.\d+\.)?image\.\d+", field) is not None


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item, f"{path}.{name}")
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from _texts(item, f"{path}.{place}")


def _text(field: str, value: Any) -> str:
    if value is None or (field == "model" and not str(value).strip()):
        what = "prompt" if field == "prompt" else "message"
        raise PromptError("the model has no name" if field == "model" else f"the {what} is null")

    return str(value).strip() if field == "model" else str(value)


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise PromptError(f"{value!r} is not a number") from None

    if not math.isfinite(number):
        raise PromptError(f"{value!r} is not a finite number")

    return number


def _count(value: Any) -> int:
    number = _number(value)
    if number < 1 or number != int(number):
        raise PromptError(f"{value!r} is not a whole number above 0")

    return int(number)
