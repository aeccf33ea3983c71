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
from penstock._base.frozen import FrozenDict
from penstock._base.secrets import looks_like_key, names_secret
from penstock.study.request_fields import (
    NumberOrTemplate,
    WholeOrTemplate,
    http_address,
    refuse_keys,
    refuse_templates,
    texts_in,
)
from penstock.study.scoring import compiled

__all__ = ["Budget", "ChatOptions", "EndpointLimits", "JudgeOptions", "Price"]

_LONG = re.compile(r"sk-\w{8,}|[A-Za-z0-9_\-]{40,}")


class ChatOptions(Declaration):
    """A chat model behind an OpenAI-compatible endpoint.

    Texts of what is asked are templates; one that is a single ``{{ expression }}`` gives a value
    of its kind, and null leaves the field out. A template may name ``problem``, ``condition``,
    ``run`` (its ``seed``, ``replicate``, ``attempt``, ``run_id``, ``agent_id``) and, for a judge,
    ``answer`` and ``outputs``. Texts of how it is asked may hold ``${NAME}``, a variable of the
    environment or a line of the ``.env`` file beside the study file.

    Args:
        base_url: The endpoint, as ``http://host:port/v1``; it may be ``${NAME}``.
        model: The model's name there; a template.
        api_key_env: The environment variable, or line of a ``.env`` file, that holds the key.
        api_key_file: A file that holds the key; it is read again where the key is refused.
        api_key_command: A command that prints the key; it is run again where the key is refused.
        api_key_header: The header that carries the key, in place of ``Authorization: Bearer``.
        headers: Further HTTP headers; values may hold ``${NAME}``.
        query: Further fields of the address's query, as ``api-version``.
        proxy: The address of an HTTP proxy; it may be ``${NAME}``.
        ca_file: A file with the certificates of the authorities that are trusted.
        verify_tls: Whether the endpoint's certificate is verified.
        system: The system prompt; a template.
        system_as_user: Whether the system prompt is put before the user's message instead.
        prompt: The user's message; a template.
        temperature: A number, or a template that gives one.
        top_p: A number, or a template that gives one.
        max_tokens: The most tokens of an answer, or a template that gives that.
        max_completion_tokens: The same under the name that newer models insist on.
        reasoning_effort: How much a model reasons before it answers; a template.
        seed: Whether the run's seed is sent.
        stop: Texts at which the answer ends; templates.
        json_schema: A JSON schema that the answer must follow; the answer's fields are outputs.
        stream: Whether to stream the answer, for the time to its first token.
        timeout_s: How long one call may take once it is admitted, in seconds.
        connect_timeout_s: How long it may take to connect, in seconds.
        on_truncated: Whether an answer cut at ``max_tokens`` fails or is kept.
        on_refusal: Whether a run whose model declined fails, or its refusal is kept as the answer.
        think_tags: Whether text between ``<think>`` tags at the beginning of an answer, or their
            like, is reasoning and not a part of the answer.
        extra: Other fields of the request's body; texts in it are templates.
    """

    base_url: Name
    model: Name
    api_key_env: Name | None = None
    api_key_file: Name | None = None
    api_key_command: tuple[Name, ...] = ()
    api_key_header: Name | None = None
    headers: Mapping[Name, Text] = EMPTY
    query: Mapping[Name, Text] = EMPTY
    proxy: Name | None = None
    ca_file: Name | None = None
    verify_tls: Flag = True
    system: Text | None = None
    system_as_user: Flag = False
    prompt: Text = "{{ problem.brief }}"
    temperature: NumberOrTemplate | None = None
    top_p: NumberOrTemplate | None = None
    max_tokens: WholeOrTemplate | None = None
    max_completion_tokens: WholeOrTemplate | None = None
    reasoning_effort: Text | None = None
    seed: Flag = False
    stop: tuple[Text, ...] = ()
    logprobs: Flag = False
    json_schema: JsonMapping | None = None
    stream: Flag = False
    timeout_s: Positive = 60.0
    connect_timeout_s: Positive = 10.0
    on_truncated: Literal["fail", "keep"] = "keep"
    on_refusal: Literal["fail", "keep"] = "fail"
    think_tags: Flag = True
    extra: JsonMapping = EMPTY

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        refuse_templates(url, "declare an agent for each endpoint")
        if "${" in url and not looks_like_key(url):
            return url.rstrip("/")  # what it stands for is looked at when the study is checked

        return http_address(url)

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and (_LONG.search(name) or not name.isidentifier()):
            raise ValueError("names an environment variable; never write a key in a study file")

        return name

    @field_validator("headers", "query", "proxy", "ca_file", "api_key_file", "api_key_command")
    @classmethod
    def _holds_no_key(cls, given: Any) -> Any:
        pairs = given.items() if isinstance(given, Mapping) else [("", given)]
        for name, value in pairs:
            for text in [value] if isinstance(value, str) else value or ():
                refuse_templates(text, "write ${NAME} for what the environment knows")
                is_named_so = names_secret(name) and "${" not in text
                if is_named_so or looks_like_key(text):
                    raise ValueError(f"{name or 'it'} holds a key; write ${{NAME}} for it")

        return FrozenDict(given) if isinstance(given, Mapping) else given

    @field_validator("json_schema")
    @classmethod
    def _is_the_same_for_all(cls, schema: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        for text in texts_in(schema):
            refuse_templates(text, "declare an agent for each schema")

        return schema

    @field_validator("extra")
    @classmethod
    def _extra_is_extra(cls, extra: Mapping[str, Any]) -> Mapping[str, Any]:
        refuse_keys(extra)
        for name in extra:
            if name in _NOT_EXTRA:
                raise ValueError(f"{name!r} is not extra: {_NOT_EXTRA[name]}")

        return extra

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> Self:
        keys = [name for name in _KEYS if getattr(self, name)]
        if len(keys) > 1:
            raise ValueError(f"{' and '.join(keys)} are given; there is one key")

        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError("max_tokens and max_completion_tokens are one limit; give one of them")

        return self


_KEYS = ("api_key_env", "api_key_file", "api_key_command")
_OPTION = "it is an option of its own"
_NOT_EXTRA = {
    **dict.fromkeys(
        (
            "model",
            "temperature",
            "top_p",
            "max_tokens",
            "max_completion_tokens",
            "reasoning_effort",
            "seed",
            "stop",
            "logprobs",
            "stream",
        ),
        _OPTION,
    ),
    "messages": "it is made of system and prompt",
    "prompt": _OPTION,
    "max_output_tokens": "write max_tokens or max_completion_tokens",
    "n": "a run keeps one answer; for more of them declare replicates",
    "best_of": "a run keeps one answer; for more of them declare replicates",
}
"""What prompts, prices and budgets are made from: no other field may change it behind them."""


OF_THE_CALL = frozenset(
    {
        "api_key_env",
        "api_key_file",
        "api_key_command",
        "api_key_header",
        "proxy",
        "ca_file",
        "verify_tls",
        "timeout_s",
        "connect_timeout_s",
    }
)
"""What the answers of a chat model do not depend on."""

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
    """What a model costs, in US dollars per million tokens.

    Args:
        input_usd_per_million: Tokens of prompts.
        output_usd_per_million: Tokens of answers, those of the reasoning included.
        cached_input_usd_per_million: Tokens of prompts that come from the provider's cache; as
            other tokens of prompts where not given.
        cache_write_usd_per_million: Tokens of prompts that are written to it; likewise.
    """

    input_usd_per_million: NotNegative
    output_usd_per_million: NotNegative
    cached_input_usd_per_million: NotNegative | None = None
    cache_write_usd_per_million: NotNegative | None = None


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
