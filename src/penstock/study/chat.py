"""Chat models as a study declares them: by name, as agents, and as judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from penstock._base.fact import (
    Declaration,
    Flag,
    JsonMapping,
    Name,
    Number,
    PositiveWhole,
    Text,
)
from penstock.study.model_options import OF_THE_ENDPOINT, ModelOptions
from penstock.study.references import is_reference
from penstock.study.request_fields import is_template, refuse_templates, texts_in
from penstock.study.scoring import compiled
from penstock.study.tool_server import McpServer, ToolSource

__all__ = ["ChatOptions", "JudgeOptions", "Model", "choices", "names_in", "spelled_out"]


_BRIEF = "{{ problem.brief }}"


class Model(ModelOptions):
    """A chat model that a study declares by name: agents and judges say ``model: NAME``.

    Args:
        model: The model's name at its provider; the name that the study gives it, where not
            given.
    """

    model: Name | None = None

    @field_validator("model")
    @classmethod
    def _is_one_model(cls, name: str | None) -> str | None:
        refuse_templates(name or "", "declare each model, and let `model:` of the agent choose")
        return name

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if not self.has_endpoint:
            raise ValueError("give its base_url, or a provider such as `simulated`")

        return self


def _listed(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given


def _as_source(given: Any) -> Any:
    return ToolSource(mcp=given) if isinstance(given, McpServer) else given


Images = Annotated[tuple[Name, ...], BeforeValidator(_listed)]
"""Images, each as a path beside the study file, an address, or data; one stands for a list of it.

Each is a template; one that is a single ``{{ expression }}`` may give a list of them, or null.
"""


class MessageOptions(Declaration):
    """One message of a conversation that an agent begins with.

    Args:
        role: Who speaks.
        content: What is said; a template. It may be left out beside an image.
        image: Images, which stand before the text.
    """

    role: Literal["system", "developer", "user", "assistant"]
    content: Text
    image: Images = ()

    @model_validator(mode="before")
    @classmethod
    def _is_an_image_alone(cls, data: Any) -> Any:
        is_alone = isinstance(data, Mapping) and data.get("image") and "content" not in data
        return {"content": "", **data} if is_alone else data

    @model_validator(mode="after")
    def _shows_what_the_user_does(self) -> Self:
        if self.image and self.role != "user":
            raise ValueError("image: only a message of the user has images")

        return self

    @model_serializer(mode="wrap")
    def _only_what_is_meant(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what older readers do not know."""
        written: dict[str, Any] = write(self)
        return written if self.image else {"role": self.role, "content": self.content}


class ChatOptions(ModelOptions):
    """A chat model that answers the problem of a run.

    Its templates may name ``problem``, ``condition``, ``run`` (its ``seed``, ``replicate``,
    ``attempt``, ``run_id``, ``agent_id``) and, for a judge, ``answer`` and ``outputs``.

    Args:
        model: The name of a model that the study declares under ``models``, whose options hold
            where others are not given here; with a ``base_url`` beside it, the model's name
            there. A template.
        system: The system prompt; a template.
        system_as_user: Whether the system prompt is put before the user's message instead.
        prompt: The user's message; a template.
        image: Images that stand before the prompt, each a path beside the study file, an address,
            or data; templates.
        messages: The conversation after the system prompt, in place of ``prompt``: examples to
            follow, turns that were, and the beginning of the answer where the last one is the
            assistant's.
        tools: Functions that the model may call, each as ``module:attr`` or ``file.py:attr``, and
            servers of tools, each as ``{mcp: {command: [...]}}``.
        max_turns: How often a model that calls tools is asked at most in a run.
        json_schema: A JSON schema that the answer must follow; the answer's fields are outputs.
        on_truncated: Whether an answer cut at ``max_tokens`` fails or is kept.
        on_refusal: Whether a run whose model declined fails, or its refusal is kept as the answer.
    """

    model: Name
    system: Text | None = None
    system_as_user: Flag = False
    prompt: Text = _BRIEF
    image: Images = ()
    messages: tuple[MessageOptions, ...] = ()
    tools: tuple[Annotated[Name | ToolSource, BeforeValidator(_as_source)], ...] = ()
    max_turns: PositiveWhole = 8
    json_schema: JsonMapping | None = None
    on_truncated: Literal["fail", "keep"] = "keep"
    on_refusal: Literal["fail", "keep"] = "fail"

    @field_validator("tools")
    @classmethod
    def _are_references(cls, tools: tuple[str | ToolSource, ...]) -> Any:
        for tool in tools:
            if isinstance(tool, str) and not is_reference(tool):
                raise ValueError(f"{tool!r} is not a reference; write `file.py:name`")

        return tools

    @field_validator("json_schema")
    @classmethod
    def _is_the_same_for_all(cls, schema: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        for text in texts_in(schema):
            refuse_templates(text, "declare an agent for each schema")

        return schema

    @model_validator(mode="after")
    def _is_one_conversation(self) -> Self:
        if self.messages and self.prompt != _BRIEF:
            raise ValueError("prompt and messages are one; give the prompt as the last message")

        if self.messages and self.image:
            raise ValueError("image and messages: give the image with the message it is shown in")

        if self.messages and self.system_as_user and self.messages[0].role != "user":
            raise ValueError("system_as_user: the first of messages must be the user's")

        return self


Asked = TypeVar("Asked", bound=ChatOptions)


def names_in(options: ChatOptions, models: Mapping[str, Model]) -> tuple[str, ...]:
    """Return the declared models that an agent or judge may ask; none where it says it in place.

    Raises:
        ValueError: it names a model that is not declared, or says beside the name what is said
            where the model is declared.
    """
    if options.has_endpoint:
        return ()

    known = ", ".join(models) or "none"
    if not is_template(options.model) and options.model not in models:
        raise ValueError(
            f"{options.model!r} is not a model of this study (models: {known}); declare it under "
            "`models:`, or give its base_url beside it"
        )

    if not models:
        raise ValueError("the study declares no models to choose from; declare them in `models:`")

    if misplaced := sorted(OF_THE_ENDPOINT & options.model_fields_set):
        said = f"{', '.join(misplaced)}: said where the model is declared, in `models:`"
        raise ValueError(f"{said}; give it there, or give base_url beside it")

    return tuple(models) if is_template(options.model) else (options.model,)


def choices(options: Asked, models: Mapping[str, Model]) -> dict[str, Asked]:
    """Return the options of an agent or judge for each model that it may ask, by its name.

    What the agent does not say itself is as the model says; under an empty name stands a model
    that is declared in place.

    Raises:
        ValidationError: what it says and what a model says do not go together.
    """
    names = names_in(options, models)
    return {name: _with(options, name, models[name]) for name in names} or {"": options}


def spelled_out(options: ChatOptions, models: Mapping[str, Model]) -> dict[str, Any]:
    """Write what an agent or judge declares, with all that is said of the models it may ask.

    A model that is named is written as one in place: what was declared in one way and is in the
    other is the same. Where a run chooses its model, ``models`` holds each of them.
    """
    chosen = choices(options, models)
    if not is_template(options.model) or "" in chosen:
        (asked,) = chosen.values()
        return asked.model_dump(mode="json")

    each = {name: asked.model_dump(mode="json") for name, asked in chosen.items()}
    return {"model": options.model, "models": each}


def _with(options: Asked, name: str, model: Model) -> Asked:
    said = {field: getattr(model, field) for field in model.model_fields_set}
    own = {field: getattr(options, field) for field in options.model_fields_set}
    if _LIMITS & own.keys():  # one limit under two names
        said = {field: value for field, value in said.items() if field not in _LIMITS}

    return type(options)(**{**said, **own, "model": model.model or name})


_LIMITS = frozenset({"max_tokens", "max_completion_tokens"})
_FORMER_PATTERN = r"[-+]?\d+(?:\.\d+)?"


class JudgeOptions(ChatOptions):
    """A chat model that scores answers.

    Without any of ``field``, ``pattern`` and ``choices``, the score is the number that the reply
    gives as its score: ``7``, ``Score: 7``, ``7/10``.

    Args:
        metric_name: What the score is called; the evaluator's name where not given.
        scale: The lowest and the highest score; a reply with another number has no score.
        choices: The words that a reply may choose from, and the score of each.
        field: The field of the reply, which is JSON, that holds the score; ``a.b`` is the field
            ``b`` of the field ``a``. With a ``json_schema`` it need not be said where only one
            field can be meant.
        pattern: Finds the score in the reply: its last match, or the group where it has one.
    """

    prompt: Text
    metric_name: Name | None = None
    scale: tuple[Number, Number] | None = None
    choices: Annotated[Mapping[Name, Number], Field(min_length=1)] | None = None
    field: Name | None = None
    pattern: Text | None = None

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        # Studies that were written out when it was the default mean what is the default now.
        return None if pattern == _FORMER_PATTERN else compiled(pattern)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.tools:
            raise ValueError("tools: a judge has no tools; use an evaluator in Python")

        if self.pattern is not None and self.field is not None:
            raise ValueError("say `field` or `pattern`, not both")

        if self.scale is not None and self.choices is not None:
            raise ValueError("say `scale` or `choices`, not both")

        if self.scale is not None and not self.scale[0] < self.scale[1]:
            raise ValueError("scale: give the lowest score first, then the highest")

        return self

    @property
    def score_field(self) -> str | None:
        """The field of the reply's JSON that is the score, where one is known."""
        if self.field is not None or self.json_schema is None or self.pattern is not None:
            return self.field

        properties = self.json_schema.get("properties", {})
        if "score" in properties:
            return "score"

        kinds = {"string"} if self.choices is not None else {"number", "integer"}
        possible = [name for name, each in properties.items() if each.get("type") in kinds]
        return possible[0] if len(possible) == 1 else None
