"""Chat models as a study declares them: agents, judges, limits of endpoints, money."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from penstock._base.fact import (
    EMPTY,
    Declaration,
    Flag,
    JsonMapping,
    Name,
    NotNegative,
    Number,
    Positive,
    PositiveWhole,
    Text,
)
from penstock.study.scoring import compiled

__all__ = ["Budget", "ChatOptions", "EndpointLimits", "JudgeOptions", "Price"]

_KEY_LIKE = re.compile(r"sk-\w{8,}|[A-Za-z0-9_\-]{40,}")


class ChatOptions(Declaration):
    """A chat model behind an OpenAI-compatible endpoint; texts are templates.

    A template may name ``problem``, ``condition``, ``run`` (its ``seed``, ``replicate``,
    ``attempt``, ``run_id``, ``agent_id``) and, for a judge, ``answer`` and ``outputs``.

    Args:
        base_url: The endpoint, as ``http://host:port/v1``.
        model: The model's name there; a template.
        api_key_env: The environment variable, or line of a ``.env`` file, that holds the key.
        system: The system prompt; a template.
        prompt: The user's message; a template.
        temperature: A number, or a template that gives one.
        seed: Whether the run's seed is sent.
        json_schema: A JSON schema that the answer must follow; the answer's fields are outputs.
        stream: Whether to stream the answer, for the time to its first token.
        timeout_s: How long one call may take once it is admitted, in seconds.
        on_truncated: Whether an answer cut at ``max_tokens`` fails or is kept.
        extra: Other fields of the request's body.
    """

    base_url: Name
    model: Name
    api_key_env: Name | None = None
    system: Text | None = None
    prompt: Text = "{{ problem.brief }}"
    temperature: Number | Text | None = None
    top_p: Number | None = None
    max_tokens: PositiveWhole | None = None
    seed: Flag = False
    stop: tuple[Text, ...] = ()
    logprobs: Flag = False
    json_schema: JsonMapping | None = None
    stream: Flag = False
    timeout_s: Positive = 60.0
    connect_timeout_s: Positive = 10.0
    on_truncated: Literal["fail", "keep"] = "keep"
    extra: JsonMapping = EMPTY

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if "@" in url or not re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", url):
            # What is refused is not repeated: it may hold a key.
            raise ValueError("write it as http://host:port/v1; a key does not belong in it")

        return url.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and (_KEY_LIKE.search(name) or not name.isidentifier()):
            raise ValueError("names an environment variable; never write a key in a study file")

        return name

    @field_validator("extra")
    @classmethod
    def _holds_no_key(cls, extra: Mapping[str, Any]) -> Mapping[str, Any]:
        for name, value in extra.items():
            is_named_so = re.search(r"api[-_]?key|authorization|secret|password", name, re.I)
            if is_named_so or (isinstance(value, str) and re.match(r"sk-[\w-]{8,}|Bearer ", value)):
                raise ValueError(f"{name!r} looks like a key; name its variable in api_key_env")

        return extra


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


class EndpointLimits(Declaration):
    """What an endpoint lets one account do; all agents and judges that use it share this.

    Args:
        max_in_flight: Calls at once; it adapts below that to what the endpoint bears.
        requests_per_minute: Calls begun in any 60 seconds.
        tokens_per_minute: Tokens, of prompts and answers, in any 60 seconds.
        max_retry_after_s: The longest wait that the endpoint may ask for, in seconds.
    """

    max_in_flight: PositiveWhole | None = None
    requests_per_minute: PositiveWhole | None = None
    tokens_per_minute: PositiveWhole | None = None
    max_retry_after_s: Positive = 300.0


class Price(Declaration):
    """What a model costs, in US dollars per million tokens."""

    input_usd_per_million: NotNegative
    output_usd_per_million: NotNegative
    cached_input_usd_per_million: NotNegative | None = None


class Budget(Declaration):
    """What a study may spend, over all its sessions; it stops before it would spend more.

    Args:
        max_cost_usd: US dollars.
        max_tokens: Tokens of prompts and answers.
        max_duration_s: Seconds of a session.
    """

    max_cost_usd: Positive | None = None
    max_tokens: PositiveWhole | None = None
    max_duration_s: Positive | None = None

    @property
    def bounds_spending(self) -> bool:
        """Whether what earlier sessions spent counts."""
        return self.max_cost_usd is not None or self.max_tokens is not None
